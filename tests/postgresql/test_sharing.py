"""Three processes share several accounts, while they are killed, paused and cut off, and the server is restarted.

ROUNDS, MINUTES (at least), PAUSE (seconds, at least), ACCOUNTS, CALLS (an hour of each), LEASE and SEED come from the
environment; the figures are printed at the end.
"""

import asyncio
import json
import os
import random
import signal
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import datetime
from statistics import median

import aiohttp
import pytest

from ringledger.simulator import Credentials, Office, Options, Pbx, SimClock, Simulator, default_extensions
from tests.crash.child import Child, pace
from tests.crash.test_kill import _work
from tests.ports import free_port
from tests.postgresql.server import Server, asked, needs_postgresql
from tests.receiver import receiving
from tests.truth import differences
from tests.until import PATIENCE, until

pytestmark = [needs_postgresql, pytest.mark.crash, pytest.mark.timeout(3600)]

KINDS = ("kill", "pause", "cut", "silence", "restart")
ROUNDS = int(os.environ.get("ROUNDS", str(len(KINDS))))
MINUTES = float(os.environ.get("MINUTES", "0"))
PAUSE = float(os.environ.get("PAUSE", "0"))
ACCOUNTS = int(os.environ.get("ACCOUNTS", "6"))
LEASE_SECONDS = int(os.environ.get("LEASE", "5"))
SEED = int(os.environ.get("SEED", "1"))
SPEED = 10.0
CALLS_PER_HOUR = int(os.environ.get("CALLS", "120"))
#: Another process has the account of one that was killed within so long, seconds.
TAKEN_WITHIN = 15.0
PACE = pace(SPEED) | {"database__lease_seconds": LEASE_SECONDS}
#: The server itself notes each fact whose transaction is not that of the account's holder: a transaction is known by
#: its process's row, which it has counted itself in.
WATCH = (
    "CREATE TABLE stale_write (account_id text, at timestamptz DEFAULT clock_timestamp())",
    """CREATE FUNCTION watched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NOT EXISTS (SELECT FROM lease JOIN writer ON token = holder WHERE lease.account_id = NEW.account_id
                       AND writer.xmin = pg_current_xact_id()::xid)
        THEN INSERT INTO stale_write (account_id) VALUES (NEW.account_id); END IF;
        RETURN NEW; END $$""",
    "CREATE TRIGGER watched BEFORE INSERT ON fact FOR EACH ROW EXECUTE FUNCTION watched()",
)
STALE = "SELECT account_id FROM stale_write"
METRICS = ("accounts_owned", "lease_lost_total", "takeover_seconds_count")


