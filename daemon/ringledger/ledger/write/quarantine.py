"""What could not be read or stored: put aside with its text, so that everything else goes on (rule 9.5).

What must stay true: a value the database refuses costs the observations that brought it and nothing else: the rest of
their batch and the feed's position are committed in the same transaction that puts them aside, so they are met once.
What strangers send is bounded here: so many characters of each, so many of them; the oldest go.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec import DecodeError, ValidationError
from msgspec.json import Decoder
from sqlalchemy import and_, delete
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ringledger.domain.changes import Announcement, AnnouncementKind, Changes, Quarantined, QuarantineKind
from ringledger.domain.facts import Fact, PresenceEvent, Read, Record
from ringledger.domain.observation import CallKey, PresenceObservation, RecordClaim, Source
from ringledger.ledger.errors import REFUSALS, LedgerBroken, LedgerRefused, classified
from ringledger.ledger.schema import tables
from ringledger.ledger.schema.tables import live_call
from ringledger.ledger.times import to_text
from ringledger.ledger.write.encode import Batch, fact_rows
from ringledger.ledger.write.store import Ledger

#: Why something stands in the quarantine that could be read.
NOT_STORABLE: Final = "not_storable"

_presence = Decoder(PresenceObservation).decode
_record = Decoder(RecordClaim).decode

Observation = PresenceObservation | RecordClaim


class _Part(NamedTuple):
    """Changes that are committed or refused together. ``about``: the call, or account and extension, they are of."""

    changes: Changes
    about: CallKey | tuple[str, str] | None = None


@dataclass(slots=True)
class Isolated:
    """What became of a batch: what is committed (with what was put aside), and what was refused: calls and extensions
    of which there is more in memory than in the ledger, and calls whose row is ``unwritable`` as they are.
    """

    committed: Changes
    calls: set[CallKey] = field(default_factory=set)
    extensions: set[tuple[str, str]] = field(default_factory=set)
    unwritable: set[CallKey] = field(default_factory=set)


async def commit_apart(ledger: Ledger, changes: Changes, *, now_ms: int) -> Isolated:
    """Commit what can be stored, put aside what cannot, all in one transaction. Raises as ``Ledger.commit`` does."""
    done = Isolated(Changes(positions=changes.positions, suspects=changes.suspects, cut=changes.cut))
    aside: dict[int, Quarantined] = {}
    detail = ""
    ledger.forget_written(_by_call(changes))
    async with ledger.transaction() as connection:
        for part in _parts(changes):
            try:
                await _write(connection, ledger.batch_of(part.changes, now_ms=now_ms))
            except LedgerRefused as error:
                detail = str(error)
                aside |= _put_aside(part, changes, now_ms)
                if isinstance(part.about, CallKey):
                    kept = await _save_facts(connection, ledger, part, now_ms)
                    done.committed.absorb(kept)
                    (done.calls if part.changes.facts else done.unwritable).add(part.about)
                elif part.about is not None:
                    done.extensions.add(part.about)
            else:
                done.committed.absorb(part.changes)
        done.committed.quarantined += aside.values()
        done.committed.announcements += [_told(entry, detail) for entry in aside.values()]
        rest = Changes(positions=changes.positions, quarantined=done.committed.quarantined)
        await _write(connection, ledger.batch_of(rest, now_ms=now_ms))
        for key in done.unwritable:
            gone = and_(live_call.c.account_id == key.account_id, live_call.c.session_id == key.session_id)
            await connection.execute(delete(live_call).where(gone))
    ledger.note(done.committed)
    ledger.forget_written(done.calls | done.unwritable)
    done.committed.committed_at = now_ms
    return done


async def _save_facts(connection: AsyncConnection, ledger: Ledger, part: _Part, now_ms: int) -> Changes:
    """Write a refused call's facts but those that brought the value, if that can be told; returns what was saved."""
    good = [(key, fact) for key, fact in part.changes.facts if _is_storable(key, fact)]
    if len(good) == len(part.changes.facts):
        return Changes()
    kept = Changes(facts=good, united=part.changes.united)
    try:
        await _write(connection, ledger.batch_of(kept, now_ms=now_ms))
    except LedgerRefused:
        return Changes()
    return kept


def _is_storable(key: CallKey, fact: Fact) -> bool:
    """Whether each value of a fact can stand in a row."""
    try:
        rows = fact_rows(key, fact, to_text(0))
        for text in _texts(rows):
            text.encode()
        return all(to_text(at) for at in _times_of(fact)) and all(abs(number) < 1 << 63 for number in _numbers(rows))
    except REFUSALS:
        return False


def _times_of(fact: Fact) -> Iterator[int]:
    if isinstance(fact, PresenceEvent | Read):
        yield from (item.started_at for item in fact.items if item.started_at is not None)
    elif isinstance(fact, Record):
        yield from _times(fact.claim)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _texts(one)


async def _write(connection: AsyncConnection, batch: Batch) -> None:
    try:
        async with connection.begin_nested():
            for sql, rows in batch:
                await connection.exec_driver_sql(sql, rows)
    except (DBAPIError, *REFUSALS) as error:
        raise classified(error) from error


