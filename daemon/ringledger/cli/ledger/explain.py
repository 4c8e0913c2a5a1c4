"""`calls show`: one call explained, from the events to each figure of its row.

What must stay true: every sentence is derived from what the database holds; nothing is guessed.
"""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.padding import Padding

from ringledger.cli.context import account_id, console, options_of, print_table, read, tell_left_out
from ringledger.cli.errors import Failure, usage
from ringledger.cli.ledger.calls import FullNumbers
from ringledger.cli.render import masked_rows, print_json, rang, table, who, word
from ringledger.cli.terminal import Terminal, bold
from ringledger.cli.times import clock, counted, headed, short, span
from ringledger.exits import Exit
from ringledger.text import visible

if TYPE_CHECKING:
    from ringledger.ledger.read.queries import CallStory

#: Leg ids have 32 digits; these many tell the legs of one call apart. JSON has them whole.
LEG_SHOWN = 8
UNSEEN = "not seen, the call is known from the platform's records alone"
HELD = frozenset({"OnHold", "ParkedCall"})
Row = dict[str, Any]


def show(
    ctx: typer.Context,
    session: Annotated[str, typer.Argument(metavar="SESSION", help="The call's session id, as `calls` lists it.")],
    full_numbers: FullNumbers = False,
) -> None:
    """One call explained: how each figure follows and which fact it comes from, legs, the history with every event
    accepted and ignored with its reason, what each source said, and what came late and changed what."""
    from ringledger.ledger.read import queries

    if not session.strip():
        raise usage("SESSION is empty; `ringledger calls` lists them")
    options = options_of(ctx)
    settings = options.settings()

    async def look(engine: Any) -> "CallStory | None":
        return await queries.call(engine, session, account_id=await account_id(engine, settings))

    story = read(settings, look)
    if story is None:
        where = settings.database.shown
        raise Failure(Exit.DIFFERENCES, f"no call {session} in {where}; `ringledger calls` lists them")
    shown = _masked(asdict(story), masked=options.masked(settings, full_numbers))
    if options.json:
        print_json(shown | {"explanation": explanation(story)})
    else:
        numbers = read(settings, queries.extension_numbers)
        for part in ("events", "figures", "late"):
            shown[part] = [{**row, "extension_number": numbers.get(row["extension_id"] or "")} for row in shown[part]]
        _print(console(), session, shown, explanation(story))


def _masked(story: Row, *, masked: bool) -> Row:
    """Every row of the story with its numbers masked."""
    shown: Row = {}
    for name, part in story.items():
        if isinstance(part, str):
            shown[name] = part
            continue
        rows = masked_rows(part if isinstance(part, list) else [part] if part else [], masked=masked)
        shown[name] = rows if isinstance(part, list) else (rows[0] if rows else None)
    return shown


# -- why each figure is what it is -----------------------------------------------------------------------------------


def explanation(story: "CallStory") -> list[str]:
    """How the row follows from what was seen; for an open call what is known so far."""
    call = story.call
    if call is None:
        active = story.active or {}
        return [f"The call is open: {active.get('status')} since {clock(active.get('started_at'))}, not written yet."]
    sentences = [*_lasting(call, story), *_verdict(call), *_standing(call, story)]
    return [sentence for sentence in sentences if sentence]


def _lasting(call: Row, story: "CallStory") -> list[str]:
    rung = next((one["at"] for one in story.transitions if one["to_status"] == "Ringing"), None)
    start, answer, end = (clock(call[name]) for name in ("started_at", "answered_at", "ended_at"))
    first = clock(rung) if rung else start
    sentences = [f"It started at {start}" + ("." if first == start else f"; the first ring was seen at {first}.")]
    if call["answered_at"]:
        ring = f"first ring {first} to answer {answer} = {call['ring_seconds']:.3f} s" if rang(call) else UNSEEN
        if call["answer_estimated"]:
            sentences.append(f"It was found answered: {answer} is the earliest sign of it.")
        hold = (
            "nobody saw whether it was held"
            if call["hold_seconds"] is None
            else (f"{_holds(story.transitions)} = {call['hold_seconds']:.3f} s")
        )
        sentences += [
            f"Ring: {ring}.",
            f"Hold: {hold}.",
            f"Talk: answer {answer} to end {end}, less the hold = {call['talk_seconds']:.3f} s.",
        ]
    elif rang(call):
        sentences.append(f"Nobody answered, so ring is from {first} to the end {end} = {call['ring_seconds']:.3f} s.")
    else:
        sentences.append(f"Nobody answered. Ring: {UNSEEN}.")
    figure = "the platform's own figure" if call["confirmed_at"] else "answer to end, until the platform confirms"
    return [*sentences, f"Duration: {figure} = {call['duration_seconds']:.3f} s.", _end(call)]


def _holds(transitions: list[Row]) -> str:
    """The spans during which the call was on hold or parked."""
    spans: list[str] = []
    since: str | None = None
    for one in transitions:
        if one["to_status"] in HELD:
            since = since or one["at"]
        elif since is not None:
            spans.append(f"{clock(since)} to {clock(one['at'])}")
            since = None
    return ", ".join(spans) or "none"


def _end(call: Row) -> str:
    by = {
        "presence": "the last event said NoCall",
        "reconciled": "the platform no longer knew the call",
        "call-log": "the platform's call log says so",
        "expired": "nothing was heard of it any longer",
    }[call["end_source"]]
    return f"It ended at {clock(call['ended_at'])}: {by}" + (
        "; the time is estimated." if call["end_estimated"] else "."
    )


