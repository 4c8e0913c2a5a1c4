"""The pictures of the page in docs/, taken with a real browser: `make pictures`."""

import asyncio
import sys
import tempfile
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from ringledger.simulator import load_story
from tests.rig import office
from tests.web.browser import browsing
from tests.web.served import books, serving

ROOT = Path(__file__).parents[2]
STORIES = ROOT / "tests" / "scenarios"


async def _play(folder: Path) -> None:
    """A call that is held, as the daemon records it."""
    async with office(folder, "pubnub", speed=20) as rig:
        story = load_story((STORIES / "hold_and_resume.story").read_text())
        await rig.sim.play_story(story.shifted(rig.sim.clock.now_ms() - story.deliveries[0].at))
        await rig.until(rig.calls, "the call")


def draw(directory: Path) -> None:
    """Take them."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        zone, name = _where_it_is_afternoon()
        books(folder / "office.db", days=30, per_day=120, now=datetime.now(zone), by_calendar=True)
        (folder / "story").mkdir()
        asyncio.run(_play(folder / "story"))
        with browsing(1280, 800, timezone_id=name) as page:
            with serving(folder / "office.db", f'[report]\ntimezone = "{name}"\n') as served:
                for view in ("board", "charts"):
                    page.goto(served.address + ("/" if view == "board" else f"/{view}"))
                    _leave_out_that_no_daemon_runs(page)
                    page.screenshot(path=directory / f"{view}.png")
            with serving(folder / "story" / "r.db") as served:
                session = served.items("/api/v1/calls")[0]["session_id"]
                page.goto(f"{served.address}/calls/{session}")
                _leave_out_that_no_daemon_runs(page)
                page.screenshot(path=directory / "call.png")


def _where_it_is_afternoon() -> tuple[timezone, str]:
    """A zone of whole hours in which it is between three and four now: an office in the middle of its day."""
    ahead = (15 - datetime.now(UTC).hour + 12) % 24 - 12
    return timezone(timedelta(hours=ahead)), f"Etc/GMT{-ahead:+d}"


def _leave_out_that_no_daemon_runs(page: Any) -> None:
    page.evaluate("document.querySelectorAll('[data-notice], .pill').forEach((one) => one.remove())")


if __name__ == "__main__":
    draw(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
