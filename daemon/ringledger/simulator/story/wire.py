"""From a story's table rows to the notifications the platform would send.

What must stay true: what a row does not say is filled in the same way at every reading, so a story is one fixed
sequence of payloads; automatic sequence numbers follow the order in which things happened, not in which they arrive.
"""

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from ringledger.simulator.clock import iso_offset, iso_z
from ringledger.simulator.exchange.model import STRENGTH, Extension, Style, strongest
from ringledger.simulator.push.payloads import MAX_ITEMS, Json, envelope_of, standing_of
from ringledger.simulator.story.story import StoryCall
from ringledger.simulator.story.words import digest, direction_of

FIRST_SEQUENCE, SEQUENCE_STEP = 1_000, 7


@dataclass(slots=True)
class ItemRow:
    """One call in an event."""

    call: StoryCall
    status: str
    options: dict[str, str]


@dataclass(slots=True)
class EventRow:
    """One event: when it happened (ms), at which extension, and its calls."""

    line: int
    at: int
    extension: str
    sequence: int | None
    items: list[ItemRow]
    options: dict[str, str]


class StoryWire:
    """Builds envelopes; remembers leg ids, start times and sequences on the way."""

    def __init__(
        self,
        name: str,
        style: Style,
        account_id: str,
        telephony: Callable[[str], str],
        time: Callable[[str], int],
    ) -> None:
        self.name, self.style, self.account_id = name, style, account_id
        self._telephony, self._time = telephony, time
        self._leg_ids: dict[tuple[str, str], str] = {}
        self._starts: dict[tuple[str, str], int] = {}
        self._parties: dict[str, list[tuple[str, str]]] = {}

    def envelopes(self, events: list[EventRow]) -> list[Json]:
        """One envelope per row, in the order of the rows; ids and start times follow the order of happening."""
        self._number(events)
        built: dict[int, Json] = {}
        for index in sorted(range(len(events)), key=lambda n: (events[n].at, n)):
            built[index] = self._envelope(events[index], index)
        return [built[index] for index in range(len(events))]

    def _number(self, events: list[EventRow]) -> None:
        latest: dict[str, int] = {}
        for event in sorted(events, key=lambda e: e.at):
            if event.sequence is None:
                event.sequence = latest.get(event.extension, FIRST_SEQUENCE - SEQUENCE_STEP) + SEQUENCE_STEP
            latest[event.extension] = event.sequence

    def _envelope(self, event: EventRow, index: int) -> Json:
        items = [self._item(event, row) for row in event.items]
        status = strongest([row.status for row in event.items if row.status in STRENGTH])
        body: Json = {"telephonyStatus": status, "activeCalls": items[:MAX_ITEMS], "sequence": event.sequence}
        if self.style == "2015":
            body["extensionId"] = int(event.extension) if event.extension.isdecimal() else event.extension
        else:
            extension = Extension(event.extension, "", "", "")
            total = int(event.options.get("total", len(items)))
            body |= {
                "extensionId": event.extension,
                "totalActiveCalls": total,
                **standing_of(extension, status),
            }
        event_id = event.options.get("uuid") or self._uuid(index)
        envelope = envelope_of(self.account_id, event.extension, body, at=event.at, uuid=event_id, style=self.style)
        if "timestamp" in event.options:
            at = self._time(event.options["timestamp"])
            envelope["timestamp"] = iso_offset(at) if self.style == "2015" else iso_z(at)
        return envelope

    def _item(self, event: EventRow, row: ItemRow) -> Json:
        own = row.call.fields | row.options
        item: Json = {"direction": direction_of(own["direction"]), "from": own["from"], "to": own["to"]}
        item["telephonyStatus"] = row.status
        if own["session"] != "none":
            item["sessionId"] = own["session"]
        leg = (row.call.label, event.extension)
        if "no-id" not in row.options:
            item["id"] = self._leg_id(leg, row.options.get("id") or row.call.fields.get("id"))
        if self.style == "modern":
            item |= self._modern_part(event, row, own, leg)
        termination = row.options.get("termination", "final" if self.style == "modern" else "none")
        if row.status == "NoCall" and termination != "none":
            item["terminationType"] = termination
        if "monitored" in row.options:
            item["sipData"] = {"toTag": "blf", "fromTag": "-", "remoteUri": "-", "localUri": "-"}
        if "on-behalf-of" in own:
            item["onBehalfOf"] = own["on-behalf-of"]
        return item

    def _modern_part(self, event: EventRow, row: ItemRow, own: dict[str, str], leg: tuple[str, str]) -> Json:
        part: Json = {"queueCall": "queue" in own}
        for name, field in (("from-name", "fromName"), ("to-name", "toName")):
            if name in own:
                part[field] = own[name]
        begun = self._starts.setdefault(leg, event.at)
        start = own.get("start", iso_z(begun))
        if start != "none":
            part["startTime"] = start if "T" in start else iso_z(self._time(start))
        telephony = row.options.get("telephony") or self._telephony(row.call.label)
        if telephony and telephony != "none":
            part["telephonySessionId"] = telephony
            part["partyId"] = f"p-{telephony.removeprefix('s-')}-{self._party(telephony, leg)}"
        return part

    def _leg_id(self, leg: tuple[str, str], given: str | None) -> str:
        if given:
            self._leg_ids[leg] = given
        return self._leg_ids.setdefault(leg, digest(self.name, *leg))

    def _party(self, telephony: str, leg: tuple[str, str]) -> int:
        parties = self._parties.setdefault(telephony, [])
        if leg not in parties:
            parties.append(leg)
        return parties.index(leg) + 1

    def _uuid(self, index: int) -> str:
        return str(uuid.UUID(digest(self.name, "event", str(index)), version=4))
