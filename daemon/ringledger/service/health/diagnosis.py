"""The facts that `doctor` gathers: files, database and platform, from outside of the daemon.

What must stay true: nothing is changed; what cannot be learnt is left unknown; a platform that does not answer is a
finding, not an error.
"""

import asyncio
import os
import shutil
import stat
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import aiohttp

from ringledger import tracker_kind
from ringledger.config.model import DEFAULT_PATH, Settings
from ringledger.config.provenance import CREDENTIALS
from ringledger.durations import DAY_MS
from ringledger.ledger.errors import (
    DatabaseCorrupt,
    DatabaseForeign,
    DatabaseNewer,
    DatabaseOffLimits,
    LedgerError,
)
from ringledger.ledger.file.copies import FOLDER, copies, taken_away
from ringledger.ledger.file.inspect import Examination, examine, sqlite_verdict, verify
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.file.owner import refuse_outsider
from ringledger.ledger.file.sqlite import placed
from ringledger.ledger.schema.migrate import version_of
from ringledger.ledger.schema.tables import SCHEMA_VERSION
from ringledger.rights import owner_name
from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.api.directory import WhoAmI
from ringledger.ringcentral.api.http import open_session
from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.auth.authorisation import Authenticator
from ringledger.ringcentral.auth.permissions import judged
from ringledger.ringcentral.errors import CredentialsMissing, CredentialsRejected, PlatformError, Throttled
from ringledger.ringcentral.ratelimit.limits import RateLimits
from ringledger.ringcentral.subscriptions.filters import presence_filters
from ringledger.ringcentral.subscriptions.probe import tried
from ringledger.ringcentral.subscriptions.subscription import refused_extensions
from ringledger.service.build import (
    authenticator,
    credentials_missing,
    penalties_of,
    platform_client,
)
from ringledger.service.health.checklist import CHECKS
from ringledger.service.health.checklist import examine as findings_from
from ringledger.service.health.checks import CheckFacts, Finding, Severity
from ringledger.service.health.status import DaemonStatus, Life
from ringledger.service.maintenance import MOST_LOG_BYTES

