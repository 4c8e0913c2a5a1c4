"""The facts that `doctor` gathers: files, database and platform, from outside of the daemon.

What must stay true: nothing is changed; what cannot be learnt is left unknown; a platform that does not answer is a
finding, not an error.
"""

import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

import aiohttp

from ringledger.layers import CREDENTIALS
from ringledger.ledger.database import placed
from ringledger.ledger.errors import DatabaseCorrupt, DatabaseForeign, DatabaseNewer, LedgerError
from ringledger.ledger.examine import examine, sqlite_verdict, verify
from ringledger.ledger.lock import DaemonLock
from ringledger.ledger.schema import SCHEMA_VERSION
from ringledger.ledger.upgrade import version_of
from ringledger.platform.auth import Authenticator
from ringledger.platform.errors import CredentialsMissing, CredentialsRejected, PlatformError, Throttled
from ringledger.platform.limits import RateLimits
from ringledger.platform.pace import Pace
from ringledger.platform.people import WhoAmI
from ringledger.platform.rest import PlatformClient
from ringledger.platform.subscription import refused_extensions
from ringledger.platform.trial import tried
from ringledger.service import checklist as _checklist  # noqa: F401 - fills the list of checks
from ringledger.service.build import (
    authenticator,
    credentials_missing,
    event_filters,
    penalties_of,
    platform_client,
)
from ringledger.service.checks import CHECKS, Facts, Finding, Severity
from ringledger.settings import DEFAULT_PATH, Settings

DAY_MS: Final = 86_400_000
OTHERS: Final = 0o007
#: A person waits for the answer: repetitions follow one another this many times faster than a daemon's.
HASTE: Final = 20.0
#: Permissions of an app that reads; the subscription's has had several names.
NEEDED: Final = ("ReadPresence", "ReadCallLog")
WEBSOCKET: Final = "WebSocket"
#: Asked for by commands that act for people, or to show names.
USEFUL: Final = frozenset({"ReadAccounts", "RingOut", "SMS", "InternalMessages", "InternalSMS", "OutboundSMS"})
#: Where systemd looks for units that an administrator or a package has put there.
UNIT_DIRECTORIES: Final = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
UNITS: Final = ("ringledger.service", "ringledger-backup.service", "ringledger-backup.timer")


def machine_facts(settings: Settings, directories: tuple[str, ...] = UNIT_DIRECTORIES) -> Facts:
    """What files and the program itself tell."""
    path = settings.database.path
    retention = settings.retention
    return Facts(
        disk_free=shutil.disk_usage(path.parent).free if path.parent.is_dir() else None,
        open_secrets=tuple(str(one) for one in dict.fromkeys(_secret_files(settings)) if _is_open(one)),
        open_database=(str(path) if _is_open(path) else "") if path.is_file() else None,
        sqlite=sqlite_verdict(),
        readers_locked_out=not path.with_name(f"{path.name}-wal").exists() if path.is_file() else None,
        unit_drift=_drift(directories),
        elsewhere=DaemonLock.writes_elsewhere(path) or 0,
        login_missing=login_missing(settings),
        retention_set=bool(retention.calls_days or retention.mask_numbers_after_days),
    )


def database_facts(settings: Settings, facts: Facts) -> Facts:
    """What the database tells, every page read. One that is not there, or not ours, is a finding like any other."""
    path = settings.database.path
    origin = next((one.source for one in settings.sources() if one.key == "database.url"), "default")
    try:
        placed(path)
        if not path.parent.is_dir():
            return replace(facts, misplaced=f"{path.parent}: no such directory (database.url, {origin})")
        if not path.exists():
            return replace(facts, no_database=f"{path}: no such database (database.url, {origin})")
        return _looked_into(settings, replace(facts, no_database=""))
    except DatabaseCorrupt as damage:
        return replace(facts, no_database="", damage=str(damage))
    except DatabaseForeign as error:
        return replace(facts, foreign=str(error), open_database=None, readers_locked_out=None)  # not ours to mend
    except DatabaseNewer as error:
        return replace(facts, no_database="", foreign="", newer=str(error))
    except LedgerError as error:
        return replace(facts, misplaced=str(error))


def _looked_into(settings: Settings, facts: Facts) -> Facts:
    """What stands in the database. Raises ``LedgerError``."""
    url, now_ms = settings.database.url, time.time_ns() // 1_000_000
    facts = replace(facts, schema=(version_of(url), SCHEMA_VERSION), foreign="")
    if facts.schema != (SCHEMA_VERSION, SCHEMA_VERSION):
        return facts
    try:
        verify(url, thorough=True)
        seen = examine(url, before_ms=now_ms - DAY_MS)
    except DatabaseCorrupt as damage:
        return replace(facts, damage=str(damage))
    return replace(
        facts,
        verified=True,
        journal_mode=seen.journal_mode,
        oldest_open=_age(seen.oldest_open_at, now_ms),
        last_event=_age(seen.last_event_at, now_ms),
        stale_after=settings.calls.stale_after_seconds,
        unconfirmed=seen.unconfirmed,
        letters_dead=seen.letters_dead,
        oldest_letter=_age(seen.oldest_letter_at, now_ms),
    )


