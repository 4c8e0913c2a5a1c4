"""The page in a real browser: it follows an office, obeys the keyboard, fits screens, and axe finds nothing serious."""

import asyncio
import re
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from zoneinfo import ZoneInfo

import pytest

from ringledger.simulator import Office, load_story
from tests import office
from tests.rig import STORIES
from tests.rig import office as running_office
from tests.web.browser import browsing, needs_browser
from tests.web.served import books, serving

pytestmark = [needs_browser, pytest.mark.timeout(120)]
#: What axe looks at: where the layout is another one at everything, in the dark at what colours change.
RULES = {
    (360, "dark"): None,
    (1280, "dark"): ["color-contrast"],
    (2560, "light"): None,  # the layout of wide screens differs in nothing axe looks at
    (2560, "dark"): None,
}
#: The further rows of a table are like its first ones.
ALIKE = {"exclude": [["tbody tr:nth-child(n+4)"]]}
VIEWS = ["/", "/calls?direction=in", "/charts", "/coverage", "/sign-in", "/calls/9900000002", "/calls?since=9999"]


@pytest.fixture(scope="module")
def page():
    with browsing(timezone_id="Australia/Adelaide") as one:
        yield one


@pytest.mark.parametrize(
    ("width", "height"),
    [(360, 740), *(pytest.param(*size, marks=pytest.mark.slow) for size in ((1280, 800), (2560, 1440)))],
)
def test_each_view_fits_the_screen_and_axe_finds_nothing_serious(served, page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    for view in VIEWS:
        page.goto(served.address + view)
        for scheme in ("light", "dark"):  # a page that is open follows the viewer's scheme as a new one does
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (view, width)
            if (rules := RULES.get((width, scheme), [])) is not None:
                assert serious(page, rules) == [], (view, scheme)


def serious(page, rules=()):
    """What axe calls serious or critical by some rules, or all, and where."""
    from axe_playwright_python.sync_playwright import Axe

    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = Axe().run(page, context=ALIKE, options=options).response["violations"]
    bad = [one for one in found if one["impact"] in {"serious", "critical"}]
    return [(one["id"], [node["html"][:200] for node in one["nodes"]][:3]) for one in bad]


def test_times_are_in_the_viewers_zone_and_it_is_named(served, page):
    page.goto(f"{served.address}/calls")
    assert "Australia/Adelaide" in page.locator("footer").inner_text()
    shown = page.locator("time").first
    moment = datetime.fromisoformat(shown.get_attribute("datetime"))
    local = moment.astimezone(ZoneInfo("Australia/Adelaide"))
    assert shown.inner_text() == local.strftime("%Y-%m-%d %H:%M:%S")


def test_the_keyboard_alone_searches_and_opens_a_call(served, page):
    page.set_viewport_size({"width": 1280, "height": 800})
    page.goto(f"{served.address}/calls")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"

    def tab_to(condition):
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(f"(() => {{ const it = document.activeElement; return {condition}; }})()"):
                return
        raise AssertionError(condition)

    tab_to("it.name === 'extension'")
    page.keyboard.type("103")
    page.keyboard.press("Enter")
    page.wait_for_url("**/calls?extension=103")
    tab_to("it.matches('table a')")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    page.wait_for_url("**/calls/*")
    assert page.locator("svg.timeline").count() == 1


def test_charts_and_coverage_are_drawn(served, page):
    page.goto(f"{served.address}/charts?since=7d")
    assert page.locator("svg.plot").count() == 4
    assert page.locator("table.heat td").count() == 7 * 24
    assert page.locator("svg.plot").first.locator("rect.answered").count() >= 1
    page.goto(f"{served.address}/coverage")
    assert page.locator(".strip").count() in {7, 8}
    assert page.locator(".strip rect.healed").count() >= 1


def test_a_name_that_is_a_script_stays_text(tmp_path, page):
    database = elsewhere(books, tmp_path / "r.db", days=1)
    evil = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
    now = office.ms_of(datetime.now(UTC))
    with serving(database) as served:
        page.goto(served.address)
        page.wait_for_timeout(1500)  # the stream of events has begun
        office.insert(database, "live_call", [office.open_call(7, "Ringing", now, None, from_name=evil)])
        page.wait_for_selector("[data-open] tbody tr:nth-child(4)")
        assert page.locator("[data-open] tbody tr").last.inner_text().count("<script>") == 1
        assert "taken" not in page.title()


def elsewhere(work, *arguments, **options):
    """The result of ``work`` in a thread of its own: the browser has the main thread's loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(partial(work, *arguments, **options)).result()


@contextmanager
def recorded(folder, play, speed):
    """A daemon that records what ``play(rig)`` makes, on a loop of its own: the browser has the main thread's."""
    began, done = threading.Event(), threading.Event()
    failed = []

    async def record():
        async with running_office(folder, "pubnub", speed=speed) as rig:
            playing = asyncio.create_task(play(rig))
            began.set()
            await asyncio.to_thread(done.wait)
            playing.cancel()

    def run():
        try:
            asyncio.run(record())
        except Exception as error:
            failed.append(error)
        finally:
            began.set()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert began.wait(30)
        assert not failed, failed
        yield folder / "r.db"
    finally:
        done.set()
        thread.join(60)
    assert not failed, failed


@pytest.mark.slow
def test_the_board_follows_an_office(tmp_path, page):
    from playwright.sync_api import expect

    async def play(rig):
        people = [one for one in rig.sim.pbx.extensions.values() if len(one.id) == 4][:6]
        await rig.sim.run_office(Office(people, calls_per_hour=600, seed=5))

    with recorded(tmp_path, play, 30) as database, serving(database) as served:
        page.goto(served.address)
        page.locator("[data-open] tbody tr").nth(1).wait_for(timeout=60_000)
        page.locator("[data-recent] tbody tr").nth(1).wait_for(timeout=60_000)
        expect(page.locator("[data-figure=calls]")).to_have_text(re.compile(r"^([2-9]|\d{2,})$"), timeout=60_000)
        expect(page.locator("[data-health-text]")).to_have_text("live", timeout=60_000)
        started = page.locator("[data-recent] time").evaluate_all("all => all.map((one) => one.dateTime)")
        assert started == sorted(started, reverse=True), "newest first, in whatever order they are told"
        page.goto("about:blank")


@pytest.mark.slow
def test_a_held_and_a_transferred_call_are_drawn(tmp_path, page):
    async def play(rig):
        for name in ("hold_and_resume", "blind_transfer"):
            story = load_story((STORIES / f"{name}.story").read_text())
            await rig.sim.play_story(story.shifted(rig.sim.clock.now_ms() - story.deliveries[0].at))

    with recorded(tmp_path, play, 60) as database, serving(database) as served:
        deadline = time.monotonic() + 60
        while len(rows := served.items("/api/v1/calls")) < 2:
            assert time.monotonic() < deadline
        drawn = {}
        for row in rows:
            page.goto(f"{served.address}/calls/{row['session_id']}")
            drawn[row["leg_count"]] = (page.locator("g.lane").count(), page.locator("rect.piece.hold").count())
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                assert serious(page) == [], scheme
            assert page.locator("h2", has_text="Where each figure comes from").count() == 1
            for name in ("from", "to"):
                told = page.locator("tr", has_text=f"{name} number").locator("td").nth(1)
                assert told.inner_text() == row[f"{name}_number"]
        assert drawn[1][1] >= 2, "the held call shows its hold, on the call and on its leg"
        assert drawn[2][0] >= 3, "a lane for the call and for each of the two parties"


@pytest.mark.slow
def test_a_thousand_open_calls_stay_smooth(tmp_path, page):
    database = elsewhere(books, tmp_path / "r.db", days=1)
    now = office.ms_of(datetime.now(UTC))
    many = [
        office.open_call(n % 8, "CallConnected", now - 60_000, now - 50_000, session_id=f"55{n:04d}")
        for n in range(1000)
    ]
    office.insert(database, "live_call", many)
    with serving(database) as served:
        page.goto(served.address)
        page.wait_for_selector('[data-key="1001/550999"] [data-cell="status"]')
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("UPDATE live_call SET status = 'OnHold' WHERE session_id LIKE '55%0'")
            connection.commit()
        started = time.monotonic()
        frames = page.evaluate("""async () => {
            const gaps = []; let last = performance.now(), end = last + 5000, held = false;
            while (last < end) {
                await new Promise(requestAnimationFrame);
                const now = performance.now();
                gaps.push(now - last);
                last = now;
                if (!held && document.querySelectorAll('[data-open] .status.OnHold').length >= 100) {
                    held = true;
                    end = Math.min(end, last + 1000);
                }
            }
            return gaps.sort((a, b) => a - b);
        }""")
        took = time.monotonic() - started
        typical, worst = frames[len(frames) * 95 // 100], frames[-1]
        print(f"{len(frames)} frames in {took:.1f} s, 95 % within {typical:.0f} ms, longest {worst:.0f} ms")
        assert page.locator("[data-open] .status.OnHold").count() >= 100
        assert worst < 1_000
