"""Text messages and internal pages: accepted, checked, kept for a test to look at, delivered to nobody.

What must stay true: lengths are counted in UTF-16 units; a sender needs a number with the feature SmsSender.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from ringledger.simulator.clock import SimClock
from ringledger.simulator.exchange.model import Extension
from ringledger.simulator.push.payloads import Json
from ringledger.simulator.rest.answers import ApiError, api_error, invalid, json_body
from ringledger.simulator.rest.permissions import Permissions
from ringledger.simulator.rest.resources import API, Rest

MAX_SMS_UNITS = 1000
MAX_PAGE_UNITS = 1024
#: Conversation ids are larger than a double can hold.
CONVERSATIONS = 2**53 + 5_740_220_008


@dataclass
class Messages:
    """The resources sms and company-pager. ``senders``: numbers with SmsSender; ``None``: all direct numbers."""

    clock: SimClock
    rest: Rest
    permissions: Permissions
    senders: set[str] | None = None
    disabled: set[str] = field(default_factory=set)  # ids of extensions that take no pages
    sent: list[Json] = field(default_factory=list)

    def add_routes(self, router: web.UrlDispatcher) -> None:
        path = API + "/account/{account}/extension/{extension}"
        router.add_post(path + "/sms", self.sms)
        router.add_post(path + "/company-pager", self.pager)

    async def sms(self, request: web.Request) -> web.Response:
        """POST .../sms."""
        extension = self.rest.find_extension(request)
        self.permissions.require("SMS", "OutboundSMS")
        body = await json_body(request)
        sender = _phone(body.get("from"), "from")
        targets = [_phone(party, "to") for party in _list(body, "to")]
        text = _text(body, MAX_SMS_UNITS)
        if sender.lstrip("+") not in self._senders(extension):
            raise api_error(403, "MSG-304", "Phone number doesn't belong to extension")
        to = [{"phoneNumber": number, "messageStatus": "Queued"} for number in targets]
        message = self._message(extension, "SMS", text) | {"from": {"phoneNumber": sender}, "to": to}
        return self._keep(message | {"smsSendingAttemptsCount": 1})

    async def pager(self, request: web.Request) -> web.Response:
        """POST .../company-pager."""
        extension = self.rest.find_extension(request)
        self.permissions.require("InternalMessages", "InternalSMS")
        body = await json_body(request)
        text = _text(body, MAX_PAGE_UNITS)
        if "from" in body and self._named(body["from"], "from") is not extension:
            raise api_error(400, "MSG-331", "Sender is not the extension of the authorisation")
        targets = [self._named(party, "to") for party in self._recipients(body)]
        if any(target.id in self.disabled for target in targets):
            raise api_error(400, "MSG-324", "A recipient is disabled")
        message = self._message(extension, "Pager", text)
        message |= {"from": _party(extension), "to": [_party(t) | {"messageStatus": "Sent"} for t in targets]}
        return self._keep(message | {"messageStatus": "Sent", "pgToDepartment": False})

    # -- pieces -------------------------------------------------------------------------------------------------

    def _keep(self, message: Json) -> web.Response:
        self.sent.append(message)
        return web.json_response(message)

    def _senders(self, extension: Extension) -> set[str]:
        numbers = {extension.direct_number} if self.senders is None else self.senders
        return {number.lstrip("+") for number in numbers}

    def _recipients(self, body: Json) -> Iterable[Any]:
        """``to``, or whoever took part in the page that is answered."""
        if "replyOn" not in body:
            return _list(body, "to")
        before = next((m for m in self.sent if m["type"] == "Pager" and m["id"] == body["replyOn"]), None)
        if before is None:
            raise _unknown("replyOn")
        return [before["from"], *before["to"]]

    def _named(self, party: Any, side: str) -> Extension:
        """The extension a party names; CMN-102 naming the parameter when there is none."""
        if not isinstance(party, dict):
            raise invalid(side)
        wanted = str(party.get("extensionId", "")), str(party.get("extensionNumber", ""))
        known = self.rest.pbx.extensions.values()
        found = next((e for e in known if e.id == wanted[0] or (not wanted[0] and e.number == wanted[1])), None)
        if found is None:
            raise _unknown(side)
        return found

    def _message(self, extension: Extension, kind: str, text: str) -> Json:
        number = len(self.sent) + 1
        now, conversation = self.clock.now_iso(), CONVERSATIONS + number
        uri = f"{self.rest.uri_of(extension)}/message-store/{7_000_000 + number}"
        return {
            "id": 7_000_000 + number,
            "uri": uri,
            "type": kind,
            "creationTime": now,
            "lastModifiedTime": now,
            "readStatus": "Read",
            "priority": "Normal",
            "attachments": [
                {"id": 7_000_000 + number, "uri": uri + "/content/1", "type": "Text", "contentType": "text/plain"}
            ],
            "direction": "Outbound",
            "availability": "Alive",
            "subject": text,
            "messageStatus": "Queued",
            "conversationId": conversation,
            "conversation": {"id": str(conversation), "uri": f"{self.rest.base_url}/conversations/{conversation}"},
        }


def _party(extension: Extension) -> Json:
    return {"extensionNumber": extension.number, "extensionId": extension.id, "name": extension.name}


def _phone(party: Any, side: str) -> str:
    number = party.get("phoneNumber") if isinstance(party, dict) else None
    if not isinstance(number, str) or not number.lstrip("+").isdecimal():
        raise invalid(f"{side}.phoneNumber")
    return number


def _list(body: Json, name: str) -> list[Any]:
    value = body.get(name)
    if not isinstance(value, list) or not value:
        raise invalid(name)
    return value


def _text(body: Json, units: int) -> str:
    text = body.get("text")
    if not isinstance(text, str) or not text or len(text.encode("utf-16-le", "surrogatepass")) // 2 > units:
        raise invalid("text")
    return text


def _unknown(parameter: str) -> ApiError:
    message = f"Resource for parameter [{parameter}] is not found"
    entry = {"errorCode": "CMN-102", "message": message, "parameterName": parameter}
    return ApiError(400, {"errorCode": "CMN-102", "message": message, "parameterName": parameter, "errors": [entry]})
