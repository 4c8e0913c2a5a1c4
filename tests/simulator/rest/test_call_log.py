"""The books over REST: what is listed when, what is filtered how, and that they agree with the truth."""

from typing import Any
from urllib.parse import quote

import pytest

from ringledger.simulator import Office, Pbx, SimClock, Simulator, StoryError, default_extensions, load_story
from ringledger.simulator.clock import iso_z
from ringledger.simulator.exchange.model import SimCall, SimLeg, Step
from ringledger.simulator.exchange.records import Entry, Scribe
from tests.simulator.conftest import Client
from tests.simulator.exchange.test_office import leap

ACCOUNT = "/restapi/v1.0/account/~"
ACTIVE, LOG, SYNC = ACCOUNT + "/active-calls", ACCOUNT + "/call-log", ACCOUNT + "/call-log-sync"


def begun(client: Client, *, session: str = "700", extension: str = "2001", result: str = "Accepted") -> SimCall:
    """An inbound call that rings now."""
    leg = SimLeg("leg" + session, 1, extension, "Inbound", "+14155550100", "A Caller", "+16505551001", "Ann Archer")
    call = SimCall(session, "s-" + session, "Inbound", "answered", result, "Phone Call", [leg])
    happens(client, call, "Ringing")
    return call


def happens(client: Client, call: SimCall, status: Any, leg: int = 0) -> None:
    ending = "final" if status == "NoCall" else None
    client.sim.pbx.apply(call, Step(client.sim.clock.now_ms(), leg, status, ending))


def passes(client: Client, seconds: float) -> None:
    client.sim.clock.advance(seconds)


async def records(client: Client, path: str) -> list[Any]:
    status, body = await client.call("GET", path)
    assert status == 200, body
    return body["records"]  # type: ignore[no-any-return]


async def everything(client: Client, path: str) -> list[Any]:
    """All pages, each record once."""
    found: dict[str, Any] = {}
    while path:
        status, body = await client.call("GET", path)
        assert status == 200, body
        found |= {record["id"]: record for record in body["records"]}
        path = body["navigation"].get("nextPage", {"uri": ""})["uri"].removeprefix(client.sim.url)
    return [*found.values()]


async def ended(client: Client, **options: str) -> SimCall:
    """A call of five seconds' ringing and sixty of talk, over now."""
    call = begun(client, **options)
    passes(client, 5)
    happens(client, call, "CallConnected")
    passes(client, 60)
    happens(client, call, "NoCall")
    return call


async def test_a_ringing_call_is_not_listed(client: Client):
    begun(client)
    passes(client, 20)
    assert await records(client, ACTIVE) == []


async def test_an_answered_call_is_listed_after_the_latency_and_leaves_two_minutes_after_its_end(client: Client):
    call = begun(client)
    passes(client, 5)
    happens(client, call, "CallConnected")
    passes(client, 4.9)
    assert await records(client, ACTIVE) == []
    passes(client, 0.1)
    [record] = await records(client, ACTIVE)
    assert (record["result"], record["finished"], record["durationMs"]) == ("In Progress", False, 5000)
    passes(client, 60)
    happens(client, call, "NoCall")
    assert (await records(client, ACTIVE))[0]["result"] == "In Progress"
    passes(client, 5)
    [record] = await records(client, ACTIVE)
    assert (record["result"], record["finished"], record["durationMs"]) == ("Accepted", True, 70_000)
    passes(client, 114.999)
    assert len(await records(client, ACTIVE)) == 1
    passes(client, 0.001)
    assert await records(client, ACTIVE) == []


async def test_a_running_call_may_look_connected_with_growing_duration(client: Client):
    client.sim.books.options.running = "Call connected"
    call = begun(client)
    happens(client, call, "CallConnected")
    passes(client, 10)
    [first] = await records(client, ACTIVE)
    passes(client, 10)
    [second] = await records(client, ACTIVE)
    assert first["result"] == second["result"] == "Call connected"
    assert second["duration"] - first["duration"] == 10


