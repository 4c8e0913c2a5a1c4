"""Which facts belong to one call (rules 1.1, 7.2): by the names that they share, else by numbers and start.

A session, a telephony session and a record's id are names. Facts that share a name are of one call, whatever came
first; which of its names is the call's key follows from the names alone. Sessions of missed and voicemail calls differ
now and then between presence and log: records that share no name with a call are matched by numbers and start.
``CallIndex`` is asked in constant time, however many calls are open. What must stay true: it names every call in
memory, and only those; ``matched`` depends on the calls it is given, not on their order.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final, NamedTuple

from ringledger.domain.call import Call
from ringledger.domain.disposition import Disposition, disposition_of
from ringledger.domain.fold import State
from ringledger.domain.observation import CallItem, CallKey, Direction, RecordClaim
from ringledger.domain.record_rules import COARSE_MS, digits, end_of

#: How far apart the starts may be when a call that never connected is matched by numbers, ms.
MATCH_WINDOW_MS: Final = 60_000
#: So many calls of the same numbers and minute are looked at; no caller dials more often.
MOST_LOOKED_AT: Final = 256

#: Account, direction, calling and called number without ``+``, and the window the start lies in.
Ends = tuple[str, Direction, str, str, int]

#: What kind of name it is; the key is the first by kind, then the shortest, then the first of the alphabet.
SESSION, RECORDED_SESSION, TELEPHONY, RECORD = range(4)
Names = dict[str, int]


def names_of_item(item: CallItem) -> Names:
    """The names by which an item speaks of its call; none: it cannot be tracked (rule 1.1)."""
    return names_of_sessions(item.session_id, item.telephony_session_id)


def names_of_sessions(session_id: str | None, telephony: str | None) -> Names:
    """As :func:`names_of_item`, from the item's two sessions."""
    names: Names = {}
    if telephony:
        names[telephony] = TELEPHONY
    if session_id and session_id != "0":
        names[session_id] = SESSION
    return names


def record_name(record_id: str) -> str:
    """A record's id as a name. Ids of records are no sessions: they are marked."""
    return f"record:{record_id}"


def names_of_record(claim: RecordClaim) -> Names:
    """The names by which a record speaks of its call."""
    names: Names = {record_name(claim.record_id): RECORD}
    if claim.telephony_session_id:
        names[claim.telephony_session_id] = TELEPHONY
    if claim.session_id and claim.session_id != "0":
        names[claim.session_id] = RECORDED_SESSION
    return names


def key_name(names: Names) -> str | None:
    """The name that is the call's key: a session presence shows, else one of a record, else a telephony session."""
    found = [(kind, len(name), name) for name, kind in names.items() if kind is not RECORD]
    return min(found)[2] if found else None


