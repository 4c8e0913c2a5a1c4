"""The wiring: one way in for all facts, one task group, start and stop.

``Daemon`` runs in process, so tests run the whole of it. What must stay true: nothing is announced before its commit;
a task that dies ends the daemon.
"""

from ringledger.service.daemon import Daemon

__all__ = ["Daemon"]
