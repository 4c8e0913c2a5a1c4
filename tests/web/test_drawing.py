"""A call's timeline, from rows alone."""

from ringledger.ledger.times import to_text
from ringledger.web.drawing import drawn

BEGAN = 1_772_443_800_000


def at(seconds):
    return to_text(BEGAN + round(seconds * 1000))


def event(seconds, status, came=None, extension="2001", leg="a", **more):
    row = {"at": at(seconds), "received_at": at(seconds if came is None else came), "extension_id": extension}
    return row | {"leg_id": leg, "status": status, "source": "presence", "outcome": "accepted", "reason": None} | more


def leg(extension, first, answered, last, leg_id="a"):
    times = {"started_at": at(first), "answered_at": answered and at(answered), "ended_at": last and at(last)}
    more = {"leg_id": leg_id, "direction": "Inbound", "from_number": "+14155550100", "to_number": "101"}
    return {"extension_id": extension, **more, **times}


def story(events, legs, transitions, **more):
    call = {"started_at": at(0), "answered_at": at(10), "ended_at": at(60)}
    changes = [{"at": at(seconds), "to_status": status} for seconds, status in transitions]
    whole = {"call": call, "active": None, "legs": legs, "transitions": changes, "events": events, "sources": []}
    return whole | more


HELD = [
    event(0, "Ringing"),
    event(10, "CallConnected"),
    event(20, "OnHold"),
    event(30, "CallConnected"),
    event(60, "NoCall"),
]


def test_ring_talk_and_hold_follow_each_other():
    changes = [(0, "Ringing"), (10, "CallConnected"), (20, "OnHold"), (30, "CallConnected"), (60, "NoCall")]
    made = drawn(story(HELD, [leg("2001", 0, 10, 60)], changes), {"2001": "Ann Lee"}, BEGAN)
    whole, ann = made.lanes
    for lane in (whole, ann):
        assert [piece.kind for piece in lane.pieces] == ["ring", "talk", "hold", "talk"]
        assert lane.detail == "ringing 10.0 s, talking 40.0 s, on hold 10.0 s"
        for before, after in zip(lane.pieces, lane.pieces[1:], strict=False):
            assert abs(before.x + before.width - after.x) < 0.01
    assert ann.label == "Ann Lee (called by +14155550100)"
    assert len(ann.marks) == 5
    assert not made.late


def test_a_transfer_has_a_lane_for_each_party():
    events = [event(0, "Ringing"), event(10, "CallConnected"), event(30, "NoCall")]
    events += [event(30, "Ringing", extension="2002", leg="b"), event(35, "CallConnected", extension="2002", leg="b")]
    legs = [leg("2001", 0, 10, 30), leg("2002", 30, 35, 60, "b")]
    made = drawn(story(events, legs, [(0, "Ringing"), (10, "CallConnected"), (60, "NoCall")]), {}, BEGAN)
    assert [[piece.kind for piece in lane.pieces] for lane in made.lanes] == [["ring", "talk"]] * 3
    assert made.lanes[2].pieces[0].x > made.lanes[1].pieces[0].x


def test_what_came_late_or_was_ignored_is_marked():
    events = [HELD[0], HELD[1], event(30, "CallConnected"), event(20, "OnHold", came=31), HELD[4]]
    events.append(event(15, "Ringing", outcome="ignored", reason="stale_sequence", came=61))
    made = drawn(story(events, [leg("2001", 0, 10, 60)], [(0, "Ringing")]), {}, BEGAN)
    marks = made.lanes[1].marks
    assert [mark.late for mark in marks] == [False, False, False, True, False, True]
    assert [mark.ignored for mark in marks] == [False] * 5 + [True]
    assert "stale_sequence" in marks[-1].title
    assert made.late == 2


def test_a_call_that_nobody_saw_is_drawn_from_its_times():
    claim = {"source": "call-log", "record_id": "R1", "started_at": at(1), "ended_at": None, "result": "Accepted"}
    made = drawn(story([], [leg("2001", 0, 10, 60)], [], sources=[claim]), {}, BEGAN)
    assert [[piece.kind for piece in lane.pieces] for lane in made.lanes] == [
        ["ring", "talk"],
        ["ring", "talk"],
        ["claim"],
    ]


def test_an_open_call_ends_now_and_no_call_is_no_drawing():
    active = {"started_at": at(0), "answered_at": None}
    made = drawn(
        story([event(0, "Ringing")], [leg("2001", 0, None, None)], [(0, "Ringing")], call=None, active=active),
        {},
        BEGAN + 20_000,
    )
    assert made.lanes[0].detail == "ringing 20.0 s"
    assert drawn(story([], [], [], call=None), {}, BEGAN) is None


def test_everything_lies_within_the_drawing():
    made = drawn(story(HELD, [leg("2001", 0, 10, 60)], [(0, "Ringing"), (10, "CallConnected")]), {}, BEGAN)
    for lane in made.lanes:
        assert all(0 <= piece.x <= piece.x + piece.width <= 100 for piece in lane.pieces)
        assert all(0 <= mark.x <= 100 for mark in lane.marks)
    assert 2 <= len(made.ticks) <= 7