def ends_of(account_id: str, call: Call, claims: Iterable[RecordClaim]) -> tuple[Ends, ...]:
    """The numbers and starts by which a call, and these records of it, are found. A withheld number finds none."""
    started_at = call.started_at
    ends = {
        (account_id, leg.direction, caller, callee, started_at // MATCH_WINDOW_MS): None
        for leg in call.legs[:MOST_LOOKED_AT]
        if (caller := digits(leg.from_party)) is not None and (callee := digits(leg.to_party)) is not None
    }
    for claim in claims:
        caller, callee = digits(claim.from_party), digits(claim.to_party)
        if caller is not None and callee is not None and claim.started_at is not None:
            ends[account_id, claim.direction, caller, callee, claim.started_at // MATCH_WINDOW_MS] = None
    return tuple(ends)


def _packed(ends: Ends) -> str:
    """Ends as one text, which takes a third of the room. No text from outside has a NUL in it."""
    return "\0".join((*ends[:4], str(ends[4])))


def _unpacked(text: str) -> Ends:
    account_id, direction, caller, callee, window = text.split("\0")
    return account_id, Direction(direction), caller, callee, int(window)


class CallIndex:
    """Calls in memory by what they may be named by."""

    def __init__(self) -> None:
        self._by_name: dict[tuple[str, str], CallKey] = {}
        self._names: dict[CallKey, tuple[str, ...]] = {}
        #: By ends in one text. Nearly always one call.
        self._by_ends: dict[str, CallKey | dict[CallKey, None]] = {}
        self._ends: dict[CallKey, tuple[str, ...]] = {}

    def name(self, key: CallKey, names: Iterable[str]) -> None:
        """A call is known by these names, too."""
        account_id = key.account_id
        known = self._names.get(key, ())
        for name in names:
            self._by_name[key if name == key.session_id else (account_id, name)] = key
            if name not in known:
                known = (*known, name)
        self._names[key] = known

    def note(self, key: CallKey, ends: tuple[Ends, ...]) -> None:
        """A call is found by these numbers and starts from now on."""
        known, now = self._ends.get(key, ()), tuple(map(_packed, ends))
        if known == now:
            return
        self._ends[key] = now
        for one in known:
            if one not in now:
                self._drop(one, key)
        for one in now:
            found = self._by_ends.setdefault(one, key)
            if isinstance(found, dict):
                found[key] = None
            elif found != key:
                self._by_ends[one] = {found: None, key: None}

    def forget(self, key: CallKey) -> None:
        """A call is in memory no longer."""
        for name in self._names.pop(key, ()):
            if self._by_name.get((key.account_id, name)) == key:
                del self._by_name[key.account_id, name]
        for ends in self._ends.pop(key, ()):
            self._drop(ends, key)

    def _drop(self, ends: str, key: CallKey) -> None:
        found = self._by_ends.get(ends)
        if isinstance(found, dict):
            found.pop(key, None)
            if found:
                return
        if found == key or not found:
            self._by_ends.pop(ends, None)

    def unname(self, key: CallKey, names: Iterable[str]) -> None:
        """These names are another call's."""
        gone = set(names)
        self._names[key] = tuple(name for name in self._names.get(key, ()) if name not in gone)
        for name in gone:
            if self._by_name.get((key.account_id, name)) == key:
                del self._by_name[key.account_id, name]

    def ends(self, key: CallKey) -> tuple[Ends, ...]:
        """By which numbers and starts a call is found."""
        return tuple(map(_unpacked, self._ends.get(key, ())))

    def named(self, account_id: str, name: str) -> CallKey | None:
        """The call of a name."""
        return self._by_name.get((account_id, name))

    def near(self, ends: Ends) -> list[CallKey]:
        """Calls between these numbers that began in that window or one beside it."""
        account_id, direction, caller, callee, window = ends
        found: list[CallKey] = []
        for one in (window - 1, window, window + 1):
            calls = self._by_ends.get(_packed((account_id, direction, caller, callee, one)))
            if isinstance(calls, dict):
                found += islice(calls, MOST_LOOKED_AT)
            elif calls is not None:
                found.append(calls)
        return found

    def between(self, account_id: str, direction: Direction, caller: str, callee: str, at: int) -> list[CallKey]:
        """Calls of that direction between these numbers that began near ``at``."""
        return self.near((account_id, direction, caller, callee, at // MATCH_WINDOW_MS))


class Unconfirmed(NamedTuple):
    """A call that presence showed, did not see connect, and that no record of its own confirms. ``presence``: what
    presence alone shows of it; ``alive_at``: when it last showed it alive. ``not_found``: its own records have been
    asked for and do not exist.
    """

    key: CallKey
    presence: State
    alive_at: int
    not_found: bool = False


def distance(claim: RecordClaim, unconfirmed: Unconfirmed) -> int | None:
    """How far apart the starts of a record and of a call are if the record may be the call's, ms; ``None``: it is not.
    What records say of the call does not count, or whichever came first would seem nearest.

    A caller who gave up and dialled again a little later has made two calls: only the record of a time in which the
    call went on is taken for its own, unless its own has been asked for in vain.
    """
    presence = unconfirmed.presence
    if claim.running or claim.result is None or disposition_of(claim.result) is Disposition.ANSWERED:
        return None
    caller, callee = digits(claim.from_party), digits(claim.to_party)
    if claim.started_at is None or caller is None or callee is None:
        return None  # a withheld number matches none
    if not any(
        leg.direction is claim.direction
        and claim.extension_id in {None, "", leg.extension_id}
        and (digits(leg.from_party), digits(leg.to_party)) == (caller, callee)
        for leg in presence.legs
    ):
        return None
    started_at = presence.started_at or 0
    apart = abs(started_at - claim.started_at)
    if apart > MATCH_WINDOW_MS:
        return None
    if unconfirmed.alive_at > end_of(claim) + COARSE_MS and (presence.live or not unconfirmed.not_found):
        return None  # it went on after the record's end
    if unconfirmed.not_found:
        return apart
    ends = [leg.ended_at for leg in presence.legs if leg.ended_at is not None]
    ended_at = presence.seen_at if presence.live else max(ends, default=presence.seen_at)
    met = claim.started_at <= ended_at + COARSE_MS and started_at <= end_of(claim) + COARSE_MS
    return apart if met else None


def matched(calls: Sequence[Unconfirmed], records: Mapping[str, Sequence[RecordClaim]]) -> dict[str, CallKey]:
    """Which call each record (by its name) is of: the nearest pairs first."""
    pairs = [
        (apart, one.key, name)
        for one in calls for name, claims in records.items() for claim in claims
        if (apart := distance(claim, one)) is not None
    ]  # fmt: skip
    found: dict[str, CallKey] = {}
    for _, key, name in sorted(pairs):
        if name not in found and key not in found.values():
            found[name] = key
    return found


def sharing(claims: Iterable[RecordClaim], names: Iterable[str]) -> list[RecordClaim]:
    """Those of the records that share a name with these, or with another of them that does."""
    borne, left, found = set(names), list(claims), list[RecordClaim]()
    while near := [claim for claim in left if not borne.isdisjoint(names_of_record(claim))]:
        found += near
        left = [claim for claim in left if claim not in near]
        borne |= {name for claim in near for name in names_of_record(claim)}
    return found


def joined(records: Mapping[str, Sequence[RecordClaim]]) -> list[list[str]]:
    """Which records (by their names) are of one call whosever it is, since they share a name: each such group."""
    borne = {name: {one for claim in claims for one in names_of_record(claim)} for name, claims in records.items()}
    bearers: dict[str, list[str]] = {}
    for name, names in borne.items():
        for one in names:
            bearers.setdefault(one, []).append(name)
    left, groups = dict.fromkeys(sorted(records)), list[list[str]]()
    while left:
        group, waiting = list[str](), [next(iter(left))]
        while waiting:
            name = waiting.pop()
            if name in left:
                del left[name]
                group.append(name)
                for one in borne[name]:
                    waiting += bearers.pop(one, ())
        groups.append(sorted(group))
    return groups
