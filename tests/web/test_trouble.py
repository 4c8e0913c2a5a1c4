"""What an open page says when its server, its database or the daemon is gone, and how it comes back."""

import os
import signal
import socket
import sqlite3
import time
from contextlib import closing
from datetime import datetime, timedelta

import pytest

from tests.web.browser import browsing, needs_browser
from tests.web.served import books, serving
from tests.web.test_browser import elsewhere

pytestmark = [needs_browser, pytest.mark.timeout(180)]
#: The page asks every ten seconds.
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def page():
    with browsing() as one:
        yield one


@pytest.fixture
def database(tmp_path):
    return elsewhere(books, tmp_path / "r.db", days=1)


def says(page, pill, words):
    from playwright.sync_api import expect

    expect(page.locator("[data-health-text]")).to_have_text(pill, timeout=PATIENCE_MS)
    expect(page.locator("[data-notice]")).to_contain_text(words, timeout=PATIENCE_MS)
    expect(page.locator("[data-notice]")).to_be_visible()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as one:
        return one.getsockname()[1]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_server_that_is_killed_and_started_again(database, page, number):
    from playwright.sync_api import expect

    config = f'[serve]\nlisten = "127.0.0.1:{free_port()}"\n'
    with serving(database, config) as served:
        page.goto(served.address)
        expect(page.locator("[data-open] tbody tr")).to_have_count(3, timeout=PATIENCE_MS)
        served.stop(number)
        says(page, "no server", "does not reach its server")
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("DELETE FROM live_call WHERE status = 'OnHold'")
    with serving(database, config):
        says(page, "no daemon", "No daemon writes")
        expect(page.locator("[data-open] tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
        page.goto("about:blank")


@pytest.mark.slow
def test_a_stream_that_a_proxy_refused_is_asked_for_again(database, page):
    from playwright.sync_api import expect

    refused = []

    def refuse_once(route):
        refused.append(route.request.url)
        route.fulfill(status=502) if len(refused) == 1 else route.continue_()

    page.route("**/api/v1/events", refuse_once)
    with serving(database) as served:
        page.goto(served.address)
        expect(page.locator("[data-open] tbody tr")).to_have_count(3, timeout=PATIENCE_MS)
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("DELETE FROM live_call WHERE status = 'OnHold'")
        expect(page.locator("[data-open] tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
        page.unroute("**/api/v1/events")
        page.goto("about:blank")
    assert len(refused) > 1


@pytest.mark.slow
def test_a_database_that_is_moved_away_and_comes_back(database, page, tmp_path):
    def move(first, last, suffixes):
        for suffix in suffixes:
            (tmp_path / f"{first}{suffix}").rename(tmp_path / f"{last}{suffix}")

    with serving(database) as served:
        page.goto(served.address)
        move("r.db", "away.db", ("", "-wal", "-shm"))
        says(page, "no database", "The database is not there")
        page.goto(f"{served.address}/calls")
        assert "The database is not there" in page.locator("main").inner_text()
        move("away.db", "r.db", ("-wal", "-shm", ""))
        page.wait_for_selector("table.calls tbody tr", timeout=PATIENCE_MS)  # asks again by itself
        assert not served.log("web.failed"), "that a database is away is no bug"
        page.goto("about:blank")


@pytest.mark.slow
def test_a_database_that_is_upgraded_under_the_page(database, page):
    with serving(database) as served:
        page.goto(served.address)
        with closing(sqlite3.connect(database)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            connection.execute("PRAGMA user_version = 999")
        says(page, "no database", "newer than this program")
        with closing(sqlite3.connect(database)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        says(page, "no daemon", "No daemon writes")
        page.goto("about:blank")


@pytest.mark.slow
def test_no_daemon_since_when(tmp_path, page):
    database = elsewhere(books, tmp_path / "r.db", days=1, now=datetime.now().astimezone() - timedelta(hours=2))
    old = time.time() - 7_000
    for suffix in ("", "-wal"):
        os.utime(tmp_path / f"r.db{suffix}", (old, old))
    with serving(database) as served:
        for view in ("/", "/coverage"):
            page.goto(served.address + view)
            told = page.locator("[data-notice], [data-verdict]").first
            assert "No daemon writes to this ledger. What is shown is as of" in told.inner_text()
        page.goto(served.address)
        page.wait_for_selector('[data-open] [data-cell="status"]')  # the stream of events has begun
        shown = [page.locator("[data-open] .running").all_inner_texts()]
        page.wait_for_timeout(2_500)  # ticks of a clock that has to stand
        shown.append(page.locator("[data-open] .running").all_inner_texts())
        assert shown[0] == shown[1], "nobody knows how long calls have been running"
        page.goto("about:blank")
