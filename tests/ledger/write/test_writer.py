import asyncio
from contextlib import asynccontextmanager

import pytest

from ringledger.domain.changes import Changes
from ringledger.domain.observation import FeedPosition
from ringledger.ledger.errors import LedgerBroken
from ringledger.ledger.write.store import Ledger
from ringledger.ledger.write.writer import LedgerWriter
from tests.builders import ACCOUNT, SESSION, T0, Desk, item, observations, presence
from tests.until import PATIENCE

pytestmark = pytest.mark.timeout(30)


class Book:
    """A tracker with a feed's position on one side, what was told on the other."""

    def __init__(self, ledger: Ledger, **options) -> None:
        self.desk = Desk()
        self.position: FeedPosition | None = None
        self.told: list[Changes] = []
        self.notices: list[str] = []
        self.seen = 0
        self.noticed = asyncio.Event()
        options = {"commit_interval": 0.001, "commit_batch": 500} | options
        self.writer = LedgerWriter(ledger, self.take, on_committed=self.told.append, notices=self,
                                   now_ms=lambda: T0, **options)  # fmt: skip

    def take(self) -> Changes:
        changes, position, self.position = self.desk.tracker.drain(), self.position, None
        if position is not None:
            changes.positions[position.feed] = position
        return changes

    def retrying(self, error: Exception) -> None:
        self._notice(f"retrying {type(error).__name__}")

    def full(self, error: Exception) -> None:
        self._notice("full")

    def recovered(self, attempts: int) -> None:
        self._notice("recovered")

    def _notice(self, text: str) -> None:
        self.notices.append(text)
        self.noticed.set()

    def see(self, *seen) -> None:
        for observation in seen:
            self.desk.tracker.take(observation, 1000.0)
            self.seen += 1
            self.position = FeedPosition("websocket", "key", str(self.seen), T0, ACCOUNT)
        self.writer.notify(len(seen))

    def ring(self, count: int = 1) -> None:
        self.see(*(presence(101, self.seen + n, T0 + self.seen + n, item()) for n in range(count)))


@asynccontextmanager
async def running(book: Book):
    task = asyncio.create_task(book.writer.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def events_in(ledger: Ledger) -> int:
    async with ledger.reader.connect() as connection:
        return (await connection.exec_driver_sql("SELECT count(*) FROM fact")).scalar_one()


async def test_flush_returns_when_everything_so_far_is_committed(ledger):
    book = Book(ledger, commit_interval=60.0)
    async with running(book):
        book.see(*observations("answered"))
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
        assert await events_in(ledger) == book.seen
        assert book.writer.pending == 0
        position = (await ledger.load_open(ACCOUNT)).positions.get("websocket")
        assert position == FeedPosition("websocket", "key", str(book.seen), T0, ACCOUNT)
        await book.writer.flush()  # nothing to wait for


async def test_a_full_batch_does_not_wait_for_company(ledger):
    book = Book(ledger, commit_interval=60.0, commit_batch=10)
    async with running(book):
        book.ring(10)
        async with asyncio.timeout(5):
            while not book.told:
                await asyncio.sleep(0)
        assert await events_in(ledger) == 10


async def test_the_interval_ends_the_wait(ledger):
    book = Book(ledger, commit_interval=0.01)
    async with running(book):
        book.ring()
        async with asyncio.timeout(5):
            while not book.told:
                await asyncio.sleep(0)


async def test_changes_without_an_event_are_flushed_too(ledger):
    book = Book(ledger, commit_interval=60.0)
    async with running(book):
        book.see(*observations("answered"))
        flushed = asyncio.create_task(book.writer.flush())
        await asyncio.sleep(0)  # the first commit is under way
        book.desk.tracker.advance(2000.0)
        book.writer.notify(0)
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
        await flushed
    (call,) = await ledger.load_sessions(book.desk.tracker.calls)
    assert (call.session_id, call.published.revision) == (SESSION, 1)


async def test_nothing_is_told_before_its_commit_and_all_of_it_in_order(ledger, other):
    book = Book(ledger)
    async with running(book):
        other.execute("BEGIN IMMEDIATE")
        book.see(*observations("answered"))
        await asyncio.wait_for(book.noticed.wait(), PATIENCE)
        assert book.told == []
        assert book.writer.failing
        book.ring(5)
        other.execute("ROLLBACK")
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
    assert book.notices == ["retrying LedgerBusy", "recovered"]
    kinds = [line.kind.value for changes in book.told for line in changes.announcements]
    assert kinds[:2] == ["call.opened", "call.status_changed"]
    assert await events_in(ledger) == book.seen
    assert not book.writer.failing


async def test_a_question_that_waits_is_a_trouble_although_nothing_is_to_be_committed(ledger, other):
    """What would be committed may hang on its answer."""
    book = Book(ledger)
    async with running(book):
        other.execute("BEGIN IMMEDIATE")
        book.writer.doubt()
        await asyncio.wait_for(book.noticed.wait(), 5)
        assert book.writer.failing
        other.execute("ROLLBACK")
        async with asyncio.timeout(10):
            while book.writer.failing:
                await asyncio.sleep(0.01)
    assert book.notices == ["retrying LedgerBusy", "recovered"]


@pytest.mark.sqlite
async def test_a_full_disk_is_told_once_and_nothing_is_lost(ledger):
    raw = (await ledger._connection.get_raw_connection()).driver_connection
    await raw.execute_fetchall("PRAGMA max_page_count = 1")
    book = Book(ledger)
    async with running(book):
        book.ring(2000)
        await asyncio.wait_for(book.noticed.wait(), PATIENCE)
        book.ring(50)
        await raw.execute_fetchall("PRAGMA max_page_count = 100000")
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
    assert book.notices == ["full", "recovered"]
    assert await events_in(ledger) == 2050
    assert len((await ledger.load_open(ACCOUNT)).sessions) == 1


async def test_intake_stops_at_the_bound_and_goes_on_after_the_commit(ledger, other):
    book = Book(ledger, most_pending=20)
    async with running(book):
        await book.writer.room()
        other.execute("BEGIN IMMEDIATE")
        book.ring(20)
        waiting = asyncio.create_task(book.writer.room())
        await asyncio.wait_for(book.noticed.wait(), PATIENCE)
        assert not waiting.done()
        assert book.writer.pending == 20
        other.execute("ROLLBACK")
        await asyncio.wait_for(waiting, PATIENCE)
        assert await events_in(ledger) == 20


async def test_what_waiting_does_not_cure_ends_the_task_and_the_waiters(ledger):
    book = Book(ledger, commit_interval=60.0)
    async with running(book) as task:
        await ledger.close()
        book.ring()
        flushed = asyncio.create_task(book.writer.flush())
        with pytest.raises(LedgerBroken):
            await asyncio.wait_for(task, PATIENCE)
        with pytest.raises(asyncio.CancelledError):
            await flushed
    assert book.told == []


async def test_a_run_that_was_stopped_keeps_what_it_held(ledger, other):
    book = Book(ledger)
    async with running(book):
        other.execute("BEGIN IMMEDIATE")
        book.ring(3)
        await asyncio.wait_for(book.noticed.wait(), PATIENCE)
    other.execute("ROLLBACK")
    async with running(book):
        await asyncio.wait_for(book.writer.flush(), PATIENCE)
    assert await events_in(ledger) == 3
