"""Call stories: the text form, its errors, and every story there is."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from ringledger.simulator import Story, StoryError, load_story
from tests.simulator.conftest import Client, opened

STORIES = sorted((Path(__file__).parents[2] / "scenarios").glob("*.story"))
FLOWS = json.loads((Path(__file__).parents[1] / "data" / "tutorial-event-flows.json").read_text(encoding="utf-8"))
HEAD = """story A test
call A session=900001 direction=in from=+14155550123 to=+16505551001
| time | extension | seq | call | status | notes |
"""
RING = "| +0 | 2001 | | A | Ringing | |\n"
EXPECT = "expect 1 call\n  A disposition=missed\n"


def items(story: Story, event: int = 0) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = story.deliveries[event].envelope["body"]["activeCalls"]
    return found


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_every_story_can_be_read_and_is_the_same_every_time(path: Path):
    story = load_story(path)
    assert story.deliveries
    assert load_story(path) == story
    assert [d.at for d in story.deliveries] == sorted(d.at for d in story.deliveries)
    for row in story.expected:
        assert row["session_id"]


def test_there_are_enough_stories_and_no_two_of_one_name():
    names = [load_story(path).name for path in STORIES]
    assert len(names) == len(set(names)) >= 30


@pytest.mark.parametrize(
    ("name", "flows"),
    [
        ("flow1_missed_inbound", [0]),
        ("flow2_answered_inbound", [1]),
        ("flow1_and_2_rings_again", [0, 1]),
        ("flow3_ringout", [2]),
        ("flow3_ringout_no_answer", [2]),
    ],
)
def test_the_tutorials_flows_are_told_exactly(name: str, flows: list[int]):
    story = load_story(STORIES[0].with_name(f"{name}.story"))
    assert [d.envelope for d in story.deliveries] == [event for n in flows for event in FLOWS[n]["events"]]


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_expected_figures_fit_together(path: Path):
    for row in load_story(path).expected:
        if {"started_at", "ended_at", "ring_seconds", "talk_seconds"} <= row.keys():
            from datetime import datetime

            begun, ended = (datetime.fromisoformat(row[name]) for name in ("started_at", "ended_at"))
            total = sum(row.get(name) or 0 for name in ("ring_seconds", "talk_seconds", "hold_seconds"))
            assert total <= (ended - begun).total_seconds() + 1e-6


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("story X\nnonsense here\n", 2, "'nonsense' is no word of a story"),
        ("\n# nothing\n", 1, "a story begins with"),
        ("story X\n", 1, "nothing happens"),
        ("story X\nstyle baroque\n", 2, "style is modern or 2015"),
        ("story X\nstart 2026-03-02T09:00:00\n", 2, "offset from UTC"),
        ("story X\ncall A session=1 from=1 to=2\n", 2, "call A lacks direction"),
        ("story X\ncall A session=1 color=red\n", 2, "unknown: color"),
        ("story X\ncall A session=1 direction=up\n", 2, "direction is in or out, not 'up'"),
        (HEAD + "| +0 | 2001 | | A | Ringing | total=lots |\n" + EXPECT, 4, "total is a number"),
        (HEAD + "| +0 | 2001 | | A | Ringing | timestamp=noon |\n" + EXPECT, 4, "'noon' is no time"),
        (HEAD + "| +0 | 2001 | | A | Ringing | late=long |\n" + EXPECT, 4, "'long' is no span"),
        (HEAD + RING + "log A result=Missed duration=long\n" + EXPECT, 5, "could not convert"),
        (HEAD + RING + "log A result=Missed duration=5 start=noon\n" + EXPECT, 5, "'noon' is no time"),
        ("story X\ncall A session=1 session=2\n", 2, "session is given twice"),
        ("story X\nleg A/b direction=in\n", 2, "declared before"),
        (HEAD + "| +0 | 2001 | | B | Ringing | |\n" + EXPECT, 4, "call 'B' is not declared"),
        (HEAD + "| +0 | 2001 | | A | Ringing |\n" + EXPECT, 4, "5 cells below 6 columns"),
        (HEAD + "| soon | 2001 | | A | Ringing | |\n" + EXPECT, 4, "'soon' is no time"),
        (HEAD + "| +0 | 2001 | many | A | Ringing | |\n" + EXPECT, 4, "seq 'many' is no number"),
        (HEAD + "| +0 | | | A | Ringing | |\n" + EXPECT, 4, "an event needs an extension"),
        (HEAD + "| +0 | 2001 | | A | Ringing | loud |\n" + EXPECT, 4, "'loud' is neither"),
        (HEAD + "| +0 | 2001 | | A | Ringing | shade=dark |\n" + EXPECT, 4, "unknown: shade"),
        (HEAD + "| | | | A | Ringing | |\n" + EXPECT, 4, "a row without a time"),
        (HEAD + RING + "wait a bit\n" + EXPECT, 5, "'a bit' is no span"),
        (HEAD + RING + "order 1 2\n" + EXPECT, 7, "order names events 1 to 1"),
        (HEAD + RING + "log A result=Missed\n" + EXPECT, 5, "result= and duration="),
        (HEAD + RING, 4, "a story says what it expects"),
        (HEAD + RING + "expect some calls\n", 5, "expect N calls"),
        (HEAD + RING + "expect 2 calls\n  A talk=0\n", 6, "2 calls are expected, but 1 are told"),
        (HEAD + RING + "expect 1 call\n  A mood=good\n", 6, "nothing to expect of mood=good"),
        (HEAD + RING + "expect 1 call\n  A disposition=gone\n", 6, "no such disposition"),
        (HEAD + RING + EXPECT + "confirmed\n  A talk=0\n", 8, "confirmed needs log records"),
        (HEAD + RING + EXPECT + "ignored\n  boredom=1\n", 8, "no such reason"),
        ("story X\n  A talk=0\n", 2, "an indented line belongs below"),
        ("story X\n| +0 | 2001 |\n", 2, "the first row names the columns"),
        ("story X\n| time | mood |\n", 2, "no such column: mood"),
        ("story X\n| time | seq |\n", 2, "columns missing: call, extension, status"),
        (HEAD + RING + "expect 0 calls\n  A part-of=Z\n", 6, "call 'Z' is not declared"),
        ('story X\ncall A from="x\n', 2, "No closing quotation"),
    ],
)
def test_errors_name_the_line_and_the_problem(text: str, line: int, problem: str):
    with pytest.raises(StoryError, match="line") as caught:
        load_story(text)
    assert caught.value.line == line
    assert problem in str(caught.value)


@pytest.mark.parametrize("seed", range(300))
def test_a_damaged_story_is_a_story_error_or_a_story(seed: int):
    chance = random.Random(seed)
    text = list(chance.choice(STORIES).read_text(encoding="utf-8"))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(text))
        text[at : at + chance.randint(0, 3)] = chance.choice(["", "|", "\n", "=", '"', " ", "x", "-1", "²", "\x00"])
    try:
        load_story("".join(text) + "\n")
    except StoryError as error:
        assert str(error).startswith("line ")


def test_defaults_of_a_row():
    story = load_story(HEAD + RING + "| +5 | 2001 | | A | NoCall | |\n" + EXPECT)
    ring, end = items(story)[0], items(story, 1)[0]
    assert ring["id"] == end["id"]
    assert ring["startTime"] == end["startTime"] == "2026-03-02T09:00:00.000Z"
    assert end["terminationType"] == "final"
    assert [d.envelope["body"]["sequence"] for d in story.deliveries] == [1000, 1007]
    assert story.expected == [{"session_id": "900001", "disposition": "missed"}]


def test_notes_override_what_a_row_would_say():
    notes = 'no-id to="" termination=none uuid=u-1 total=9 start=none telephony=none monitored timestamp=+2'
    story = load_story(HEAD + f"| +0 | 2001 | 5 | A | NoCall | {notes} |\n" + EXPECT)
    envelope = story.deliveries[0].envelope
    item = envelope["body"]["activeCalls"][0]
    assert not {"id", "terminationType", "startTime", "telephonySessionId", "partyId"} & item.keys()
    assert (item["to"], item["sipData"]["toTag"]) == ("", "blf")
    assert (envelope["uuid"], envelope["body"]["totalActiveCalls"]) == ("u-1", 9)
    assert envelope["timestamp"] == "2026-03-02T09:00:02.000Z"


def test_more_than_seven_rows_are_cut():
    story = load_story(STORIES[0].with_name("more_than_seven_calls.story"))
    assert len(items(story)) == 7
    assert story.deliveries[0].envelope["body"]["totalActiveCalls"] == 8


def test_late_twice_lost_wait_and_order():
    rows = "| +0 | 2001 | | A | Ringing | late=20s |\n| +1 | 2001 | | A | Ringing | twice |\nwait 11s\n"
    rows += "| +2 | 2001 | | A | Ringing | lost |\n| +3 | 2001 | | A | NoCall | |\n"
    story = load_story(HEAD + rows + EXPECT)
    told = [((d.at - story.start) / 1000, d.envelope["body"]["sequence"]) for d in story.deliveries]
    assert told == [(1, 1007), (1, 1007), (12, 1021), (20, 1000)]
    ordered = load_story(HEAD + RING + "| +5 | 2001 | | A | NoCall | |\norder 2 1 2\n" + EXPECT)
    assert [(d.at - story.start) / 1000 for d in ordered.deliveries] == [5, 5, 5]


def test_log_records_and_what_they_change():
    story = load_story(STORIES[0].with_name("flow3_ringout_no_answer.story"))
    (record,) = story.log_records
    assert record.at == story.deliveries[-1].at + 30_000
    assert (record.record["result"], record.record["sessionId"]) == ("No Answer", "915021981016")
    assert story.expected[0]["disposition"] == "answered"
    assert story.confirmed[0]["disposition"] == "no_answer"
    assert story.confirmed[0]["from_number"] == "+16509540334"
    assert "ring_seconds" not in story.confirmed[0]  # the books may change it, and nothing was said of it


def test_a_shifted_story_keeps_its_intervals_and_styles():
    story = load_story(STORIES[0].with_name("flow2_answered_inbound.story"))
    later = story.shifted(86_400_000)
    assert later.deliveries[0].envelope["timestamp"] == "2015-04-11T18:49:20.858+0000"
    assert later.expected[0]["ended_at"] == "2015-04-11T18:49:41.828Z"
    assert later.deliveries[0].at - story.deliveries[0].at == 86_400_000
    assert story.deliveries[0].envelope["timestamp"] == "2015-04-10T18:49:20.858+0000"


async def test_a_story_played_through_the_simulator_arrives_as_it_was_told(client: Client):
    story = load_story(STORIES[0].with_name("queue_hunting.story"))
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    await client.sim.play_story(story, pace=False)
    got = opened(made, await client.poll(made, tt))
    added = {"subscriptionId": made["id"], "ownerId": "2001"}
    assert got == [d.envelope | added for d in story.deliveries]


async def test_a_story_of_2015_names_no_subscription(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    await client.sim.play_story(load_story(STORIES[0].with_name("flow3_ringout.story")), pace=False)
    assert opened(made, await client.poll(made, tt)) == FLOWS[2]["events"]


async def test_a_rebased_story_happens_now(client: Client):
    made = await client.subscribe()
    tt = (await client.poll(made))["t"]["t"]
    now = client.sim.clock.now_iso()
    await client.sim.play_story(load_story(STORIES[0].with_name("answered.story")), rebase=True, pace=False)
    (first, *_) = opened(made, await client.poll(made, tt))
    assert first["timestamp"] == now


async def test_a_read_of_presence_agrees_with_the_story(client: Client):
    story = load_story(HEAD + "| +0 | 777 | | A | Ringing | |\n" + EXPECT)
    presence = "/restapi/v1.0/account/~/extension/777/presence?detailedTelephonyState=true"
    assert (await client.call("GET", presence))[0] == 404
    await client.sim.play_story(story, pace=False)
    _, body = await client.call("GET", presence)
    assert (body["telephonyStatus"], body["activeCalls"]) == ("Ringing", items(story))
    await client.sim.play_story(load_story(HEAD + "| +9 | 777 | | A | NoCall | |\n" + EXPECT), pace=False)
    assert (await client.call("GET", presence))[1]["activeCalls"] == []
