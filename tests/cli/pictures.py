"""The pictures of `top` in docs/, made by the program: `make pictures`.

An invented office at half past two, eight extensions, five open calls.
"""

import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)  # not this folder: `platform` below it is no library

import time_machine  # noqa: E402

from ringledger.cli import main  # noqa: E402
from ringledger.domain.coverage import CoverageSpan, CoverageState  # noqa: E402
from tests import office, standing  # noqa: E402

NOON = datetime(2026, 3, 4, 14, 32, 7, tzinfo=UTC)


def fill(path: Path, now: int, calls: int = 240) -> str:
    """A day until ``now`` (ms)."""
    url = office.prepared(path)
    midnight = datetime.fromtimestamp(now / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    today = [row for row in office.days(7, midnight, 1, calls) if row["ended_at"] < office.to_text(now)]
    office.insert(path, "call", today)
    second = 1000
    statuses = ["CallConnected", "NoCall", "OnHold", "CallConnected", "NoCall", "NoCall", "Ringing", "CallConnected"]
    sinces = [412, 3_600, 35, 1_921, 700, 9_000, 6, 75]
    known = enumerate(zip(statuses, sinces, strict=True))
    rows = [office.extension(n, status, now - since * second) for n, (status, since) in known]
    office.insert(path, "extension", rows)
    office.insert(path, "live_call", [
        office.open_call(3, "CallConnected", now - 1_933 * second, now - 1_921 * second, from_name="Northwind"),
        office.open_call(0, "CallConnected", now - 431 * second, now - 412 * second),
        office.open_call(2, "OnHold", now - 240 * second, now - 222 * second, from_number=None),
        office.open_call(7, "CallConnected", now - 79 * second, now - 75 * second, direction="Outbound",
                         from_number="+16505551081", to_number="+13125550188", to_name="Lakeside Dental"),
        office.open_call(6, "Ringing", now - 6 * second, None),
    ])  # fmt: skip
    hole = now - 23_527_000
    office.cover(url, [
        CoverageSpan(office.ACCOUNT, hole - 86_400_000, hole, CoverageState.LIVE),
        CoverageSpan(office.ACCOUNT, hole, hole + 42_000, CoverageState.HEALED, "network, healed by replay", 1),
        CoverageSpan(office.ACCOUNT, hole + 42_000, now - 4_000, CoverageState.LIVE),
    ], now)  # fmt: skip
    return url


def draw(directory: Path) -> None:
    """Write them, the same ones each time."""
    os.environ["RINGLEDGER_CONFIG"] = os.devnull
    with tempfile.TemporaryDirectory() as folder, time_machine.travel(NOON, tick=False):
        path = Path(folder) / "ringledger.db"
        url = fill(path, office.ms_of(NOON))
        os.utime(path, (NOON.timestamp(), NOON.timestamp()))
        os.environ["RINGLEDGER_DATABASE__URL"] = url
        with standing.says(path, lambda: standing.answer(office.ms_of(NOON))):
            for size in ("80x24", "160x50"):
                main(["top", "--size", size, "--svg", str(directory / f"top-{size}.svg")])


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
