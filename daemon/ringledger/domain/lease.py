"""Which process works for which account: leases, and when their holder may act, wait, take and give.

What must stay true: a lease is measured by the database's clock alone; its holder counts from before its request went
out, by a clock of its own, and stops telling others (webhooks) before the lease can have ended, while it goes on
writing until another has taken the lease; a fencing number (``term``) grows with every change of hands and is never
given twice to one holder. Whether a commit is the holder's is decided by the database, in the commit's own transaction,
so nothing here is needed for safety: what is here keeps two processes from doing the same work, and shares the work
out. No clock and no I/O: times are given, in seconds of any monotonic clock.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

#: A lease is renewed when this part of it has passed, and its holder acts for this part of it.
RENEW: Final = 1 / 3
ACT: Final = 0.8
#: A lease that has lapsed is left to its holder for so long, seconds: after an outage of the database all come at once.
GRACE: Final = 1.5
#: An account that no process took is not given away again for so many times a lease.
KEEP: Final = 30
#: So many are given to others at a time.
GIVE_AT_ONCE: Final = 4


class Fence(NamedTuple):
    """What proves that an account is ours. ``name``: the account's in the configuration; ``term``: grows each time."""

    name: str
    term: int


class LeaseRow(NamedTuple):
    """A lease as the database tells of it. ``holder``: a process's token, empty when the lease is free; ``left``:
    seconds until it ends, by the database's clock; ``process``: the holder in words."""

    name: str
    account_id: str | None
    holder: str
    process: str
    term: int
    left: float


@dataclass(slots=True)
class _Held:
    fence: Fence
    asked_at: float


class LeaseBook:
    """The leases of one process. ``holder``: its token; ``seconds``: how long a lease runs; ``former``: the token of a
    process that is known to be dead and whose place this is, empty: of none. What that one held is free."""

    def __init__(self, holder: str, seconds: float, former: str = "") -> None:
        self.holder = holder
        self._former = former
        self.seconds = seconds
        #: The accounts this process would work for and does not, each since when it is wanted.
        self.wanted: dict[str, float] = {}
        self._held: dict[str, _Held] = {}
        #: Leases others let lapse, with their term, since when that is known.
        self._lapsed: dict[tuple[str, int], float] = {}
        #: Free leases, since when that is known.
        self._free: dict[str, float] = {}
        #: Accounts that were given away and that no process took, each since when it is kept; and how many processes
        #: there were then.
        self._kept: dict[str, float] = {}
        self._processes = 1

    # -- what is held ----------------------------------------------------------------------------------------------

    @property
    def fences(self) -> list[Fence]:
        """What is held, as far as it is known."""
        return [one.fence for one in self._held.values()]

    def granted(self, fences: Iterable[Fence], asked_at: float) -> None:
        """These leases are ours. ``asked_at``: before the request went out."""
        for fence in fences:
            self.wanted.pop(fence.name, None)
            self._free.pop(fence.name, None)
            self._held[fence.name] = _Held(fence, asked_at)

    def renewed(self, fences: Iterable[Fence], asked_at: float) -> None:
        """These leases run on; one that was given back meanwhile does not come back."""
        for fence in fences:
            held = self._held.get(fence.name)
            if held is not None and held.fence == fence:
                held.asked_at = asked_at

    def dropped(self, name: str) -> None:
        """This lease is ours no longer."""
        self._held.pop(name, None)

    def may_act(self, name: str, now: float) -> bool:
        """Whether this process may tell others what happens in the account: its lease cannot have ended yet."""
        held = self._held.get(name)
        return held is not None and now < held.asked_at + self.seconds * ACT

    def due(self, now: float) -> list[Fence]:
        """The leases to be renewed."""
        return [one.fence for one in self._held.values() if now >= one.asked_at + self.seconds * RENEW]

    def lost(self, rows: Mapping[str, LeaseRow]) -> list[Fence]:
        """The leases of ours that another process has now, or that are free."""
        return [fence for fence in self.fences if not self._is_ours(rows.get(fence.name), fence)]

    def _is_ours(self, row: LeaseRow | None, fence: Fence) -> bool:
        return row is not None and row.holder == self.holder and row.term == fence.term

    # -- what is taken and given -----------------------------------------------------------------------------------

    def to_take(self, rows: Mapping[str, LeaseRow], processes: int, now: float) -> list[str]:
        """The wanted accounts that may be taken now: their lease is free, or has lapsed. ``processes``: how many
        share the work. What is left lying is taken beyond one's share."""
        mine = {fence.name for fence in self.fences}
        free = [name for name in self.wanted if name not in mine and not self._is_held(rows.get(name))]
        self._free = {name: self._free.get(name, now) for name in free}
        lapsed = {(row.name, row.term): row for row in rows.values() if self._is_anothers(row) and row.left <= 0}
        self._lapsed = {key: self._lapsed.get(key, now) for key in lapsed}
        room = self._share(rows, processes) - len(mine)
        taken: list[str] = []
        for name in free:
            row = rows.get(name)
            if row is not None and self._is_anothers(row) and now < self._lapsed[name, row.term] + GRACE:
                continue
            left_lying = now >= self._free[name] + self.seconds
            if len(taken) < room or left_lying:
                taken.append(name)
                if left_lying:
                    self._kept[name] = now
        return taken

    def to_give(self, rows: Mapping[str, LeaseRow], processes: int, now: float) -> list[str]:
        """The accounts to be given to processes that have fewer. An account that no process took is kept for a while,
        or until a process comes or goes: it may be in no other's configuration."""
        if processes != self._processes:
            self._processes = processes
            self._kept.clear()
        self._kept = {name: since for name, since in self._kept.items() if now < since + self.seconds * KEEP}
        mine = [fence.name for fence in self.fences]
        surplus = len(mine) - self._share(rows, processes)
        givable = [name for name in mine if name not in self._kept]
        return givable[-min(surplus, GIVE_AT_ONCE) :] if surplus > 0 else []

    def _share(self, rows: Mapping[str, LeaseRow], processes: int) -> int:
        """How many accounts a process has at most, once all are shared out."""
        names: Collection[str] = {
            *(row.name for row in rows.values() if row.holder), *self.wanted, *(fence.name for fence in self.fences),
        }  # fmt: skip
        return -(-len(names) // max(1, processes))

    def _is_held(self, row: LeaseRow | None) -> bool:
        return row is not None and self._is_anothers(row) and row.left > 0

    def _is_anothers(self, row: LeaseRow) -> bool:
        """Whether another process, which may be alive, has the lease."""
        return row.holder not in {"", self._former}
