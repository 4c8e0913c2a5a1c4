"""The read API over a real database, asked over a real socket."""

import csv
import io
import json
import sqlite3
from contextlib import closing

import pytest
from openapi_spec_validator import validate

from ringledger.ledger.schema.views import VIEWS
from ringledger.web import rows
from tests import office
from tests.web.served import NO_TLS, books, serving


def ask(database, sql, *values):
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql, values)]


def test_the_document_validates(served):
    document = served.get("/openapi.json").json()
    validate(document)
    wanted = {"/calls", "/calls/{session_id}", "/active", "/presence", "/stats", "/coverage", "/health"}
    assert {f"/api/v1{path}" for path in wanted} <= document["paths"].keys()


@pytest.mark.parametrize("view", rows.VIEWS)
def test_each_column_of_the_views_is_in_the_document(served, database, view):
    with closing(sqlite3.connect(database)) as connection:
        columns = [column[0] for column in connection.execute(f"SELECT * FROM {view} LIMIT 0").description]
    assert view in VIEWS
    described = served.get("/openapi.json").json()["components"]["schemas"][rows.VIEWS[view].__name__]
    assert sorted(described["properties"]) == sorted(columns)


def test_calls_are_the_rows_of_the_view_newest_first(served, database):
    found = served.items("/api/v1/calls?limit=1000")
    expected = ask(database, "SELECT * FROM calls ORDER BY started_at DESC, session_id DESC LIMIT 1000")
    assert [row["session_id"] for row in found] == [row["session_id"] for row in expected]
    hidden = {"from_number", "to_number"}
    assert [{k: v for k, v in row.items() if k not in hidden} for row in found] == [
        {k: v for k, v in row.items() if k not in hidden} for row in expected
    ]
    assert not [
        row for row in found if row["from_number"] and len(row["from_number"]) > 6 and "*" not in row["from_number"]
    ]


def sessions(database):
    newest = ask(database, "SELECT session_id FROM calls ORDER BY started_at DESC, session_id DESC")
    return [row["session_id"] for row in newest]


FILTERS = {
    "direction=in": "direction = 'Inbound'",
    "direction=Outbound": "direction = 'Outbound'",
    "disposition=missed": "disposition = 'missed'",
    "number=%2B14155550123": "'+14155550123' IN (from_number, to_number)",
    "number=4155550123": "'+14155550123' IN (from_number, to_number)",
    "number=withheld": "direction = 'Inbound' AND from_number IS NULL",
    "extension=103": "extension_id = '2003'",
    "extension=2003": "extension_id = '2003'",
    "unconfirmed=true": "confirmed_at IS NULL",
    "since=2d": "started_at >= strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 days')",
    "until=2d": "started_at < strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-2 days')",
    "direction=in&disposition=answered&extension=104": (
        "direction = 'Inbound' AND disposition = 'answered' AND extension_id = '2004'"
    ),
    "account_id=1001": "account_id = '1001'",
}


@pytest.mark.parametrize("query", FILTERS)
def test_each_filter(served, database, query):
    found = {row["session_id"] for row in served.items(f"/api/v1/calls?limit=1000&{query}")}
    expected = {row["session_id"] for row in ask(database, f"SELECT session_id FROM calls WHERE {FILTERS[query]}")}
    assert found == expected
    assert found


@pytest.mark.parametrize(
    ("query", "parameter", "words"),
    [
        ("numbr=1", "numbr", "did you mean number?"),
        ("direction=sideways", "direction", "in or out"),
        ("direction=", "direction", "empty"),
        ("disposition=great", "disposition", "answered"),
        ("number=abc", "number", "no telephone number"),
        ("extension=999", "extension", "neither the directory nor any call"),
        ("since=tomorrow", "since", "no time"),
        ("since=2099-01-01", "since", "future"),
        ("since=1d&until=2d", "since", "before"),
        ("limit=0", "limit", ""),
        ("limit=9999", "limit", ""),
        ("limit=1&limit=2", "limit", "twice"),
        ("cursor=xyz", "cursor", "none of ours"),
        ("cursor=WzEsMl0", "cursor", "none of ours"),
        ("unconfirmed=perhaps", "unconfirmed", ""),
    ],
)
def test_what_can_match_nothing_is_a_problem(served, query, parameter, words):
    answer = served.get(f"/api/v1/calls?{query}")
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["parameter"]) == (400, parameter)
    assert words in problem["detail"]
    assert "--" not in problem["detail"]


