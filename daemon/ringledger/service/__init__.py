"""The wiring: one way in for all facts, one task group, start and stop.

``Daemon`` runs in process, so tests run the whole of it. What must stay true: nothing is announced before its commit;
a task that dies ends the daemon. The daemon is loaded when it is asked for: commands that only ask one need none of it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ringledger.service.daemon import Daemon

__all__ = ["Daemon"]


def __getattr__(name: str) -> Any:
    if name != "Daemon":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from ringledger.service.daemon import Daemon  # noqa: PLC0415 - see above

    return Daemon
