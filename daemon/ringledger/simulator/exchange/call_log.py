"""What the platform's books hold at this instant: rows of active-calls, records of the call log.

What must stay true: active-calls shows each call as it stood before its latency; what is kept from one question to the
next is only what can no longer change: records of calls that have ended, as long as nothing happens to them.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ringledger.simulator.clock import SimClock
from ringledger.simulator.exchange.model import Extension, SimCall
from ringledger.simulator.exchange.records import Entry, Scribe, own_side, whole_call
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
    """A record and the instant (ms) since when the books have it."""

    at: int
    record: Json


@dataclass
class Shelf:
    """The books of the account (``extension=None``) and of each extension, newest call first."""

    clock: SimClock
    rest: Rest
    options: BooksOptions
    _ended: dict[tuple[str, str], tuple[object, Entry]] = field(default_factory=dict)
    _written: dict[tuple[object, ...], tuple[Entry, Known]] = field(default_factory=dict)

    def listed(self, extension: Extension | None) -> list[Known]:
        """Active-calls now: what has been answered or has ended, and is not long over."""
        now, scribe = self.clock.now_ms(), self._scribe(extension)
        found = [
            Known(entry.seen_at, scribe.record(entry, own=extension is not None, modified_at=entry.seen_at))
            for entry in self._entries(extension, now, listed=True)
            if (entry.answered_at is not None or entry.ended_at is not None)
            and (entry.ended_at is None or now < entry.ended_at + entry.call.unlisted_after_ms)
        ]
        told = [Known(r.listed_at, r.record) for r in self.rest.pbx.told_records if r.listed_at is not None]
        return _newest_first(found + self._told(told, extension, now - STORY_LISTED_MS, now))

    def logged(self, extension: Extension | None) -> list[Known]:
        """The call log now."""
        now, scribe = self.clock.now_ms(), self._scribe(extension)
        found = [
            self._record(scribe, entry, extension)
            for entry in self._entries(extension, now, listed=False)
            if entry.ended_at is not None and entry.ended_at + entry.call.logged_after_ms <= now
        ]
        told = [Known(r.at, r.record) for r in self.rest.pbx.told_records if r.record["result"] != "In Progress"]
        return _newest_first(found + self._told(told, extension, 0, now))

    def base(self, extension: Extension | None) -> str:
        """The address below which the books are."""
        return self.rest.account_uri if extension is None else self.rest.uri_of(extension)

    def _entries(self, extension: Extension | None, now: int, *, listed: bool) -> Iterator[Entry]:
        for call in self.rest.pbx.calls.values():
            entry = self._entry(call, extension, now - call.listed_after_ms if listed else now)
            if entry is not None:
                yield entry

    def _entry(self, call: SimCall, extension: Extension | None, at: int) -> Entry | None:
        key = (call.session_id, extension.id if extension else "")
        version = (call.result, *((len(leg.timeline), leg.result) for leg in call.legs))
        known = self._ended.get(key)
        if known is not None and known[0] == version and (known[1].ended_at or 0) <= at:
            return known[1]
        entry = whole_call(call, at) if extension is None else own_side(call, extension.id, at)
        if entry is not None and entry.ended_at is not None and _settled(call, at):
            self._ended[key] = (version, entry)
        return entry

    def _record(self, scribe: Scribe, entry: Entry, extension: Extension | None) -> Known:
        key = (entry.call.session_id, scribe.base, scribe.milliseconds, scribe.tell_finished)
        known = self._written.get(key)
        if known is None or known[0] is not entry:
            at = (entry.ended_at or 0) + entry.call.logged_after_ms
            made = Known(at, scribe.record(entry, own=extension is not None, modified_at=at))
            known = self._written[key] = (entry, made)
        return known[1]

    def _told(self, told: Iterable[Known], extension: Extension | None, since: int, now: int) -> list[Known]:
        scribe = self._scribe(extension)
        wanted = None if extension is None else extension.id
        return [
            Known(known.at, scribe.addressed(known.record))
            for known in told
            if since < known.at <= now and wanted in (None, str(known.record["extension"]["id"]))
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


def _settled(call: SimCall, at: int) -> bool:
    """Whether nothing has happened to a call after ``at``."""
    return all(leg.timeline[-1].at <= at for leg in call.legs if leg.timeline)


def _newest_first(found: list[Known]) -> list[Known]:
    return sorted(found, key=lambda known: (known.record["startTime"], known.record["id"]), reverse=True)
