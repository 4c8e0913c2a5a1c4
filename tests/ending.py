"""What a test has started ends with it, whatever has failed."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager


@contextmanager
def ended(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    """Kill the process if it still runs: ``Popen`` as a context would wait for it for ever."""
    try:
        yield
    finally:
        process.kill()
        process.wait()


@asynccontextmanager
async def ended_here(process: asyncio.subprocess.Process) -> AsyncIterator[asyncio.subprocess.Process]:
    """The same of a process of the loop's."""
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
