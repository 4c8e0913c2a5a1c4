"""The checks themselves: :data:`CHECKS` has all of them, in the order people see."""

from collections.abc import Iterator
from functools import partial
from typing import Final

from ringledger.config.provenance import ADVICE, UNREADABLE
from ringledger.durations import roughly
from ringledger.service.health.checks import (
    BACKUP_LATE,
    CLOCK_FAILURE,
    CLOCK_WARNING,
    DISK_EMPTY,
    DISK_LOW,
    LETTER_LATE,
    MIB,
    OLDEST_SERVER,
    STANDBY_LATE,
    START_WITHIN,
    Check,
    CheckFacts,
    Finding,
    Outcome,
    Severity,
    failure,
    listed,
    ok,
    warning,
)

CHECKS: Final[list[Check]] = []
check = partial(listed, CHECKS)
#: So many of a kind are named in one line.
NAMED = 5
LOG = "journalctl -u ringledger -n 50"


def examine(facts: CheckFacts) -> Iterator[Finding]:
    """The findings of every check whose facts are known, in the order of the list."""
    for one in CHECKS:
        outcome = one.judge(facts)
        if outcome is not None:
            severity, found, cure = outcome
            yield Finding(one.code, severity, found, one.why, cure if severity is not Severity.OK else "")


@check("daemon", "nothing is recorded while none runs; what is missed meanwhile is read from the platform's log later")
def daemon(facts: CheckFacts) -> Outcome | None:
    if facts.daemon is None:
        return None
    if facts.daemon_runs:
        return ok(facts.daemon)
    if facts.daemon_hidden:
        return warning(facts.daemon, "look as root, or as a member of the database's group")
    cure = f"systemctl start ringledger (or ringledger run); why it ended: {LOG}"
    return failure(facts.daemon, cure) if facts.daemon_expected else warning(facts.daemon, cure)


@check("started", "before that nothing is recorded")
def started(facts: CheckFacts) -> Outcome | None:
    if facts.ready is None:
        return None
    if facts.ready:
        return ok("ready")
    found = f"still starting, for {roughly(facts.starting_for)} now"
    return warning(found, f"wait a little; {LOG}") if _starts(facts) else failure(found, LOG)


@check("account", "nothing of it is recorded while it does not run; the others are not touched by that")
def account(facts: CheckFacts) -> Outcome | None:
    if facts.account_state is None:
        return None
    cure = f"correct its table in [[accounts]], then systemctl reload ringledger; {LOG}"
    return failure(facts.account_state, cure) if facts.account_state else ok("runs")


@check("lease", "one process works for an account at a time; the others stand by, and one of them takes it over")
def lease(facts: CheckFacts) -> Outcome | None:
    return None if facts.lease is None else ok(facts.lease)


@check("loops", "a loop that hangs records nothing; systemd restarts the daemon when that lasts")
def loops(facts: CheckFacts) -> Outcome | None:
    if facts.stuck is None:
        return None
    return failure(f"stuck: {', '.join(facts.stuck)}", LOG) if facts.stuck else ok("every loop makes progress")


@check("feed", "calls are seen late while no events come; the poll and the call log fill the gap", delay=60)
def feed(facts: CheckFacts) -> Outcome | None:
    if facts.feed_down is None:
        return None
    if facts.feed_down <= 0:
        return ok("connected")
    why = f" ({facts.feed_cause})" if facts.feed_cause else ""
    found = f"not connected for {roughly(max(1.0, facts.feed_down))}{why}"
    return warning(found, f"wait a little; {LOG}") if _starts(facts) else failure(found, LOG)


@check("subscription", "what the platform does not push is seen by the poll only, minutes late", delay=60)
def subscription(facts: CheckFacts) -> Outcome | None:
    if facts.subscription_error:
        return failure(facts.subscription_error, f"ringledger auth status; the app's permissions; {LOG}")
    if facts.refused:
        named = [f"{one} ({reason})" if reason else one for one, reason in facts.refused[:NAMED]]
        more = f" and {len(facts.refused) - NAMED} more" if len(facts.refused) > NAMED else ""
        cure = "correct platform.extensions, or let the app's user see them (ReadPresence)"
        count = f", {facts.filters[0]} of {facts.filters[1]} are served" if facts.filters else ""
        return warning(f"not granted for extension {', '.join(named)}{more}{count}", cure)
    if facts.filters is not None:
        served, asked = facts.filters
        if served < asked:
            cure = f"systemctl restart ringledger; look for subscription.filters_refused in {LOG}"
            return warning(f"carries {served} of {asked} filters that were asked for", cure)
        return ok(f"granted, {served} of {asked} filters")
    return None if facts.subscription_error is None else ok("granted")