async def test_the_log_has_a_call_some_time_after_its_end(client: Client):
    call = await ended(client)
    passes(client, 29.999)
    assert await records(client, LOG) == []
    passes(client, 0.001)
    [record] = await records(client, LOG)
    uri = f"{client.sim.url}/restapi/v1.0/account/1001"
    assert record == {
        "id": "R700", "uri": uri + "/call-log/R700", "sessionId": "700", "telephonySessionId": "s-700",
        "partyId": "p-700-1", "startTime": iso_z(call.legs[0].started_at), "duration": 65, "durationMs": 65_000,
        "type": "Voice", "direction": "Inbound", "action": "Phone Call", "result": "Accepted", "finished": True,
        "internalType": "LongDistance", "from": {"phoneNumber": "+14155550100", "name": "A Caller"},
        "to": {"phoneNumber": "+16505551001", "name": "Ann Archer", "extensionId": "2001"},
        "extension": {"id": 2001, "uri": uri + "/extension/2001"},
    }  # fmt: skip


async def test_the_books_of_2015_know_no_milliseconds(http: Any):
    async with Simulator(clock=SimClock(speed=0), pbx=Pbx(style="2015")) as sim:
        client = Client(sim, http)
        await client.login()
        await ended(client)
        passes(client, 60)
        [record] = await records(client, LOG)
        assert not {"durationMs", "telephonySessionId", "partyId", "finished"} & set(record)


async def test_an_extension_sees_only_its_own_side(client: Client):
    await ended(client)
    passes(client, 30)
    assert [r["id"] for r in await records(client, ACCOUNT + "/extension/2001/call-log")] == ["R700E2001"]
    assert await records(client, ACCOUNT + "/extension/2002/call-log") == []
    assert len(await records(client, ACCOUNT + "/extension/~/active-calls")) == 1


async def test_a_call_that_lives_again_is_written_anew(client: Client):
    call = await ended(client)
    passes(client, 30)
    assert len(await records(client, LOG)) == 1
    happens(client, call, "CallConnected")
    assert await records(client, LOG) == []
    passes(client, 10)
    call.result = "Voicemail"
    happens(client, call, "NoCall")
    passes(client, 30)
    [record] = await records(client, LOG)
    assert (record["result"], record["duration"]) == ("Voicemail", 105)
    client.sim.books.options.milliseconds = False
    assert "durationMs" not in (await records(client, LOG))[0]


async def test_a_call_that_lives_again_long_after_its_end_is_in_progress_again(client: Client):
    other, call = await ended(client, session="701"), await ended(client)
    passes(client, 600)
    assert [r["sessionId"] for r in await records(client, LOG)] == ["700", "701"]
    assert await records(client, ACTIVE) == []
    happens(client, call, "CallConnected")
    passes(client, 5)
    assert [(r["sessionId"], r["finished"]) for r in await records(client, ACTIVE)] == [("700", False)]
    assert [r["sessionId"] for r in await records(client, LOG)] == ["701"]
    happens(client, call, "NoCall")
    passes(client, 600)
    assert [r["duration"] for r in await records(client, LOG + "?sessionId=700")] == [670]
    assert [r["sessionId"] for r in await records(client, LOG)] == ["700", other.session_id]


async def test_a_page_costs_what_it_shows(client: Client, monkeypatch: pytest.MonkeyPatch):
    """However many calls there have been: in a flood the books are asked while events come."""
    written: list[str] = []
    write = Scribe.record

    def counted(scribe: Scribe, entry: Entry, **options: Any) -> Any:
        written.append(entry.call.session_id)
        return write(scribe, entry, **options)

    for number in range(30):
        await ended(client, session=f"8{number:02}")
    passes(client, 30)
    monkeypatch.setattr(Scribe, "record", counted)
    assert [r["sessionId"] for r in await records(client, LOG + "?perPage=2&page=2")] == ["827", "826"]
    assert written == ["827", "826"]
    assert [r["sessionId"] for r in await records(client, ACTIVE + "?perPage=1")] == ["829"]
    assert [r["sessionId"] for r in await records(client, LOG + "?sessionId=811")] == ["811"]
    assert written == ["827", "826", "829", "811"]


