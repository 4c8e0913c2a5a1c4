"""RingOut: the platform rings one's own phone first and then the other party.

What must stay true: presence says CallConnected as soon as one's own phone is answered, whatever the other party
does; only the call log knows how it ended. A cancellation works before that and has no effect after. A RingOut that
is over is soon forgotten (404). Seconds are simulated ones.
"""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web

from ringledger.simulator.clock import SimClock
from ringledger.simulator.exchange.model import Direction, Extension, SimCall, SimLeg, Status, Step
from ringledger.simulator.push.payloads import Json
from ringledger.simulator.rest.answers import invalid, json_body, not_found
from ringledger.simulator.rest.permissions import Permissions
from ringledger.simulator.rest.resources import API, Rest

#: What the other party does: by the last digits of its number, if the options do not say.
TAILS = {"0191": "no-answer", "0192": "busy", "0193": "own-phone"}
#: Outcome -> result in the log, status of the call, of the caller, of the callee.
OUTCOMES = {
    "answered": ("Call connected", "Success", "Success", "Success"),
    "no-answer": ("No Answer", "NoAnswer", "Success", "NoAnswer"),
    "busy": ("Busy", "Busy", "Success", "Busy"),
    "own-phone": ("No Answer", "NoAnswer", "NoAnswer", "InProgress"),
}


@dataclass(slots=True)
class RingOutOptions:
    """How RingOuts go; may be changed at any time. ``outcomes``: number -> one of :data:`OUTCOMES`."""

    outcomes: dict[str, str] = field(default_factory=dict)
    default: str = "answered"
    own_phone_seconds: float = 4.0
    other_seconds: float = 6.0
    patience_seconds: float = 20.0  # until an unanswered phone is given up
    talk_seconds: float = 30.0
    forgotten_seconds: float = 5.0
    pair: bool = False  # presence shows two sessions, as newer payloads do

    def outcome_of(self, number: str) -> str:
        digits = number.lstrip("+")
        named = {key.lstrip("+"): outcome for key, outcome in self.outcomes.items()}.get(digits)
        return named or TAILS.get(digits[-4:], self.default)


@dataclass(slots=True)
class RingOut:
    """One RingOut; ``gone_at`` (ms) is when it is forgotten."""

    id: str
    extension: Extension
    outcome: str
    calls: list[SimCall]
    call_status: str = "InProgress"
    caller_status: str = "InProgress"
    callee_status: str = "InProgress"
    gone_at: int | None = None
    task: asyncio.Task[None] | None = None


