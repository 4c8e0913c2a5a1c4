"""The shape of presence on the wire: today's, and the one of 2015 with its quirks.

What must stay true: an event carries all calls of its extension, newest first and cut at seven, while
``totalActiveCalls`` counts them all.
"""

from json import JSONEncoder
from typing import Any

from ringledger.simulator.clock import iso_offset, iso_z
from ringledger.simulator.exchange.model import Extension, SimCall, SimLeg, Style, strongest

Json = dict[str, Any]
MAX_ITEMS = 7
#: An envelope as text.
dumped = JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
DETAILED = "?detailedTelephonyState=true"


def item_of(call: SimCall, leg: SimLeg, style: Style) -> Json:
    """One entry of ``activeCalls`` as the leg stands now."""
    change = leg.timeline[-1]
    item: Json = {
        "direction": leg.direction,
        "from": leg.from_number,
        "to": leg.to_number,
        "telephonyStatus": change.status,
        "sessionId": call.session_id,
    }
    if not (leg.id_known_late and len(leg.timeline) == 1):
        item["id"] = leg.leg_id
    if style == "2015":
        if change.status == "NoCall":
            item["to"] = ""
        return item
    item |= {
        "queueCall": leg.queue_call,
        "fromName": leg.from_name,
        "toName": leg.to_name,
        "startTime": iso_z(leg.started_at),
        "telephonySessionId": call.telephony_session_id,
        "partyId": f"p-{call.telephony_session_id.removeprefix('s-')}-{leg.party}",
    }
    if change.status == "NoCall" and change.termination:
        item["terminationType"] = change.termination
    return item


def body_of(extension: Extension, items: list[Json], sequence: int, style: Style) -> Json:
    """The body of a detailed presence event; ``items`` are all calls of the extension, newest first."""
    status = strongest([str(item["telephonyStatus"]) for item in items])
    shown = items[:MAX_ITEMS]
    if style == "2015":
        number = int(extension.id) if extension.id.isdecimal() else extension.id
        return {"telephonyStatus": status, "extensionId": number, "activeCalls": shown, "sequence": sequence}
    return {
        "extensionId": extension.id,
        "telephonyStatus": status,
        "activeCalls": shown,
        "totalActiveCalls": len(items),
        "sequence": sequence,
        **standing_of(extension, status),
    }


def standing_of(extension: Extension, status: str) -> Json:
    """The part of presence that is not about single calls."""
    return {
        "presenceStatus": "Available" if status == "NoCall" else "Busy",
        "userStatus": extension.user_status,
        "meetingStatus": "Disconnected",
        "dndStatus": extension.dnd_status,
        "allowSeeMyPresence": True,
        "ringOnMonitoredCall": False,
        "pickUpCallsOnHold": False,
    }


def simple_body(body: Json) -> Json:
    """The same event for a subscriber that did not ask for the details."""
    rest = {name: value for name, value in body.items() if name not in ("activeCalls", "totalActiveCalls")}
    return rest | {"aggregatedTelephonyStatus": body.get("telephonyStatus", "NoCall")}


def event_path(account_id: str, extension_id: str, style: Style, *, detailed: bool = True) -> str:
    """The ``event`` field: a filter path with real ids, or with ``~`` for the account as in 2015."""
    account = "~" if style == "2015" else account_id
    return f"/restapi/v1.0/account/{account}/extension/{extension_id}/presence{DETAILED if detailed else ''}"


def envelope_of(account_id: str, extension_id: str, body: Json, *, at: int, uuid: str, style: Style) -> Json:
    """A notification as it stands before a subscription puts its own ids in."""
    return {
        "uuid": uuid,
        "event": event_path(account_id, extension_id, style),
        "timestamp": iso_offset(at) if style == "2015" else iso_z(at),
        "body": body,
    }
