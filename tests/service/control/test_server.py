"""The daemon's socket for commands: real sockets, odd callers, and what is left behind."""

import asyncio
import json
import os
import socket
import stat
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from ringledger.ringcentral.errors import PermissionDenied
from ringledger.service.commands.handlers import REQUESTS
from ringledger.service.control.server import Control, Refused, request, socket_path
from ringledger.simulator import Simulator
from tests.needs import needs
from tests.rig import running, settings_for
from tests.until import PATIENCE, until

#: Requests that change nothing: the group may read.
SHARED = {"findings", "status"}


async def count(asked, send):
    for number in range(asked["to"]):
        send({"number": number})
        await asyncio.sleep(0)
    return {"counted": asked["to"]}


async def fail(asked, send):
    raise {"permission": PermissionDenied("ReadCallLog", "CMN-401", "no"), "bug": ZeroDivisionError("oops")}[
        asked["how"]
    ]


@asynccontextmanager
async def listening(path, **handlers):
    handlers = {"count": count, "fail": fail} | handlers
    task = asyncio.create_task(Control(path, handlers).run())
    await until(lambda: path.exists() or task.done())
    try:
        yield path
    finally:
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
def path(tmp_path):
    return socket_path(tmp_path / "r.db")


async def test_progress_and_a_result(path):
    async with listening(path):
        heard = []
        assert await request(path, {"do": "count", "to": 3}, heard.append) == {"counted": 3}
        assert heard == [{"number": 0}, {"number": 1}, {"number": 2}]


#: What may be asked of a daemon that writes, in this ledger or at a receiver's.
WRITING = (
    {"do": "purge", "before": 1},
    {"do": "backfill", "since": 1, "until": 2},
    {"do": "webhooks-retry", "ids": None},
    {"do": "quarantine-retry", "ids": None},
)
#: Somebody else with the socket's group, as an analyst is; the interpreter's files are not theirs to see afterwards.
AS_AN_ANALYST = """
import json, os, socket, sys
here = socket.socket(socket.AF_UNIX)
folder, name = os.path.split(sys.argv[1])
os.chdir(folder)  # a folder above it may be closed to others
os.setgroups([]); os.setgid(0); os.setuid(54322)
here.connect(name)
answers = here.makefile()
for line in sys.argv[2:]:
    here.sendall(line.encode() + b"\\n")
    print(answers.readline(), end="")
"""


@needs(os.geteuid() == 0, "root", "run the tests as root")
async def test_the_group_may_ask_for_nothing_that_writes(public_folder):
    database = public_folder / "r.db"
    async with Simulator() as sim, running(sim, settings_for(sim, database)) as rig:
        await rig.until(socket_path(database).exists, "it listens")
        asked = [*(json.dumps(one) for one in WRITING), '{"do": "findings"}', '{"do": ""}']
        command = [sys.executable, "-c", AS_AN_ANALYST, str(socket_path(database)), *asked]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, timeout=30)
        *told, findings, unknown = (json.loads(line) for line in done.stdout.splitlines())
        answers, known = [one["error"] for one in told], unknown["error"]
        assert findings["result"]["findings"]  # which changes nothing
        assert [one["kind"] for one in answers] == ["PermissionError"] * len(WRITING)
        assert all("as root or as the daemon's user" in one["message"] for one in answers)
        listed = known["message"].rpartition(": ")[2].split(", ")
        assert set(listed) - SHARED == {one["do"] for one in WRITING}
        assert set(listed) >= SHARED
        assert set(listed) - SHARED == REQUESTS
        assert await request(socket_path(database), WRITING[0], print)  # its own user may


async def test_what_a_starting_daemon_cannot_do_yet_is_no_unknown_request(path):
    control = Control(path, {"count": count}, later={"fail"})
    task = asyncio.create_task(control.run())
    try:
        await until(path.exists)
        with pytest.raises(Refused, match="still starting") as refused:
            await request(path, {"do": "fail", "how": "permission"}, print)
        assert refused.value.kind == "Starting"
        control.add({"fail": count})
        assert await request(path, {"do": "fail", "to": 2}, lambda _: None) == {"counted": 2}
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_nobody_listens(path):
    assert await request(path, {"do": "count", "to": 1}, print) is None
    with closing(socket.socket(socket.AF_UNIX)) as left_by_a_killed_daemon:
        left_by_a_killed_daemon.bind(str(path))
    assert await request(path, {"do": "count", "to": 1}, print) is None
    async with listening(path):
        path.stat()

        async def asked() -> dict[str, Any] | None:
            return await request(path, {"do": "count", "to": 1}, lambda _: None)

        await until(asked)


async def test_only_owner_and_group_and_gone_afterwards(path):
    async with listening(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert not path.exists()


async def test_an_error_has_its_name_and_the_next_request_is_answered(path):
    async with listening(path):
        with pytest.raises(Refused, match="ReadCallLog") as refused:
            await request(path, {"do": "fail", "how": "permission"}, print)
        assert refused.value.kind == "PermissionDenied"
        with pytest.raises(Refused, match="internal error: ZeroDivisionError"):
            await request(path, {"do": "fail", "how": "bug"}, print)
        assert await request(path, {"do": "count", "to": 0}, print) == {"counted": 0}


@pytest.mark.parametrize(
    "line", [b"hello", b"[]", b"7", b"{}", b'{"do": "dance"}', b'{"do": ["count"]}', b"\xff\xfe", b"[" * 4000]
)
async def test_what_is_no_request_is_answered_with_what_is(path, line):
    async with listening(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(line + b"\n")
        answer = json.loads(await asyncio.wait_for(reader.readline(), PATIENCE))
        assert "count, fail" in answer["error"]["message"]
        writer.write(b'{"do": "count", "to": 0}\n')
        assert json.loads(await asyncio.wait_for(reader.readline(), PATIENCE)) == {"result": {"counted": 0}}
        writer.close()


async def test_a_line_without_end_is_cut_off(path):
    async with listening(path):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b"x" * 10_000)
        assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
        writer.close()
        assert await request(path, {"do": "count", "to": 0}, print) == {"counted": 0}


async def test_a_caller_who_goes_away_ends_what_they_asked_for(path):
    ended = asyncio.Event()

    async def endless(asked, send):
        try:
            while True:
                send({"still": "here"})
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    async with listening(path, endless=endless):
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write(b'{"do": "endless"}\n')
        await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        await asyncio.wait_for(ended.wait(), PATIENCE)


async def test_a_path_too_long_for_a_socket_is_told_and_lived_with(tmp_path, logs):
    deep = tmp_path / ("x" * 120)
    deep.mkdir()
    async with listening(deep / "r.sock"):
        (line,) = logs.named("control.unavailable")
        assert line["level"] == "warning"
    assert await request(deep / "r.sock", {"do": "count"}, print) is None
