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
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from ringledger import layers
from ringledger.layers import PREFIX, Layer, SettingsError

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


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:  # what is no port raises
        raise ValueError("should be an http:// or https:// address")
    return text.rstrip("/")


def _http_url_or_empty(text: str) -> str:
    return _http_url(text) if text else ""


def _sqlite_url(text: str) -> str:
    if not re.match(r"sqlite\+aiosqlite:///.", text):
        raise ValueError("should be sqlite+aiosqlite:/// and a path")
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if text and not (host and port.isdecimal() and int(port) < 65536):
        raise ValueError("should be HOST:PORT, or empty")
    return text


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
Url = Annotated[str, AfterValidator(_http_url)]
UrlOrEmpty = Annotated[str, AfterValidator(_http_url_or_empty)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)


class PlatformSettings(_Section):
    """Which RingCentral, and whose calls."""

    server_url: Url = "https://platform.ringcentral.com"
    """The platform's address."""
    account: str = Field(default="~", pattern=r"^(~|\d+)$")
    """Account id, or `~` for the credentials' own."""
    extensions: Annotated[tuple[ExtensionId, ...], NoDecode, BeforeValidator(_listed), Field(min_length=1)] = ("~",)
    """Extension ids, `~` for one's own, or `all`."""
    default_region: str = Field(default="US", pattern=r"^[A-Z]{2}$")
    """Country of numbers written without one."""

    @property
    def is_ringcentral(self) -> bool:
        """Whether this is one of RingCentral's own hosts, where the protecting limits hold."""
        host = (urlsplit(self.server_url).hostname or "").rstrip(".").lower()
        return host == "ringcentral.com" or host.endswith(".ringcentral.com")


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


class FeedSettings(_Section):
    """How the platform tells us what happens."""

    transport: Literal["websocket", "pubnub"] = "websocket"
    pubnub_origin: UrlOrEmpty = ""
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

    url: Annotated[str, AfterValidator(_sqlite_url)] = "sqlite+aiosqlite:////var/lib/ringledger/ringledger.db"
    commit_interval_ms: int = Field(default=20, ge=0, le=60_000)
    """Longest wait of an event before its commit."""
    commit_batch: int = Field(default=500, ge=1, le=100_000)
    """Most events in one commit."""

    @property
    def path(self) -> Path:
        """The database file."""
        return Path(self.url.removeprefix("sqlite+aiosqlite:///").partition("?")[0])


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


class HttpSettings(_Section):
    """/livez, /readyz and /metrics."""

    listen: Annotated[str, AfterValidator(_listen)] = ""
    """HOST:PORT, empty: off."""


class WebhookSettings(_Section):
    """Somebody who is told of events after they are committed."""

    url: Url
    events: Annotated[tuple[EventPattern, ...], Field(min_length=1)] = ("call.finished",)
    """call.opened, status_changed, finished, reopened, amended, confirmed, missed; or `call.*`."""
    secret: SecretStr = SecretStr("")
    """Signs each delivery (HMAC-SHA256)."""
    secret_file: str = ""


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
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    webhooks: tuple[WebhookSettings, ...] = ()

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
) -> Settings:
    """The configuration in force: file < systemd credentials < environment < overrides.

    path: the file; else RINGLEDGER_CONFIG, else DEFAULT_PATH if it exists, else no file. env: os.environ if
    None. overrides: nested, or dotted keys. Raises SettingsError with every problem found.
    """
    env = os.environ if env is None else env
    file = _file(path, env)
    merged = layers.merge(
        [
            layers.from_file(file) if file else Layer(),
            layers.from_credentials(env),
            layers.from_environment(Settings, env),
            layers.from_overrides(overrides or {}),
        ]
    )
    try:
        settings = Settings(**merged.values)
    except ValidationError as error:
        hooks = merged.values.get("webhooks")
        known = _known(len(hooks) if isinstance(hooks, list) else 0)
        problems = [layers.problem(details, merged.origins, known) for details in error.errors()]
        raise SettingsError(*problems) from None
    if asks_too_often := [*_protect_platform(settings, merged.origins)]:
        raise SettingsError(*asks_too_often)
    settings._origins.update(merged.origins)  # noqa: SLF001 - its own module
    return settings


def _file(path: Path | None, env: Mapping[str, str]) -> Path | None:
    if path is None and env.get("RINGLEDGER_CONFIG"):
        path = Path(env["RINGLEDGER_CONFIG"])
    return path or (DEFAULT_PATH if DEFAULT_PATH.exists() else None)


def _protect_platform(settings: Settings, origins: Mapping[str, str]) -> Iterator[str]:
    """RingCentral's own hosts are not asked more often than its rate groups bear, nor too rarely."""
    if not settings.platform.is_ringcentral:
        return
    poll, sync = settings.poll.interval_seconds, settings.confirm.sync_interval_seconds
    if not 120 <= poll <= 300:
        yield layers.told("poll.interval_seconds", origins, f"found {poll:g}, allowed: 120 to 300 against RingCentral")
    if sync < 60:
        text = f"found {sync:g}, allowed: 60 or more against RingCentral"
        yield layers.told("confirm.sync_interval_seconds", origins, text)


def _known(hooks: int) -> list[str]:
    """Every key there is, with those of as many webhooks as somebody wrote."""
    entries = [f"webhooks.{i}.{name}" for i in range(hooks) for name in WebhookSettings.model_fields]
    return [*(name for name, _ in _leaves(Settings())), *entries]


def schema() -> str:
    """The JSON schema of the file, for editors; config/ringledger.schema.json holds it."""
    return json.dumps(Settings.model_json_schema(), indent=2) + "\n"


def _leaves(model: BaseModel, prefix: str = "") -> Iterator[tuple[str, object]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        elif name == "webhooks":
            for i, hook in enumerate(value):
                yield from _leaves(hook, f"webhooks.{i}.")
        else:
            yield prefix + name, value


def _shown(value: object) -> object:
    if isinstance(value, SecretStr):
        return HIDDEN if value.get_secret_value() else ""
    return list(value) if isinstance(value, tuple) else value


if __name__ == "__main__":
    print(schema(), end="")  # noqa: T201 - `make generate`
