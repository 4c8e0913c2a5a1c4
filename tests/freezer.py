"""Tasks that can be made to hang: a frozen one takes no step more until it thaws, whatever it waited for.

Nothing of the code under test is touched: the event loop's task factory drives each task's coroutine through a gate. A
task freezes where it rests (in ``asyncio.sleep`` or an event's ``wait``), so that it takes no lock along.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from contextvars import ContextVar
from typing import Any

#: Set where the tasks that are looked at are started: what they start in turn is theirs as well.
WATCHED: ContextVar[bool] = ContextVar("watched", default=False)


class _Gate:
    """Drives one coroutine."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        self._coroutine = coroutine
        self.shut: asyncio.Future[None] | None = None

    @property
    def resting(self) -> bool:
        """Whether it waits for nothing but time or a sign."""
        innermost: Any = self._coroutine
        while isinstance(below := getattr(innermost, "cr_await", None), types.CoroutineType):
            innermost = below
        return innermost.cr_code.co_name in {"sleep", "wait"} and "asyncio" in innermost.cr_code.co_filename

    @types.coroutine
    def _steps(self) -> Generator[Any, Any, Any]:
        step, given = self._coroutine.send, None
        while True:
            try:
                waiting = step(given)
            except StopIteration as done:
                return done.value
            try:
                step, given = self._coroutine.send, (yield waiting)
            except BaseException as error:
                step, given = self._coroutine.throw, error
            while self.shut is not None and self.resting:
                try:
                    yield from asyncio.shield(self.shut)
                except asyncio.CancelledError as error:  # of a timeout, say: heard of when it goes on
                    step, given = self._coroutine.throw, error

    async def run(self) -> Any:
        return await self._steps()


class Freezer:
    """The tasks of the running loop that were made under :data:`WATCHED`."""

    def __init__(self) -> None:
        self._gates: dict[asyncio.Task[Any], _Gate] = {}
        asyncio.get_running_loop().set_task_factory(self._make)

    def _make(self, loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        if not WATCHED.get():
            return asyncio.Task(coroutine, loop=loop, **options)
        gate = _Gate(coroutine)
        task = asyncio.Task(gate.run(), loop=loop, **options)
        self._gates[task] = gate
        return task

    @property
    def names(self) -> set[str]:
        """Of the tasks that live."""
        return {task.get_name() for task in self._gates if not task.done()}

    def freeze(self, name: str) -> None:
        """Let the task hang where it rests, or rests next."""
        self._of(name).shut = asyncio.get_running_loop().create_future()

    def thaw(self, name: str) -> None:
        """Let it go on."""
        gate = self._of(name)
        assert gate.shut is not None
        gate.shut.set_result(None)
        gate.shut = None

    def thaw_all(self) -> None:
        """At the end: nobody has to be waited for."""
        for gate in self._gates.values():
            if gate.shut is not None:
                gate.shut.set_result(None)
                gate.shut = None

    def _of(self, name: str) -> _Gate:
        found = [gate for task, gate in self._gates.items() if task.get_name() == name and not task.done()]
        assert len(found) == 1, f"{len(found)} tasks are called {name}: {sorted(self.names)}"
        return found[0]
