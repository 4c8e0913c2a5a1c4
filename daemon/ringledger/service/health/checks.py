"""The list of checks: one for `doctor`, for /readyz and for the status line that systemd shows.

Each check has a code that stays, says why it matters, and tells what to type. What must stay true: a check changes
nothing; one that cannot be made is left out, not failed; nothing secret and no number is in a finding.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Final

Outcome = tuple["Severity", str, str]


class Severity(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    FAILURE = "failure"


@dataclass(frozen=True, slots=True)
class CheckFacts:
    """What is known when checks are made; ``None``: not known here. Durations: seconds; sizes: bytes."""

    # of whether there is one: what is known in words, whether one runs and answers, whether one has to
    daemon: str | None = None
    daemon_runs: bool = False
    #: Whether that cannot be told: this user may not look.
    daemon_hidden: bool = False
    daemon_expected: bool = False
    logged_in: bool = False
    # of the running daemon
    ready: bool | None = None
    #: How long a daemon that is not ready has been starting.
    starting_for: float = 0.0
    stuck: tuple[str, ...] | None = None
    #: Of one account of several: why it does not run; empty while it does.
    account_state: str | None = None
    #: Where several processes share the accounts: who works for this one, in words.
    lease: str | None = None
    feed_down: float | None = None
    feed_cause: str = ""
    #: Since the last poll, and whether there has been one; while there has been none, since the daemon's start.
    poll_age: float | None = None
    polled: bool = True
    poll_interval: float | None = None
    store_trouble: str | None = None
    # of the machine and the files
    disk_free: int | None = None
    open_secrets: tuple[str, ...] | None = None
    open_database: str | None = None
    tracker: str | None = None
    sqlite: tuple[str, bool] | None = None
    readers_locked_out: bool | None = None
    unit_drift: tuple[str, ...] | None = None
    retention_set: bool | None = None
    #: Who may write the database, in words, and what is wrong with that.
    writers: tuple[str, tuple[str, ...]] | None = None
    #: How many copies `db backup` has made, the age of the newest, and those that are not the database's owner's.
    backups: tuple[int, float, tuple[str, ...]] | None = None
    saved_copies: tuple[str, ...] | None = None
    listens: str | None = None
    plain_receivers: tuple[str, ...] | None = None
    # of the configuration
    login_missing: str | None = None
    # of the database; at first: what is wrong with its path, that there is no directory for it, no database, that it is
    # not to be read, that it is another program's
    misplaced: str | None = None
    no_directory: str | None = None
    no_database: str | None = None
    no_access: str | None = None
    foreign: str | None = None
    elsewhere: int | None = None
    newer: str | None = None
    schema: tuple[int, int] | None = None
    damage: str | None = None
    verified: bool | None = None
    journal_mode: str | None = None
    #: Of a database server: version and size in words, and the number of its version; why it cannot be asked.
    server: tuple[str, int] | None = None
    server_trouble: str | None = None
    #: How far its clock is ahead of this machine's.
    server_clock: float | None = None
    #: How old what a standby shows is; ``None``: it is none.
    standby_behind: float | None = None
    #: Which process works for which accounts, in words, and the accounts that no process works for.
    leases: tuple[str, tuple[str, ...]] | None = None
    #: How large the write-ahead log is, and how large it may become.
    log_bytes: tuple[int, int] | None = None
    oldest_open: float | None = None
    stale_after: float | None = None
    unconfirmed: int | None = None
    last_event: float | None = None
    letters_dead: int | None = None
    oldest_letter: float | None = None
    # of the platform
    platform_error: str | None = None
    credentials_error: str | None = None
    missing_permissions: tuple[str, ...] | None = None
    excess_permissions: tuple[str, ...] | None = None
    clock_offset: float | None = None
    #: Whether the platform is a simulated one, whose clock runs as it was told to.
    simulated: bool = False
    reachable: bool | None = None
    # of the subscription, which a daemon has and a command tries: why there is none, and extensions it does not serve,
    # each with the platform's reason
    subscription_error: str | None = None
    refused: tuple[tuple[str, str], ...] | None = None
    #: Extensions of which the feed does not tell, with the calls that only the platform's records have brought.
    unheard: tuple[tuple[str, int], ...] | None = None
    #: How many filters are served, and how many were asked for.
    filters: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """``judge`` gives severity, what was found and what to do, or ``None`` when its facts are not known.

    ``delay``: seconds a running daemon waits before it shows the problem, so that it does not flap.
    """

    code: str
    why: str
    judge: Callable[[CheckFacts], Outcome | None]
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check came to."""

    code: str
    severity: Severity
    found: str
    why: str
    cure: str
    #: Of several accounts the one it is about; empty: the process, or the only account.
    account: str = ""

    def told(self) -> dict[str, str]:
        """For scripts; without the key `account` where a finding is about none."""
        return {name: value for name, value in asdict(self).items() if value or name != "account"}

    @property
    def bad(self) -> bool:
        """Whether there is something to do."""
        return self.severity is not Severity.OK


MIB: Final = 1024 * 1024
DISK_LOW: Final = 1024 * MIB
DISK_EMPTY: Final = 64 * MIB
CLOCK_WARNING: Final = 5.0
CLOCK_FAILURE: Final = 60.0
#: A start may take so long, seconds: a large database is upgraded, a platform is waited for.
START_WITHIN: Final = 600.0
#: The oldest version of PostgreSQL that is tried, and how far a standby may be behind, seconds.
OLDEST_SERVER: Final = 15
STANDBY_LATE: Final = 60.0
#: A copy older than this shows that copies are made no longer, seconds; the timer makes one a day.
BACKUP_LATE: Final = 3 * 86_400.0
#: A letter that waits longer shows a receiver in trouble, seconds.
LETTER_LATE: Final = 3_600.0


def listed(
    checks: list[Check], code: str, why: str, *, delay: float = 0.0
) -> Callable[[Callable[[CheckFacts], Outcome | None]], Callable[[CheckFacts], Outcome | None]]:
    """Put a function on a list of checks."""

    def put(judge: Callable[[CheckFacts], Outcome | None]) -> Callable[[CheckFacts], Outcome | None]:
        checks.append(Check(code, why, judge, delay))
        return judge

    return put


def ok(found: str) -> Outcome:
    """Nothing to do."""
    return Severity.OK, found, ""


def warning(found: str, cure: str) -> Outcome:
    """To be looked at."""
    return Severity.WARNING, found, cure


def failure(found: str, cure: str) -> Outcome:
    """To be mended now."""
    return Severity.FAILURE, found, cure


class ProblemDelay:
    """Shows a problem only when it has lasted for its check's delay."""

    def __init__(self, clock: Callable[[], float], checks: Iterable[Check]) -> None:
        self._clock = clock
        self._delays: Mapping[str, float] = {one.code: one.delay for one in checks}
        self._since: dict[str, float] = {}

    def shown(self, findings: Iterable[Finding]) -> list[Finding]:
        """The findings, young problems told as being fine."""
        now, seen = self._clock(), []
        for one in findings:
            since = self._since.setdefault(one.code, now) if one.bad else self._since.pop(one.code, now)
            young = one.bad and now - since < self._delays.get(one.code, 0.0)
            seen.append(replace(one, severity=Severity.OK, cure="") if young else one)
        return seen
