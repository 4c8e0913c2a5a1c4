"""The tables, as this version of the program wants them. They are internal: people query the views.

What must stay true: every constraint has a name; STRICT on SQLite, so only TEXT, INTEGER and REAL; times are text
(:mod:`~ringledger.ledger.times`), durations integer milliseconds, truth 0 or 1; the account is part of every key.
The columns of a table stand in the order in which :mod:`~ringledger.ledger.write.encode` builds its tuples. A
change here
needs a revision in ``migrations/`` and a higher ``SCHEMA_VERSION``; a test compares the two ways to the schema.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, Table, Text, text

from ringledger.domain.changes import QuarantineKind
from ringledger.domain.coverage import CoverageState
from ringledger.domain.observation import Direction, Source
from ringledger.domain.status import TelephonyStatus, TerminationType
from ringledger.ledger.schema.calls import COLUMNS, ColumnKind
from ringledger.ledger.schema.types import UtcText

#: Ordinal of the newest revision; SQLite's ``user_version``.
SCHEMA_VERSION: Final = 11
#: SQLite's ``application_id``: "RLGR".
APPLICATION_ID: Final = 0x524C4752
#: Whole numbers within 63 bits, on PostgreSQL too.
WHOLE: Final = Integer().with_variant(BigInteger(), "postgresql")


metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
)


def _one_of(column: str, allowed: Iterable[str]) -> CheckConstraint:
    # Not IN: SQLite builds a temporary index of a list for every row it checks, which halves the writer's speed.
    return CheckConstraint(" OR ".join(f"{column} = '{word}'" for word in allowed), name=column)


def _truth(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} = 0 OR {column} = 1", name=column)


def _key(name: str, type_: Any = Text) -> "Column[Any]":
    return Column(name, type_, primary_key=True, nullable=False)


def _known(name: str, type_: Any = Text) -> "Column[Any]":
    return Column(name, type_, nullable=False)


def _maybe(name: str, type_: Any = Text) -> "Column[Any]":
    return Column(name, type_, nullable=True)


def _columns_of_calls() -> Iterator["Column[Any] | CheckConstraint"]:
    """The columns, and what their values may be."""
    types = {ColumnKind.TEXT: Text, ColumnKind.NUMBER: Text, ColumnKind.WORD: Text, ColumnKind.TIME: UtcText}
    for column in COLUMNS:
        make = _key if column.name in {"account_id", "session_id"} else _maybe if column.maybe else _known
        yield make(column.name, types.get(column.kind, WHOLE))
    for column in COLUMNS:
        if column.words is not None:
            yield _one_of(column.name, column.words)
    for column in COLUMNS:
        if column.kind is ColumnKind.TRUTH:
            yield _truth(column.name)


call: Final = Table(
    "call",
    metadata,
    *_columns_of_calls(),
    CheckConstraint("ring_ms >= 0 AND talk_ms >= 0 AND hold_ms >= 0 AND duration_ms >= 0", name="durations"),
    CheckConstraint("ended_at >= started_at", name="span"),
    sqlite_strict=True,
)
Index(None, call.c.started_at)
Index(None, call.c.disposition, call.c.started_at)
# Each filter of `calls`, newest first.
Index(None, call.c.account_id, call.c.started_at)
Index(None, call.c.extension_id, call.c.started_at)
Index(None, call.c.from_number, call.c.started_at)
Index(None, call.c.to_number, call.c.started_at)
Index(None, call.c.account_id, call.c.publication)
# The names by which facts find their call (rule 1.1).
Index(None, call.c.account_id, call.c.telephony_session_id)
# Elsewhere it holds all calls: an option of another dialect would load that dialect with every start.
Index("ix_call_unconfirmed", call.c.started_at, sqlite_where=text("confirmed_at IS NULL"))

#: The number of an account's newest publication of a row: it only grows, whatever is deleted.
publication: Final = Table(
    "publication",
    metadata,
    _key("account_id"),
    _known("number", WHOLE),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: Calls that are open or settling: a row leaves when the call's own row is written. ``last_seen_at``: as of the last
#: change of anything else; the view looks whether a newer fact has only repeated what was known.
live_call: Final = Table(
    "live_call",
    metadata,
    _key("account_id"),
    _key("session_id"),
    _known("settling", WHOLE),
    _known("status"),
    _maybe("direction"),
    _maybe("extension_id"),
    _maybe("from_number"),
    _maybe("from_name"),
    _maybe("to_number"),
    _maybe("to_name"),
    _known("started_at", UtcText),
    _maybe("answered_at", UtcText),
    _known("suspect", WHOLE),
    _known("last_seen_at", UtcText),
    _maybe("telephony_session_id"),
    _maybe("part_of"),
    _one_of("status", TelephonyStatus),
    _one_of("direction", Direction),
    _truth("settling"),
    _truth("suspect"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: What was told of each call, in the order in which it came (:mod:`~ringledger.ledger.read.facts`). Only ever added to,
#: but for purge, masking and retention. ``session_id`` null: of no call; ``body`` null: kept for the journal alone.
#: ``reason`` stays open: a new one must not cost a rebuild of the largest table.
fact: Final = Table(
    "fact",
    metadata,
    _key("id", type_=WHOLE),
    _known("account_id"),
    _maybe("session_id"),
    _known("kind"),
    _known("at", UtcText),
    _known("received_at", UtcText),
    _maybe("extension_id"),
    _maybe("leg_id"),
    _maybe("status"),
    _maybe("sequence", WHOLE),
    _known("source"),
    _maybe("reason"),
    _maybe("body"),
    sqlite_strict=True,
)
Index(None, fact.c.account_id, fact.c.session_id)

#: Where the names stand by which a call is asked for.
NAMES: Final = (fact.c.session_id, call.c.session_id, call.c.telephony_session_id)

call_leg: Final = Table(
    "call_leg",
    metadata,
    _key("account_id"),
    _key("session_id"),
    _key("leg_no", type_=WHOLE),
    _maybe("leg_id"),
    _maybe("extension_id"),
    _known("direction"),
    _maybe("from_number"),
    _maybe("from_name"),
    _maybe("from_raw"),
    _maybe("to_number"),
    _maybe("to_name"),
    _maybe("to_raw"),
    _known("started_at", UtcText),
    _maybe("answered_at", UtcText),
    _maybe("ended_at", UtcText),
    _known("status"),
    _maybe("termination_type"),
    _known("source"),
    _known("queue_call", WHOLE),
    _maybe("on_behalf_of"),
    _one_of("direction", Direction),
    _one_of("status", TelephonyStatus),
    _one_of("termination_type", TerminationType),
    _one_of("source", Source),
    _truth("queue_call"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

call_transition: Final = Table(
    "call_transition",
    metadata,
    _key("id", type_=WHOLE),
    _known("account_id"),
    _known("session_id"),
    _known("at", UtcText),
    _maybe("from_status"),
    _known("to_status"),
    _maybe("sequence", WHOLE),
    _known("source"),
    _one_of("from_status", TelephonyStatus),
    _one_of("to_status", TelephonyStatus),
    _one_of("source", Source),
    sqlite_strict=True,
)
Index(None, call_transition.c.account_id, call_transition.c.session_id)

call_source: Final = Table(
    "call_source",
    metadata,
    _key("account_id"),
    _key("session_id"),
    _key("source"),
    _key("record_id"),
    _maybe("direction"),
    _maybe("started_at", UtcText),
    _maybe("ended_at", UtcText),
    _maybe("duration_ms", WHOLE),
    _maybe("result"),
    _known("seen_at", UtcText),
    _one_of("source", Source),
    _one_of("direction", Direction),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)
Index(None, call_source.c.account_id, call_source.c.record_id)

#: Accounts that have a name in the configuration, and what each name stands for on the platform.
account: Final = Table(
    "account",
    metadata,
    _key("name"),
    _known("account_id"),
    _known("seen_at", UtcText),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: ``key`` names what the token belongs to (channel, subscription, account).
feed_position: Final = Table(
    "feed_position",
    metadata,
    _key("account_id"),
    _key("feed"),
    _known("key"),
    _known("token"),
    _known("at", UtcText),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

coverage_span: Final = Table(
    "coverage_span",
    metadata,
    _key("account_id"),
    _key("from_at", type_=UtcText),
    _known("until_at", UtcText),
    _known("state"),
    _maybe("cause"),
    _known("recovered_calls", WHOLE),
    _one_of("state", CoverageState),
    CheckConstraint("until_at >= from_at", name="span"),
    CheckConstraint("recovered_calls >= 0", name="recovered_calls"),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

extension: Final = Table(
    "extension",
    metadata,
    _key("account_id"),
    _key("extension_id"),
    _known("telephony_status"),
    _maybe("presence_status"),
    _maybe("user_status"),
    _maybe("dnd_status"),
    _known("since", UtcText),
    _known("updated_at", UtcText),
    _known("last_sequence", WHOLE),
    _known("epoch", WHOLE),
    _known("epoch_started_at", UtcText),
    _maybe("extension_number"),
    _maybe("name"),
    _one_of("telephony_status", TelephonyStatus),
    sqlite_strict=True,
    sqlite_with_rowid=False,
)

#: Events that receivers have not accepted yet, one row for each receiver. ``gave_up_at``: nobody tries any longer;
#: ``since``: what is waiting is given up a day after this.
outbox: Final = Table(
    "outbox",
    metadata,
    _key("id", type_=WHOLE),
    _known("receiver"),
    _known("account_id"),
    _known("session_id"),
    _known("event_id"),
    _known("event"),
    _known("body"),
    _known("since", UtcText),
    _known("attempts", WHOLE),
    _maybe("last_error"),
    _maybe("gave_up_at", UtcText),
    CheckConstraint("attempts >= 0", name="attempts"),
    sqlite_strict=True,
    sqlite_autoincrement=True,  # an id that was given away is never given again
)
# Who comes first among a call's events: a row is sent when no other of its call is before it.
Index(None, outbox.c.receiver, outbox.c.account_id, outbox.c.session_id, outbox.c.id)

#: What could not be read or stored. ``body``: its text, shortened when it was longer than anything we send for.
quarantined: Final = Table(
    "quarantined",
    metadata,
    _key("id", type_=WHOLE),
    _known("account_id"),
    _known("received_at", UtcText),
    _known("source"),
    _known("reason"),
    _known("kind"),
    _known("body"),
    _one_of("source", Source),
    _one_of("kind", QuarantineKind),
    sqlite_strict=True,
)
# Each account's oldest go when it has too many.
Index(None, quarantined.c.account_id, quarantined.c.id)

#: Calls that were purged while the platform's log may still tell of them: their names (a telephony
#: session or a record's id too stands in ``session_id``) and nothing else.
purged_call: Final = Table(
    "purged_call",
    metadata,
    _key("account_id"),
    _key("session_id"),
    _known("purged_at", UtcText),
    sqlite_strict=True,
)
