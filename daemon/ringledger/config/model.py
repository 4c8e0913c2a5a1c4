"""The configuration: what can be set, what values are allowed, and where each value came from.

Owns the models, the defaults and the layering: file < systemd credentials < environment < explicit overrides.
What must stay true: a `Settings` that exists is valid and frozen; an unknown key is an error; a secret is a
`SecretStr` and appears in no message; every problem is one line: where, what was found, what is allowed.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo
from fnmatch import fnmatchcase
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ringledger.addresses import http_url, private_url
from ringledger.config import provenance
from ringledger.config.provenance import PREFIX, Layer, SettingsError, without_password

__all__ = ["DEFAULT_PATH", "RELOADABLE", "Settings", "SettingsError", "Sourced", "load_settings"]

DEFAULT_PATH = Path("/etc/ringledger/ringledger.toml")
RELOADABLE = frozenset(
    {
        "log.level",
        "log.numbers",
        "poll.interval_seconds",
        "retention.calls_days",
        "retention.mask_numbers_after_days",
    }
)
"""Keys a running daemon takes over on SIGHUP; a change of any other needs a restart."""

Transport = Literal["websocket", "pubnub"]
"""How the platform sends what was subscribed to."""

WEBHOOK_EVENTS = (
    "call.opened",
    "call.status_changed",
    "call.finished",
    "call.reopened",
    "call.amended",
    "call.confirmed",
    "call.missed",
)
"""What webhooks can be told: log events, and the calls missed among those finished or corrected."""

HIDDEN = "**********"


# --- what can be set ------------------------------------------------------------------------------------


def _private_url_or_empty(text: str) -> str:
    return private_url(text) if text else ""


def _database_url(text: str) -> str:
    if not re.match(r"sqlite\+aiosqlite:///.|postgresql(\+asyncpg)?://", text):
        raise ValueError("should be sqlite+aiosqlite:/// and a path, or postgresql://USER@HOST/DATABASE")
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdecimal() and int(port) < 65536):
        raise ValueError("should be HOST:PORT, or empty")
    return text


def _time_zone(text: str) -> str:
    if text.upper() == "UTC":
        return "UTC"
    try:
        return ZoneInfo(text).key
    except (KeyError, OSError, ValueError):
        raise ValueError("should be a time zone this system knows, like Europe/Berlin") from None


def _network(text: str) -> str:
    try:
        return str(ip_network(text))
    except ValueError:
        raise ValueError("should be an address or a network, like 10.0.0.7 or 10.0.0.0/24") from None


def _listed(value: object) -> object:
    """Lets a list be written as `a,b` in the environment."""
    if not isinstance(value, str):
        return value
    return json.loads(value) if value.startswith("[") else [part.strip() for part in value.split(",")]


def _told_to_webhooks(pattern: str) -> str:
    if not any(fnmatchcase(name, pattern) for name in WEBHOOK_EVENTS):
        raise ValueError(f"should be call.* or one of {', '.join(WEBHOOK_EVENTS)}")
    return pattern


Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Days = Annotated[int, Field(ge=0)]
ExtensionId = Annotated[str, Field(pattern=r"^(~|all|\d+)$")]
EventPattern = Annotated[str, Field(pattern=r"^[a-z_]+\.([a-z_]+|\*)$"), AfterValidator(_told_to_webhooks)]
Url = Annotated[str, AfterValidator(http_url)]
PrivateUrl = Annotated[str, AfterValidator(private_url)]
PrivateUrlOrEmpty = Annotated[str, AfterValidator(_private_url_or_empty)]
Network = Annotated[str, AfterValidator(_network)]


def is_ringcentral(url: str) -> bool:
    """Whether an address is on one of RingCentral's own hosts."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return host == "ringcentral.com" or host.endswith(".ringcentral.com")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


#: A name is part of files' and credentials' names.
ACCOUNT_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
#: The keys of one login: an account takes all of them from [credentials], or none.
LOGIN: Final = ("jwt", "username", "extension", "password")


class PlatformSettings(_Section):
    """Which RingCentral, and whose calls."""

    server_url: PrivateUrl = "https://platform.ringcentral.com"
    """The platform's address; `http://` for this machine alone."""
    account: str = Field(default="~", pattern=r"^(~|\d+)$")
    """Account id, or `~` for the credentials' own."""
    extensions: Annotated[tuple[ExtensionId, ...], NoDecode, BeforeValidator(_listed), Field(min_length=1)] = ("~",)
    """Extension ids, `~` for one's own, or `all`."""
    default_region: str = Field(default="US", pattern=r"^[A-Z]{2}$")
    """Country of numbers written without one."""

    @property
    def is_ringcentral(self) -> bool:
        """Whether this is one of RingCentral's own hosts, where the protecting limits hold."""
        return is_ringcentral(self.server_url)