async def test_one_record_by_its_id(client: Client):
    await ended(client)
    passes(client, 30)
    status, body = await client.call("GET", LOG + "/R700?view=Detailed")
    assert (status, body["sessionId"], len(body["legs"])) == (200, "700", 1)
    status, body = await client.call("GET", LOG + "/R701")
    assert (status, body["errorCode"]) == (404, "CMN-102")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("direction=Inbound", 1), ("direction=Outbound", 0), ("type=Voice", 1), ("type=Fax", 0),
        ("phoneNumber=14155550100", 1), ("phoneNumber=14155550199", 0), ("sessionId=700", 1), ("sessionId=701", 0),
        ("telephonySessionId=s-700", 1), ("telephonySessionId=s-701", 0), ("showBlocked=false", 1),
    ],
)  # fmt: skip
async def test_filters(client: Client, query: str, found: int):
    await ended(client)
    passes(client, 30)
    assert len(await records(client, f"{LOG}?{query}")) == found


async def test_blocked_calls_can_be_left_out(client: Client):
    await ended(client, result="Blocked")
    passes(client, 30)
    assert len(await records(client, LOG)) == 1
    assert await records(client, LOG + "?showBlocked=false") == []


async def test_the_log_shows_a_day_unless_asked_otherwise(client: Client):
    before = client.sim.clock.now_iso()
    await ended(client)
    passes(client, 86_400)
    await client.login()
    assert await records(client, LOG) == []
    assert len(await records(client, f"{LOG}?dateFrom={quote(before)}")) == 1
    assert len(await records(client, f"{LOG}?dateTo={quote(before)}")) == 1
    assert len(await records(client, LOG + "?sessionId=700")) == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("sessionId=1&extensionNumber=101", "CLG-110"), ("phoneNumber=1&extensionNumber=101", "CLG-110"),
        ("dateFrom=yesterday", "CMN-101"), ("perPage=1001", "CMN-101"),
    ],
)  # fmt: skip
async def test_refused_queries(client: Client, query: str, code: str):
    status, body = await client.call("GET", f"{LOG}?{query}")
    assert (status, body["errorCode"]) == (400, code)


async def test_pages_shift_when_calls_come(client: Client):
    for number in range(5):
        await ended(client, session=f"80{number}")
    passes(client, 30)
    _, first = await client.call("GET", LOG + "?perPage=2")
    await ended(client, session="900")
    passes(client, 30)
    _, second = await client.call("GET", first["navigation"]["nextPage"]["uri"].removeprefix(client.sim.url))
    assert [r["sessionId"] for r in first["records"]] == ["804", "803"]
    assert [r["sessionId"] for r in second["records"]] == ["803", "802"]
    client.sim.books.options.totals = False
    _, first = await client.call("GET", LOG + "?perPage=2")
    assert "totalPages" not in first["paging"]
    assert "nextPage" in first["navigation"]


async def test_the_accounts_books_are_the_administrators(client: Client):
    client.sim.permissions.missing = {"ReadCompanyCallLog"}
    for path in (ACTIVE, LOG, SYNC + "?recordCount=5"):
        status, body = await client.call("GET", path)
        assert (status, body["permissionName"]) == (403, "ReadCompanyCallLog")
    assert await records(client, ACCOUNT + "/extension/~/call-log") == []
    client.sim.permissions.missing = {"ReadCallLog"}
    status, body = await client.call("GET", ACCOUNT + "/extension/~/call-log")
    assert (status, body["errorCode"], body["errors"][0]["errorCode"]) == (403, "InsufficientPermissions", "CMN-401")


async def test_synchronisation_brings_what_is_new(client: Client):
    await ended(client, session="800")
    passes(client, 30)
    _, full = await client.call("GET", SYNC + "?syncType=FSync&recordCount=10")
    assert [r["sessionId"] for r in full["records"]] == ["800"]
    await ended(client, session="801", result="Missed")
    path = SYNC + "?syncType=ISync&syncToken="
    _, early = await client.call("GET", path + full["syncInfo"]["syncToken"])
    passes(client, 30)
    _, late = await client.call("GET", path + early["syncInfo"]["syncToken"])
    _, more = await client.call("GET", path + early["syncInfo"]["syncToken"] + "&recordCount=5")
    _, missed = await client.call("GET", SYNC + "?syncType=FSync&recordCount=10&statusGroup=Missed")
    assert early["records"] == []
    assert [r["sessionId"] for r in late["records"]] == ["801"]
    assert [r["sessionId"] for r in more["records"]] == ["801", "800"]
    assert [r["sessionId"] for r in missed["records"]] == ["801"]


