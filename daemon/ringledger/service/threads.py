"""Threads for what may hang and cannot be cancelled: name look-ups above all.

A resolver that never answers holds its caller for half a minute and longer, whatever the deadline. What must stay
true: the end of the process waits for no such thread, and their number is bounded.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

#: So many at once; what comes then waits for one of them. The unit allows the process 64 threads.
MOST: Final = 24


class Abandonable(ThreadPoolExecutor):
    """An executor for ``loop.set_default_executor`` (which wants this type) whose threads end with the process."""

    def __init__(self, most: int = MOST) -> None:
        super().__init__(1)  # it never starts a thread of its own
        self._guard = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._free = most

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Do it on a thread of its own, as soon as there may be one more."""
        future: Future[T] = Future()

        def work() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the result gets it
                future.set_exception(error)

        with self._guard:
            self._waiting.append(work)
            if not self._free:
                return future
            self._free -= 1
        threading.Thread(target=self._work, name="abandonable", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> Any:  # noqa: FBT001, FBT002
        """Return at once: no thread is waited for."""

    def _work(self) -> None:
        while True:
            with self._guard:
                if not self._waiting:
                    self._free += 1
                    return
                work = self._waiting.popleft()
            work()
