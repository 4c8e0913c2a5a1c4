"""The timeline of presence: every event in its place, and those reads of presence that no event explains.

The answer of a read is older than it looks, and its date has whole seconds (rule 6.7). So a read is a point of the
timeline only if its extension had that status at no time from ``BEHIND_MS`` before its date to ``CLOCKS_APART_MS``
after. One that does not have the call tells of no end if its extension tells of the call later: only the last word may
be missing. These two rules stand for every race between an answer and an event; what must stay true: they depend on
facts alone.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from ringledger.domain.facts import PresenceEvent, Read, Record, Summary, Watermark, ordered
from ringledger.domain.fold import NEVER, Place, Points, State, apply, resumed
from ringledger.domain.observation import CallItem, Direction
from ringledger.domain.status import NO_CALL, TelephonyStatus, aggregate

#: How old the answer of a read may be (rule 6.7), ms.
BEHIND_MS: Final = 10_000
#: How far the platform's clock for answers and that for notifications may differ, ms.
CLOCKS_APART_MS: Final = 5_000
#: The epoch of a read: it has no sequence.
READ_EPOCH: Final = 2**62


def placed(events: Iterable[PresenceEvent], after: Watermark | None = None) -> Points:
    """The events of one extension and their places in the whole call: an extension's time never runs backwards."""
    time = NEVER if after is None else after.at
    result: Points = []
    for order, event in ordered(events, after):
        time = max(time, event.at)
        result.append(((time, event.extension_id, order), event))
    return result


def rejoined(events: Sequence[PresenceEvent]) -> Sequence[PresenceEvent]:
    """The same, where items that came in one notification are one event: they were kept apart if it was not known yet
    that the calls they name are one (rule 1.1), and each part would seem to be the whole snapshot.
    """
    told: dict[tuple[str, int, int, str | None, int], PresenceEvent] = {}
    for number, event in enumerate(events):
        one = event.extension_id, event.sequence, event.at, event.uuid, number if event.uuid is None else -1
        known = told.get(one)
        if known is None:
            told[one] = event
        else:
            told[one] = known._replace(items=known.items + event.items, whole=known.whole and event.whole)
    return events if len(told) == len(events) else list(told.values())


def points_of(events: Sequence[PresenceEvent], reads: Sequence[Read], start: Summary | None = None) -> Points:
    """The points of presence in order, from the facts alone."""
    sides: dict[str, list[PresenceEvent]] = {}
    for event in events:
        sides.setdefault(event.extension_id, []).append(event)
    marks = {} if start is None else {mark.extension_id: mark for mark in start.watermarks}
    own = {extension: placed(told, marks.get(extension)) for extension, told in sides.items()}
    points: Points = []
    for told in own.values():
        points += told
    for extension in {read.extension_id: None for read in reads}:
        answers = [read for read in reads if read.extension_id == extension]
        points += unexplained(own.get(extension, []), answers, start)
    points.sort(key=place_of)
    return points


def unexplained(events: Points, reads: Iterable[Read], start: Summary | None = None) -> Points:
    """The reads of one extension that show what none of its events has told."""
    points = list(events)
    added: Points = []
    asked = sorted(reads, key=_by_date)
    last = max([place[2][2] for place, _ in events], default=NEVER)
    last = max([last, *(read.at for read in asked if read.items)])
    for read in asked:
        if not read.items and read.at <= last:
            continue
        told = [item.status for item in read.items if item.status is not None]
        status = aggregate(told)
        if status in _statuses(points, read.extension_id, read.at - BEHIND_MS, read.at + CLOCKS_APART_MS, start):
            continue
        place: Place = (read.at, read.extension_id, (READ_EPOCH, 0, read.at, ""))
        added.append((place, read))
        points.append((place, read))
        points.sort(key=place_of)
    return added


def _by_date(read: Read) -> tuple[int, str]:
    return read.at, repr(read.items)


def _statuses(points: Points, extension_id: str, since: int, until: int, start: Summary | None) -> set[TelephonyStatus]:
    """The statuses an extension had between two times, by its own points alone."""
    state = State() if start is None else resumed(start)
    found: set[TelephonyStatus] = set()
    status = _own(state, extension_id)
    for place, point in points:
        if place[0] > until:
            break
        if place[0] > since:
            found.add(status)
        apply(state, place, point)
        status = _own(state, extension_id)
    found.add(status)
    return found


def _own(state: State, extension_id: str) -> TelephonyStatus:
    side = state.sides.get(extension_id)
    if side is None:
        return NO_CALL
    return aggregate(leg.status for leg in side.legs if leg.live)


def directed(
    events: Sequence[PresenceEvent], reads: Sequence[Read], records: Iterable[Record], start: Summary | None
) -> tuple[list[PresenceEvent], list[Read]]:
    """The same, where each item has a direction: an item that names none has that of its leg, else of its extension,
    else of the call, as the earliest fact names it that does. Until one does such an item tells nothing.
    """
    ways: dict[tuple[str, str], Direction] = {}
    for _, _, direction in sorted(
        [(one.claim.started_at or 0, one.claim.record_id, one.claim.direction) for one in records]
    )[:1]:
        ways["", ""] = direction
    for leg in reversed(start.legs if start is not None else ()):
        ways["", ""] = ways[leg.extension_id, ""] = ways[leg.extension_id, leg.leg_id or ""] = leg.direction
    told = [(event.at, event.extension_id, item) for event in events for item in event.items]
    told += [(read.at, read.extension_id, item) for read in reads for item in read.items]
    named = [(at, one, item.leg_id or "", item.direction) for at, one, item in told if item.direction is not None]
    for _, extension_id, leg_id, direction in sorted(named, reverse=True):
        ways["", ""] = ways[extension_id, ""] = ways[extension_id, leg_id] = direction

    def filled(fact: PresenceEvent | Read) -> tuple[CallItem, ...]:
        return tuple(
            item if item.direction is not None else item._replace(direction=way)
            for item in fact.items
            if (way := item.direction or _way(ways, fact.extension_id, item.leg_id or "")) is not None
        )

    return (
        [event._replace(items=items) for event in events if (items := filled(event))],
        [read._replace(items=filled(read)) for read in reads],
    )


def _way(ways: dict[tuple[str, str], Direction], extension_id: str, leg_id: str) -> Direction | None:
    return ways.get((extension_id, leg_id)) or ways.get((extension_id, "")) or ways.get(("", ""))


def place_of(pair: tuple[Place, object]) -> Place:
    """For sorting."""
    return pair[0]