def _age(at_ms: int | None, now_ms: int) -> float | None:
    return None if at_ms is None else (now_ms - at_ms) / 1000


async def platform_facts(settings: Settings, facts: Facts, *, trial: bool = False) -> Facts:
    """What the platform tells: a token, its permissions, one's own extension, the active calls, its clock; and with
    ``trial`` whether it grants a subscription, which is deleted at once.
    """
    if facts.login_missing:
        return facts  # there is nothing to ask it with
    try:
        async with aiohttp.ClientSession() as session:
            client, auth, me = await reached(settings, session)
            scope = auth.status.scope
            missing, excess = judged(scope, settings.feed.transport)
            return replace(
                await _subscription(settings, client, me, facts) if trial else facts,
                reachable=True,
                missing_permissions=missing if scope else None,
                excess_permissions=excess if scope else None,
                clock_offset=client.clock_offset_ms / 1000,
            )
    except CredentialsRejected as error:
        return replace(facts, credentials_error=str(error))
    except PlatformError as error:
        return replace(facts, platform_error=str(error))


async def _subscription(settings: Settings, client: PlatformClient, me: WhoAmI, facts: Facts) -> Facts:
    """For the extensions that are named in the settings; of "all" one's own stands for the others."""
    named = [me.extension_id if one in {"~", "all"} else one for one in settings.platform.extensions]
    try:
        made = await tried(client, event_filters(settings, list(dict.fromkeys(named))), settings.feed.transport)
    except PlatformError as error:
        return replace(facts, subscription_error=str(error) or type(error).__name__)
    return replace(facts, subscription_error="", refused=refused_extensions(made.disabled_filters))


def findings_of(told: Iterable[Mapping[str, str]]) -> list[Finding]:
    """What a running daemon has answered to ``{"do": "findings"}``."""
    return [Finding(**{**one, "severity": Severity(one["severity"])}) for one in told]  # type: ignore[arg-type]


def merged(own: Iterable[Finding], daemons: Iterable[Finding]) -> list[Finding]:
    """One finding of each check, in the order of the list; what we have seen for ourselves goes first."""
    found = {one.code: one for one in (*daemons, *own)}
    return [found[one.code] for one in CHECKS if one.code in found]


async def reached(settings: Settings, session: aiohttp.ClientSession) -> tuple[PlatformClient, Authenticator, WhoAmI]:
    """A client that has obtained a token, read its own extension and one listing. Raises ``PlatformError``."""
    credentials_missing(settings)
    limits = RateLimits(pace=Pace(HASTE), on_wait=_not_within_a_penalty, penalties=penalties_of(settings))
    auth = authenticator(settings, session, limits)
    client = platform_client(settings, session, auth, limits)
    me = await client.whoami()
    await client.active_calls(account_id=me.account_id, extension_id=me.extension_id, background=False)
    return client, auth, me


def _not_within_a_penalty(group: str, reason: str, seconds: float) -> None:
    """Nobody waits for a penalty here: it is what was found. Raises ``Throttled``."""
    if reason == "penalty":
        raise Throttled(seconds / HASTE, group)


def login_missing(settings: Settings) -> str:
    """What is not configured, empty when all is there."""
    try:
        credentials_missing(settings)
    except CredentialsMissing as missing:
        return str(missing)
    return ""


def judged(scope: str, transport: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Permissions that are missing, and those nobody needs."""
    given = scope.split()
    missing = [name for name in NEEDED if name not in given]
    if transport == "websocket" and not any(WEBSOCKET in name for name in given):
        missing.append("WebSocketsSubscription")
    subscribing = [name for name in given if "Subscription" in name]
    excess = [name for name in given if name not in {*NEEDED, *USEFUL, *subscribing}]
    return tuple(missing), tuple(excess)


def _secret_files(settings: Settings) -> Iterator[Path]:
    """Files that hold a secret: those named by the configuration, itself if it holds one, and the unit's."""
    secrets = {f"credentials.{name}" for name in ("client_secret", "jwt", "password")}
    for one in settings.sources():
        file = Path(one.source.rpartition(":")[0])
        if one.key.startswith("credentials.") and one.key.endswith("_file") and one.value:
            yield file.parent / str(one.value)
        elif one.key in secrets and one.value and not one.source.endswith(")") and file.is_file():
            yield file
    yield from (DEFAULT_PATH.parent / name for name in CREDENTIALS)


def _is_open(path: Path) -> bool:
    """Whether others than owner and group may touch the file."""
    try:
        return bool(path.stat().st_mode & OTHERS)
    except OSError:
        return False


def _drift(directories: tuple[str, ...]) -> tuple[str, ...] | None:
    """Installed units that differ from those this program brought along; ``None``: none is installed."""
    shipped = Path(sys.prefix) / "lib" / "systemd" / "system"
    pairs = [
        (shipped / unit, installed)
        for unit in UNITS
        if (installed := next((Path(d, unit) for d in directories if Path(d, unit).exists()), None))
        and (shipped / unit).exists()
    ]
    if not pairs:
        return None
    return tuple(str(installed) for ours, installed in pairs if ours.read_bytes() != installed.read_bytes())
