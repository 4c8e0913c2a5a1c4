"""PgBouncer before the server: with sessions of one's own all is as without it, with shared ones nobody writes."""

import os
import shutil
import socket
import subprocess
from contextlib import contextmanager

import asyncpg
import pytest

from ringledger.ledger.errors import LedgerPooled
from ringledger.ledger.write.store import Ledger
from tests.builders import ACCOUNT, SESSION, T0, observations, play
from tests.needs import needs
from tests.postgresql.server import asked, needs_postgresql, server
from tests.postgresql.test_writer import calls
from tests.until import until

PROGRAM = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [needs_postgresql, needs(PROGRAM, "a pooler", "apt-get install pgbouncer")]


@contextmanager
def pooled(mode):
    """The URL of a new database behind a pooler, and the same without."""
    url = server().url()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    name = url.partition("@/")[2].partition("?")[0]
    settings = server().folder / f"pooler-{name}.ini"
    settings.write_text(
        f"[databases]\n{name} = host={server().folder} user={server().name}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = {mode}\n"
    )
    running = subprocess.Popen([str(PROGRAM), settings], stderr=subprocess.DEVNULL, **server()._user)
    try:
        yield f"postgresql://{server().name}@127.0.0.1:{port}/{name}", url
    finally:
        running.terminate()
        running.wait()


async def answers(url):
    try:
        await (await asyncpg.connect(url)).close()
    except OSError:
        return False
    return True


async def test_with_a_session_of_its_own_all_is_as_without_it():
    with pooled("session") as (url, direct):
        await until(lambda: answers(url), "the pooler listens")
        ledger = await Ledger.open(url, shared=True)
        leases = ledger.database.leases(10.0)
        (fence,) = await leases.take(["a"])
        await (await ledger.under(fence, ACCOUNT)).commit(play(observations("answered")).changes, now_ms=T0)
        assert calls(direct) == [SESSION]
        locks = asked(direct, "SELECT mode FROM pg_locks WHERE locktype = 'advisory'")
        assert {one["mode"] for one in locks} == {"ShareLock", "ExclusiveLock"}
        async with ledger.reader.connect() as reader:
            for name, value in (("default_transaction_read_only", "on"), ("jit", "off"), ("timezone", "UTC")):
                assert (await reader.exec_driver_sql(f"SHOW {name}")).scalar() == value, name
        await leases.close()
        await ledger.close()


async def test_with_a_shared_one_nobody_writes():
    with pooled("transaction") as (url, direct):
        await until(lambda: answers(url), "the pooler listens")
        with pytest.raises(LedgerPooled, match="pool_mode = session"):
            await Ledger.open(url, shared=True)
        assert asked(direct, "SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
        assert asked(direct, "SELECT 1 FROM writer") == []