def _verdict(call: Row) -> list[str]:
    said = call["disposition"]
    if call["confirmed_at"]:
        source, when = call["result_source"], short(call["confirmed_at"])
        return [f"Disposition {said}: {source} says {call['result']!r}, confirmed {when}."]
    if said == "unknown":
        return ["Disposition unknown: only its end was seen, and the platform's log has not spoken yet."]
    way, seen = call["direction"].lower(), "connected" if call["answered_at"] else "never connected"
    return [f"Disposition {said}: {way} and {seen}; the platform's log has not confirmed it yet."]


def _standing(call: Row, story: "CallStory") -> list[str]:
    accepted, ignored = call["events_accepted"], call["events_ignored"]
    legs = counted(call["leg_count"], "leg")
    return [
        f"{counted(accepted, 'event')} accepted, {ignored} ignored; {legs}; revision {call['revision']}.",
        f"It belongs to call {call['part_of']} and is left out of `calls`." if call["part_of"] else "",
        f"Which fact each figure comes from is not told: {story.untold}." if story.untold else "",
        *(f"Call {part['session_id']} belongs to it (the other half of a RingOut)." for part in story.parts),
    ]


# -- on a terminal ---------------------------------------------------------------------------------------------------


def _print(out: Terminal, session: str, story: Row, sentences: list[str]) -> None:
    call = story["call"] or story["active"]
    if call is not None:
        ends = f"{call['from_number'] or 'withheld'} → {call['to_number'] or '?'}"
        names = " → ".join(name for name in (call["from_name"], call["to_name"]) if name)
        line = bold(f"{call['direction']} call {session}")
        line.append(visible(f"  {ends}" + (f"  ({names})" if names else "")), style="not bold")
        out.print(line)
        out.print(
            f"{headed(short(call['started_at']), [call['started_at']])}  ",
            word(call.get("disposition") or call.get("status")),
            sep="",
        )
    out.print()
    out.print(bold("why"))
    for sentence in sentences:
        out.print(Padding(visible(sentence), (0, 0, 0, 2), expand=False))
    left_out: list[str] = []
    for title, rows, columns in (
        ("legs", story["legs"], _LEGS),
        ("changes of status", story["transitions"], _TRANSITIONS),
        ("events", story["events"], _EVENTS),
        ("what each source says", story["sources"], _SOURCES),
        ("where each figure comes from", story["figures"], _FIGURES),
        ("what came late, in the order of arrival", story["late"], _LATE),
    ):
        if rows:
            left_out += _section(out, title, rows, columns)
    if left_out:
        out.print()
        tell_left_out(left_out)


def _section(out: Terminal, title: str, rows: list[Row], columns: dict[str, str]) -> list[str]:
    """Print a part of the story; returns the headings of the columns there was no room for."""
    times = [name for name in columns if name in _TIMES]
    heads = columns | {name: headed(columns[name], [row[name] for row in rows]) for name in times[:1]}
    made = table(*heads.values(), right=("sequence",), gap=1)
    for row in rows:
        made.add_row(*(who(row) if name == "extension_id" else _cell(name, row[name]) for name in columns))
    out.print()
    out.print(bold(title))
    folds = ("record", "says", "changed", "name")
    return print_table(made, spare=("leg", "source", "direction"), folds=folds, quiet=True)


def _cell(name: str, value: Any) -> Any:
    if name in _TIMES:
        return clock(value)
    if name == "leg_id":
        return value if value is None or len(value) <= LEG_SHOWN else f"{value[:LEG_SHOWN]}…"
    if name == "seen_at":
        return short(value)
    if name == "value":
        return _value(value)
    if name == "behind_seconds":
        return span(value) if value else ""
    if name == "changed":
        return visible(", ".join(_change(one) for one in value) or "nothing")
    if name == "duration_seconds":
        return span(value)
    if name in {"outcome", "status", "to_status", "from_status"}:
        return word(value)
    return "" if value is None else str(value)


def _value(value: Any) -> str:
    """A figure as a cell: a time of day, a duration to the millisecond, or a word; of a number, nothing."""
    if isinstance(value, float | int):
        return f"{value:.3f} s"
    return "" if value is None else clock(value) if _is_time(value) else visible(value)


def _change(one: Row) -> str:
    if "before" not in one:
        return str(one["figure"])
    before, after = (_value(one[name]) or "open" for name in ("before", "after"))
    return f"{one['figure']} {before} → {after}"


def _is_time(text: str) -> bool:
    return len(text) == len("2026-03-02T09:00:00.000Z") and text[10] == "T" and text.endswith("Z")


_TIMES = ("at", "started_at", "answered_at", "ended_at", "received_at")
_LEGS = {
    "leg_id": "leg", "extension_id": "ext", "extension_name": "name", "direction": "direction", "started_at": "started",
    "answered_at": "answered", "ended_at": "ended", "status": "status", "source": "source",
}  # fmt: skip
_TRANSITIONS = {"at": "at", "from_status": "from", "to_status": "to", "sequence": "sequence", "source": "source"}
_EVENTS = {
    "at": "at", "extension_id": "ext", "sequence": "sequence", "status": "status", "outcome": "outcome",
    "reason": "reason", "source": "source", "leg_id": "leg",
}  # fmt: skip
_SOURCES = {
    "source": "source", "record_id": "record", "direction": "direction", "started_at": "started",
    "ended_at": "ended", "duration_seconds": "duration", "result": "result", "seen_at": "seen",
}  # fmt: skip
_FIGURES = {
    "figure": "figure", "value": "value", "at": "at", "extension_id": "ext", "says": "says", "sequence": "sequence",
    "source": "source",
}  # fmt: skip
_LATE = {
    "received_at": "arrived", "at": "at", "behind_seconds": "behind", "extension_id": "ext", "says": "says",
    "changed": "changed",
}  # fmt: skip