@check("feed-extensions", "calls of an extension no filter covers come late, without ring and hold times")
def feed_extensions(facts: CheckFacts) -> Outcome | None:
    if facts.unheard is None:
        return None
    if facts.unheard:
        named = [f"{one} ({calls} calls from the platform's records alone)" for one, calls in facts.unheard[:NAMED]]
        more = f" and {len(facts.unheard) - NAMED} more" if len(facts.unheard) > NAMED else ""
        cure = "let the app's user see their presence (ReadPresence), then systemctl restart ringledger"
        return warning(f"the feed does not tell of extension {', '.join(named)}{more}", cure)
    return ok("the feed tells of every extension that has calls")


@check("poll", "lost events are found by comparing with the platform's active calls", delay=30)
def poll(facts: CheckFacts) -> Outcome | None:
    if facts.poll_age is None or facts.poll_interval is None:
        return None
    late = facts.poll_age > 3 * facts.poll_interval + 60
    found = f"{'last one' if facts.polled else 'none since the start'} {facts.poll_age:.0f} s ago"
    return warning(found, f"{LOG}; look for poll.failed") if late else ok(found)


@check("store", "changes wait in memory while the database refuses them", delay=5)
def store(facts: CheckFacts) -> Outcome | None:
    if facts.store_trouble is None:
        return None
    if not facts.store_trouble:
        return ok("commits go through")
    return failure(facts.store_trouble, "df -h; free some space, nothing else is needed")


@check("disk", "a full disk stops the recording; what waits is kept in memory")
def disk(facts: CheckFacts) -> Outcome | None:
    if facts.disk_free is None:
        return None
    found, cure = f"{facts.disk_free // MIB} MiB free", "free some space, or set retention.calls_days and journal.days"
    if facts.disk_free < DISK_EMPTY:
        return failure(found, cure)
    return warning(found, cure) if facts.disk_free < DISK_LOW else ok(found)


@check("secret-files", "who reads the key reads the whole company's calls")
def secret_files(facts: CheckFacts) -> Outcome | None:
    if facts.open_secrets is None:
        return None
    if facts.open_secrets:
        names = " ".join(facts.open_secrets)
        return warning(f"readable by others: {names}", f"chmod 0600 {names}")
    return ok("closed to others")


@check("database-file", "it holds who called whom")
def database_file(facts: CheckFacts) -> Outcome | None:
    if facts.open_database is None:
        return None
    if facts.open_database:
        return warning(f"{facts.open_database} is open to everybody", f"chmod o-rwx {facts.open_database}")
    return ok("closed to others")


@check("tracker", "a compiled one (make wheel, where there is a C compiler) takes less processor time")
def tracker(facts: CheckFacts) -> Outcome | None:
    return None if facts.tracker is None else ok(facts.tracker)


@check("sqlite", "below 3.51.3 (3.50.7, 3.44.6) two processes that checkpoint at once may damage a database")
def sqlite(facts: CheckFacts) -> Outcome | None:
    if facts.sqlite is None:
        return None
    version, mended = facts.sqlite
    # Our own daemon is the only writer and checkpointer, so the fault cannot be met by itself.
    return ok(f"{version}, " + ("not affected" if mended else "affected: let no other program write or replicate"))


@check("readers", "readers without write permission need the -wal and -shm files beside the database")
def readers(facts: CheckFacts) -> Outcome | None:
    if facts.readers_locked_out is None:
        return None
    if facts.readers_locked_out:
        return warning("the -wal file is missing: only the owner can read now", "systemctl start ringledger")
    return ok("the group can read at any time")


@check("database-access", "who may not read it is told nothing")
def database_access(facts: CheckFacts) -> Outcome | None:
    if not facts.no_access:
        return None
    return failure(facts.no_access, "as said, or run this as root")


