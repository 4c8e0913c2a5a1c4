"""Invented payloads in the platform's own shape, with the exact fields tests change."""

import copy
from typing import Any

ACCOUNT = "1001"
REGION = "US"

_EVENT: dict[str, Any] = {
    "uuid": "7001",
    "event": "/restapi/v1.0/account/1001/extension/2002/presence?detailedTelephonyState=true",
    "timestamp": "2026-01-05T10:00:00.120Z",
    "subscriptionId": "sub-aaaa-0001",
    "ownerId": "9999",
    "body": {
        "extensionId": "2002",
        "telephonyStatus": "Ringing",
        "sequence": 501,
        "totalActiveCalls": 1,
        "presenceStatus": "Busy",
        "userStatus": "Available",
        "meetingStatus": "Disconnected",
        "dndStatus": "TakeAllCalls",
        "allowSeeMyPresence": True,
        "activeCalls": [
            {
                "id": "leg-0001",
                "direction": "Inbound",
                "queueCall": False,
                "from": "+15550100001",
                "fromName": "A Caller",
                "to": "+15550100002",
                "toName": "B Agent",
                "startTime": "2026-01-05T10:00:00.000Z",
                "telephonyStatus": "Ringing",
                "sessionId": "900000001021",
                "telephonySessionId": "s-00000000000000000000000000000001",
                "partyId": "p-00000000000000000000000000000001-2",
            }
        ],
    },
}

_RECORD: dict[str, Any] = {
    "id": "REC-1",
    "uri": "https://sim.example/restapi/v1.0/account/1001/extension/2002/call-log/REC-1?view=Simple",
    "sessionId": "900000001021",
    "telephonySessionId": "s-00000000000000000000000000000001",
    "startTime": "2026-01-05T10:00:00.000Z",
    "duration": 25,
    "durationMs": 24800,
    "type": "Voice",
    "direction": "Inbound",
    "action": "Phone Call",
    "result": "Accepted",
    "internalType": "Local",
    "from": {"phoneNumber": "+15550100001", "name": "A Caller", "location": "Nowhere, CA"},
    "to": {"phoneNumber": "+15550100002", "name": "B Agent", "extensionId": "2002"},
    "extension": {"id": 2002},
}

#: A notification of 2015: number for an id, ``+0000``, a leg without id, no start, no names.
EVENT_2015: dict[str, Any] = {
    "body": {
        "telephonyStatus": "Ringing",
        "extensionId": 255537016,
        "activeCalls": [
            {
                "direction": "Outbound",
                "from": "16509540334",
                "telephonyStatus": "Ringing",
                "to": "16502008440",
                "sessionId": "915021981016",
            }
        ],
        "sequence": 46061598,
    },
    "timestamp": "2015-04-17T19:38:59.718+0000",
    "uuid": "305b8075-5dad-4686-b22a-d26744802566",
    "event": "/restapi/v1.0/account/~/extension/255537016/presence?detailedTelephonyState=true",
}


def event(**body: Any) -> dict[str, Any]:
    """A notification of today with ``body`` fields replaced."""
    made = copy.deepcopy(_EVENT)
    made["body"].update(body)
    return made


def item(**fields: Any) -> dict[str, Any]:
    """One active call with ``fields`` replaced."""
    made: dict[str, Any] = {**_EVENT["body"]["activeCalls"][0], **fields}
    return made


def record(**fields: Any) -> dict[str, Any]:
    """One call-log record with ``fields`` replaced."""
    return {**copy.deepcopy(_RECORD), **fields}
