"""How many presence events a second the ledger commits: `python tests/bench/bench_commit.py [events] [batch]`.

Per event one journal entry and one observation; per 3.3 events one finished call with its leg and two transitions;
call states are coalesced by batch. Prints events a second, and where the time goes with PROFILE=1.
"""

import asyncio
import cProfile
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path

from ringledger.domain.call import CallSession, Leg, Mark, Phase
from ringledger.domain.changes import Changes, Extension, JournalEntry, Transition
from ringledger.domain.observation import CallItem, Direction, FeedPosition, Party, PresenceObservation, Source
from ringledger.domain.record import derive_record
from ringledger.domain.status import TelephonyStatus as S
from ringledger.domain.status import TerminationType
from ringledger.ledger.ledger import Ledger
from ringledger.ledger.rows import batch_of
from ringledger.ledger.upgrade import upgrade

START = 1_792_000_000_000


def one_call(changes: Changes, n: int) -> None:
    account, session_id, extension = "37439510", f"{67029198021 + n * 7919}", f"{62264425008 + n % 100}"
    at, caller, callee = (
        START + n * 310,
        Party(f"+1302{n:07d}", "Caller", f"302{n:07d}"),
        Party("+18885434778", "Sales"),
    )
    statuses = (
        (S.RINGING, S.CALL_CONNECTED, S.NO_CALL) if n % 10 > 2 else (S.RINGING, S.CALL_CONNECTED, S.ON_HOLD, S.NO_CALL)
    )
    leg = Leg(1, f"leg{n:020d}", extension, Direction.INBOUND, S.NO_CALL, False, Source.PRESENCE, at, at + 5000,
              at + 20000, TerminationType.FINAL, caller, callee)  # fmt: skip
    session = CallSession(
        account, session_id, f"s-a0d16a{n:028x}", phase=Phase.FINISHED, legs=[leg], started_at=at, discovered_at=at,
        marks={extension: Mark(0, 4 * n, at)}, uuids=[f"{n:08x}-0000-4000-8000-{i:012x}" for i in range(len(statuses))],
        first_rung_at=at, first_answered_at=at + 5000, ended_at=at + 20000, last_seen_at=at + 20000, revision=1,
    )  # fmt: skip
    for i, status in enumerate(statuses):
        then = at + i * 5000
        item = CallItem(session_id, session.telephony_session_id, leg.leg_id, Direction.INBOUND, status, status.value,
                        None, caller, callee, at)  # fmt: skip
        changes.observations.append(
            PresenceObservation(account, extension, then, then + 120, 4 * n + i, session.uuids[i], (item,), False,
                                Source.PRESENCE, "Busy", "Available", "TakeAllCalls"))  # fmt: skip
        changes.journal.append(JournalEntry(account, session_id, then, then + 120, extension, leg.leg_id, status.value,
                                            4 * n + i, Source.PRESENCE, None))  # fmt: skip
    for before, after in ((None, S.RINGING), (S.RINGING, S.CALL_CONNECTED)):
        changes.transitions.append(Transition(account, session_id, at, before, after, 4 * n, Source.PRESENCE))
    changes.sessions[session.key] = session
    changes.legs[session.key, 1] = leg
    changes.records[session.key] = derive_record(session)
    changes.extensions[account, extension] = Extension(account, extension, since=at, updated_at=at)


def batches(events: int, size: int) -> list[Changes]:
    result, n = [Changes()], 0
    while sum(len(changes.journal) for changes in result[:-1]) < events - size:
        if len(result[-1].journal) >= size:
            result.append(Changes())
        one_call(result[-1], n)
        n += 1
    return result


async def measure(events: int, size: int) -> None:
    work = batches(events, size)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite+aiosqlite:///{Path(folder) / 'bench.db'}"
        upgrade(url)
        ledger = await Ledger.open(url)
        await ledger.commit(work[0], now_ms=START)
        count = sum(len(changes.journal) for changes in work[1:])
        rows = time.perf_counter()
        for changes in work[1:]:
            batch_of(ledger._statements, changes, None, (), now_ms=START, journal=True)
        rows = time.perf_counter() - rows
        took, cpu = time.perf_counter(), time.process_time()
        for i, changes in enumerate(work[1:]):
            await ledger.commit(changes, FeedPosition("websocket", "key", str(i), START), now_ms=START + i)
        took, cpu = time.perf_counter() - took, time.process_time() - cpu
        size_mb = (Path(folder) / "bench.db").stat().st_size / 1e6
        await ledger.close()
    print(f"{count} events in batches of {size}: {count / took:,.0f} events/s wall, {count / cpu:,.0f} per CPU second, "
          f"{took / len(work[1:]) * 1000:.1f} ms a commit ({rows / len(work[1:]) * 1000:.1f} ms of it making rows), "
          f"{size_mb:.0f} MB")  # fmt: skip


def main() -> None:
    events, size = (int(value) for value in (sys.argv[1:] + ["50000", "500"][len(sys.argv) - 1 :])[:2])
    if os.environ.get("PROFILE"):
        with cProfile.Profile() as profile:
            asyncio.run(measure(events, size))
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    else:
        asyncio.run(measure(events, size))


if __name__ == "__main__":
    main()