#: Accounts whose platform is asked at a time.
ASKED_AT_ONCE: Final = 8
OTHERS: Final = 0o007
#: A person waits for the answer: repetitions follow one another this many times faster than a daemon's.
HASTE: Final = 20.0
#: A platform that has not answered everything within this time, seconds, is taken for one that hangs.
PLATFORM_WITHIN: Final = 20.0
#: Where systemd looks for units that an administrator or a package has put there.
UNIT_DIRECTORIES: Final = ("/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
UNITS: Final = (
    "ringledger.service", "ringledger-backup.service", "ringledger-backup.timer", "ringledger-doctor.service",
    "ringledger-doctor.timer", "ringledger-web.service", "ringledger@.service",
)  # fmt: skip


def machine_facts(settings: Settings, directories: tuple[str, ...] = UNIT_DIRECTORIES) -> CheckFacts:
    """What files and the program itself tell."""
    path = settings.database.path
    retention = settings.retention
    file = settings.database.is_file
    # As the methods of a Path, but who may not look is told "no".
    there, placed_in = file and os.path.isfile(path), os.path.isdir(path.parent)  # noqa: PTH112, PTH113
    facts = _of_files(path) if file else CheckFacts()
    return replace(
        facts,
        disk_free=shutil.disk_usage(path.parent).free if placed_in else None,
        open_secrets=tuple(str(one) for one in dict.fromkeys(_secret_files(settings)) if _is_open(one)),
        open_database=(str(path) if _is_open(path) else "") if there else None,
        tracker=tracker_kind(),
        sqlite=sqlite_verdict() if file else None,
        readers_locked_out=locked_out(path) if there and os.access(path, os.R_OK) else None,
        unit_drift=_drift(directories),
        elsewhere=(DaemonLock.writes_elsewhere(path) or 0) if file else None,
        login_missing=login_missing(settings),
        retention_set=bool(retention.calls_days or retention.mask_numbers_after_days),
        listens=next((one for one in _listeners(settings) if _to_all(one)), ""),
        plain_receivers=tuple(dict.fromkeys(filter(None, map(_in_the_clear, (one.url for one in settings.webhooks))))),
    )


def database_facts(settings: Settings, facts: CheckFacts) -> CheckFacts:
    """What the database tells, every page read. One that is not there, or not ours, is a finding like any other."""
    if not settings.database.is_file:
        return _of_the_server(settings, facts)
    path = settings.database.path
    try:
        refuse_outsider(path)
    except DatabaseOffLimits as refusal:
        return replace(facts, no_access=str(refusal))
    origin = next((one.source for one in settings.sources() if one.key == "database.url"), "default")
    try:
        placed(path)
        if not path.parent.exists():
            return replace(facts, no_directory=f"{path.parent}: no such directory (database.url, {origin})")
        if not path.parent.is_dir():
            return replace(facts, misplaced=f"{path.parent}: is no directory (database.url, {origin})")
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


def _of_the_server(settings: Settings, facts: CheckFacts) -> CheckFacts:
    from ringledger.ledger.schema import baseline  # noqa: PLC0415 - its driver is an extra

    url, now_ms = settings.database.url, time.time_ns() // 1_000_000
    try:
        version = version_of(url)
        if version == 0:
            return replace(facts, no_database=f"{settings.database.shown}: holds no ledger yet")
        facts = replace(facts, schema=(version, SCHEMA_VERSION), foreign="", no_database="")
        server, seen = baseline.examine(url, before_ms=now_ms - DAY_MS)
    except DatabaseForeign as error:
        return replace(facts, foreign=str(error))
    except DatabaseNewer as error:
        return replace(facts, no_database="", foreign="", newer=str(error))
    except LedgerError as error:
        return replace(facts, server_trouble=str(error))
    facts = replace(
        facts,
        server=(server.words, server.number),
        server_clock=server.clock,
        standby_behind=server.behind,
        leases=server.leases,
    )
    return facts if version != SCHEMA_VERSION else _with_examination(settings, facts, seen, now_ms)


def _looked_into(settings: Settings, facts: CheckFacts) -> CheckFacts:
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
    log = (seen.wal_bytes, MOST_LOG_BYTES)
    facts = replace(facts, verified=True, journal_mode=seen.journal_mode, log_bytes=log)
    return _with_examination(settings, facts, seen, now_ms)


def _with_examination(settings: Settings, facts: CheckFacts, seen: Examination, now_ms: int) -> CheckFacts:
    return replace(
        facts,
        oldest_open=_age(seen.oldest_open_at, now_ms),
        last_event=_age(seen.last_event_at, now_ms),
        stale_after=settings.calls.stale_after_seconds,
        unconfirmed=seen.unconfirmed,
        letters_dead=seen.letters_dead,
        oldest_letter=_age(seen.oldest_letter_at, now_ms),
    )


def daemon_facts(
    facts: CheckFacts, status: DaemonStatus, sentence: str, transport: str, *, expected: bool
) -> CheckFacts:
    """What the status of the daemon tells; ``sentence``: the same in words."""
    hidden = status.life is Life.UNKNOWN
    facts = replace(facts, daemon=sentence, daemon_expected=expected, daemon_hidden=hidden)
    if status.life is Life.SILENT or not status.runs:
        return facts
    login = status.told.get("login") or {}
    scope = login.get("scope", "") if facts.login_missing else ""
    missing, excess = judged(scope, transport)
    return replace(
        facts,
        daemon_runs=True,
        logged_in=bool(login.get("logged_in")),
        reachable=True if login.get("logged_in") and facts.login_missing else facts.reachable,
        missing_permissions=missing if scope else None,
        excess_permissions=excess if scope else None,
    )


def _of_files(path: Path) -> CheckFacts:
    """Who owns the database and what lies beside it, and who may write there."""
    try:
        saved = tuple(str(one) for one in taken_away(path))
    except OSError:
        return CheckFacts()
    try:
        known = path.stat()
        return CheckFacts(
            writers=(owner_name(known.st_uid), tuple(_strange_writers(path, known))),
            backups=_backups(path, known.st_uid),
            saved_copies=saved,
        )
    except OSError:
        return CheckFacts(saved_copies=saved or None)


def _strange_writers(path: Path, known: os.stat_result) -> Iterator[str]:
    """Whoever may write beside the owner, and files the owner may not write, in words."""
    place, owner = path.parent.stat(), owner_name(known.st_uid)
    for name, mode in ((str(path), known.st_mode), (str(path.parent), place.st_mode)):
        if mode & 0o002 and not (mode & stat.S_ISVTX and name == str(path.parent)):
            yield f"everybody may write {name}"
        elif mode & 0o020:
            yield f"a group may write {name}"
    if place.st_uid not in {known.st_uid, 0}:
        yield f"{path} belongs to {owner}, its directory to {owner_name(place.st_uid)}"
    for suffix in ("-wal", "-shm", ".lock", ".penalties"):
        beside = path.with_name(path.name + suffix)
        if beside.exists() and (uid := beside.stat().st_uid) != known.st_uid:
            yield f"{beside} belongs to {owner_name(uid)}, the database to {owner}"


def _backups(path: Path, uid: int) -> tuple[int, float, tuple[str, ...]]:
    """Number, age of the newest (seconds), and those that are not the owner's."""
    made = [one for one in copies(path) if one.parent != path.parent and not one.name.endswith(".partial")]
    known = {one: one.stat() for one in made}
    folder = path.parent / FOLDER
    strange = [str(one) for one, its in known.items() if its.st_uid != uid]
    if folder.is_dir() and folder.stat().st_uid != uid:
        strange.insert(0, str(folder))
    newest = max((its.st_mtime for its in known.values()), default=0.0)
    return len(made), max(0.0, time.time() - newest), tuple(strange)


def locked_out(path: Path) -> bool:
    """Whether a reader without write permission misses the write-ahead log that the database wants."""
    with path.open("rb") as file:
        header = file.read(20)
    return header[18:19] == b"\x02" and not path.with_name(f"{path.name}-wal").exists()


def _listeners(settings: Settings) -> Iterator[str]:
    yield settings.http.listen
    serve = getattr(settings, "serve", None)
    yield getattr(serve, "listen", "") or ""


def _to_all(listen: str) -> bool:
    return listen.rpartition(":")[0] in {"0.0.0.0", "[::]", "::", "*"}  # noqa: S104 - looked for, not used


def _in_the_clear(url: str) -> str:
    """Host of a receiver whole numbers go to unencrypted; empty: none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return host if parts.scheme == "http" and host != "localhost" and not host.startswith(("127.", "::1")) else ""


def _age(at_ms: int | None, now_ms: int) -> float | None:
    return None if at_ms is None else max(0.0, now_ms - at_ms) / 1000  # a simulated platform's clock may run ahead


async def platform_facts(settings: Settings, facts: CheckFacts, *, trial: bool = False) -> CheckFacts:
    """What the platform tells: a token, its permissions, one's own extension, the active calls, its clock; and with
    ``trial`` whether it grants a subscription, which is deleted at once. It has :data:`PLATFORM_WITHIN` for all that.
    """
    if facts.login_missing:
        return facts  # there is nothing to ask it with
    try:
        async with asyncio.timeout(PLATFORM_WITHIN), open_session() as session:
            client, auth, me = await reached(settings, session)
            scope = auth.status.scope
            missing, excess = judged(scope, settings.feed.transport)
            return replace(
                await _subscription(settings, client, me, facts) if trial else facts,
                reachable=True,
                missing_permissions=missing if scope else None,
                excess_permissions=excess if scope else None,
                clock_offset=client.clock_offset_ms / 1000,
                simulated=client.simulated,
            )
    except CredentialsRejected as error:
        return replace(facts, credentials_error=str(error))
    except PlatformError as error:
        return replace(facts, platform_error=str(error))
    except TimeoutError:
        late = f"{settings.platform.server_url}: no answer within {PLATFORM_WITHIN:.0f} s"
        return replace(facts, platform_error=late)


async def accounts_findings(settings: Settings, *, offline: bool, trial: bool) -> list[Finding]:
    """What the platform tells of each of several accounts, or of the one that was named; so many at a time."""
    turn = asyncio.Semaphore(ASKED_AT_ONCE)

    async def one(name: str, own: Settings) -> list[Finding]:
        facts = CheckFacts(login_missing=login_missing(own))
        if not offline:
            async with turn:
                facts = await platform_facts(own, facts, trial=trial)
        return [replace(found, account=name) for found in findings_from(facts)]

    accounts = {settings.account_name: settings} if settings.account_name else settings.of_accounts()
    found = await asyncio.gather(*(one(name, own) for name, own in accounts.items()))
    return [each for some in found for each in some]


async def _subscription(settings: Settings, client: PlatformClient, me: WhoAmI, facts: CheckFacts) -> CheckFacts:
    """For the extensions that are named in the settings; of "all" one's own stands for the others."""
    named = [me.extension_id if one in {"~", "all"} else one for one in settings.platform.extensions]
    try:
        filters = presence_filters(settings.platform.account, dict.fromkeys(named))
        made = await tried(client, filters, settings.feed.transport)
    except PlatformError as error:
        return replace(facts, subscription_error=str(error) or type(error).__name__)
    return replace(facts, subscription_error="", refused=refused_extensions(made.disabled_filters))


def findings_of(told: Iterable[Mapping[str, str]]) -> list[Finding]:
    """What a running daemon has answered to ``{"do": "findings"}``."""
    return [Finding(**{**one, "severity": Severity(one["severity"])}) for one in told]  # type: ignore[arg-type]


def merged(own: Iterable[Finding], daemons: Iterable[Finding]) -> list[Finding]:
    """One finding of each check, in the order of the list; what we have seen for ourselves goes first."""
    found = {(one.account, one.code): one for one in (*daemons, *own)}
    accounts = dict.fromkeys(["", *sorted(account for account, _ in found)])
    return [found[name, one.code] for name in accounts for one in CHECKS if (name, one.code) in found]


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


def _secret_files(settings: Settings) -> Iterator[Path]:
    """Files that hold a secret: those named by the configuration, itself if it holds one, and the unit's."""
    secrets = {f"credentials.{name}" for name in ("client_secret", "jwt", "password")}
    for one in settings.sources():
        file = Path(one.source.rpartition(":")[0])
        if one.key == "database.password_file" and one.value:
            yield Path(str(one.value))
        elif one.key.startswith(("credentials.", "accounts.")) and one.key.endswith("_file") and one.value:
            yield file.parent / str(one.value)
        elif (
            (one.key in secrets or _secret_of_an_account(one.key))
            and one.value
            and not one.source.endswith(")")
            and file.is_file()
        ):
            yield file
    yield from (DEFAULT_PATH.parent / name for name in CREDENTIALS)


def _secret_of_an_account(key: str) -> bool:
    return key.startswith("accounts.") and key.rpartition(".")[2] in {"client_secret", "jwt", "password"}


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