class CredentialsSettings(_Section):
    """Who we are. Each may come from a systemd credential of its name or a file named by its `_file` key."""

    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    jwt: SecretStr = SecretStr("")
    """Today's way in."""
    username: str = ""
    """The 2015 way in, for platforms that still grant it."""
    extension: str = ""
    password: SecretStr = SecretStr("")
    client_id_file: str = ""
    client_secret_file: str = ""
    jwt_file: str = ""
    username_file: str = ""
    extension_file: str = ""
    password_file: str = ""


class AccountSettings(_Section):
    """One of several accounts: its name, and the keys of [platform] and [credentials] that differ."""

    name: str = Field(pattern=ACCOUNT_NAME)
    """What it is called here, whatever the platform calls it: letters, digits, `_`, `.` and `-`."""
    server_url: PrivateUrl | None = None
    account: str | None = Field(default=None, pattern=r"^(~|\d+)$")
    extensions: Annotated[tuple[ExtensionId, ...], BeforeValidator(_listed), Field(min_length=1)] | None = None
    default_region: str | None = Field(default=None, pattern=r"^[A-Z]{2}$")
    client_id: str | None = None
    client_secret: SecretStr | None = None
    jwt: SecretStr | None = None
    """With a jwt, username or password of its own an account takes none of these from [credentials]."""
    username: str | None = None
    extension: str | None = None
    password: SecretStr | None = None
    client_id_file: str | None = None
    client_secret_file: str | None = None
    jwt_file: str | None = None
    username_file: str | None = None
    extension_file: str | None = None
    password_file: str | None = None

    def of(self, section: type[BaseModel]) -> dict[str, Any]:
        """The keys of [platform] or [credentials] that are this account's own."""
        own = {name: getattr(self, name) for name in section.model_fields}
        if section is CredentialsSettings and any(own[name] is not None or own[f"{name}_file"] for name in LOGIN):
            nothing = CredentialsSettings()
            own |= {name: getattr(nothing, name) for name in LOGIN if own[name] is None}
        return {name: value for name, value in own.items() if value is not None}


class FeedSettings(_Section):
    """How the platform tells us what happens."""

    transport: Transport = "websocket"
    pubnub_origin: PrivateUrlOrEmpty = ""
    """Empty: PubNub's own."""
    silence_timeout_seconds: Seconds = 300
    """Silence after which the feed is doubted."""


class CallsSettings(_Section):
    """When a call is over."""

    settle_seconds: float = Field(default=10, ge=0, allow_inf_nan=False)
    """How long a call with no live leg waits for a sign of life."""
    stale_after_seconds: Seconds = 14400
    """When an open call that nobody confirms is closed as expired."""


class PollSettings(_Section):
    """Asking for active calls, so that a lost event does not matter."""

    interval_seconds: Seconds = 180
    """120 to 300 against RingCentral's own hosts."""


class ConfirmSettings(_Section):
    """Asking the call log for its verdict on finished calls."""

    enabled: bool = True
    sync_interval_seconds: Seconds = 60
    """At least 60 against RingCentral's own hosts."""


class BackfillSettings(_Section):
    """Writing what the ledger lacks, from the call log."""

    max_days: Days = 7
    """How far back a start looks by itself."""


