"""The program under test: lines of a recording go in, rows come out. The only place that knows how.

A change of the tracker's interface is followed here and nowhere else in the generator.
"""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

from ringledger.domain.facts import Inventory
from ringledger.ringcentral.decode.recording import read_recording
from ringledger.service.commands.playback import Playback
from tests.generator.voices import Json
from tests.generator.world import ACCOUNT, Truth

SETTLE_SECONDS = 10.0
STALE_AFTER_SECONDS = 14_400.0
#: Columns that say how a row came about, not what is true of its call (rules 2.7).
ABOUT_ARRIVAL = frozenset({"events_accepted", "events_ignored", "revision", "updated_at", "confirmed_at"})

Row = dict[str, Any]


class Outcome(NamedTuple):
    """What a ledger has of each call, by session: its row, its legs and its transitions (both sorted)."""

    rows: dict[str, Row]
    legs: dict[str, list[tuple[Any, ...]]]
    transitions: dict[str, list[tuple[Any, ...]]]


def play(lines: Iterable[Json], *, batch: int = 1, stop: int | None = None, rest: bool = False) -> Outcome:
    """Play a recording to its end and let calls settle; changes are taken after every ``batch`` lines. ``stop``: after
    so many lines the program ends and begins again with what it had stored. ``rest``: whenever changes have been taken,
    each live call comes to rest, as if hundreds of others had been heard of since.
    """
    playback = Playback(settle_seconds=SETTLE_SECONDS, stale_after_seconds=STALE_AFTER_SECONDS)
    rows: dict[str, Row] = {}
    legs: dict[str, dict[int, Any]] = {}
    transitions: dict[str, list[tuple[Any, ...]]] = {}
    inventories: list[Inventory] = []

    def collect() -> None:
        changes = playback.take_changes()
        inventories.extend(fact for _, fact in changes.facts if isinstance(fact, Inventory))
        for key in changes.united:
            rows.pop(key.session_id, None)
            legs.pop(key.session_id, None)
            transitions.pop(key.session_id, None)
        for key, record in changes.records.items():
            told = record._asdict()
            rows[key.session_id] = {name: value for name, value in told.items() if name not in ABOUT_ARRIVAL}
        for key, some in changes.legs.items():
            legs[key.session_id] = {leg.number: leg for leg in some}
        for key, history in changes.transitions.items():
            before = [None, *(change.status for change in history)]
            transitions[key.session_id] = [(one.at, was, one.status) for was, one in zip(before, history, strict=False)]
            if not history:
                del transitions[key.session_id]
        for call in playback.tracker.calls.values() if rest else ():
            call.rest()

    encoded = [json.dumps(line).encode() for line in lines]
    for number, recorded in enumerate(read_recording(encoded, account_id=ACCOUNT, default_region="US"), start=1):
        playback.take(recorded)
        if number % batch == 0 or number == stop:
            collect()
        if number == stop:
            playback = _again(playback, inventories)
    playback.settle()
    collect()
    playback.wait(STALE_AFTER_SECONDS + 1)  # a call whose end was lost is given up
    collect()
    shown = {session: sorted((_leg(leg) for leg in some.values()), key=repr) for session, some in legs.items()}
    return Outcome(rows, shown, {session: sorted(some, key=repr) for session, some in transitions.items()})


def _again(playback: Playback, inventories: Iterable[Inventory]) -> Playback:
    """Another one that knows what a ledger would have kept."""
    former = playback.tracker
    again = Playback(settle_seconds=SETTLE_SECONDS, stale_after_seconds=STALE_AFTER_SECONDS)
    again.wait(playback.now_ms / 1000)
    extensions = [replace(one, tally=[0] * len(one.tally)) for one in former.extensions.values()]
    again.tracker.restore([call.saved() for call in former.calls.values()], extensions, now=again.now_ms / 1000)
    again.tracker.recall(ACCOUNT, inventories)
    again.tracker.recall_listings(former.listings)
    again.tracker.live_since = former.live_since
    return again


def _leg(leg: Any) -> tuple[Any, ...]:
    """The columns of ``call_legs``."""
    return (
        leg.leg_id, leg.extension_id or None, leg.direction, leg.from_party.number, leg.to_party.number, leg.started_at,
        leg.answered_at, leg.ended_at, leg.status, leg.termination, leg.source,
    )  # fmt: skip


def unlike(one: Outcome, other: Outcome, *, history: bool = True) -> list[str]:
    """Where two outcomes differ, a line for each. ``history``: legs and transitions are compared, too."""
    found = []
    for session in sorted(one.rows.keys() | other.rows.keys()):
        row, second = one.rows.get(session), other.rows.get(session)
        if row is None or second is None:
            found.append(
                f"{session}: {'no row' if row is None else 'a row'} against {'a row' if row is None else 'no row'}"
            )
            continue
        found += [f"{session}: {name} {row[name]} against {second[name]}" for name in row if row[name] != second[name]]
    for name, told, again in (("legs", one.legs, other.legs), ("transitions", one.transitions, other.transitions)):
        if history:
            found += [
                f"{key}: other {name}" for key in sorted(told.keys() | again.keys()) if told.get(key) != again.get(key)
            ]
    return found


def untrue(outcome: Outcome, truth: dict[str, Truth]) -> list[str]:
    """Where an outcome is not the truth, a line for each column."""
    found = [f"{session}: no row" for session in truth if session not in outcome.rows]
    for session, true in truth.items():
        row = outcome.rows.get(session, {})
        found += [
            f"{session}: {name} {row[name]}, true {value}"
            for name, value in true.items()
            if row and name in row and row[name] != value
        ]
    return found


def broken(outcome: Outcome) -> list[str]:
    """What no row may ever be, whatever was lost: times that do not fit into the call."""
    found = []
    for session, row in outcome.rows.items():
        parts = [row["ring_ms"] or 0, row["talk_ms"] or 0, row["hold_ms"] or 0]
        span = row["ended_at"] - row["started_at"]
        if min(*parts, row["duration_ms"] or 0, span) < 0 or sum(parts) > span:
            found.append(f"{session}: {parts} in {span} ms")
    return found