@check("database-writers", "who can write the file, or replace it, can change what the ledger says")
def database_writers(facts: CheckFacts) -> Outcome | None:
    if facts.writers is None:
        return None
    who, wrong = facts.writers
    if wrong:
        cure = "chown -R ringledger: and chmod g-w,o-rwx on the directory of the database and its files"
        return warning("; ".join(wrong), cure)
    return ok(f"{who} and root alone")


@check("backups", "the platform's log goes back for months, not for ever, and has no hold or ring times")
def backups(facts: CheckFacts) -> Outcome | None:
    if facts.backups is None:
        return None
    count, age, strange = facts.backups
    if strange:
        names = " ".join(strange)
        return warning(f"not the database owner's: {names}", f"chown --reference=DATABASE {names}")
    cure = "systemctl enable --now ringledger-backup.timer (or ringledger db backup)"
    if not count:
        return warning("none", cure)
    found = f"{count} {'copy' if count == 1 else 'copies'}, the newest {roughly(age)} old"
    return warning(found, cure) if age > BACKUP_LATE else ok(found)


@check("saved-copies", "a database was taken from under the daemon; what it knew was saved beside the new one")
def saved_copies(facts: CheckFacts) -> Outcome | None:
    if not facts.saved_copies:
        return None if facts.saved_copies is None else ok("none")
    names = " ".join(facts.saved_copies)
    return warning(f"saved at database.replaced: {names}", "keep the right one (ringledger db restore FILE), delete it")


@check("listen", "what is listened to by everybody is read by everybody: there is no access control")
def listen(facts: CheckFacts) -> Outcome | None:
    if facts.listens is None:
        return None
    if facts.listens:
        cure = 'http.listen = "127.0.0.1:9464", or a firewall that lets the monitoring alone through'
        return warning(f"{facts.listens}: everybody who reaches this machine", cure)
    return ok("this machine alone, or nothing")


@check("webhook-transport", "whole phone numbers cross the network in the clear")
def webhook_transport(facts: CheckFacts) -> Outcome | None:
    if facts.plain_receivers is None:
        return None
    if facts.plain_receivers:
        return warning(f"plain HTTP to {', '.join(facts.plain_receivers)}", "use https:// in [[webhooks]] url")
    return ok("HTTPS, or this machine")


@check("database-directory", "without it there is no place for the ledger, and the daemon does not start")
def database_directory(facts: CheckFacts) -> Outcome | None:
    if not facts.no_directory:
        return None
    return failure(facts.no_directory, "create it for the user that runs the daemon, or correct database.url")


@check("database", "it is the ledger; without it no command has anything to show")
def database(facts: CheckFacts) -> Outcome | None:
    if facts.misplaced:
        cure = "correct database.url, or mend the rights on the directory"
        return failure(facts.misplaced, cure)
    if facts.no_database:
        cure = "systemctl start ringledger (or ringledger run), which creates it; else correct database.url"
        return warning(facts.no_database, cure)
    return None if facts.no_database is None else ok("there")


@check("database-server", "it holds the ledger; the daemon keeps what it cannot commit in memory, as far as that goes")
def database_server(facts: CheckFacts) -> Outcome | None:
    if facts.server_trouble:
        cure = "start the server, or correct database.url, the password (database.password_file) and the role's rights"
        return failure(facts.server_trouble, cure)
    if facts.server is None:
        return None
    words, number = facts.server
    cure = f"upgrade the server: {OLDEST_SERVER} and newer are tried"
    return warning(f"{words}: older than what is tried", cure) if number < OLDEST_SERVER else ok(words)


@check("database-standby", "a standby can be read alone, and shows what it has heard of from its primary")
def database_standby(facts: CheckFacts) -> Outcome | None:
    if facts.standby_behind is None:
        return None
    found = f"a standby, {roughly(facts.standby_behind)} behind"
    if facts.daemon_expected:
        return failure(found, "set database.url to the primary, or to all hosts with target_session_attrs=read-write")
    cure = "look at pg_stat_replication on its primary; a daemon needs the primary itself"
    return warning(found, cure) if facts.standby_behind > STANDBY_LATE else ok(f"{found}: to be read alone")


