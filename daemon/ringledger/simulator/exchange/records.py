"""Records of the platform's books, made from what is true about a call.

One representation is chosen where the platform's own is not certain. The account's books hold one record per call
session, with a leg for every party that rang (``view=Detailed``); an extension's books hold one record per call in
which that extension took part, from its own side. So a queue call is one record of the account (its result that of
the agent who answered) and one of each agent rung; an internal call is one Outbound record of the account, one
Outbound of the caller and one Inbound of the callee; a transfer is one record of the account and one of each
extension; a RingOut that presence shows as two sessions is two records everywhere.

What must stay true: a record is made from the timeline up to an instant, never from what is planned; ``startTime``
is the first ring and ``duration`` all the time from there to the end.
"""

from typing import NamedTuple

from ringledger.simulator.clock import iso_z
from ringledger.simulator.exchange.model import Change, Direction, Extension, SimCall, SimLeg, Style, disposition_of
from ringledger.simulator.push.payloads import Json


class Entry(NamedTuple):
    """One row of the books as it stood at some instant; times are ms, ``ended_at`` is ``None`` while it goes on."""

    call: SimCall
    legs: list[SimLeg]
    master: SimLeg
    extension_id: str
    started_at: int
    seen_at: int
    answered_at: int | None
    ended_at: int | None
    result: str


def whole_call(call: SimCall, at: int) -> Entry | None:
    """The account's record of a call as it stood at ``at``; ``None`` before it began."""
    return _entry(call, call.legs, at, call.result)


def own_side(call: SimCall, extension_id: str, at: int) -> Entry | None:
    """The record of one extension's part in a call; ``None`` when it had none by ``at``."""
    legs = [leg for leg in call.legs if leg.extension_id == extension_id]
    return _entry(call, legs, at, next((leg.result for leg in legs if leg.result), call.result))


def _entry(call: SimCall, legs: list[SimLeg], at: int, result: str) -> Entry | None:
    begun = [leg for leg in legs if leg.timeline and leg.started_at <= at]
    changes = sorted(
        ((change, leg) for leg in begun for change in leg.timeline if change.at <= at), key=lambda pair: pair[0].at
    )
    if not changes:
        return None
    answers = [(change.at, leg) for change, leg in changes if change.status == "CallConnected"]
    live = any(_live([change for change in leg.timeline if change.at <= at]) for leg in begun)
    calling = [leg for leg in begun if call.internal and leg.direction == "Outbound"]
    master = calling[0] if calling else answers[0][1] if answers else changes[0][1]
    return Entry(
        call, begun, master, master.extension_id, changes[0][0].at, at,
        answers[0][0] if answers else None, None if live else changes[-1][0].at, result,
    )  # fmt: skip


def _live(changes: list[Change]) -> bool:
    return changes[-1].status != "NoCall" or changes[-1].termination == "intermediate"


