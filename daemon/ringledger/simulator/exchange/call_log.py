"""What the platform's books hold at this instant: rows of active-calls, records of the call log.

What must stay true: active-calls shows each call as it stood before its latency; what is kept from one question to the
next is only what can no longer change: rows of calls that have ended, as long as nothing happens to them. A question
costs what goes on and what it asks for, however many calls there have been.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import NamedTuple

from ringledger.simulator.clock import SimClock, to_ms
from ringledger.simulator.exchange.model import Extension, SimCall
from ringledger.simulator.exchange.pbx import Pbx
from ringledger.simulator.exchange.records import Entry, Scribe, own_side, record_id, whole_call
from ringledger.simulator.push.payloads import Json
from ringledger.simulator.rest.resources import Rest

STORY_LISTED_MS = 120_000


@dataclass(slots=True)
class BooksOptions:
    """How the books are kept; may be changed at any time."""

    running: str = "In Progress"  # or "Call connected": the result of a call that goes on
    milliseconds: bool = True  # durationMs next to duration
    tell_finished: bool = True  # the field ``finished``
    totals: bool = True  # totalPages and totalElements of a page
    sync_token_seconds: float = 3600.0
    max_changes: int = 250  # more than that since a token: the token is refused


class Known(NamedTuple):
    """A record, which ``write`` makes for whoever looks at it, and the instant (ms) since when the books have it."""

    started_at: int
    id: str
    at: int
    names: tuple[str | None, str | None]  # session and telephony session
    write: Callable[[], Json]


class Stood(NamedTuple):
    """A call as it has stood since ``since`` (ms), its last change so far. ``over``: no leg lives."""

    version: object
    since: int
    over: bool
    entry: Entry | None


@dataclass(slots=True)
class Archive:
    """One listing: rows that have ended, in the order of their starts and of their coming into the log, and the calls
    that may still change. ``taken``, ``woken``: so many of the exchange's calls and of their returns are in here.
    """

    by_start: list[Entry] = field(default_factory=list)
    by_log: list[Entry] = field(default_factory=list)
    by_session: dict[str, Entry] = field(default_factory=dict)
    open: dict[str, SimCall] = field(default_factory=dict)
    stood: dict[str, Stood] = field(default_factory=dict)
    taken: int = 0
    woken: int = 0

    def follow(self, pbx: Pbx) -> None:
        """Take in the calls that are new, and those to which something has happened after their end."""
        for call in islice(pbx.calls.values(), self.taken, None):
            self.open[call.session_id] = call
        self.taken = len(pbx.calls)
        for call in islice(pbx.woken, self.woken, None):
            self.open[call.session_id] = call
            if (gone := self.by_session.pop(call.session_id, None)) is not None:
                self.by_start = [entry for entry in self.by_start if entry is not gone]
                self.by_log = [entry for entry in self.by_log if entry is not gone]
        self.woken = len(pbx.woken)

    def close(self, call: SimCall) -> None:
        """What has been over for so long does not change by itself."""
        entry = self.stood.pop(call.session_id).entry
        del self.open[call.session_id]
        if entry is not None:
            insort(self.by_start, entry, key=_started)
            insort(self.by_log, entry, key=_logged)
            self.by_session[call.session_id] = entry


@dataclass
class Shelf:
    """The books of the account (``extension=None``) and of each extension, newest call first."""

    clock: SimClock
    rest: Rest
    options: BooksOptions
    _archives: dict[str, Archive] = field(default_factory=dict)
    _written: dict[tuple[object, ...], tuple[Entry, Json]] = field(default_factory=dict)

    def listed(self, extension: Extension | None) -> list[Known]:
        """Active-calls now: what has been answered or has ended, and is not long over."""
        now, scribe, own = self.clock.now_ms(), self._scribe(extension), extension is not None
        archive, found = self._archive(extension), []
        for call in list(archive.open.values()):
            at = now - call.listed_after_ms
            entry = self._entry(archive, call, extension, at, now)
            if entry is None or (entry.answered_at is None and entry.ended_at is None):
                continue
            if entry.ended_at is None:
                entry = entry._replace(seen_at=at)
            elif now >= entry.ended_at + call.unlisted_after_ms:
                continue
            else:
                at = entry.ended_at
            found.append(_known(entry, at, partial(scribe.record, entry, own=own, modified_at=at), own=own))
        told = [(r.listed_at, r.record) for r in self.rest.pbx.told_records if r.listed_at is not None]
        return _newest_first([*found, *self._told(told, extension, now - STORY_LISTED_MS, now)])

    def logged(
        self, extension: Extension | None, *, since: int = 0, until: int | None = None, after: int | None = None
    ) -> list[Known]:
        """The call log now: what began from ``since`` to ``until``, and came into it later than ``after`` (ms)."""
        now = self.clock.now_ms()
        archive = self._archive(extension)
        until = now if until is None else until
        young = self._ended(archive, extension, now)
        if after is None:
            first = bisect_left(archive.by_start, since, key=_started)
            old = archive.by_start[first : bisect_right(archive.by_start, until, key=_started)]
        else:
            old = archive.by_log[bisect_right(archive.by_log, after, key=_logged) :]
        found = self._logged([*old, *young], extension, now)
        return _newest_first(
            one for one in found if since <= one.started_at <= until and (after is None or one.at > after)
        )

    def of_session(self, extension: Extension | None, session_id: str) -> list[Known]:
        """What the call log has of one session now."""
        now = self.clock.now_ms()
        archive = self._archive(extension)
        old = [archive.by_session[session_id]] if session_id in archive.by_session else []
        call = archive.open.get(session_id)
        young = [] if call is None else self._ended(archive, extension, now, [call])
        return _newest_first(one for one in self._logged([*old, *young], extension, now) if session_id == one.names[0])

    def base(self, extension: Extension | None) -> str:
        """The address below which the books are."""
        return self.rest.account_uri if extension is None else self.rest.uri_of(extension)

    def _archive(self, extension: Extension | None) -> Archive:
        archive = self._archives.setdefault(extension.id if extension else "", Archive())
        archive.follow(self.rest.pbx)
        return archive

    def _entry(self, archive: Archive, call: SimCall, extension: Extension | None, at: int, now: int) -> Entry | None:
        """A call as it stood at ``at``; one that is over for long is put with the others."""
        version = (call.result, *[(len(leg.timeline), leg.result) for leg in call.legs])
        stood = archive.stood.get(call.session_id)
        if stood is None or stood.version != version or stood.since > at:
            entry = whole_call(call, at) if extension is None else own_side(call, extension.id, at)
            since = max(leg.timeline[-1].at for leg in call.legs if leg.timeline)
            if since > at:
                return entry
            over = not any(leg.live for leg in call.legs)
            stood = archive.stood[call.session_id] = Stood(version, since, over, entry)
        if stood.over and now >= stood.since + max(call.listed_after_ms, call.unlisted_after_ms, call.logged_after_ms):
            archive.close(call)
        return stood.entry

    def _ended(
        self, archive: Archive, extension: Extension | None, now: int, calls: Iterable[SimCall] | None = None
    ) -> list[Entry]:
        """Of the calls that may still change, or of ``calls``, those that are in the log; they stay where they are."""
        found = []
        for call in list(archive.open.values()) if calls is None else calls:
            entry = self._entry(archive, call, extension, now, 0)
            if entry is not None and entry.ended_at is not None and _logged(entry) <= now:
                found.append(entry)
        return found

    def _logged(self, entries: Iterable[Entry], extension: Extension | None, now: int) -> list[Known]:
        scribe, own = self._scribe(extension), extension is not None
        found = [_known(one, _logged(one), partial(self._record, scribe, one, own=own), own=own) for one in entries]
        told = [(r.at, r.record) for r in self.rest.pbx.told_records if r.record["result"] != "In Progress"]
        return found + self._told(told, extension, 0, now)

    def _record(self, scribe: Scribe, entry: Entry, *, own: bool) -> Json:
        key = (entry.call.session_id, scribe.base, scribe.milliseconds, scribe.tell_finished)
        known = self._written.get(key)
        if known is None or known[0] is not entry:
            known = self._written[key] = (entry, scribe.record(entry, own=own, modified_at=_logged(entry)))
        return known[1]

    def _told(self, told: Iterable[tuple[int, Json]], extension: Extension | None, since: int, now: int) -> list[Known]:
        scribe = self._scribe(extension)
        wanted = None if extension is None else extension.id
        return [
            Known(_start_of(record), record["id"], at, _names_of(record), partial(scribe.addressed, record))
            for at, record in told
            if since < at <= now and wanted in (None, str(record["extension"]["id"]))
        ]

    def _scribe(self, extension: Extension | None) -> Scribe:
        return Scribe(
            self.rest.pbx.extensions,
            self.rest.account_uri,
            self.base(extension),
            style=self.rest.pbx.style,
            milliseconds=self.options.milliseconds,
            running=self.options.running,
            tell_finished=self.options.tell_finished,
        )


def _known(entry: Entry, at: int, write: Callable[[], Json], *, own: bool) -> Known:
    names = entry.call.session_id, entry.call.telephony_session_id
    return Known(entry.started_at, record_id(entry, own=own), at, names, write)


def _started(entry: Entry) -> int:
    return entry.started_at


def _logged(entry: Entry) -> int:
    """Since when the log has a call that has ended."""
    return (entry.ended_at or 0) + entry.call.logged_after_ms


def _start_of(record: Json) -> int:
    return to_ms(datetime.fromisoformat(record["startTime"]))


def _names_of(record: Json) -> tuple[str | None, str | None]:
    return record.get("sessionId"), record.get("telephonySessionId")


def _newest_first(found: Iterable[Known]) -> list[Known]:
    return sorted(found, key=lambda known: known[:2], reverse=True)