class Line:
    """The network between a process and the server: a socket of its own, which can be cut, or lose nothing and carry
    nothing for a while."""

    def __init__(self, folder, server):
        self.folder, self._server = folder, server
        self._open = set()
        self._listening = None
        self.flows = asyncio.Event()
        self.flows.set()

    async def mend(self):
        path = self.folder / ".s.PGSQL.5432"
        self._listening = await asyncio.start_unix_server(self._carry, path)

    async def cut(self):
        """Every connection ends, and no new one is made."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.close()
            (self.folder / ".s.PGSQL.5432").unlink(missing_ok=True)
        for writer in self._open:
            writer.transport.abort()

    async def _carry(self, reader, writer):
        try:
            theirs, ours = await asyncio.open_unix_connection(self._server.folder / ".s.PGSQL.5432")
        except OSError:
            writer.transport.abort()
            return
        both = {writer, ours}
        self._open |= both
        await asyncio.gather(self._copy(reader, ours), self._copy(theirs, writer))
        self._open -= both

    async def _copy(self, reader, writer):
        with suppress(OSError):
            while data := await reader.read(65_536):
                await self.flows.wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


class Shared:
    """The processes, their lines, the platforms of the accounts, and who hears of their calls."""

    def __init__(self, server, sims, children, lines, hook):
        self.server, self.sims, self.children, self.lines, self.hook = server, sims, children, lines, hook
        self.url = server.address("ledger0")
        self.closed = asyncio.Event()

    async def until(self, condition, what):
        """``condition``: whether it has come about, or what is still missing."""
        until = asyncio.get_running_loop().time() + PATIENCE
        while (found := condition()) is not True and asyncio.get_running_loop().time() < until:
            await asyncio.sleep(0.1)
        assert found is True, (what, found)

    def leases(self):
        """Names of accounts by the pid that works for them; what has lapsed is nobody's."""
        found = asked(self.url, "SELECT name, process, expires_at::timestamptz > clock_timestamp() AS runs FROM lease "
                                "WHERE holder <> ''")  # fmt: skip
        held = {}
        for row in found:
            held.setdefault(int(row["process"].split()[1]) if row["runs"] else 0, set()).add(row["name"])
        return held

    def all_held(self, *, but=None):
        """Whether each account has a process, which is not this one."""
        held = self.leases()
        pids = {child.pid for child in self.children if child is not but and child.running}
        return set().union(*(held.get(pid, set()) for pid in pids)) == self.sims.keys()

    def shared_out(self):
        """Whether each process has its part."""
        held = self.leases()
        most = -(-len(self.sims) // len(self.children))
        return sum(map(len, held.values())) == len(self.sims) and max(map(len, held.values())) <= most

    async def strike(self, kind, victim):
        child, line = self.children[victim], self.lines[victim]
        if kind == "restart":
            await asyncio.to_thread(self.server.stop)
            await asyncio.to_thread(self.server.start)
        elif kind == "kill":
            await child.kill()
            await self.until(lambda: self.all_held(but=child), "the others have taken over")
            await child.start()
        elif kind == "pause":
            child.signal(signal.SIGSTOP)
            paused = asyncio.create_task(asyncio.sleep(PAUSE))
            await self.until(lambda: self.all_held(but=child), "the others have taken over")
            await paused
            child.signal(signal.SIGCONT)
        elif kind == "silence":  # what was on its way arrives when others have the accounts
            line.flows.clear()
            await self.until(lambda: self.all_held(but=child), "the others have taken over")
            line.flows.set()
        else:
            await line.cut()
            await self.until(lambda: self.all_held(but=child), "the others have taken over")
            await line.mend()
        await self.until(self.shared_out, "the work is shared out again")
        assert all(one.running for one in self.children)

    async def measured(self):
        """What the metrics of each process say of leases; what its log says of those lost and taken since its start."""
        said, logged = [], []
        async with aiohttp.ClientSession() as http:
            for child in self.children:
                address = child._environment["RINGLEDGER_HTTP__LISTEN"]
                async with http.get(f"http://{address}/metrics") as answer:
                    told = dict(line.rsplit(" ", 1) for line in (await answer.text()).splitlines() if line[0] != "#")
                said.append([float(told[f"ringledger_{name}"]) for name in METRICS])
                lines = child.lines()
                begun = max(n for n, line in enumerate(lines) if line["event"] == "service.started")
                events = Counter(line["event"] for line in lines[begun:])
                taken = sum(line["event"] == "lease.taken" and "seconds" in line for line in lines[begun:])
                logged.append([events["lease.lost"], taken])
        return said, logged

    async def told(self):
        """Return what was measured once the processes say that they hold every account: the database knows of a lease
        before its holder does."""
        said, logged = await self.measured()
        return (said, logged) if sum(owned for owned, _, _ in said) == ACCOUNTS else None

    def finished(self):
        """Whether the ledger knows of every call's end and the platform's word on it."""
        found = asked(self.url, "SELECT account_id, count(*) AS calls, count(confirmed_at) AS confirmed FROM all_calls "
                                "GROUP BY account_id")  # fmt: skip
        there = {row["account_id"]: (row["calls"], row["confirmed"]) for row in found}
        open_ones = asked(self.url, "SELECT account_id, session_id, status FROM active_calls LIMIT 5")
        waiting = asked(self.url, "SELECT account_id, event_id, since, attempts, last_error FROM outbox LIMIT 5")
        true = {sim.pbx.account_id: len(sim.pbx.truth()) for sim in self.sims.values()}
        behind = {one: (there.get(one), n) for one, n in true.items() if there.get(one, (0, 0)) != (n, n)}
        return not (open_ones or waiting or behind) or (open_ones, waiting, behind)


@asynccontextmanager
async def sharing(tmp_path):
    async with AsyncExitStack() as stack:
        own = Server()
        stack.callback(own.close)
        own.execute("postgres", "CREATE DATABASE ledger0 TEMPLATE template0")
        hook = await stack.enter_async_context(receiving())
        sims = {}
        for n in range(ACCOUNTS):
            pbx = Pbx(default_extensions(6), account_id=str(7001 + n), seed=SEED + n)
            options = Options(
                real_lifetimes=True, queue_limit=2_000, credentials=Credentials(jwt=f"sim-jwt of account {n}")
            )
            sims[f"a{n}"] = sim = Simulator(clock=SimClock(speed=SPEED), pbx=pbx, options=options)
            sim.websocket.sessions.buffer_size = 2_000
            await stack.enter_async_context(sim)
        tables = [
            {"name": name, "server_url": sim.url, "jwt": sim.options.credentials.jwt} for name, sim in sims.items()
        ]
        children, lines = [], []
        for name in ("one", "two", "three"):
            (folder := tmp_path / name).mkdir()
            line = Line(folder, own)
            await line.mend()
            url = own.address("ledger0").replace(str(own.folder), str(folder))
            child = Child(next(iter(sims.values())), folder, "websocket", url=url, **PACE)
            child._environment["RINGLEDGER_ACCOUNTS"] = json.dumps(tables)
            child._environment["RINGLEDGER_HTTP__LISTEN"] = f"127.0.0.1:{free_port()}"
            child._environment["RINGLEDGER_WEBHOOKS"] = json.dumps([{"url": hook.url, "events": ["call.*"]}])
            children.append(child)
            lines.append(line)
        made = Shared(own, sims, children, lines, hook)
        try:
            for child in children:
                await child.start()
                await child.until("service.ready")
            yield made
        finally:
            for child in children:
                if child.running:
                    child.signal(signal.SIGCONT)
                    await child.kill()
            for line in lines:
                await line.cut()


def of_kinds(lines, hits):
    """Seconds without a holder, of each time an account was taken from one that did not give it, by the kind of hit."""
    found = {kind: [] for kind in KINDS}
    for line in lines:
        if line["event"] == "lease.taken" and line.get("former"):
            at = datetime.fromisoformat(line["timestamp"]).timestamp()
            kind = next((kind for kind, begun in reversed(hits) if begun <= at), None)
            if kind is not None:
                found[kind].append(line["seconds"])
    return found


def out_of_order(hook):
    """Calls whose letters came in another order than they were written, each by its first coming; how many letters came
    more than once."""
    wrong, first = [], {}
    for one in hook.accepted:
        first.setdefault((one.event["source"], one.event["subject"]), {}).setdefault(one.event["id"], one)
    for call, letters in first.items():
        revisions = [one.event["data"]["revision"] for one in letters.values() if "revision" in one.event["data"]]
        names = [one.name for one in letters.values()]
        if revisions != sorted(revisions) or ("call.opened" in names and names[0] != "call.opened"):
            wrong.append(call)
    return wrong, len(hook.accepted) - sum(map(len, first.values()))


async def test_nothing_is_lost_doubled_or_written_by_who_was_superseded(tmp_path, capsys):
    dice = random.Random(SEED)
    async with sharing(tmp_path) as made:
        await made.until(made.shared_out, "the accounts are shared out")
        offices = [
            asyncio.create_task(
                _work(
                    sim,
                    Office([*sim.pbx.extensions.values()], calls_per_hour=CALLS_PER_HOUR, seed=SEED + n),
                    made.closed,
                )
            )
            for n, sim in enumerate(made.sims.values())
        ]
        asked(made.url, *WATCH, STALE)
        hits, begun = [], time.monotonic()
        while len(hits) < ROUNDS or time.monotonic() < begun + MINUTES * 60:
            kind = KINDS[len(hits)] if len(hits) < len(KINDS) else dice.choice(KINDS)
            hits.append((kind, time.time()))
            await made.strike(kind, dice.randrange(3))
        lasted = time.monotonic() - begun
        said, logged = await until(made.told, "the processes hold every account")
        assert [one[1:] for one in said] == logged
        assert all(sum(column) for column in zip(*said, strict=True)), "accounts were lost and taken"
        made.closed.set()
        await asyncio.gather(*offices)
        await made.until(made.finished, "every call is there, and told")
        rows = asked(made.url, "SELECT * FROM all_calls")
        for sim in made.sims.values():
            mine = [row for row in rows if row["account_id"] == sim.pbx.account_id]
            assert differences(mine, sim.pbx.truth()) == []
        twice = "SELECT 1 FROM call_transitions GROUP BY account_id, session_id, at, to_status HAVING count(*) > 1"
        assert asked(made.url, twice) == []
        assert asked(made.url, STALE) == []
        lines = [line for child in made.children for line in child.lines()]
        told = Counter(
            (line["account_id"], line["session_id"], line["revision"])
            for line in lines
            if line["event"] == "call.finished"
        )
        assert [key for key, count in told.items() if count > 1] == []
        heard = {(one.event["source"], one.event["subject"]) for one in made.hook.accepted}
        assert len(heard) == len(rows)
        wrong, again = out_of_order(made.hook)
        assert wrong == []
        for child in made.children:
            assert await child.stop() == 0
        other = "INSERT INTO fact SELECT * FROM jsonb_populate_record((SELECT fact FROM fact LIMIT 1), '{\"id\": -1}')"
        assert len(asked(made.url, other, STALE)) == 1  # the watch does see
    taken = of_kinds(lines, hits)
    events = Counter(line["event"] for line in lines)
    counts = Counter(kind for kind, _ in hits)
    with capsys.disabled():
        print(f"\n{ACCOUNTS} accounts, {len(rows)} calls, leases of {LEASE_SECONDS} s, {len(hits)} hits in "
              f"{lasted / 60:.1f} min; lost {events['lease.lost']}, unrenewed {events['lease.unrenewed']}; letters "
              f"{len(made.hook.accepted)}, {again} of them again")  # fmt: skip
        for kind, seconds in taken.items():
            figures = f"; {median(seconds):.1f} s in the median, {max(seconds):.1f} s at most" if seconds else ""
            print(f"{kind}: {counts[kind]} hits, {len(seconds)} takeovers{figures}")
    assert max(map(max, filter(None, taken.values()))) < TAKEN_WITHIN