class Scribe:
    """Writes entries down as JSON. ``base`` is the address of the account's or of the extension's resources."""

    def __init__(
        self,
        extensions: dict[str, Extension],
        account: str,
        base: str,
        *,
        style: Style = "modern",
        milliseconds: bool = True,
        running: str = "In Progress",
        tell_finished: bool = True,
    ) -> None:
        self.account, self.base = account, base
        self.by_number = {extension.number: extension for extension in extensions.values()}
        self.style, self.milliseconds = style, milliseconds and style == "modern"
        self.running, self.tell_finished = running, tell_finished and style == "modern"

    def record(self, entry: Entry, *, own: bool, modified_at: int) -> Json:
        """The whole record in its detailed form; :func:`simple` takes the details away."""
        names = {"id": record_id(entry, own=own), "sessionId": entry.call.session_id}
        found: Json = {**names, **self._common(entry, entry.master)}
        legs = [self._leg(entry, leg) for leg in entry.legs]
        return self.addressed(found) | {"legs": legs, "lastModifiedTime": iso_z(modified_at)}

    def addressed(self, record: Json) -> Json:
        """The record with its own address and its extension's."""
        extension = self._extension(str(record["extension"]["id"]))
        return {**record, "uri": f"{self.base}/call-log/{record['id']}", "extension": extension}

    def _extension(self, extension_id: str) -> Json:
        number = int(extension_id) if extension_id.isdecimal() else extension_id
        return {"id": number, "uri": f"{self.account}/extension/{extension_id}"}

    def _common(self, entry: Entry, leg: SimLeg) -> Json:
        """What records and legs have in common."""
        call, over = entry.call, entry.ended_at is not None
        duration = (entry.ended_at if entry.ended_at is not None else entry.seen_at) - entry.started_at
        made: Json = {
            "startTime": iso_z(entry.started_at),
            "duration": duration // 1000,
            "type": "Voice",
            "direction": leg.direction if call.internal else _direction(call, leg, entry),
            "action": call.action,
            "result": entry.result if over else self.running,
            "internalType": _internal_type(call),
            "from": self._party(leg.from_number, leg.from_name, leg, ours=leg.direction == "Outbound"),
            "to": self._party(leg.to_number, leg.to_name, leg, ours=leg.direction == "Inbound"),
            "extension": self._extension(leg.extension_id),
        }
        if self.milliseconds:
            made["durationMs"] = duration
        if self.style == "modern":
            made["telephonySessionId"] = call.telephony_session_id
            made["partyId"] = f"p-{call.telephony_session_id.removeprefix('s-')}-{leg.party}"
        if self.tell_finished:
            made["finished"] = over
        if leg.queue_call:
            made["delegationType"] = "QueueForwarding"
        return made

    def _leg(self, entry: Entry, leg: SimLeg) -> Json:
        part = _entry(entry.call, [leg], entry.seen_at, leg.result or entry.call.result)
        assert part is not None  # noqa: S101 - a leg that has begun has an entry
        common = self._common(part, leg)
        return common | {"legType": _leg_type(entry.call, leg), "master": leg is entry.master}

    def _party(self, number: str, name: str, leg: SimLeg, *, ours: bool) -> Json:
        made: Json = {}
        other = self.by_number.get(number)
        if other is not None:
            made = {"extensionNumber": number, "extensionId": other.id}
        elif number:
            made["phoneNumber"] = number if number.startswith("+") or not number.isdecimal() else f"+{number}"
        if ours and other is None:
            made["extensionId"] = leg.extension_id
        return made | ({"name": name} if name else {})


def record_id(entry: Entry, *, own: bool) -> str:
    """The id of a row's record; ``own``: in the books of an extension."""
    return f"R{entry.call.session_id}" + (f"E{entry.extension_id}" if own else "")


def simple(record: Json) -> Json:
    """The record as ``view=Simple`` shows it."""
    return {name: value for name, value in record.items() if name not in ("legs", "lastModifiedTime", "billing")}


def _direction(call: SimCall, leg: SimLeg, entry: Entry) -> Direction:
    return leg.direction if len(entry.legs) == 1 else call.direction


def _internal_type(call: SimCall) -> str:
    if call.action.startswith("RingOut"):
        return "RingOut"
    return "Local" if call.internal else "LongDistance"


def _leg_type(call: SimCall, leg: SimLeg) -> str:
    if call.action.startswith("RingOut"):
        return "RingOutWebToSubscriber" if leg.direction == "Inbound" else "RingOutWebToCaller"
    if call.internal:
        return "ExtensionToExtension"
    if leg.queue_call:
        return "Hunting"
    if call.kind == "transfer" and leg is not call.legs[0]:
        return "TransferCall"
    return "Accept" if leg.direction == "Inbound" else "SipToPstnMetered"


def unanswered(record: Json) -> bool:
    """What ``statusGroup=Missed`` asks for."""
    missed = disposition_of(str(record.get("result", ""))) in ("missed", "abandoned", "voicemail", "no_answer")
    return missed and record["direction"] == "Inbound"
