"""The page as HTML: what it says, and that nothing in it is anybody else's."""

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from ringledger.ledger.read.hours import Hour
from ringledger.web.charts import drawn
from ringledger.web.strips import spans_of, strips_of
from tests import office
from tests.until import PATIENCE
from tests.web.served import NO_TLS, books, serving

VIEWS = ["/", "/calls", "/charts", "/coverage", "/sign-in", "/calls?since=9999", "/nothing"]
HTML = {"accept": "text/html"}


class Looked(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def values(self, *names):
        return [values[name] for _, values in self.tags for name in names if name in values]


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_loads_or_names_anything_from_elsewhere(served, view):
    answer = served.get(view, **HTML)
    looked = Looked(answer.text)
    for value in looked.values("src", "href", "action"):
        assert value.startswith(("/", "#")), value
    assert not looked.values("style", "onclick", "onload")
    assert "url(http" not in answer.text
    scripts = [values for tag, values in looked.tags if tag == "script"]
    assert all("src" in values for values in scripts)


def test_static_files_are_ours_and_kept(served):
    page = Looked(served.get("/", **HTML).text)
    found = {value for value in page.values("src", "href") if value.startswith("/static/")}
    assert len(found) == 4
    for address in found:
        answer = served.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", answer.content)
    for path in ("/static/../pages.py", "/static/%2e%2e/pages.py", "/static/app.css/..%2f", "/static/none.css"):
        assert served.get(path).status_code == 404


def test_names_that_are_html_stay_text(tmp_path):
    database = books(tmp_path / "r.db", days=1)
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    row = {"from_name": evil, "from_raw": evil, "to_name": f'"{evil}', "session_id": "666", "part_of": None}
    now = office.ms_of(datetime.now(UTC))
    made = next(iter(office.days(9, datetime.now().astimezone() - timedelta(days=1), 1, 20))) | row
    made |= {"started_at": office.to_text(now - 5_000), "answered_at": None, "ended_at": office.to_text(now - 1_000)}
    office.insert(database, "call", [made])
    with serving(database) as served:
        for view in ("/", "/calls", "/calls/666"):
            page = served.get(view, **HTML).text
            assert "&lt;script&gt;" in page
            assert "<script>alert" not in page
            assert "<img src=x" not in page


def test_a_search_is_a_link_that_can_be_sent(served):
    form = httpx.get(f"{served.address}/calls?since=&until=&direction=in&disposition=missed&number=", headers=HTML)
    assert form.status_code == 303
    assert form.headers["location"] == "/calls?direction=in&disposition=missed"
    page = served.get("/calls?direction=in&disposition=missed", **HTML).text
    assert page.count('class="ending missed"') > 3
    assert 'class="ending answered"' not in page
    assert 'value="missed" selected' in page


def test_what_is_wrong_with_a_filter_stands_beside_it(served):
    answer = served.get("/calls?number=abc&direction=in", **HTML)
    assert answer.status_code == 400
    assert 'value="abc"' in answer.text
    assert "no telephone number" in answer.text
    assert answer.text.count("aria-invalid") == 1


def test_pages_follow_each_other(served):
    page = served.get("/calls", **HTML).text
    following = re.search(r'href="(/calls\?cursor=[^"]+)" rel="next"', page)[1]
    second = served.get(following, **HTML).text
    sessions = [set(re.findall(r'href="/calls/(\d+)\?', text)) for text in (page, second)]
    assert len(sessions[0]) == 50
    assert not sessions[0] & sessions[1]


def test_why_the_facts_of_a_call_are_not_traced_stands_below_it(tmp_path):
    path = books(tmp_path / "r.db", days=2)
    with closing(sqlite3.connect(path)) as database, database:
        (session,) = database.execute("SELECT session_id FROM calls LIMIT 1").fetchone()
        database.execute("DELETE FROM fact")
    with serving(path) as served:
        assert served.get(f"/api/v1/calls/{session}").json()["untold"] == "its facts are no longer kept"
        assert "is not told: its facts are no longer kept." in served.get(f"/calls/{session}", **HTML).text


def test_downloads_have_every_call_of_the_search(served):
    answer = served.get("/calls.csv?disposition=missed")
    assert answer.headers["content-disposition"] == 'attachment; filename="calls.csv"'
    found = served.items("/api/v1/calls?disposition=missed&limit=1000")
    assert len(answer.text.splitlines()) == len(found) + 1
    assert len(served.get("/calls.jsonl?disposition=missed").text.splitlines()) == len(found)
    assert served.get("/calls.csv?nonsense=1").status_code == 400


def test_signing_in_and_out(tmp_path):
    database = books(tmp_path / "r.db", days=1)
    token = "0123456789abcdef0123456789"
    (tmp_path / "wall").write_text(token)
    config = '[[serve.tokens]]\nname = "wall"\nfile = "wall"\nrole = "full"\n'
    away = {"x-forwarded-for": "1.1.1.1", **HTML}
    with serving(database, config) as served, httpx.Client(base_url=served.address, headers=away) as browser:
        asked = browser.get("/calls?direction=in")
        assert (asked.status_code, asked.headers["location"]) == (303, "/sign-in?next=%2Fcalls%3Fdirection%3Din")
        wrong = browser.post("/sign-in", data={"token": "x", "next": "/"})
        assert (wrong.status_code, "Nobody has this token" in wrong.text) == (401, True)
        forged = browser.post("/sign-in", data={"token": token}, headers={"origin": "https://evil.example"})
        assert forged.status_code == 403
        done = browser.post("/sign-in", data={"token": token, "next": "/calls?direction=in"})
        assert (done.status_code, done.headers["location"]) == (303, "/calls?direction=in")
        cookie = done.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert token not in cookie
        inside = browser.get("/calls?direction=in")
        assert (inside.status_code, "Sign out" in inside.text) == (200, True)
        assert browser.get("/api/v1/calls").status_code == 200
        for elsewhere in ("https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
            led = browser.post("/sign-in", data={"token": token, "next": elsewhere})
            assert led.headers["location"] == "/"
        browser.post("/sign-out")
        assert browser.get("/").status_code == 303
        assert browser.post("/sign-in", content=b"x" * 10_000).status_code == 413
        served.stop()
        assert token not in served.text()


def test_the_page_says_when_the_database_is_not_there(tmp_path):
    database = books(tmp_path / "r.db", days=1)
    with serving(database) as served:
        for suffix in ("", "-wal", "-shm"):
            (tmp_path / f"r.db{suffix}").rename(tmp_path / f"away{suffix}")
        answer = served.get("/", **HTML)
        assert answer.status_code == 503
        assert "The database is not there" in answer.text
        assert 'http-equiv="refresh"' in answer.text


def test_the_page_says_that_no_daemon_writes(tmp_path):
    database = books(tmp_path / "r.db", days=1, now=datetime.now().astimezone() - timedelta(hours=1))
    import os

    old = time.time() - 3_000
    for suffix in ("", "-wal"):
        os.utime(tmp_path / f"r.db{suffix}", (old, old))
    with serving(database) as served:
        assert served.get("/api/v1/health").json()["status"] == "stale"
        assert "No daemon writes to this ledger" in served.get("/", **HTML).text


# -- figures of charts and strips, by themselves ---------------------------------------------------------------------


def test_charts_add_up():
    hour = Hour(calls=10, inbound=6, answered=7, taken=4, missed=2, rung=5, ring=50.0, spoken=700.0, talk=700.0)
    monday = datetime(2026, 3, 2, 9, tzinfo=UTC)
    made = drawn({monday: hour, monday + timedelta(days=1): hour}, [], [date(2026, 3, day) for day in range(1, 8)])
    assert (made.total.calls, made.total.answer_rate, made.total.mean_ring) == (20, 4 / 6, 10.0)
    assert len(made.by_day.bars) == 7
    assert [bar.values[0] for bar in made.by_day.bars] == ["0", "10", "10", "0", "0", "0", "0"]
    nine = made.by_hour.bars[9]
    assert nine.values == ("20", "8", "4", "8", "67 %")
    assert sum(part.height for part in nine.parts) == 160, "20 of the 20 the axis reaches to"
    assert [cells[9].shade for _, cells in made.week] == [5, 5, 0, 0, 0, 0, 0]
    assert made.waiting.bars[9].values == ("10.0 s",)
    assert made.waiting.bars[10].parts == []


def test_bars_of_extensions_part_the_inbound_calls():
    row: dict[str, Any] = {"extension": "1", "extension_name": "Ann Lee", "extension_number": "101"}
    row |= {"calls": 10, "inbound": 4, "answered": 7, "answer_rate": 0.75}
    (bar,) = drawn({}, [row], [date(2026, 3, 1)]).extensions
    assert (bar["width"], bar["inbound_width"], bar["answered_width"]) == (100, 40, 30)


def test_time_nobody_watched_is_a_gap():
    day = 86_400_000
    noon = office.to_text(2 * day + day // 2)
    rows = [
        {"from_at": office.to_text(2 * day), "until_at": noon, "state": "live", "cause": None, "recovered_calls": 0},
        {"from_at": noon, "until_at": office.to_text(3 * day), "state": "blind", "cause": "x", "recovered_calls": 2},
    ]
    spans = spans_of(rows, day, 3 * day)
    assert [(span.state, span.last - span.first) for span in spans] == [
        ("unknown", day),
        ("live", day // 2),
        ("blind", day // 2),
    ]
    newest, before = strips_of(spans, UTC)
    assert [(piece.kind, piece.x, piece.width) for piece in newest.pieces] == [("live", 0, 50), ("blind", 50, 50)]
    assert before.pieces[0].kind == "unknown"
    assert "not covered" in newest.summary


def test_events_resume(tmp_path):
    database = books(tmp_path / "r.db", days=1)
    with serving(database) as served:
        address = f"{served.address}/api/v1/events"

        def read(until, headers=None):
            found, name = [], ""
            with httpx.stream("GET", address, headers=headers or {}, timeout=PATIENCE, verify=NO_TLS) as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                for line in stream.iter_lines():
                    if line.startswith("id: "):
                        found.append({"id": line[4:]})
                    elif line.startswith("event: "):
                        name = found[-1]["event"] = line[7:]
                    elif line.startswith("data: ") and until(name, found):
                        return found
            raise AssertionError("the stream ended")

        (first,) = read(lambda name, _: name == "snapshot")
        now = office.ms_of(datetime.now(UTC))
        made = next(iter(office.days(9, datetime.now().astimezone() - timedelta(days=1), 1, 20)))
        for n, revision in ((1, 1), (2, 2)):
            row = made | {
                "session_id": f"88{n}",
                "part_of": None,
                "revision": revision,
                "updated_at": office.to_text(now + 600_000 + n),
                "publication": 1_000_000 + n,
            }
            row |= {"started_at": office.to_text(now - 5_000), "answered_at": None, "ended_at": office.to_text(now)}
            office.insert(database, "call", [row])
        with closing(sqlite3.connect(database)) as connection, connection:
            values = (office.ACCOUNT, 1_000_002)
            connection.execute("INSERT OR REPLACE INTO publication (account_id, number) VALUES (?, ?)", values)
        again = read(lambda name, _: name == "snapshot", {"last-event-id": first["id"]})
        assert [one["event"] for one in again][-3:] == ["finished", "amended", "snapshot"]
        once_more = read(lambda name, _: name == "snapshot", {"last-event-id": again[-3]["id"]})
        assert [one["event"] for one in once_more] == ["amended", "snapshot"]
        assert httpx.get(address, headers={"last-event-id": "xyz"}).status_code == 400
        assert served.stop() == 0


def test_events_go_on_after_an_older_copy_of_the_database(tmp_path):
    from ringledger.ledger.file.sqlite import reader_engine
    from ringledger.ledger.read.changes import changes_after

    database = books(tmp_path / "r.db", days=1)

    async def ask(position):
        engine = reader_engine(f"sqlite+aiosqlite:///{database}")
        try:
            return await changes_after(engine, position)
        finally:
            await engine.dispose()

    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("INSERT OR REPLACE INTO publication (account_id, number) VALUES (?, 7)", (office.ACCOUNT,))
    assert asyncio.run(ask(f"{office.ACCOUNT}=5000")) == ([], f"{office.ACCOUNT}=7")