class DatabaseSettings(_Section):
    """Where the ledger lives."""

    url: Annotated[str, AfterValidator(_database_url)] = "sqlite+aiosqlite:////var/lib/ringledger/ringledger.db"
    """A file, `sqlite+aiosqlite:////absolute/path`; or `postgresql://USER@HOST/DATABASE`."""
    password_file: str = Field(default="", pattern=r"^(/.*)?$")
    """PostgreSQL: the file that holds the password, by its absolute path; empty: ~/.pgpass, or none."""
    directory: str = Field(default="/var/lib/ringledger", min_length=1)
    """PostgreSQL: where the daemon's socket and its account of penalties are."""
    lease_seconds: float = Field(default=10, ge=1, le=300)
    """PostgreSQL: how long an account is a process's without a sign of it, before another takes it over."""
    commit_interval_ms: int = Field(default=20, ge=0, le=60_000)
    """Longest wait of an event before its commit."""
    commit_batch: int = Field(default=500, ge=1, le=100_000)
    """Most events in one commit."""

    @property
    def path(self) -> Path:
        """The database's file; with PostgreSQL a name in `directory`, of which only what stands beside it is there."""
        if self.is_file:
            return Path(self.url.removeprefix("sqlite+aiosqlite:///").partition("?")[0])
        name = urlsplit(self.url).path.strip("/") or "ledger"
        return Path(self.directory, f"postgresql-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}")

    @property
    def is_file(self) -> bool:
        """Whether the database is a file (SQLite)."""
        return self.url.startswith("sqlite")

    @property
    def shown(self) -> str:
        """How the database is named to people."""
        return str(self.path) if self.is_file else without_password(self.url).partition("?")[0].replace(":***@", "@")

    @model_validator(mode="before")
    @classmethod
    def _with_password_file(cls, values: Any) -> Any:
        """The file's name goes with the URL to whoever connects, and nobody else reads it."""
        file = values.get("password_file") if isinstance(values, dict) else ""
        url = values.get("url", "") if isinstance(values, dict) else ""
        if not (isinstance(file, str) and file.startswith("/") and isinstance(url, str) and url.startswith("postgres")):
            return values
        return {**values, "url": f"{url}{'&' if '?' in url else '?'}passwordfile={quote(file)}"}


class JournalSettings(_Section):
    """Accepted and ignored events, kept for `calls show` and `replay`."""

    days: Days = 30
    """0: none."""


class RetentionSettings(_Section):
    """How long personal data stays."""

    calls_days: Days = 0
    """0: for ever."""
    mask_numbers_after_days: Days = 0
    """0: never."""


