"""Who may look, and what of it; what the guard refuses."""

import asyncio
import contextlib
import re
import socket
import time
from pathlib import Path
from subprocess import PIPE

import httpx
import pytest

from ringledger.config.model import ServeSettings, ServeToken, load_settings
from ringledger.config.provenance import SettingsError
from ringledger.web import server
from ringledger.web.access import MOST_WRONG, Doorkeeper, check, host_of
from ringledger.web.guard import CSP
from tests.forked import Process
from tests.until import PATIENCE, eventually
from tests.web.served import books, serving, within

TOKENS = {name: f"{name}-{'0123456789abcdef' * 2}" for name in ("boss", "wall", "ann", "other")}
CONFIG = """
[serve]
hosts = ["calls.example.com"]
trusted_proxies = ["127.0.0.2"]
[[serve.tokens]]
name = "boss"
file = "boss.token"
role = "full"
[[serve.tokens]]
name = "wall"
file = "wall.token"
[[serve.tokens]]
name = "ann"
file = "ann.token"
role = "own"
extension = "101"
[[serve.tokens]]
name = "other"
file = "other.token"
accounts = ["77"]
"""


@pytest.fixture(scope="module")
def closed(database):
    for name, token in TOKENS.items():
        (database.parent / f"{name}.token").write_text(f"{token}\n")
    with serving(database, CONFIG) as one:
        yield one


def bearer(name):
    return {"authorization": f"Bearer {TOKENS[name]}"}


def test_this_machine_looks_without_a_word(closed):
    assert closed.get("/api/v1/health").status_code == 200


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-proto"])
def test_who_comes_through_others_hands_is_not_of_this_machine(closed, header):
    answer = closed.get("/api/v1/health", **{header: "1.1.1.1"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_roles(closed):
    everything = closed.get("/api/v1/calls?limit=1000", **bearer("boss")).json()["items"]
    assert any(row["from_number"] == "+14155550123" for row in everything)
    masked = closed.get("/api/v1/calls?limit=1000", **bearer("wall")).json()["items"]
    assert len(masked) == len(everything)
    assert not any("14155550123" in (row["from_number"] or "") for row in masked)
    own = closed.get("/api/v1/calls?limit=1000", **bearer("ann")).json()["items"]
    assert {row["extension_id"] for row in own} == {"2001"}
    assert len(own) == sum(row["extension_id"] == "2001" for row in everything)
    assert not closed.get("/api/v1/calls", **bearer("other")).json()["items"]


def test_the_role_own_sees_nothing_of_others_anywhere(closed):
    ann = bearer("ann")
    assert [row["extension_id"] for row in closed.get("/api/v1/presence", **ann).json()["items"]] == ["2001"]
    assert {row["extension_id"] for row in closed.get("/api/v1/active", **ann).json()["items"]} == {"2001"}
    groups = closed.get("/api/v1/stats?by=extension", **ann).json()["items"]
    assert [group["extension"] for group in groups] == ["2001"]
    assert closed.get("/api/v1/calls?extension=102", **ann).status_code == 403
    everything = closed.get("/api/v1/calls?limit=1000", **bearer("boss")).json()["items"]
    others = next(row["session_id"] for row in everything if row["extension_id"] == "2002")
    mine = next(row["session_id"] for row in everything if row["extension_id"] == "2001")
    assert closed.get(f"/api/v1/calls/{others}", **ann).status_code == 404
    assert closed.get(f"/api/v1/calls/{mine}", **ann).status_code == 200


def test_another_account_stays_unseen(closed):
    other = bearer("other")
    assert closed.get("/api/v1/calls?account_id=1001", **other).status_code == 403
    for path in ("active", "presence", "coverage", "calls", "stats"):
        assert closed.get(f"/api/v1/{path}", **other).json()["items"] == []
    everything = closed.get("/api/v1/calls?limit=1", **bearer("boss")).json()["items"]
    assert closed.get(f"/api/v1/calls/{everything[0]['session_id']}", **other).status_code == 404
    assert closed.get("/api/v1/health", **other).json()["open_calls"] == 0


def test_a_wrong_token_is_refused_also_here_and_guessing_is_slowed(database, tmp_path):
    (tmp_path / "boss.token").write_text(TOKENS["boss"])
    config = '[[serve.tokens]]\nname = "boss"\nfile = "boss.token"\nrole = "full"\n'
    with serving(database, config, directory=tmp_path) as served:
        answers = [
            served.get("/api/v1/health", authorization="Bearer wrong").status_code for _ in range(MOST_WRONG + 2)
        ]
        assert answers == [401] * MOST_WRONG + [429] * 2
        assert served.get("/api/v1/health", **bearer("boss")).status_code == 200
        assert served.stop() == 0
        assert len(served.log("web.refused")) == MOST_WRONG
        assert TOKENS["boss"] not in served.text()


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.evil.example", "169.254.169.254"]
)
def test_a_host_nobody_configured_is_refused(closed, host):
    answer = closed.get("/api/v1/health", host=host)
    assert answer.status_code in {400, 421}


@pytest.mark.parametrize("host", ["localhost", "calls.example.com", "Calls.Example.com.:8443", "[::1]:80", "127.0.0.1"])
def test_a_configured_host_is_answered(closed, host):
    assert closed.get("/api/v1/health", host=host).status_code == 200


def test_every_answer_carries_the_headers(closed):
    for path in ("/api/v1/health", "/api/v1/calls?limit=x", "/nothing", "/openapi.json"):
        headers = closed.get(path).headers
        assert headers["content-security-policy"] == CSP
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
        assert "access-control-allow-origin" not in headers
    assert closed.get("/api/v1/health", host="evil.example").headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {"sec-fetch-mode": "cors", "origin": "https://evil.example"},
        {"sec-fetch-mode": "cors", "origin": "null"},
    ],
)
def test_another_sites_page_gets_nothing(closed, headers):
    assert closed.get("/api/v1/calls", **headers).status_code == 403


