"""Strategies: everything one call may send, from several extensions and legs, in the order it happened."""

from collections import Counter
from dataclasses import dataclass

from hypothesis import strategies as st

from ringledger.domain.observation import CallItem, PresenceObservation
from tests.builders import T0, item, presence

LIVE = ["Ringing", "CallConnected", "OnHold", "ParkedCall"]
STEP_MS = st.integers(0, 90_000)


@dataclass(frozen=True)
class Side:
    """One leg as its extension's events describe it; any field may be left blank in any event."""

    leg_id: str
    direction: str
    sender: str | None
    to: str | None
    sender_name: str | None
    to_name: str | None
    started: int | None


@st.composite
def sides(draw: st.DrawFn, extension: str, *, alike: bool) -> list[Side]:
    """The legs of one extension. ``alike``: legs of one direction share their parties, as anonymous legs need."""
    shared = {direction: draw(parties()) for direction in ("Inbound", "Outbound")}
    count = draw(st.integers(1, 3))
    legs = []
    for number in range(count):
        direction = draw(st.sampled_from(["Inbound", "Outbound"]))
        told = shared[direction] if alike else draw(parties())
        started = draw(st.none() | st.integers(T0 - 5_000, T0 + 60_000))
        legs.append(Side(f"{extension}-{number}", direction, *told, started))
    return legs


@st.composite
def parties(draw: st.DrawFn) -> tuple[str | None, str | None, str | None, str | None]:
    number = st.sampled_from(["13027430863", "18885434778", "16502008440", "101", None, "anonymous"])
    name = st.sampled_from([None, "Ada", "Grace"])
    return draw(number), draw(number), draw(name), draw(name)


@st.composite
def snapshots(
    draw: st.DrawFn,
    extension: str,
    *,
    anonymous: bool,
    ends: bool,
    whole: bool,
    promised: bool = False,
    vague: bool = False,
) -> list[PresenceObservation]:
    """The events of one extension about one call, in order.

    The newest never says ``NoCall`` with ``intermediate``, as order matters there and no small rule mends it. Such an
    item tells nothing of its leg's status but that the leg goes on as it was, and how it was is told by an older event
    alone. Let 1 say that leg a is connected, 2 that its end is intermediate: in order a is connected. If 2 comes first,
    1 is stale, and a stale item changes no status (rule 2.1): a is live, its status unknown. Letting 1 speak for a
    after all takes more than a mark per leg: had an event between them named the call without a, then a was replaced,
    and that event may have come when nobody knew of a; so the newest whole event before each would have to be kept. To
    let the intermediate ``NoCall`` alone decide, as any newest item does, would end holds and wake legs that are over.
    What such a call has is a doubt: it is suspect, and the platform is asked (``tests/domain/test_tracker.py``).
    Start and answer do not depend on the order even then (``promised``: stories with such an end).

    ``vague``: items without id stand where the extension has several legs of their direction, too. Which of those they
    mean nobody can tell, so which of them the row is told from, its numbers and names may depend on the order.
    """
    legs = draw(sides(extension, alike=anonymous))
    ways = Counter(side.direction for side in legs)
    length = draw(st.integers(1, 6))
    sequence, at = draw(st.integers(0, 200_000)), T0 + draw(st.integers(0, 60_000))
    events = []
    for turn in range(length):
        last = turn == length - 1
        named = draw(st.lists(st.sampled_from(legs), min_size=1, unique=True))
        items = [
            draw(
                told(
                    side,
                    anonymous=anonymous and (vague or ways[side.direction] == 1),
                    last=last and not promised,
                    ends=ends,
                )
            )
            for side in named
        ]
        truncated = False if whole else draw(st.booleans())
        events.append(presence(extension, sequence, at, *items, truncated=truncated))
        sequence += draw(st.integers(1, 200))
        at += draw(STEP_MS)
    return events


@st.composite
def told(draw: st.DrawFn, side: Side, *, anonymous: bool, last: bool, ends: bool) -> CallItem:
    """One item about one leg."""
    finals = [("NoCall", None), ("NoCall", "final")]
    alive = [(status, None) for status in LIVE]
    choices = (finals if ends else finals + alive) if last else [*alive, *finals, ("NoCall", "intermediate")]
    status, termination = draw(st.sampled_from(choices))
    known = st.booleans()
    return item(
        status,
        None if anonymous and draw(known) else side.leg_id,
        termination=termination,
        direction=side.direction,
        sender=side.sender if draw(known) else "",
        to=side.to if draw(known) else "",
        sender_name=side.sender_name if draw(known) else None,
        to_name=side.to_name if draw(known) else None,
        started=side.started if draw(known) else None,
    )


@st.composite
def calls(
    draw: st.DrawFn, *, ends: bool | None = None, promised: bool = False, vague: bool = False
) -> list[PresenceObservation]:
    """All events of one call from one to three extensions, in the order of their times."""
    anonymous, over = draw(st.booleans()), draw(st.booleans()) if ends is None else ends
    events = []
    for extension in draw(st.sampled_from([["101"], ["101", "102"], ["101", "102", "103"]])):
        events += draw(snapshots(extension, anonymous=anonymous, ends=over, whole=True, promised=promised, vague=vague))
    return sorted(events, key=lambda event: event.at)


@st.composite
def shuffled(draw: st.DrawFn, events: list[PresenceObservation]) -> list[PresenceObservation]:
    """The same events in any order, some repeated with the same uuid, some with a fresh one."""
    repeats = draw(st.lists(st.sampled_from(events), max_size=6))
    fresh = draw(st.lists(st.sampled_from(events), max_size=6))
    again = [event._replace(uuid=f"again-{number}") for number, event in enumerate(fresh)]
    return draw(st.permutations([*events, *repeats, *again]))


@st.composite
def absurd(draw: st.DrawFn) -> list[PresenceObservation]:
    """Events with any sequence, any time, any order."""
    moment = st.integers(-(2**40), 2**53) | st.sampled_from([-1, 0, 1]) | st.integers(T0 - 10_000, T0 + 10_000)
    events = []
    for _ in range(draw(st.integers(1, 8))):
        items = [
            item(
                draw(st.sampled_from(["NoCall", *LIVE])),
                draw(st.sampled_from([None, "a", "b"])),
                direction=draw(st.sampled_from(["Inbound", "Outbound"])),
                termination=draw(st.sampled_from([None, "final", "intermediate"])),
                started=draw(st.none() | moment),
            )
            for _ in range(draw(st.integers(1, 3)))
        ]
        extension, sequence = draw(st.sampled_from(["101", "102"])), draw(st.integers(0, 9))
        events.append(presence(extension, sequence, draw(moment), *items, uuid=None, truncated=draw(st.booleans())))
    return events
