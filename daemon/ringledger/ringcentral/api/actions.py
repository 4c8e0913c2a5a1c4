"""What a person asks the platform to do: place a two-legged call, send a text or a page (platform page 7).

All of it is asked in the foreground: a person waits. Raises ``PlatformError`` like everything here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from ringledger.ringcentral.api.client import PlatformClient, read_answer
from ringledger.ringcentral.api.http import Answer
from ringledger.ringcentral.api.query import segment
from ringledger.ringcentral.decode.unreadable import WireError, WireReason, decode
from ringledger.ringcentral.decode.values import WireId, text_id
from ringledger.ringcentral.ratelimit.limits import RateGroup

#: The longest texts the platform takes, UTF-16 units.
SMS_UNITS: Final = 1000
PAGE_UNITS: Final = 1024


def utf16_units(text: str) -> int:
    """How long the platform counts a text: characters beyond the basic plane are two units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class WireRingOutStatus(msgspec.Struct, rename="camel"):
    """``status`` of a RingOut."""

    call_status: str = ""
    caller_status: str = ""
    callee_status: str = ""


class WireRecipient(msgspec.Struct, rename="camel"):
    """One end of a message."""

    phone_number: WireId = None
    extension_number: WireId = None
    extension_id: WireId = None
    name: str | None = None
    message_status: str = ""


class WireAction(msgspec.Struct, rename="camel"):
    """A RingOut, or a message."""

    id: WireId = None
    status: WireRingOutStatus | None = None
    message_status: str = ""
    creation_time: str | None = None
    conversation_id: WireId = None
    to: list[WireRecipient] | None = None


_ACTION: Final = msgspec.json.Decoder(WireAction)


@dataclass(frozen=True, slots=True)
class RingOut:
    """A two-legged call; statuses are the platform's words (``InProgress``, ``Success``, ``NoAnswer`` …)."""

    id: str
    call_status: str
    caller_status: str
    callee_status: str


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets a message, and how far it is for them (``Queued``, ``Sent``, ``Delivered`` …, empty when not told)."""

    number: str
    name: str | None
    status: str


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A text or a page. ``id`` and ``conversation_id`` may exceed 2^53: they are text."""

    id: str
    status: str
    conversation_id: str | None = None
    created_at: str | None = None
    to: tuple[Recipient, ...] = ()


class Actions:
    """Acts as the one extension of the authorisation."""

    def __init__(self, client: PlatformClient) -> None:
        self._client = client
        self._own = f"/account/{client.account}/extension/~"

    async def ring_out(
        self, from_number: str, to_number: str, *, caller_id: str | None = None, prompt: bool = True
    ) -> RingOut:
        """Ring ``from_number`` first and connect it with ``to_number``."""
        body: dict[str, Any] = {
            "from": {"phoneNumber": from_number},
            "to": {"phoneNumber": to_number},
            "playPrompt": prompt,
        }
        if caller_id:
            body["callerId"] = {"phoneNumber": caller_id}
        return _ring_out(await self._ask("POST", "/ring-out", RateGroup.HEAVY, body))

    async def ring_out_status(self, ring_out_id: str) -> RingOut:
        """How far it is; :class:`NotFound` soon after its end."""
        return _ring_out(await self._ask("GET", f"/ring-out/{segment(ring_out_id)}", RateGroup.LIGHT))

    async def cancel_ring_out(self, ring_out_id: str) -> None:
        """Cancel it; effective only before the first party has answered."""
        await self._ask("DELETE", f"/ring-out/{segment(ring_out_id)}", RateGroup.HEAVY)

    async def send_sms(self, from_number: str, to_numbers: Sequence[str], text: str) -> SentMessage:
        """Send a text message of at most :data:`SMS_UNITS`."""
        to = [{"phoneNumber": number} for number in to_numbers]
        body = {"from": {"phoneNumber": from_number}, "to": to, "text": text}
        return _sent(await self._ask("POST", "/sms", RateGroup.MEDIUM, body))

    async def send_page(self, to_extensions: Sequence[str], text: str, *, reply_on: int | None = None) -> SentMessage:
        """Send an internal page of at most :data:`PAGE_UNITS`; ``reply_on``: the id of the page it answers, whose
        participants get it."""
        body: dict[str, Any] = {"text": text}
        if to_extensions:
            body["to"] = [{"extensionNumber": number} for number in to_extensions]
        if reply_on is not None:
            body["replyOn"] = reply_on
        return _sent(await self._ask("POST", "/company-pager", RateGroup.MEDIUM, body))

    async def _ask(self, method: str, path: str, group: RateGroup, body: Any = None) -> Answer:
        return await self._client.request(method, self._own + path, group=group, json=body, background=False)


def _ring_out(answer: Answer) -> RingOut:
    wire = read_answer(_decode, answer.body)
    status = wire.status or WireRingOutStatus()
    return RingOut(text_id(wire.id) or "", status.call_status, status.caller_status, status.callee_status)


def _sent(answer: Answer) -> SentMessage:
    wire = read_answer(_decode, answer.body)
    to = tuple(
        Recipient(
            text_id(one.phone_number) or text_id(one.extension_number) or text_id(one.extension_id) or "",
            one.name,
            one.message_status,
        )
        for one in wire.to or ()
    )
    return SentMessage(
        text_id(wire.id) or "", wire.message_status, text_id(wire.conversation_id), wire.creation_time, to
    )


def _decode(body: bytes) -> WireAction:
    wire = decode(_ACTION, body)
    if text_id(wire.id) is None:
        raise WireError(WireReason.MISSING_FIELD, "no id", body)
    return wire
