"""From settings to the parts of the platform room: one place that knows which setting goes where.

The daemon and the one-shot commands build their platform client here, so both authorise and pace themselves alike.
"""

from collections.abc import Callable, Mapping
from typing import assert_never

import aiohttp

from ringledger.config.model import Settings, SettingsError, Transport
from ringledger.domain.observation import FeedPosition
from ringledger.observability.logging import LOG, Event
from ringledger.observability.metrics import Metrics
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.api.connection import PlatformNoticeKind
from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.auth.authorisation import ATTEMPTS, Authenticator, AuthEvent, AuthEventKind, Credentials
from ringledger.ringcentral.auth.session import GrantKeeper, fingerprint
from ringledger.ringcentral.delivery import Feed
from ringledger.ringcentral.errors import CredentialsMissing
from ringledger.ringcentral.ratelimit.limits import RateLimits
from ringledger.ringcentral.ratelimit.penalties import PenaltyFile
from ringledger.ringcentral.subscriptions.filters import presence_filters
from ringledger.ringcentral.websocket.feed import WebSocketFeed, WebSocketOptions
from ringledger.ringcentral.websocket.receiver import read_bookmark as read_websocket


def credentials_missing(settings: Settings) -> None:
    """Raise ``CredentialsMissing`` when there is nothing to log in with: the platform need not be asked."""
    given = settings.credentials
    if not given.client_id:
        raise CredentialsMissing(settings.why_unset("credentials.client_id") or "credentials.client_id is not set")
    if not (given.jwt.get_secret_value() or given.password.get_secret_value()):
        why = settings.why_unset("credentials.jwt") or settings.why_unset("credentials.password")
        raise CredentialsMissing(why or "neither credentials.jwt nor credentials.password is set")


def webhook_secrets_missing(settings: Settings) -> None:
    """Raise ``SettingsError`` when a webhook's secret was asked for and is not there: nothing goes out unsigned."""
    for i, hook in enumerate(settings.webhooks):
        if (hook.secret_file or hook.secret_credential) and not hook.secret.get_secret_value():
            why = settings.why_unset(f"webhooks.{i}.secret") or "it is empty"
            name = hook.secret_credential.removeprefix("webhook_") or "NAME"
            cure = f"put it into /etc/ringledger/webhooks/{name}, mode 0600, owner root"
            raise SettingsError(f"webhooks.{i} has no secret: {why}; {cure if hook.secret_credential else 'mend it'}")


def authenticator(
    settings: Settings,
    session: aiohttp.ClientSession,
    limits: RateLimits,
    *,
    attempts: int = ATTEMPTS,
    keeper: GrantKeeper | None = None,
) -> Authenticator:
    """The owner of the token; what it does is logged, never what it holds. ``keeper``: see ``Authenticator``."""
    given = settings.credentials
    credentials = Credentials(
        client_id=given.client_id,
        client_secret=given.client_secret.get_secret_value(),
        jwt=given.jwt.get_secret_value(),
        username=given.username,
        extension=given.extension,
        password=given.password.get_secret_value(),
    )
    address = settings.platform.server_url
    return Authenticator(address, session, credentials, limits, on_event=_log_auth, attempts=attempts, keeper=keeper)


def penalties_of(settings: Settings) -> PenaltyFile:
    """The penalties that every process of this configuration keeps, in a file beside the database."""
    database, name = settings.database.path, settings.account_name
    whose = settings.platform.server_url, settings.credentials.client_id
    if not name:
        return PenaltyFile(database.with_name(f"{database.name}.penalties"), fingerprint(*whose))
    # one app may serve several accounts; the platform counts for each of its users
    return PenaltyFile(database.with_name(f"{database.name}.{name}.penalties"), fingerprint(*whose, name))


def rate_limits(settings: Settings, metrics: Metrics, pace: Pace | None = None) -> RateLimits:
    """The budgets of this process."""

    def waited(_group: str, _reason: str, seconds: float) -> None:
        metrics.api_throttled_seconds.inc(seconds)

    return RateLimits(pace=pace, on_wait=waited, penalties=penalties_of(settings))


def platform_client(
    settings: Settings, session: aiohttp.ClientSession, auth: Authenticator, limits: RateLimits
) -> PlatformClient:
    """The REST client."""
    return PlatformClient(
        settings.platform.server_url,
        session,
        auth,
        limits,
        account=settings.platform.account,
        default_region=settings.platform.default_region,
        on_notice=_log_platform,
    )


def feed_of(
    settings: Settings,
    client: PlatformClient,
    account_id: str,
    extensions: list[str],
    positions: Mapping[str, FeedPosition],
) -> Feed:
    """The feed the settings ask for, at the position a former run left."""
    filters, silence = presence_filters(settings.platform.account, extensions), settings.feed.silence_timeout_seconds
    match settings.feed.transport:
        case "websocket":
            return WebSocketFeed(
                client,
                filters,
                account_id=account_id,
                position=positions.get("websocket"),
                options=WebSocketOptions(silence_seconds=silence),
            )
        case "pubnub":
            # the SDK costs 8 MiB and 0.2 s: only those who asked for it pay
            from ringledger.ringcentral.pubnub.feed import PubNubFeed, PubNubOptions  # noqa: PLC0415

            return PubNubFeed(
                client,
                filters,
                account_id=account_id,
                position=positions.get("pubnub"),
                options=PubNubOptions(origin=settings.feed.pubnub_origin, silence_seconds=silence),
            )
        case other:
            assert_never(other)


def bookmark_reader(transport: Transport) -> Callable[[FeedPosition], object]:
    """What reads the feed's token of a position, and returns ``None`` where the feed cannot go on from it."""
    match transport:
        case "websocket":
            return read_websocket
        case "pubnub":
            from ringledger.ringcentral.pubnub.receiver import read_bookmark as read_pubnub  # noqa: PLC0415 - as above

            return read_pubnub
        case other:
            assert_never(other)


def _log_auth(event: AuthEvent) -> None:
    level = LOG.error if event.kind is AuthEventKind.REJECTED else LOG.info
    level(Event(event.kind), **event.detail)


def _log_platform(kind: PlatformNoticeKind, detail: str) -> None:
    level = LOG.info if kind is PlatformNoticeKind.RECOVERED else LOG.warning
    level(Event(kind), reason=detail or None)