async def test_a_synchronisation_token_grows_old(client: Client):
    _, full = await client.call("GET", SYNC + "?syncType=FSync&recordCount=10")
    token = full["syncInfo"]["syncToken"]
    for session in ("800", "801"):
        await ended(client, session=session)
    passes(client, 30)
    client.sim.books.options.max_changes = 1

    async def code(scope: str = ACCOUNT, given: str = token) -> Any:
        path = f"{scope}/call-log-sync?syncType=ISync&syncToken={given}"
        return (await client.call("GET", path))[1].get("errorCode")

    assert await code() == "CLG-104"
    assert await code(ACCOUNT + "/extension/~") == "CLG-102"
    assert await code(given="never-given") == "CLG-102"
    client.sim.books.options.max_changes = 250
    assert await code() is None
    client.sim.books.tokens.expire()
    assert await code() == "CLG-101"


@pytest.mark.parametrize("query", ["", "?recordCount=0", "?syncType=Other", "?recordCount=1&statusGroup=Some"])
async def test_a_synchronisation_is_asked_for_properly(client: Client, query: str):
    status, body = await client.call("GET", SYNC + query)
    assert (status, body["errorCode"]) == (400, "CMN-101")


STORY = """
story Rang out
call A session=900 direction=out from=+16505551001 to=+14155550100
call B session=901 direction=in from=+14155550101 to=+16505551001
| time | extension | call | status        |
| +0   | 2001      | A    | CallConnected |
| +10  | 2001      | A    | NoCall        |
log A result="No Answer" duration=10 active=5s after=40s
log B result="In Progress" duration=3 active=0s
expect 1 call
  A direction=out
"""


async def test_the_log_of_a_story_is_in_the_books_after_it(client: Client):
    await client.sim.play_story(load_story(STORY), rebase=True, pace=False)
    assert [r["sessionId"] for r in await records(client, ACTIVE)] == ["901"]
    passes(client, 5)
    assert {r["sessionId"]: r["result"] for r in await records(client, ACTIVE)} == {
        "900": "No Answer", "901": "In Progress",
    }  # fmt: skip
    assert await records(client, LOG) == []
    passes(client, 35)
    [record] = await records(client, ACCOUNT + "/extension/2001/call-log")
    assert (record["sessionId"], record["result"], record["duration"]) == ("900", "No Answer", 10)
    assert record["uri"].endswith("/extension/2001/call-log/" + record["id"])
    passes(client, 90)
    assert await records(client, ACTIVE) == []


async def test_the_books_of_a_day_in_the_office_are_the_truth(http: Any):
    sim = Simulator(clock=SimClock(speed=0), pbx=Pbx(default_extensions(8)))
    sim.clock.sleep_until = leap(sim.clock)  # type: ignore[method-assign]
    begin = sim.clock.now_ms()
    async with sim:
        client = Client(sim, http)
        await client.login()
        await sim.run_office(Office([*sim.pbx.extensions.values()], 60, 5), until=begin + 8 * 3_600_000)
        passes(client, 60)
        await client.login()  # the day is longer than a token lives
        log = {r["sessionId"]: r for r in await everything(client, LOG + "?perPage=250&view=Detailed")}
        truths = sim.pbx.truth()
        assert len(truths) > 300
        assert set(log) == {truth.session_id for truth in truths}
        for truth in truths:
            assert truth.ended_at is not None
            record = log[truth.session_id]
            assert record["startTime"] == iso_z(truth.started_at)
            assert record["durationMs"] == truth.ended_at - truth.started_at
            assert (record["result"], record["direction"]) == (truth.result, truth.direction)
            assert str(record["extension"]["id"]) == truth.extension_id
            assert len(record["legs"]) == truth.legs
            assert number(record["from"]) == truth.from_number
            assert number(record["to"]) == truth.to_number
            assert sum(leg["master"] for leg in record["legs"]) == 1
        for extension in sim.pbx.extensions:
            own = await everything(client, f"{ACCOUNT}/extension/{extension}/call-log?perPage=250")
            assert {r["sessionId"] for r in own} == {t.session_id for t in truths if extension in t.extensions}


def number(party: Any) -> Any:
    return party.get("phoneNumber") or party.get("extensionNumber")


def test_a_wrong_span_in_a_log_line_is_named_with_its_line():
    with pytest.raises(StoryError, match="line 8: 'soon' is no span"):
        load_story(STORY.replace("active=5s", "active=soon"))
