"""A subscription made to see whether the platform grants it, and deleted at once.

What must stay true: nothing of it stays; no other subscription is touched, not even at the platform's limit.
"""

from collections.abc import Sequence
from contextlib import suppress

from ringledger.ringcentral.api.client import PlatformClient, read_answer
from ringledger.ringcentral.api.query import segment
from ringledger.ringcentral.errors import PlatformError, PlatformUnavailable
from ringledger.ringcentral.subscriptions.subscription import Subscription, decode_subscription
from ringledger.ringcentral.websocket.connection import ConnectionEnded, Vigilance, open_connection
from ringledger.ringcentral.websocket.feed import SUBSCRIPTION_PATH


async def tried(client: PlatformClient, filters: Sequence[str], transport: str) -> Subscription:
    """The subscription that was granted; it is gone already. ``transport``: as in the settings. Raises
    ``PlatformError``.
    """
    if transport == "websocket":
        return await _over_websocket(client, filters)
    made = await client.create_subscription(list(filters))
    with suppress(PlatformError):  # then it ends by itself, in minutes
        await client.delete_subscription(made.id)
    return made


async def _over_websocket(client: PlatformClient, filters: Sequence[str]) -> Subscription:
    body = {"eventFilters": list(filters), "deliveryMode": {"transportType": "WebSocket"}}
    try:
        connection = await open_connection(client, None, Vigilance(), lambda: None)
        try:
            made = read_answer(decode_subscription, await connection.request("POST", SUBSCRIPTION_PATH, body))
            with suppress(PlatformError):
                await connection.request("DELETE", f"{SUBSCRIPTION_PATH}/{segment(made.id)}")
            return made
        finally:
            await connection.close()
    except ConnectionEnded as ended:
        raise PlatformUnavailable(f"the WebSocket: {ended}") from None