class LogSettings(_Section):
    """What is logged, and how."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"
    """auto: console on a terminal, else JSON."""
    numbers: Literal["masked", "full"] = "masked"
    """masked: a number keeps its last four digits."""


class ReportSettings(_Section):
    """How days are counted."""

    timezone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """The zone whose days and hours commands count and show, like `Europe/Berlin`."""

    @property
    def zone(self) -> tzinfo:
        """The zone itself."""
        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)


class HttpSettings(_Section):
    """/livez, /readyz and /metrics."""

    listen: Annotated[str, AfterValidator(_listen)] = ""
    """HOST:PORT, empty: off."""


class ServeToken(_Section):
    """Somebody who may look with a token."""

    name: str = Field(pattern=r"^[\w.@-]+$", max_length=64)  # counted in the pattern, it takes megabytes
    """Who that is, in the log."""
    file: str = Field(min_length=1)
    """The file that holds the token, at least 20 characters; or the name of a systemd credential."""
    accounts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ()
    """Ids of the accounts that may be seen; empty: all."""
    role: Literal["full", "masked", "own"] = "masked"
    """full: all numbers; masked: their last four digits; own: the calls of one extension, with their numbers."""
    extension: str = ""
    """Id or number of the extension a token of the role own sees."""

    @model_validator(mode="after")
    def _own_extension(self) -> Self:
        if (self.role == "own") != bool(self.extension):
            raise ValueError('extension belongs to role = "own", and that needs one')
        return self


class ServeSettings(_Section):
    """`ringledger serve`: the read API and the page."""

    listen: Annotated[str, AfterValidator(_listen), Field(min_length=1)] = "127.0.0.1:8000"
    """HOST:PORT."""
    hosts: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)] = ()
    """Names it is called by, besides the address it listens at and localhost; others are refused."""
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_listed)] = ()
    """Addresses or networks of proxies that authenticate: the user they name is believed."""
    user_header: str = Field(default="X-Forwarded-User", pattern=r"^[A-Za-z][A-Za-z0-9-]{0,63}$")
    """The header in which such a proxy names the user."""
    proxy_role: Literal["full", "masked"] = "masked"
    """What such a user sees."""
    query_seconds: Seconds = 5
    """How long one question may take before it is broken off."""
    tokens: tuple[ServeToken, ...] = ()


class WebhookSettings(_Section):
    """Somebody who is told of events after they are committed."""

    url: Url
    events: Annotated[tuple[EventPattern, ...], Field(min_length=1)] = ("call.finished",)
    """call.opened, status_changed, finished, reopened, amended, confirmed, missed; or `call.*`."""
    secret: SecretStr = SecretStr("")
    """Signs each delivery (HMAC-SHA256)."""
    secret_file: str = ""
    secret_credential: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]*$")
    """Or the name of a systemd credential: `webhook_NAME` is /etc/ringledger/webhooks/NAME."""


class Settings(BaseSettings):
    """The whole configuration; made by `load_settings`, `Settings()` is the defaults."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        title="ringledger.toml",
        env_prefix=PREFIX,
        env_nested_delimiter="__",
    )

    platform: PlatformSettings = PlatformSettings()
    credentials: CredentialsSettings = CredentialsSettings()
    feed: FeedSettings = FeedSettings()
    calls: CallsSettings = CallsSettings()
    poll: PollSettings = PollSettings()
    confirm: ConfirmSettings = ConfirmSettings()
    backfill: BackfillSettings = BackfillSettings()
    database: DatabaseSettings = DatabaseSettings()
    journal: JournalSettings = JournalSettings()
    retention: RetentionSettings = RetentionSettings()
    report: ReportSettings = ReportSettings()
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    serve: ServeSettings = ServeSettings()
    webhooks: tuple[WebhookSettings, ...] = ()
    accounts: tuple[AccountSettings, ...] = ()

    _account: str = ""
    _origins: dict[str, str] = {}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Keeps the process environment out of `Settings(...)`: the layers come merged (`load_settings`)."""
        return (init_settings,)

    def __eq__(self, other: object) -> bool:
        """Equal values; where they came from does not matter."""
        return isinstance(other, Settings) and not self.differences(other)

    def sources(self) -> "list[Sourced]":
        """Every key with its value and where that came from; secrets are hidden, an unset secret is empty."""
        return [Sourced(key, _shown(value), self._origins.get(key, "default")) for key, value in _leaves(self)]

    def why_unset(self, key: str) -> str:
        """Why a secret that was asked for is empty; empty itself when nobody asked for it or it is there."""
        origin = self._origins.get(key, "") if not dict(_leaves(self)).get(key) else ""
        return origin if provenance.UNREADABLE in origin or origin.startswith(provenance.NOT_GIVEN) else ""

    @property
    def account_name(self) -> str:
        """Whose configuration this is (:meth:`of_accounts`); empty: of the only account, which has no name."""
        return self._account

    def of_accounts(self) -> "dict[str, Settings]":
        """The configuration of each account by its name, as if it were the only one; without [[accounts]] there is one,
        whose name is empty."""
        return {one.name: self._of(i, one) for i, one in enumerate(self.accounts)} or {"": self}

    def _of(self, number: int, one: AccountSettings) -> "Settings":
        own: dict[str, _Section] = {
            "platform": self.platform.model_copy(update=one.of(PlatformSettings)),
            "credentials": self.credentials.model_copy(update=one.of(CredentialsSettings)),
        }
        origins = dict(self._origins)
        for section, values in own.items():
            for name in type(values).model_fields:
                if (origin := self._origins.get(f"accounts.{number}.{name}")) is not None:
                    origins[f"{section}.{name}"] = origin
        made = self.model_copy(update={**own, "accounts": ()})
        made._account, made._origins = one.name, origins  # noqa: SLF001 - one of us
        return made

    def told_as(self, other: "Settings") -> "Settings":
        """These values, told to be from where ``other`` has its own."""
        self._origins = dict(other._origins)  # noqa: SLF001 - one of us
        return self

    def differences(self, other: "Settings") -> list[str]:
        """The keys whose values differ, for a reload."""
        mine, theirs = dict(_leaves(self)), dict(_leaves(other))
        return sorted(key for key in mine.keys() | theirs.keys() if mine.get(key) != theirs.get(key))


@dataclass(frozen=True)
class Sourced:
    """One line of `check-config`; source: default | FILE:LINE | RINGLEDGER_… | credential NAME | override."""

    key: str
    value: object
    source: str


# --- how it is read -------------------------------------------------------------------------------------


def load_settings(
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    *,
    installed: Path = DEFAULT_PATH,
) -> Settings:
    """The configuration in force: file < systemd credentials < environment < overrides.

    path: the file; else RINGLEDGER_CONFIG, else ``installed`` if it exists, else no file. env: os.environ if
    None. overrides: nested, or dotted keys. installed: the service's file; only with it, credentials that systemd does
    not give are those beside it. Raises SettingsError with every problem found.
    """
    env = os.environ if env is None else env
    file = _file(path, env, installed)
    beside = installed.parent if file in {None, installed} else None
    credentials, closed = provenance.from_credentials(env, beside)
    merged = provenance.merge(
        [
            _with_credentials(provenance.from_file(file), env, beside) if file else Layer(),
            credentials,
            provenance.from_environment(Settings, env),
            provenance.from_overrides(overrides or {}),
        ]
    )
    for key, why in closed.items():
        merged.origins.setdefault(key, why)
    try:
        settings = Settings(**merged.values)
    except ValidationError as error:
        known = _known(merged.values)
        problems = [provenance.problem(details, merged.origins, known) for details in error.errors()]
        raise SettingsError(*problems) from None
    settings._origins = dict(merged.origins)  # noqa: SLF001 - its own module
    wrong = [*_accounts_apart(settings, merged.origins), *_protect_platform(settings, merged.origins)]
    if wrong:
        raise SettingsError(*wrong)
    return settings


def _with_credentials(layer: Layer, env: Mapping[str, str], beside: Path | None) -> Layer:
    """The file's layer, with the systemd credentials of webhooks and accounts."""
    return provenance.with_account_credentials(provenance.with_webhook_credentials(layer, env, beside), env, beside)