def test_pages_stay_right_while_calls_arrive(tmp_path):
    database = books(tmp_path / "r.db", days=3)
    expected = [
        row["session_id"]
        for row in ask(database, "SELECT session_id FROM calls ORDER BY started_at DESC, session_id DESC")
    ]
    with serving(database) as served:
        seen, cursor, pages = [], "", 0
        while cursor is not None:
            page = served.get(f"/api/v1/calls?limit=7{cursor and f'&cursor={cursor}'}").json()
            seen += [row["session_id"] for row in page["items"]]
            cursor, pages = page["next"], pages + 1
            late = ask(database, "SELECT * FROM call ORDER BY started_at DESC LIMIT 1")[0]
            late |= {"session_id": f"77{pages}", "part_of": None}
            office.insert(database, "call", [late])
        assert seen == expected
        assert pages == -(-len(expected) // 7)


def test_csv_and_json_lines_have_everything(served, database):
    expected = ask(database, "SELECT * FROM calls ORDER BY started_at DESC, session_id DESC")
    answer = served.get("/api/v1/calls", accept="text/csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    found = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["session_id"] for row in found] == [row["session_id"] for row in expected]
    assert sorted(found[0]) == sorted(expected[0])
    answer = served.get("/api/v1/calls", accept="application/jsonl")
    assert [json.loads(line)["session_id"] for line in answer.text.splitlines()] == [
        row["session_id"] for row in expected
    ]
    part = served.get("/api/v1/calls?limit=3", accept="application/x-ndjson")
    assert len(part.text.splitlines()) == 3
    rest = served.get(f"/api/v1/calls?limit=3&cursor={part.headers['x-next-cursor']}", accept="application/jsonl")
    assert json.loads(rest.text.splitlines()[0])["session_id"] == expected[3]["session_id"]
    assert served.get("/api/v1/calls", accept="image/png").status_code == 406


def test_an_export_and_an_opened_call_are_a_line_in_the_log(tmp_path):
    database = books(tmp_path / "r.db", days=2)  # today has no call yet in the first hours of the day
    with serving(database) as served:
        served.get("/api/v1/calls?number=%2B14155550123", accept="text/csv")
        (session,) = [row["session_id"] for row in served.items("/api/v1/calls?limit=1")]
        served.get(f"/api/v1/calls/{session}")
        assert served.stop() == 0
        (exported,) = served.log("web.exported")
        assert (exported["viewer"], exported["what"]) == ("local", "calls")
        assert "4155550123" not in json.dumps(exported)
        (opened,) = served.log("web.call_opened")
        assert (opened["viewer"], opened["session_id"]) == ("local", session)


def test_one_call_and_what_is_none(served, database):
    (row,) = ask(database, "SELECT * FROM calls ORDER BY started_at LIMIT 1")
    story = served.get(f"/api/v1/calls/{row['session_id']}").json()
    assert story["call"]["started_at"] == row["started_at"]
    assert story.keys() == {
        "call",
        "active",
        "parts",
        "legs",
        "transitions",
        "events",
        "sources",
        "figures",
        "late",
        "untold",
    }
    assert served.get("/api/v1/calls/9900000000").json()["active"]["status"] == "CallConnected"
    for path in ("nope", "..%2f..%2fetc%2fpasswd", "%00", "a" * 199):
        assert served.get(f"/api/v1/calls/{path}").status_code in {400, 404}


def test_now_and_figures(served, database):
    assert [row["status"] for row in served.items("/api/v1/active")] == ["CallConnected", "OnHold", "Ringing"]
    assert [row["name"] for row in served.items("/api/v1/presence")] == [name for _, _, name in office.PEOPLE]
    groups = served.items("/api/v1/stats?by=extension")
    assert sum(group["calls"] for group in groups) == len(ask(database, "SELECT 1 FROM calls"))
    assert served.items("/api/v1/stats?by=day&since=1d")[0]["time_zone"] == "UTC"
    assert [row["state"] for row in served.items("/api/v1/coverage")] == ["live", "healed", "live"]
    health = served.get("/api/v1/health").json()
    assert (health["status"], health["open_calls"], health["time_zone"]) == ("stale", 3, "UTC")


def test_days_are_those_of_the_reports_zone(tmp_path):
    database = books(tmp_path / "r.db", days=2)
    with serving(database, '[report]\ntimezone = "Pacific/Auckland"\n') as served:
        assert {row["time_zone"] for row in served.items("/api/v1/stats?by=day")} == {"Pacific/Auckland"}


def test_a_long_question_is_broken_off_and_says_so(tmp_path):
    database = books(tmp_path / "r.db", days=200, per_day=25)
    with serving(database, "[serve]\nquery_seconds = 0.000001\n") as served:
        answer = served.get("/api/v1/stats?by=number")
        assert answer.status_code == 503
        assert answer.json()["type"].endswith(":too-slow")
        assert "shorter period" in answer.json()["detail"]
        assert served.get("/api/v1/active").status_code == 200
        page = served.get("/charts?since=200d", Accept="text/html")
        assert (page.status_code, "This takes too long" in page.text) == (503, True)
        assert 'http-equiv="refresh"' not in page.text, "asking the same again takes as long again"


def test_only_reading(served):
    import httpx

    for method in ("POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"):
        assert httpx.request(method, f"{served.address}/api/v1/calls", verify=NO_TLS).status_code == 405


@pytest.mark.slow
def test_a_client_made_of_the_document_reads_every_endpoint(served):
    import httpx2
    from aiopenapi3 import OpenAPI

    def plain(**options) -> httpx2.Client:
        return httpx2.Client(verify=NO_TLS, **options)

    document = served.get("/openapi.json").json()
    client = OpenAPI.loads(f"{served.address}/openapi.json", json.dumps(document), session_factory=plain)
    session = served.items("/api/v1/calls?limit=1")[0]["session_id"]
    asked = 0
    for path, operations in document["paths"].items():
        operation = operations["get"]
        if "text/event-stream" in operation["responses"]["200"]["content"]:
            continue
        values = {"session_id": session} if "{session_id}" in path else {}
        answer = getattr(client._, operation["operationId"])(parameters=values or None)
        kept = served.get(path.replace("{session_id}", session)).json()
        told = answer.model_dump(mode="json", exclude_unset=True)
        assert told.keys() == kept.keys(), path
        asked += 1
    assert asked >= 7
