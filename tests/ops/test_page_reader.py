"""`serve` as a user of its own, who is in the daemon's group and may read and nothing else."""

import os
import subprocess
import sys

import httpx
import pytest

pytest.importorskip("fastapi", reason="the extra `web` is not installed")

from tests.needs import needs
from tests.ops.conftest import GROUP, ringledger
from tests.until import PATIENCE

READER, STRANGER = 54325, 54326

pytestmark = needs(os.geteuid() == 0, "root", "run the tests as root")

#: Everything is imported before the change, for the other user may not see the interpreter's files.
AS_SOMEBODY = """
import os, sys
import encodings.idna, aiosqlite, uvicorn, uvicorn.lifespan.on, uvicorn.loops.asyncio
import sqlalchemy.dialects.sqlite.aiosqlite
import jinja2.ext, ringledger.cli.operate.serve, ringledger.numbers
import ringledger.service.health.status, ringledger.web.server
import concurrent.futures.thread, rich.console, uvicorn.protocols.websockets.auto
from ringledger.cli.app import main
from ringledger.web.templating import STATIC, content, page
for name in STATIC: content(name)
uid, gid = int(sys.argv[1]), int(sys.argv[2])
os.setgroups([]); os.setgid(gid); os.setuid(uid)
sys.exit(main(["serve", "--listen", "127.0.0.1:0"]))
"""


def served(path, uid, gid, ask):
    """What ``ask(client)`` gets from a server of that user."""
    variables = {name: text for name, text in os.environ.items() if not name.startswith("RINGLEDGER_")}
    variables |= {"RINGLEDGER_CONFIG": os.devnull, "RINGLEDGER_DATABASE__URL": f"sqlite+aiosqlite:///{path}"}
    command = [sys.executable, "-c", AS_SOMEBODY, str(uid), str(gid)]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr
            lines = iter(process.stderr)
            said = [next(lines, "")]
            while not said[-1].startswith("ringledger: http"):
                assert said[-1], "".join(said)
                said.append(next(lines, ""))
            with httpx.Client(base_url=said[-1].split()[1], timeout=PATIENCE) as client:
                return ask(client)
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_a_user_of_the_group_serves_what_the_daemon_writes(platform, state):
    path = state / "r.db"
    platform.office(calls_per_hour=400)
    settings = platform.settings(path)
    with ringledger(settings, group=GROUP, extra_groups=[], umask=0o027) as daemon:
        daemon.ready()
        daemon.until(lambda: daemon.named("call.finished"))

        def ask(client):
            answer = client.get("/api/v1/health")
            assert answer.status_code == 200, answer.text
            health = answer.json()
            return health["status"], len(client.get("/api/v1/calls").json()["items"])

        status, calls = served(path, READER, GROUP, ask)
        assert calls > 0
        assert status in {"ok", "doubtful"}, "it may ask whether the daemon runs, or sees it by what is written"
        refused = served(path, STRANGER, STRANGER, lambda client: client.get("/api/v1/calls"))
        assert refused.status_code == 503
        assert refused.json()["type"].startswith("urn:ringledger:problem:database-")
