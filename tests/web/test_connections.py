"""Peers that take connections and ask nothing, or drip: they shut out themselves, and descriptors are left."""

import asyncio
import contextlib
import socket
import time
from pathlib import Path

import httpx
import pytest

from ringledger.web import server
from ringledger.web.server import MOST_EACH
from tests.until import PATIENCE, eventually
from tests.web.served import books, serving, within

MANY = 400
CONFIG = """
[serve]
trusted_proxies = ["127.0.0.2"]
"""


@pytest.fixture
def served(tmp_path):
    with serving(books(tmp_path / "r.db", days=1), CONFIG) as one:
        yield one


def connected(stack, served, source):
    """A connection from another address of this machine."""
    port = int(served.address.rpartition(":")[2])
    made = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE, source_address=(source, 0))
    return stack.enter_context(contextlib.closing(made))


def descriptors(served):
    return len(list(Path(f"/proc/{served.process.pid}/fd").iterdir()))


def test_a_peer_that_takes_connections_shuts_out_itself(served):
    before = descriptors(served)
    with contextlib.ExitStack() as stack:
        idle = [connected(stack, served, "127.0.0.3") for _ in range(MANY)]
        eventually(lambda: descriptors(served) <= before + MOST_EACH)
        assert served.get("/livez").status_code == 200  # who is elsewhere is served at once
        newest = idle[-1]
        newest.sendall(b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"200 OK" in newest.recv(1024)
        eventually(lambda: served.log("connections.refused"))
        assert [line["where"] for line in served.log("connections.refused")] == ["serve"]
    eventually(lambda: descriptors(served) <= before + 2)


def test_who_is_being_served_is_not_dropped_for_a_flood(served):
    with contextlib.ExitStack() as stack:
        listening = connected(stack, served, "127.0.0.1")
        listening.sendall(b"GET /api/v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert b"200 OK" in listening.recv(1024)
        for _ in range(MANY):
            connected(stack, served, "127.0.0.1")
        listening.settimeout(1)
        with contextlib.suppress(TimeoutError):
            while part := listening.recv(65_536):
                assert part
        assert httpx.get(f"{served.address}/livez", timeout=PATIENCE).status_code == 200
        listening.settimeout(0.1)
        with pytest.raises(TimeoutError):  # still open: there is only nothing to say
            listening.recv(1)


def test_a_trusted_proxy_speaks_for_many(served):
    before = descriptors(served)
    with contextlib.ExitStack() as stack:
        for _ in range(2 * MOST_EACH):
            connected(stack, served, "127.0.0.2")
        eventually(lambda: descriptors(served) >= before + 2 * MOST_EACH)
        assert served.log("connections.refused") == []


@pytest.mark.virtual_time
async def test_a_body_that_drips_is_not_waited_for(database):
    """Its headers are there at once, and its body would take hours."""
    async with within(database, trusted_proxies=["127.0.0.2"]) as address:
        reader, writer = await asyncio.open_connection(*address.split(":"))
        head = b"POST /sign-in HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded\r\n"
        writer.write(head + b"content-length: 4000\r\n\r\n")
        began = time.monotonic()
        with contextlib.suppress(ConnectionError):
            while not reader.at_eof():
                writer.write(b"a")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(65_536), 0.5)
        assert time.monotonic() - began == pytest.approx(server.SENDING_SECONDS, abs=1)
        writer.close()
