"""Subscriptions that earlier runs of ours have left behind: one user and app may have thirty (platform page 2.2).

What must stay true: nothing is deleted before the platform has refused a new subscription, and only what is like our
own: the same transport, and no filter of another kind than ours. Another program's webhooks or telephony filters stay.
"""

import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from ringledger.ringcentral.api.client import PlatformClient
from ringledger.ringcentral.errors import NotFound, PermissionDenied
from ringledger.ringcentral.subscriptions.subscription import Subscription

#: The platform has as many subscriptions of this user and app as it allows.
LIMIT_REACHED: Final = "SUB-505"
_WHOSE: Final = re.compile(r"/(account|extension)/[^/]+")


async def making_room(
    client: PlatformClient,
    create: Callable[[], Awaitable[Subscription]],
    *,
    transport: str,
    filters: Iterable[str],
    using: str,
    told: Callable[[str], None],
) -> Subscription:
    """What ``create`` returns. At the limit our leftovers are deleted, but not the one in use (``using``: its id),
    ``told`` hears of it, and ``create`` has a second try. Raises ``PlatformError``.
    """
    try:
        return await create()
    except PermissionDenied as error:
        if error.code != LIMIT_REACHED:
            raise
        deleted = await _delete_leftovers(client, transport, {_kind(one) for one in filters}, using)
        if not deleted:
            raise
    told(f"{LIMIT_REACHED} limit reached, {deleted} of our own left over from earlier runs deleted")
    return await create()


async def _delete_leftovers(client: PlatformClient, transport: str, kinds: set[str], using: str) -> int:
    """How many were deleted."""
    deleted = 0
    for one in await client.subscriptions():
        ours = one.transport == transport and one.filters and {_kind(text) for text in one.filters} <= kinds
        if not ours or one.id == using:
            continue
        try:
            await client.delete_subscription(one.id)
        except NotFound:
            continue  # it has expired meanwhile
        deleted += 1
    return deleted


def _kind(text: str) -> str:
    """A filter without whom it is about: the platform writes ids where we wrote ``~``."""
    return _WHOSE.sub(r"/\1/*", text)