@check("database-clock", "several processes write times into one ledger, each by its own clock")
def database_clock(facts: CheckFacts) -> Outcome | None:
    if facts.server_clock is None:
        return None
    found, cure = (
        f"{-facts.server_clock:+.1f} s from the database server's",
        "timedatectl set-ntp true, on both machines",
    )
    if abs(facts.server_clock) > CLOCK_FAILURE:
        return failure(found, cure)
    return warning(found, cure) if abs(facts.server_clock) > CLOCK_WARNING else ok(found)


@check("leases", "nothing is recorded of an account that no process works for")
def leases(facts: CheckFacts) -> Outcome | None:
    if facts.leases is None:
        return None
    held, lapsed = facts.leases
    if not lapsed:
        return ok(held or "none yet")
    named = ", ".join(one or "the only account" for one in lapsed[:NAMED])
    more = f" and {len(lapsed) - NAMED} more" if len(lapsed) > NAMED else ""
    return failure(f"nobody works for {named}{more}", f"start a daemon with this configuration; {LOG}")


@check("database-owner", "a file that is no ledger is neither read nor written to")
def database_owner(facts: CheckFacts) -> Outcome | None:
    if facts.foreign is None:
        return None
    cure = "set database.url to a file of our own; the present one has been left as it is"
    return failure(facts.foreign, cure) if facts.foreign else ok("ringledger's")


@check("database-place", "what a daemon writes to a file without a name is lost when it ends")
def database_place(facts: CheckFacts) -> Outcome | None:
    if facts.elsewhere is None:
        return None
    if facts.elsewhere:
        found = f"process {facts.elsewhere} writes to another file than the one at this path"
        return failure(found, "wait until it has saved what it knows and ended (log: database.replaced), then decide")
    return ok("a running daemon writes to it, or none runs")


@check("schema", "program and database must agree")
def schema(facts: CheckFacts) -> Outcome | None:
    if facts.newer:
        return failure(facts.newer, "install the program that wrote it, or ringledger db restore a backup from before")
    if facts.schema is None:
        return None
    version, newest = facts.schema
    if version < newest:
        return warning(f"schema {version}, the program wants {newest}", "ringledger db upgrade (or start the daemon)")
    return ok(f"schema {version}")


@check("integrity", "a damaged page is cheaper to mend today than tomorrow")
def integrity(facts: CheckFacts) -> Outcome | None:
    if facts.damage:
        return failure(
            facts.damage, "systemctl stop ringledger; ringledger db restore FILE; systemctl start ringledger"
        )
    return ok("every page verified") if facts.verified else None


@check("journal-mode", "without WAL a reader can hold up the daemon")
def journal_mode(facts: CheckFacts) -> Outcome | None:
    if facts.journal_mode is None:
        return None
    if facts.journal_mode != "wal":
        return warning(f"journal_mode is {facts.journal_mode}", "systemctl restart ringledger (it sets WAL by itself)")
    return ok("WAL")


@check("write-ahead-log", "a reader whose transaction never ends lets it grow until the disk is full")
def write_ahead_log(facts: CheckFacts) -> Outcome | None:
    if facts.log_bytes is None:
        return None
    size, most = facts.log_bytes
    found = f"{size / 1024**2:,.0f} MiB"
    if size > most:
        return warning(f"{found}: a reader keeps it", "fuser -v on the file -shm beside the database; end that reader")
    return ok(found)


@check("oldest-open-call", "a call that never ends is usually one whose end was lost")
def oldest_open_call(facts: CheckFacts) -> Outcome | None:
    if facts.oldest_open is None or facts.stale_after is None:
        return None
    found = f"open for {roughly(facts.oldest_open)}"
    return warning(found, "ringledger active") if facts.oldest_open > facts.stale_after else ok(found)


@check("unconfirmed-calls", "the platform's call log has not had its word about them within a day")
def unconfirmed_calls(facts: CheckFacts) -> Outcome | None:
    if facts.unconfirmed is None:
        return None
    if facts.unconfirmed:
        return warning(
            f"{facts.unconfirmed} {'call' if facts.unconfirmed == 1 else 'calls'} older than a day",
            "ringledger calls --unconfirmed; ringledger audit",
        )
    return ok("none older than a day")


