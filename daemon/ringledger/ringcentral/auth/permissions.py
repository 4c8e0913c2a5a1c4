"""The permissions an app needs (platform page 2): which are missing, and which are not needed."""

from typing import Final

#: Of an app that reads; the subscription's has had several names.
NEEDED: Final = ("ReadPresence", "ReadCallLog")
WEBSOCKET: Final = "WebSocket"
#: Asked for by commands that act for people, or to show names.
USEFUL: Final = frozenset({"ReadAccounts", "RingOut", "SMS", "InternalMessages", "InternalSMS", "OutboundSMS"})


def judged(scope: str, transport: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Permissions that are missing from a login's scope, and those that are not needed. ``transport``: the feed's."""
    given = scope.split()
    missing = [name for name in NEEDED if name not in given]
    if transport == "websocket" and not any(WEBSOCKET in name for name in given):
        missing.append("WebSocketsSubscription")
    subscribing = [name for name in given if "Subscription" in name]
    excess = [name for name in given if name not in {*NEEDED, *USEFUL, *subscribing}]
    return tuple(missing), tuple(excess)
