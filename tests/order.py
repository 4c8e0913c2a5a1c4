"""The order in which several workers run the suite: what takes long and mostly waits begins first, not all in one
place.

xdist's `worksteal` gives each worker an equal stretch of what was collected, and whoever has nothing left takes from
the end of another's. A test that begins last keeps everybody waiting for its whole length, so the longest modules lie
at the beginnings of those stretches.

What must stay true: tests of a module stay in their own order, those of a long one together; each worker finds the same
order.
"""

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

T = TypeVar("T")

#: The modules that take longest, beside each other in turn; below ``tests``.
LONGEST: Final = (
    "web/test_trouble.py", "service/test_webhooks_daemon.py", "web/test_browser.py", "web/test_hostile_database.py",
    "ledger/schema/test_migrate.py", "cli/platform/test_ringout.py", "cli/ledger/test_replay.py",
    "crash/test_poison.py", "cli/simulate/test_demo.py", "cli/test_hostile_database.py",
)  # fmt: skip


def spread(items: Iterable[T], workers: int, module_of: Callable[[T], str]) -> list[T]:
    """The items in the order in which so many workers are to have them."""
    long: dict[str, list[T]] = {name: [] for name in LONGEST}
    others = []
    for item in items:
        long.get(module_of(item), others).append(item)
    heads: list[list[T]] = [[] for _ in range(workers)]
    for number, found in enumerate(found for found in long.values() if found):
        heads[number % workers] += found
    left = sum(map(len, heads)) + len(others)
    ordered: list[T] = []
    for number, head in enumerate(heads):
        stretch = left // (workers - number)
        left -= stretch
        filling = max(0, stretch - len(head))
        ordered += [*head, *others[:filling]]
        del others[:filling]
    return ordered + others