def _parts(changes: Changes) -> Iterator[_Part]:
    """By call, by extension, and what is of neither one by one. What was put aside before is not among them."""
    for key, part in _by_call(changes).items():
        yield _Part(part, key)
    for name, extension in changes.extensions.items():
        yield _Part(Changes(extensions={name: extension}), name)
    yield from (_Part(Changes(facts=[told])) for told in changes.facts if not told[0].session_id)
    yield from (_Part(Changes(journal=[entry])) for entry in changes.journal if entry.session_id is None)
    yield from (_Part(Changes(observations=[seen])) for seen in changes.observations)
    yield from (_Part(Changes(coverage=[span])) for span in changes.coverage)
    yield _Part(Changes(announcements=[told for told in changes.announcements if told.session_id is None]))


def _by_call(changes: Changes) -> dict[CallKey, Changes]:
    calls: dict[CallKey, Changes] = {}

    def of(account_id: str, session_id: str) -> Changes:
        return calls.setdefault(CallKey(account_id, session_id), Changes())

    for former, key in changes.united.items():
        of(*key).united[former] = key
    for key, fact in changes.facts:
        if key.session_id:
            of(*key).facts.append((key, fact))
    for name in ("sessions", "records", "legs", "transitions"):
        for key, told_of in getattr(changes, name).items():
            getattr(of(*key), name)[key] = told_of
    for (key, source, record_id), claim in changes.claims.items():
        of(*key).claims[key, source, record_id] = claim
    for entry in changes.journal:
        if entry.session_id is not None:
            of(entry.account_id, entry.session_id).journal.append(entry)
    for told in changes.announcements:
        if told.session_id is not None:
            of(told.account_id, told.session_id).announcements.append(told)
    return calls


def _put_aside(part: _Part, changes: Changes, now_ms: int) -> dict[int, Quarantined]:
    """The observations that brought what was refused, by identity; if none did, what was to be written."""
    spoken = part.changes.observations or [seen for seen in changes.observations if _speaks_of(seen, part.about)]
    culprits = [seen for seen in spoken if not _storable(seen)] or spoken
    if culprits:
        return {id(seen): _aside(seen) for seen in culprits}
    if part.changes.coverage or not part.about:
        return {}  # nothing anybody sent
    what = [*part.changes.records.values(), *part.changes.legs.values(), *part.changes.transitions.values()]
    body = json.dumps(what, default=str)
    return {id(part.changes): Quarantined(part.about[0], now_ms, Source.PRESENCE, NOT_STORABLE,
                                          QuarantineKind.FACT, body)}  # fmt: skip


def _speaks_of(seen: Observation, about: CallKey | tuple[str, str] | None) -> bool:
    if about is None or seen.account_id != about[0]:
        return False
    if not isinstance(about, CallKey):
        return isinstance(seen, PresenceObservation) and seen.extension_id == about[1]
    told = (seen,) if isinstance(seen, RecordClaim) else seen.items
    return any(about.session_id in {one.session_id, one.telephony_session_id} for one in told)


def _storable(seen: Observation) -> bool:
    """Whether each of its values can stand in a row."""
    try:
        for text in _texts(seen):
            text.encode()
        return all(to_text(at) for at in _times(seen)) and all(abs(number) < 1 << 63 for number in _numbers(seen))
    except REFUSALS:
        return False


def _times(seen: Observation) -> Iterator[int]:
    if isinstance(seen, RecordClaim):
        yield from (at for at in (seen.started_at, seen.ended_at, seen.read_at) if at is not None)
    else:
        yield seen.at
        yield from (item.started_at for item in seen.items if item.started_at is not None)


def _numbers(value: object) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, (tuple, list)):
        for one in value:
            yield from _numbers(one)


def _aside(seen: Observation) -> Quarantined:
    received_at = seen.received_at if isinstance(seen, PresenceObservation) else seen.received_at or seen.read_at
    # Not by the encoder of the rows: this one writes any text and any number.
    body = json.dumps(seen, separators=(",", ":"))
    return Quarantined(seen.account_id, received_at, seen.source, NOT_STORABLE, QuarantineKind.FACT, body)


def _told(entry: Quarantined, detail: str) -> Announcement:
    return Announcement(
        AnnouncementKind.UNREADABLE, entry.account_id, None, None, entry.received_at, None, entry.source, entry.reason,
        detail=detail,
    )  # fmt: skip


def observation_of(kind: str, body: str) -> Observation:
    """What was put aside as a fact of our own, read back. ``kind``: presence or record. Raises ``LedgerBroken``."""
    try:
        return _presence(body) if kind == "presence" else _record(body)
    except (DecodeError, ValidationError) as error:
        raise LedgerBroken(f"quarantine: what was put aside cannot be read ({type(error).__name__})") from error


# -- for those who look after it -----------------------------------------------------------------------------------


async def discard(ledger: Ledger, ids: Iterable[int]) -> int:
    """Delete entries, taken or unwanted; return how many. Raises as ``Ledger.commit`` does."""
    wanted: Sequence[int] = list(ids)
    async with ledger.transaction() as connection:
        gone = delete(tables.quarantined).where(tables.quarantined.c.id.in_(wanted))
        return (await connection.execute(gone)).rowcount