def test_a_link_from_elsewhere_opens(closed):
    assert (
        closed.get("/api/v1/health", **{"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}).status_code
        == 200
    )


@pytest.mark.virtual_time
async def test_who_says_nothing_is_let_go(database):
    async with within(database) as address:
        reader, writer = await asyncio.open_connection(*address.split(":"))
        started = time.monotonic()
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        assert time.monotonic() - started == pytest.approx(server.SENDING_SECONDS, abs=0.1)
        writer.close()


@pytest.mark.slow
async def test_who_does_not_read_is_let_go_and_others_are_answered(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "READING_SECONDS", 1.0)
    database = await asyncio.to_thread(books, tmp_path / "r.db", days=60, per_day=400)
    async with within(database) as address:
        host, port = address.split(":")
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(peer, (host, int(port)))
            await loop.sock_sendall(peer, b"GET /calls.jsonl HTTP/1.1\r\nHost: localhost\r\n\r\n")
            started = time.monotonic()
            async with httpx.AsyncClient(base_url=f"http://{address}", timeout=PATIENCE) as client:
                while await is_connected(address, peer):
                    assert (await client.get("/api/v1/active")).status_code == 200
                    assert time.monotonic() - started < PATIENCE


async def is_connected(address, peer):
    """Whether the kernel still has the server's side of the connection."""
    ours = peer.getsockname()[1]
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, state = line.split()[1:4]
        if (int(local[-4:], 16), int(remote[-4:], 16)) == (int(address.split(":")[1]), ours):
            return state == "01"
    return False


def test_a_proxy_is_believed_at_its_address_and_nobody_elsewhere(closed):
    """127.0.0.2 is configured as a proxy; from 127.0.0.1 the same headers say nothing."""
    transport = httpx.HTTPTransport(local_address="127.0.0.2")
    with httpx.Client(base_url=closed.address, transport=transport, timeout=PATIENCE) as proxy:
        assert proxy.get("/api/v1/health").status_code == 401, "a proxy without a user is nobody"
        named = {"x-forwarded-user": "eva@example.com", "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
        assert "eva@example.com" in proxy.get("/", headers=named).text
        rows = proxy.get("/api/v1/calls?limit=1000", headers=named).json()["items"]
        assert not any("14155550123" in (row["from_number"] or "") for row in rows), "serve.proxy_role is masked"
        both = named | bearer("boss")
        assert any(
            row["from_number"] == "+14155550123"
            for row in proxy.get("/api/v1/calls?limit=1000", headers=both).json()["items"]
        ), "a token is stronger"
    assert closed.get("/api/v1/health", **named).status_code == 401


@pytest.mark.parametrize(
    "path",
    ["/../api/v1/health", "//evil.example/", "/api/v1/../../etc/passwd", "/api/v1/calls/%2e%2e%2f%2e%2e",
     "/api/v1//health", "/static/..%5capp.css", "/API/V1/HEALTH", "/api/v1/health/", "/api/v1/calls;x=1"],
)  # fmt: skip
def test_no_trick_with_a_path_leads_anywhere(closed, path):
    host, port = closed.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as peer:
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while piece := peer.recv(65_536):
            answer += piece
    assert answer.split()[1] in {b"404", b"400"}, answer[:200]
    assert b"location:" not in answer.lower()


def test_without_a_viewer_every_path_says_the_same(closed):
    """Who may not look does not learn what there is."""
    away = {"x-forwarded-for": "1.1.1.1"}
    for path in ("/api/v1/calls/9900000000", "/api/v1/calls/none", "/openapi.json", "/nothing", "/calls.csv"):
        assert closed.get(path, **away).status_code == 401


def test_a_large_question_is_bounded(closed):
    assert closed.get("/api/v1/calls?limit=1001").status_code == 400
    assert closed.get("/api/v1/calls?" + "&".join(f"x{n}=1" for n in range(400))).status_code == 400
    host, port = closed.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as peer:
        sent = peer.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with contextlib.suppress(ConnectionError):
            while sent < 10_000_000:
                sent += peer.send(b"X-More: " + b"y" * 10_000 + b"\r\n")
    assert sent < 10_000_000, "headers without an end are not collected"


def test_an_address_that_is_too_long(closed):
    assert closed.get("/api/v1/calls?number=" + "1" * 9_000).status_code == 414


# -- the doorkeeper by itself ------------------------------------------------------------------------------------------


def doorkeeper(tmp_path, clock=time.time, **overrides):
    (tmp_path / "boss.token").write_text(TOKENS["boss"])
    values = {"serve": {"tokens": [{"name": "boss", "file": "boss.token", "role": "full"}]} | overrides}
    return Doorkeeper(load_settings(None, {}, values), directory=tmp_path, env={}, clock=clock)


def test_a_proxys_word_counts_from_its_address_alone(tmp_path):
    door = doorkeeper(tmp_path, trusted_proxies=["10.0.0.0/24", "127.0.0.1"])
    named = {"x-forwarded-user": "eva@example.com", "x-forwarded-for": "1.1.1.1"}
    assert door.viewer("10.0.0.7", named).name == "eva@example.com"
    assert door.viewer("::ffff:10.0.0.7", named).name == "eva@example.com"
    assert door.viewer("10.0.1.7", named) is None
    assert door.viewer("127.0.0.1", named).name == "eva@example.com"
    assert door.viewer("127.0.0.1", {}) is None, "a proxy on this machine is nobody by itself"
    assert door.viewer("10.0.0.7", {}) is None
    assert door.viewer("10.0.0.7", {"x-forwarded-user": "a\nb"}) is None


def test_a_cookie_is_of_one_token_and_ends(tmp_path):
    now = [1_000_000.0]
    door = doorkeeper(tmp_path, clock=lambda: now[0])
    viewer = door.of_token(TOKENS["boss"])
    cookie = door.cookie_for(viewer)
    assert TOKENS["boss"] not in cookie
    assert door.viewer("1.1.1.1", {}, cookie) == viewer
    name, until, seal = cookie.split("|")
    for forged in (
        f"{name}|{int(until) + 1}|{seal}",
        f"{name}|{until}|{seal[:-1]}{'0' if seal[-1] != '0' else '1'}",
        f"{name}|{until}|{seal[:-1]}é",
        f"eva|{until}|{seal}",
        "x",
        "||",
        f"{name}|٣|{seal}",
    ):
        assert door.viewer("1.1.1.1", {}, forged) is None
    now[0] += 13 * 3600
    assert door.viewer("1.1.1.1", {}, cookie) is None


def test_configuration_that_lets_nobody_in_is_refused(tmp_path):
    with pytest.raises(SettingsError, match="nobody there may look"):
        check(load_settings(None, {}, {"serve.listen": "0.0.0.0:80"}))
    check(load_settings(None, {}, {"serve.listen": "localhost:80"}))
    check(load_settings(None, {}, {"serve.listen": "0.0.0.0:80", "serve.trusted_proxies": ["10.0.0.1"]}))
    (tmp_path / "short").write_text("12345")
    for name, words in (("short", "less than 20 characters"), ("none", "cannot be read")):
        values = {"serve": {"tokens": [{"name": "a", "file": name}]}}
        with pytest.raises(SettingsError, match=words):
            Doorkeeper(load_settings(None, {}, values), directory=tmp_path, env={})
    for wrong in ({"role": "own"}, {"extension": "1"}, {"name": "a b"}, {"role": "all"}):
        with pytest.raises(SettingsError):
            load_settings(None, {}, {"serve": {"tokens": [{"name": "a", "file": "x"} | wrong]}})


@pytest.mark.parametrize("page", ["contract.md", "serve.md"])
def test_each_key_is_on_the_page(page):
    text = (Path(__file__).parents[2] / "docs" / page).read_text()
    for model in (ServeSettings, ServeToken):
        assert [name for name in model.model_fields if not re.search(rf"\b{name}\b", text)] == []


def test_a_token_may_be_a_credential(tmp_path):
    (tmp_path / "wallboard").write_text(TOKENS["wall"])
    values = {"serve": {"tokens": [{"name": "wall", "file": "wallboard"}]}}
    env = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    door = Doorkeeper(load_settings(None, {}, values), directory=tmp_path / "elsewhere", env=env)
    assert door.of_token(TOKENS["wall"]).name == "wall"


@pytest.mark.parametrize(("header", "name"), [("A.b:80", "a.b"), ("[::1]:80", "::1"), ("a.b.", "a.b"), (" x ", "x")])
def test_the_name_in_a_host_header(header, name):
    assert host_of(header) == name


def test_a_port_that_is_taken_is_told_in_one_line(closed, database):
    taken = closed.address.removeprefix("http://")
    env = {"RINGLEDGER_CONFIG": "/dev/null", "RINGLEDGER_DATABASE__URL": f"sqlite+aiosqlite:///{database}"}
    with Process("serve", "--listen", taken, env=env, stdout=PIPE, stderr=PIPE) as process:
        _, told = process.communicate(PATIENCE)
    assert process.returncode == 74
    assert told == f"ringledger: serve.listen {taken}: Address already in use\n"


def test_no_database_is_said(tmp_path):
    database = books(tmp_path / "r.db", days=1)
    with serving(database) as served:
        assert served.get("/api/v1/calls").status_code == 200
        away = database.rename(tmp_path / "away.db")
        for suffix in ("-wal", "-shm"):
            (tmp_path / f"r.db{suffix}").rename(tmp_path / f"away.db{suffix}")
        answer = served.get("/api/v1/calls")
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:ringledger:problem:database-missing")
        for suffix in ("", "-wal", "-shm"):
            away.with_name(f"away.db{suffix}").rename(tmp_path / f"r.db{suffix}")
        assert served.get("/api/v1/calls").status_code == 200
        import sqlite3

        with sqlite3.connect(database) as connection:
            connection.execute("PRAGMA user_version = 999")
        connection.close()
        eventually(lambda: served.get("/api/v1/calls").status_code != 200)
        answer = served.get("/api/v1/calls")
        assert answer.json()["type"] == "urn:ringledger:problem:database-version"
        assert httpx.get(f"{served.address}/openapi.json").status_code == 200
