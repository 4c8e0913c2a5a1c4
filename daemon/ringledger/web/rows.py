"""The rows of the views, as the OpenAPI document describes them.

What must stay true: each column of a view that is answered stands in its model, under its name (a test compares). Rows
are not made into models when they are answered: they go out as the database has them.
"""

from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from ringledger.ledger.schema.calls import SHOWN, CallColumn, ColumnKind

Row = TypeVar("Row", bound=BaseModel)

Time = Annotated[
    str,
    Field(
        pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$",
        examples=["2026-03-02T09:30:12.345Z"],
        description="UTC, milliseconds.",
    ),
]
Seconds = Annotated[float, Field(ge=0)]
Truth = Annotated[int, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Direction = Literal["Inbound", "Outbound"]
Status = Literal["NoCall", "Ringing", "CallConnected", "OnHold", "ParkedCall"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


_TYPES: dict[ColumnKind, Any] = {
    ColumnKind.TIME: Time,
    ColumnKind.TRUTH: Truth,
    ColumnKind.COUNT: Count,
    ColumnKind.SPAN: Seconds,
}


def _field(column: CallColumn) -> Any:
    """The type of a column, and what the document says of it."""
    one = _TYPES.get(column.kind, str)
    if column.closed and column.words is not None:
        one = Literal[tuple(word.value for word in column.words)]
    return one | None if column.maybe else one, Field(description=column.meaning)


if TYPE_CHECKING:

    class Call(_Model):
        """As below; a type checker knows no fields that are made."""

else:
    Call = create_model(
        "Call",
        __base__=_Model,
        __doc__="A finished call: a row of `calls` (or of `all_calls`: a part of another call has `part_of`).",
        **{column.shown: _field(column) for column in SHOWN},
    )


class ActiveCall(_Model):
    """An open call: a row of `active_calls`."""

    account_id: str
    session_id: str
    status: Status
    direction: Direction | None
    extension_id: str | None
    from_number: str | None
    from_name: str | None
    to_number: str | None
    to_name: str | None
    started_at: Time
    answered_at: Time | None
    suspect: Truth = Field(description="1: it vanished without an end and is being checked.")
    last_seen_at: Time
    extension_number: str | None
    extension_name: str | None


class Leg(_Model):
    """One party's side of a call: a row of `call_legs`."""

    account_id: str
    session_id: str
    leg_id: str | None
    extension_id: str | None
    direction: Direction
    from_number: str | None
    to_number: str | None
    started_at: Time
    answered_at: Time | None
    ended_at: Time | None
    status: Status
    termination_type: str | None
    source: str
    extension_number: str | None
    extension_name: str | None


class Transition(_Model):
    """A change of a call's status: a row of `call_transitions`."""

    account_id: str
    session_id: str
    at: Time
    from_status: Status | None
    to_status: Status
    sequence: int | None
    source: str


class JournalEntry(_Model):
    """What somebody said about a call, and whether it counted: a row of `call_events`."""

    account_id: str
    session_id: str | None
    at: Time
    received_at: Time
    extension_id: str
    leg_id: str | None
    status: str
    sequence: int | None
    source: str
    outcome: Literal["accepted", "ignored"]
    reason: str | None = Field(description="Why it was ignored.")


class Claim(_Model):
    """What one source says of a call: a row of `call_sources`."""

    account_id: str
    session_id: str
    source: str
    record_id: str
    direction: Direction | None
    started_at: Time | None
    ended_at: Time | None
    duration_seconds: Seconds | None
    result: str | None
    seen_at: Time


class CoverageSpan(_Model):
    """How well the feed was watched for a while: a row of `coverage`."""

    account_id: str
    from_at: Time
    until_at: Time
    state: Literal["live", "doubtful", "blind", "healed"]
    cause: str | None
    recovered_calls: Count


class Presence(_Model):
    """An extension's status now: a row of `extension_presence`."""

    account_id: str
    extension_id: str
    extension_number: str | None
    name: str | None
    telephony_status: Status
    presence_status: str | None
    user_status: str | None
    dnd_status: str | None
    since: Time | None
    updated_at: Time | None


class Figures(_Model):
    """Counts, rate and times of a group of calls. The group's key stands under the name of what is counted by."""

    hour: str | None = None
    day: str | None = None
    week: str | None = None
    month: str | None = None
    extension: str | None = None
    number: str | None = None
    direction: str | None = None
    disposition: str | None = None
    calls: Count
    inbound: Count
    outbound: Count
    answered: Count
    missed: Count
    answer_rate: float | None = Field(description="Answered of the inbound calls, 0 to 1; null: there were none.")
    ring_seconds_mean: Seconds | None
    talk_seconds_mean: Seconds | None
    talk_seconds: Seconds
    time_zone: str | None = Field(default=None, description="Whose days and hours these are.")
    extension_number: str | None = None
    extension_name: str | None = None


class ToldBy(_Model):
    """A fact: an event, a read of presence, a reading of a record, an absence from a listing, silence, a summary."""

    kind: Literal["event", "read", "record", "absence", "given_up", "summary"]
    at: Time = Field(description="The platform's time.")
    received_at: Time | None = Field(description="When it came.")
    extension_id: str | None
    sequence: int | None
    record_id: str | None
    says: str = Field(description="The status, the result, or what else it says.")
    source: str


class Figure(ToldBy):
    """A figure of the call's row, and the fact it comes from: the one with which it became what it is."""

    figure: str = Field(description="A column of `calls`.")
    value: str | float | int | None = Field(description="Null for phone numbers: they stand in the call's row.")


class Changed(_Model):
    """A figure that a late fact changed; of phone numbers only that."""

    figure: str
    before: str | float | int | None = None
    after: str | float | int | None = None


class Late(ToldBy):
    """A fact that came after later ones, or a record or read that changed a call which was over."""

    behind_seconds: Seconds = Field(description="How much later the newest fact is that had come before it.")
    changed: list[Changed]


class Story(_Model):
    """One call explained."""

    call: Call | None = Field(description="Null while the call is open.")
    active: ActiveCall | None = Field(description="Null once the call is finished.")
    parts: list[Call] = Field(description="Calls that belong to this one.")
    legs: list[Leg]
    transitions: list[Transition]
    events: list[JournalEntry]
    sources: list[Claim]
    figures: list[Figure] = Field(description="Empty when `untold` says why.")
    late: list[Late] = Field(description="In the order of arrival.")
    untold: str | None = Field(description="Why the facts are not traced: no longer kept, or too many; null: they are.")


class Health(_Model):
    """Whether what is shown is what goes on."""

    status: Literal["ok", "stale", "doubtful"] = Field(
        description="ok: the daemon writes and the feed is live; doubtful: it writes, but its feed is not live; stale: "
        "no daemon writes, what is shown is as of `written_at`."
    )
    at: Time
    version: str
    daemon: str = Field(description="running, starting, not answering, not running, never ran, unknown.")
    daemon_writes: bool
    as_of: Time | None = Field(description="The moment of which what is shown as now is true; null: of none.")
    written_at: Time | None = Field(description="When somebody last wrote to the database.")
    feed: CoverageSpan | None = Field(description="The newest span of coverage.")
    feed_state: str | None = Field(description="live, doubtful, blind; null: never asked for.")
    open_calls: Count
    unconfirmed_calls: Count
    time_zone: str = Field(description="Whose days `stats` and the page count.")


class Page(_Model, Generic[Row]):
    """Rows, and where the rest begins."""

    items: list[Row]
    next: str | None = Field(description="`cursor` of the next page; null: this was the last.")


#: Which view each model tells of.
VIEWS: dict[str, type[BaseModel]] = {
    "calls": Call,
    "all_calls": Call,
    "call_legs": Leg,
    "active_calls": ActiveCall,
    "call_transitions": Transition,
    "call_events": JournalEntry,
    "call_sources": Claim,
    "coverage": CoverageSpan,
    "extension_presence": Presence,
}
