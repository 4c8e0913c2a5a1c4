"""What a process has used, as the system tells it."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Usage:
    """Processor seconds so far, the most memory so far and the memory now (MiB; ``shared_out``: what is shared with
    others counts in part), threads and open files, and when this was so, monotonic seconds."""

    seconds: float
    peak: float
    resident: float
    shared_out: float
    threads: int
    files: int
    at: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """As it is now."""
        process = Path(f"/proc/{pid}")
        times = (process / "stat").read_text().rpartition(")")[2].split()
        status = _table(process / "status")
        return cls(
            seconds=(int(times[11]) + int(times[12])) / TICKS,
            peak=_mib(status["VmHWM"]),
            resident=_mib(status["VmRSS"]),
            shared_out=_mib(_table(process / "smaps_rollup")["Pss"]),
            threads=int(status["Threads"]),
            files=len(os.listdir(process / "fd")),  # noqa: PTH208 - they are no files of ours
            at=time.monotonic(),
        )

    def busy(self, since: Self) -> float:
        """How much of a processor it has used since then."""
        return (self.seconds - since.seconds) / (self.at - since.at)


def _table(path: Path) -> dict[str, str]:
    return dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)


def _mib(text: str) -> float:
    return int(text.split(maxsplit=1)[0]) / 1024