@check("last-event", "silence may mean a quiet office or a deaf line")
def last_event(facts: CheckFacts) -> Outcome | None:
    if facts.last_event is None:
        return None
    found = f"{roughly(facts.last_event)} ago"
    return warning(found, "ringledger coverage --since 7d") if facts.last_event > 3 * 86_400 else ok(found)


@check("webhooks", "what a receiver has not accepted, it does not know")
def webhooks(facts: CheckFacts) -> Outcome | None:
    if facts.letters_dead is None:
        return None
    if facts.letters_dead:
        cure = "ringledger webhooks list --dead; mend the receiver; ringledger webhooks retry --all"
        many = "1 event was" if facts.letters_dead == 1 else f"{facts.letters_dead} events were"
        return warning(f"{many} given up", cure)
    if facts.oldest_letter is not None and facts.oldest_letter > LETTER_LATE:
        cure = "ringledger webhooks test tells which receiver fails; what waits is sent by itself once it accepts"
        return warning(f"events have waited for {roughly(facts.oldest_letter)}", cure)
    return ok("nothing waits" if facts.oldest_letter is None else "under way")


@check("retention", "personal data needs a limit somebody has decided on")
def retention(facts: CheckFacts) -> Outcome | None:
    if facts.retention_set is None:
        return None
    if facts.retention_set:
        return ok("set")
    return warning(
        "calls are kept for ever, with full numbers", "set [retention] calls_days or mask_numbers_after_days"
    )


@check("unit", "an installed unit that differs from the shipped one lacks what newer versions rely on")
def unit(facts: CheckFacts) -> Outcome | None:
    if facts.unit_drift is None:
        return None
    if facts.unit_drift:
        cure = "copy the shipped files again and run systemctl daemon-reload; own changes belong into a drop-in"
        return warning(f"differs from the shipped one: {' '.join(facts.unit_drift)}", cure)
    return ok("as shipped")


@check("login", "the daemon does not start without something to log in with")
def login(facts: CheckFacts) -> Outcome | None:
    if facts.login_missing is None:
        return None
    if facts.logged_in:
        return ok("the running daemon is logged in")
    if UNREADABLE in facts.login_missing:
        return None  # the service may read what this user may not
    if facts.login_missing:
        return failure(facts.login_missing, ADVICE)
    return ok("configured")


@check("credentials", "without them nothing comes in, and the daemon does not start")
def credentials(facts: CheckFacts) -> Outcome | None:
    if facts.credentials_error:
        return failure(facts.credentials_error, "put valid ones where `ringledger check-config` says they come from")
    return ok("accepted") if facts.reachable else None


@check("platform", "without the platform nothing comes in")
def platform(facts: CheckFacts) -> Outcome | None:
    if facts.platform_error:
        return failure(facts.platform_error, "check platform.server_url and the network")
    return ok("answers") if facts.reachable else None


@check("permissions", "a missing permission hides calls; one too many is a risk for nothing")
def permissions(facts: CheckFacts) -> Outcome | None:
    if facts.missing_permissions:
        return failure(f"missing: {', '.join(facts.missing_permissions)}", "grant them to the app and its user")
    if facts.excess_permissions:
        return warning(f"not needed: {', '.join(facts.excess_permissions)}", "take them from the app")
    return None if facts.missing_permissions is None else ok("what is needed and no more")


@check("clock", "times of calls are compared with the platform's", delay=60)
def clock(facts: CheckFacts) -> Outcome | None:
    if facts.clock_offset is None:
        return None
    if facts.simulated:
        return ok(f"{facts.clock_offset:+.1f} s from the simulated platform's, which may run at another speed")
    found, cure = f"{facts.clock_offset:+.1f} s from the platform's", "timedatectl set-ntp true"
    if abs(facts.clock_offset) > CLOCK_FAILURE:
        return failure(found, cure)
    return warning(found, cure) if abs(facts.clock_offset) > CLOCK_WARNING else ok(found)


def _starts(facts: CheckFacts) -> bool:
    """Whether the daemon is not ready and has not had the time to be."""
    return facts.ready is False and facts.starting_for < START_WITHIN