def _accounts_apart(settings: Settings, origins: Mapping[str, str]) -> Iterator[str]:
    """Each account has a name of its own, and a login of its own: else two would write the same calls."""
    names: dict[str, int] = {}
    logins: dict[tuple[str, ...], str] = {}
    for i, (one, name) in enumerate((one, one.name) for one in settings.accounts):
        if (first := names.setdefault(name.casefold(), i)) != i:
            yield provenance.told(f"accounts.{i}.name", origins, f"is that of accounts.{first} too; names differ")
            continue
        mine = settings._of(i, one)  # noqa: SLF001 - its own module
        given, platform = mine.credentials, mine.platform
        secret = given.jwt.get_secret_value() or given.password.get_secret_value()
        login = platform.server_url, platform.account, given.username, given.extension, secret
        if secret and (other := logins.setdefault(login, name)) != name:
            yield provenance.told(f"accounts.{i}.name", origins, f"logs in as {other} does; each account has its own")


def _file(path: Path | None, env: Mapping[str, str], installed: Path) -> Path | None:
    if path is None and env.get("RINGLEDGER_CONFIG"):
        path = Path(env["RINGLEDGER_CONFIG"])
    return path or (installed if installed.exists() else None)


def _protect_platform(settings: Settings, origins: Mapping[str, str]) -> Iterator[str]:
    """RingCentral's own hosts are not asked more often than its rate groups bear, nor too rarely."""
    if not any(one.platform.is_ringcentral for one in settings.of_accounts().values()):
        return
    poll, sync = settings.poll.interval_seconds, settings.confirm.sync_interval_seconds
    if not 120 <= poll <= 300:
        yield provenance.told(
            "poll.interval_seconds", origins, f"found {poll:g}, allowed: 120 to 300 against RingCentral"
        )
    if sync < 60:
        text = f"found {sync:g}, allowed: 60 or more against RingCentral"
        yield provenance.told("confirm.sync_interval_seconds", origins, text)


#: Keys that hold as many tables as somebody wants, and what each is.
_TABLES: Final[Mapping[str, type[BaseModel]]] = {
    "webhooks": WebhookSettings,
    "serve.tokens": ServeToken,
    "accounts": AccountSettings,
}


def _known(values: Mapping[str, Any]) -> list[str]:
    """Every key there is, with those of as many tables as somebody wrote."""
    known = [name for name, _ in _leaves(Settings())]
    for key, kind in _TABLES.items():
        found: Any = values
        for part in key.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        entries = range(len(found) if isinstance(found, list) else 0)
        known += [f"{key}.{i}.{name}" for i in entries for name in kind.model_fields]
    return known


def schema() -> str:
    """The JSON schema of the file, for editors; config/ringledger.schema.json holds it."""
    return json.dumps(Settings.model_json_schema(), indent=2) + "\n"


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        elif prefix + name in _TABLES:
            for i, entry in enumerate(value):
                yield from _leaves(entry, f"{prefix}{name}.{i}.")
        elif value is not None or not prefix.startswith("accounts."):
            yield prefix + name, value


def _shown(value: object) -> object:
    if isinstance(value, str) and "://" in value:
        return without_password(value)
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    return list(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    print(schema(), end="")  # noqa: T201 - `make generate`
