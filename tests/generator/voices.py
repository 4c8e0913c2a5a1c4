"""What the platform says of what happens: notifications, answers of presence, listings, records of the call log.

Everything is made as it stands on the wire (``docs/recordings.md``), so a story goes through the daemon's own decoders
and can be written to a file as it is. Listings are 3 to 10 s behind, reads of presence up to 3 s, dates of answers are
cut to the second.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from tests.generator.world import ACCOUNT, Call, Leg, Party, moments

Json = dict[str, Any]


@dataclass(frozen=True)
class Fact:
    """One line of a recording, before it has arrived. ``delay``: how long it usually takes, ms."""

    sent: int
    line: Json
    delay: int

    @property
    def pushed(self) -> bool:
        """Whether a feed brings it; what was asked for is not late by more than its answer takes."""
        return bool(self.line["source"] == "event")

    @property
    def presence(self) -> bool:
        """Whether it shows an extension's calls; else it is of the platform's records."""
        return self.line["source"] in {"event", "presence"}


def iso(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % 1000:03d}Z"


def date(at: int) -> str:
    return format_datetime(datetime.fromtimestamp(at // 1000, UTC), usegmt=True)


class Platform:
    """Speaks of some calls. ``modern``: payloads of today, else those of 2015, which lack names and start times."""

    def __init__(self, calls: list[Call], rng: random.Random, *, modern: bool = True, exact: bool = True) -> None:
        self.calls = calls
        self.rng = rng
        self.modern = modern
        self.exact = exact
        self.begun = min(call.begun for call in calls)
        self.over = max(call.over for call in calls)
        self.extensions = sorted({leg.extension for call in calls for leg in call.legs})

    def sides(self, extension: str) -> list[tuple[Call, Leg]]:
        return [(call, leg) for call in self.calls for leg in call.legs if leg.extension == extension]

    # -- notifications ---------------------------------------------------------------------------------------------

    def events(self, *, repeats: bool = True) -> list[Fact]:
        """One for each change of each extension, and now and then one in between that repeats how things stand."""
        return sorted(
            [fact for extension in self.extensions for fact in self._of_extension(extension, repeats=repeats)],
            key=lambda fact: fact.sent,
        )

    def _of_extension(self, extension: str, *, repeats: bool) -> list[Fact]:
        rng, changes = self.rng, moments(leg for _, leg in self.sides(extension))
        told = set(changes)
        if repeats and rng.random() < 0.4:
            told |= {rng.randint(changes[0] + 1, changes[-1] + 8_000) for _ in range(rng.randint(1, 2))}
        sequence, last, facts = rng.randint(500, 200_000), None, []
        for at in sorted(told):
            begins_anew = last is not None and at - last > 60_000 and self.calls[0].kind == "restart"
            sequence = rng.randint(1, 50) if begins_anew else sequence + rng.randint(1, 40)
            last = at
            facts.append(self._event(extension, sequence, at))
        return facts

    def _event(self, extension: str, sequence: int, at: int) -> Fact:
        items = []
        for call, leg in self.sides(extension):
            if leg.begun > at:
                continue
            if leg.live(at) or any(change.at == at for change in leg.changes) or self.rng.random() < 0.3:
                items.append(self._item(call, leg, at))
        path = f"/restapi/v1.0/account/{ACCOUNT}/extension/{extension}/presence?detailedTelephonyState=true"
        body: Json = {"extensionId": extension, "sequence": sequence} | self._snapshot(items)
        envelope = {"uuid": f"{self.rng.getrandbits(64):016x}", "event": path, "timestamp": iso(at), "body": body}
        return Fact(at, {"source": "event", "notification": envelope}, self.rng.randint(40, 200))

    def _snapshot(self, items: list[Json]) -> Json:
        alive = {item["telephonyStatus"] for item in items}
        strongest = [one for one in ("CallConnected", "OnHold", "ParkedCall", "Ringing") if one in alive]
        return {
            "telephonyStatus": strongest[0] if strongest else "NoCall",
            "activeCalls": items,
            "totalActiveCalls": len(items),
        }

    def _item(self, call: Call, leg: Leg, at: int) -> Json:
        change = [one for one in leg.changes if one.at <= at][-1]
        promised = change.termination == "intermediate"
        status = leg.status(at) if promised and change.at < at else change.status
        item: Json = {
            "direction": leg.direction, "from": leg.sender.number, "to": leg.to.number, "telephonyStatus": status,
            "sessionId": call.session,
        }  # fmt: skip
        if leg.changes.index(change) >= leg.id_from:
            item["id"] = leg.id
        if self.modern:
            item |= {
                "fromName": leg.sender.name, "toName": leg.to.name, "startTime": iso(leg.begun),
                "telephonySessionId": call.telephony, "queueCall": leg.queue,
            }  # fmt: skip
        if status == "NoCall":
            if change.termination:
                item["terminationType"] = change.termination
            if not self.modern:
                item["to"] = ""
        return item

    # -- answers -----------------------------------------------------------------------------------------------------

    def _asked(self, source: str, at: int, **content: Any) -> Fact:
        line = {"source": source, "asked_at": iso(at - self.rng.randint(50, 700)), "date": date(at), **content}
        return Fact(at, line, self.rng.randint(30, 600))

    def read(self, extension: str, at: int) -> Fact:
        """One extension's presence as it was a little before: what lives, nothing else."""
        seen = at - self.rng.randint(0, 3_000)
        items = [self._item(call, leg, seen) for call, leg in self.sides(extension) if leg.live(seen)]
        items = [item for item in items if item["telephonyStatus"] != "NoCall"]
        body = {"extension": {"id": extension}, **self._snapshot(items)}
        return self._asked("presence", at, extension_id=extension, body=body)

    def listing(self, at: int) -> Fact:
        """What runs and what has just ended, as it was 3 to 10 s before. What only rings is never listed."""
        seen = at - self.rng.randint(3_000, 10_000)
        records = [record for call in self.calls if (record := self._record(call, call.legs, seen)) is not None]
        return self._asked("active-calls", at, page={"records": records, "paging": {"page": 1}, "navigation": {}})

    def log(self, at: int, *, single: bool = False, details: bool = False) -> Fact:
        """The call log as it was a little before: one record of each call, or one of each extension's part in it."""
        seen, records = at - self.rng.randint(3_000, 10_000), []
        for call in self.calls:
            parts = [call.legs] if not single else [
                [leg for leg in call.legs if leg.extension == one] for one in self.extensions
            ]  # fmt: skip
            for legs in parts:
                record = self._record(call, legs, seen, single=single) if legs else None
                if record is not None and details:
                    told = [self._record(call, [leg], seen) for leg in legs]
                    record["legs"] = [one for one in told if one is not None]
                records += [record] if record is not None else []
        return self._asked("call-log", at, page={"records": records, "paging": {"page": 1}, "navigation": {}})

    def _record(self, call: Call, legs: list[Leg], at: int, *, single: bool = False) -> Json | None:
        """The record of these legs as it stood at a moment; ``None`` when there was none yet."""
        begun = [leg for leg in legs if leg.begun <= at]
        if not begun:
            return None
        answers = [(change.at, leg) for leg in begun for change in leg.changes if change.status == "CallConnected"]
        answers = sorted([pair for pair in answers if pair[0] <= at], key=lambda pair: pair[0])
        ends = [leg.ended for leg in begun]
        over = not any(leg.live(at) for leg in begun) and max(end or 0 for end in ends) + call.unseen <= at
        goes_on = any(leg.begun > at for leg in legs) or not over
        if goes_on and not answers:
            return None
        calling = [leg for leg in begun if call.internal and leg.direction == "Outbound"]
        master = calling[0] if calling else answers[0][1] if answers else begun[0]
        result = (master.result if single or len(legs) == 1 else "") or call.result
        return self._written(call, legs, master, None if goes_on else result, at)

    def _written(self, call: Call, legs: list[Leg], master: Leg, result: str | None, at: int) -> Json:
        started = min(leg.begun for leg in legs if leg.begun <= at)
        ended = at if result is None else max(leg.ended or 0 for leg in legs) + call.unseen
        made: Json = {
            "id": f"R{call.session}E{master.extension}" if len(legs) < len(call.legs) else f"R{call.session}",
            "sessionId": call.logged_as or call.session,
            "startTime": iso(started),
            "duration": (ended - started) // 1000,
            "type": "Voice",
            "direction": master.direction,
            "action": call.action,
            "result": "In Progress" if result is None else result,
            "from": _party(master.sender),
            "to": _party(master.to),
            "extension": {"id": master.extension},
        }
        if self.exact:
            made["durationMs"] = ended - started
        if self.modern:
            made |= {"finished": result is not None}
        if self.modern and not call.logged_as:
            made |= {"telephonySessionId": call.telephony}
        return made


def _party(party: Party) -> Json:
    short = party.number.isdigit() and len(party.number) < 7
    made: Json = {"extensionNumber" if short else "phoneNumber": party.number}
    return made | ({"name": party.name} if party.name else {})