@dataclass
class RingOuts:
    """The ring-out resource, under its present path and that of 2015."""

    clock: SimClock
    rest: Rest
    permissions: Permissions
    options: RingOutOptions = field(default_factory=RingOutOptions)
    records: dict[str, RingOut] = field(default_factory=dict)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        for name in ("ring-out", "ringout"):
            path = f"{API}/account/{{account}}/extension/{{extension}}/{name}"
            router.add_post(path, self.create)
            router.add_get(path + "/{id}", self.read)
            router.add_delete(path + "/{id}", self.cancel)

    async def create(self, request: web.Request) -> web.Response:
        """POST: ring ``from``, then ``to``."""
        extension = self._extension(request)
        body = await json_body(request)
        source, target = _number(body, "from", extension), _number(body, "to", None)
        outcome = self.options.outcome_of(target)
        made = RingOut(f"RO-{len(self.records) + 1}", extension, outcome, self._calls(extension, source, target))
        self.records[made.id] = made
        now = self.clock.now_ms()
        self._happens(made, now, "Ringing")
        made.task = asyncio.get_running_loop().create_task(self._run(made, now))
        return web.json_response(self._show(made, request))

    async def read(self, request: web.Request) -> web.Response:
        """GET: how far it is; 404 soon after its end."""
        return web.json_response(self._show(self._find(request), request))

    async def cancel(self, request: web.Request) -> web.Response:
        """DELETE: 204, whether it has an effect or not."""
        found = self._find(request)
        if found.caller_status == "InProgress" and found.gone_at is None:
            if found.task is not None:
                found.task.cancel()
            for call in found.calls:
                call.result = "Hang Up"
            found.call_status = "Finished"
            self._end(found, self.clock.now_ms(), forgotten=0.0)
        return web.Response(status=204)

    def stop(self) -> None:
        """Let every RingOut be, where it is."""
        for record in self.records.values():
            if record.task is not None:
                record.task.cancel()

    # -- the call -----------------------------------------------------------------------------------------------

    async def _run(self, made: RingOut, at: int) -> None:
        o, (_, call, caller, callee) = self.options, OUTCOMES[made.outcome]
        at = await self._until(at, o.patience_seconds if made.outcome == "own-phone" else o.own_phone_seconds)
        made.caller_status = caller
        if made.outcome != "own-phone":
            self._happens(made, at, "CallConnected")
            at = await self._until(at, o.patience_seconds if made.outcome == "no-answer" else o.other_seconds)
        made.call_status, made.callee_status = call, callee
        if made.outcome == "answered":
            at = await self._until(at, o.talk_seconds)
            made.call_status = made.caller_status = made.callee_status = "Finished"
        self._end(made, at, forgotten=o.forgotten_seconds)

    async def _until(self, at: int, seconds: float) -> int:
        at += round(seconds * 1000)
        await self.clock.sleep_until(at)
        return at

    def _happens(self, made: RingOut, at: int, status: Status) -> None:
        for call in made.calls:
            self.rest.pbx.apply(call, Step(at, 0, status, "final" if status == "NoCall" else None))

    def _end(self, made: RingOut, at: int, *, forgotten: float) -> None:
        made.gone_at = at + round(forgotten * 1000)
        self._happens(made, at, "NoCall")

    def _calls(self, extension: Extension, source: str, target: str) -> list[SimCall]:
        """The outbound call; in front of it, with ``pair``, the one to one's own phone."""
        result = OUTCOMES[self.options.outcome_of(target)][0]
        number = 950_000_000_000 + 10_000 * (len(self.records) + 1)
        outer = self._call(number, "Outbound", result, extension, (source, target))
        if not self.options.pair:
            return [outer]
        inner = self._call(number + 1000, "Inbound", "Accepted", extension, (target, source))
        inner.part_of = outer.session_id
        return [inner, outer]

    def _call(
        self, number: int, direction: Direction, result: str, extension: Extension, numbers: tuple[str, str]
    ) -> SimCall:
        own = (extension.name, "") if direction == "Outbound" else ("", extension.name)
        leg = SimLeg(
            f"{number:032x}", 1, extension.id, direction, numbers[0], own[0], numbers[1], own[1],
            id_known_late=self.rest.pbx.style == "2015",
        )  # fmt: skip
        return SimCall(str(number), f"s-{number:032x}", direction, "ringout", result, "RingOut Web", [leg])

    # -- the resource -------------------------------------------------------------------------------------------

    def _extension(self, request: web.Request) -> Extension:
        extension = self.rest.find_extension(request)
        self.permissions.require("RingOut")
        return extension

    def _find(self, request: web.Request) -> RingOut:
        extension = self._extension(request)
        found = self.records.get(request.match_info["id"])
        gone = found is not None and found.gone_at is not None and found.gone_at <= self.clock.now_ms()
        if found is None or gone or found.extension is not extension:
            raise not_found("ringoutId")
        return found

    def _show(self, made: RingOut, request: web.Request) -> Json:
        name = "ringout" if "/ringout" in request.path else "ring-out"
        status = {
            "callStatus": made.call_status,
            "callerStatus": made.caller_status,
            "calleeStatus": made.callee_status,
        }
        return {"id": made.id, "uri": f"{self.rest.uri_of(made.extension)}/{name}/{made.id}", "status": status}


def _number(body: Json, side: str, extension: Extension | None) -> str:
    """The number of ``from`` or ``to``; a forwarding number is the extension's own."""
    party = body.get(side)
    if not isinstance(party, dict):
        raise invalid(side)
    if extension is not None and party.get("forwardingNumberId"):
        return extension.direct_number
    number = party.get("phoneNumber")
    if not isinstance(number, str) or not number.strip().lstrip("+").isdecimal():
        raise invalid(f"{side}.phoneNumber")
    return number.strip()
