"""Who may be connected: a bound in all and for each peer, so that nobody takes the descriptors the feed needs.

A peer is a user at the control socket, an address at ``http.listen`` and ``serve.listen``. What must stay true: a
newcomer is let in at the expense of whoever has waited longest without asking anything, the same peer's first, so that
a flood shuts out itself; however many are turned away, the log has one line when it begins and one with their number
when it is over.
"""

import asyncio
from collections.abc import Callable, Hashable
from typing import Final

from ringledger.observability.logging import LOG, Event

#: Connections to one socket in all, and of one peer.
MOST: Final = 64
MOST_EACH: Final = 16
#: Turning away is over when nobody was for so long, seconds.
QUIET_SECONDS: Final = 60.0


class Visit:
    """One connection that was let in. ``drop`` ends it; ``idle``: it waits without having asked anything."""

    def __init__(self, peer: Hashable, drop: Callable[[], None]) -> None:
        self.peer = peer
        self.drop = drop
        self.idle = True


class Admission:
    """The connections of one listening socket; ``where`` is what the log calls it."""

    def __init__(self, where: str, *, most: int = MOST, most_each: int = MOST_EACH) -> None:
        self._where = where
        self._most = most
        self._most_each = most_each
        #: The oldest first.
        self._visits: dict[Visit, None] = {}
        self._turned_away = 0
        self._quiet: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._visits)

    def enter(self, peer: Hashable, drop: Callable[[], None], *, most_each: int | None = None) -> Visit | None:
        """Let a connection in, perhaps in another's place; ``None``: there is no room for it.

        ``most_each``: how many this peer may have, if not as many as others.
        """
        same = [one for one in self._visits if one.peer == peer]
        if len(same) >= (most_each or self._most_each) and not self._drop_one(same):
            return None
        if len(self._visits) >= self._most and not self._drop_one(self._of_the_idlest()):
            return None
        visit = Visit(peer, drop)
        self._visits[visit] = None
        return visit

    def leave(self, visit: Visit) -> None:
        """A connection is over; to be told twice is harmless."""
        self._visits.pop(visit, None)

    def _drop_one(self, among: list[Visit]) -> bool:
        """Drop the one that has been idle longest, if there is one; either way somebody is turned away."""
        self._tell()
        found = next((one for one in among if one.idle), None)
        if found is None:
            return False
        self.leave(found)
        found.drop()
        return True

    def _of_the_idlest(self) -> list[Visit]:
        by_peer: dict[Hashable, list[Visit]] = {}
        for one in self._visits:
            if not one.idle:
                continue
            by_peer.setdefault(one.peer, []).append(one)
        return max(by_peer.values(), key=len, default=[])

    def _tell(self) -> None:
        if not self._turned_away:
            LOG.warning(Event.CONNECTIONS_REFUSED, where=self._where, most=self._most, most_each=self._most_each)
        self._turned_away += 1
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(QUIET_SECONDS, self._over)

    def _over(self) -> None:
        LOG.warning(Event.CONNECTIONS_ACCEPTED, where=self._where, refused=self._turned_away)
        self._turned_away, self._quiet = 0, None

    def close(self) -> None:
        """Nobody comes any more."""
        if self._quiet is not None:
            self._quiet.cancel()
            self._over()


class AdmittedProtocol(asyncio.Protocol):
    """A protocol whose connections pass an admission; one that lasts too long is closed."""

    def __init__(self, inner: asyncio.Protocol, admission: Admission, longest: float) -> None:
        self._inner = inner
        self._admission = admission
        self._longest = longest
        self._visit: Visit | None = None
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in by its address, or end it at once."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - for the type checker
        peer = transport.get_extra_info("peername")
        self._visit = self._admission.enter(peer[0] if isinstance(peer, tuple) else peer, transport.abort)
        if self._visit is None:
            transport.abort()
            return
        self._end = asyncio.get_running_loop().call_later(self._longest, transport.close)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over."""
        if self._end is not None:
            self._end.cancel()
        if self._visit is not None:
            self._admission.leave(self._visit)
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass on what came."""
        if self._visit is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        """Pass it on."""
        return self._inner.eof_received() if self._visit is not None else None

    def pause_writing(self) -> None:
        """Pass it on."""
        if self._visit is not None:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on."""
        if self._visit is not None:
            self._inner.resume_writing()
