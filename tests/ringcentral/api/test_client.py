"""Requests, listings and errors against the simulator, and scripted answers for what it never does."""

import gzip
import json
import tracemalloc
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from ringledger.ringcentral.api.actions import Actions
from ringledger.ringcentral.api.connection import now_ms
from ringledger.ringcentral.api.http import open_session
from ringledger.ringcentral.api.query import CallLogQuery
from ringledger.ringcentral.auth.authorisation import TOKEN_PATH
from ringledger.ringcentral.errors import (
    BadRequest,
    Malformed,
    NotFound,
    PermissionDenied,
    PlatformError,
    PlatformUnavailable,
    SyncExpired,
    Throttled,
)
from ringledger.ringcentral.ratelimit.limits import RateGroup
from ringledger.ringcentral.websocket.connection import Vigilance, open_connection
from ringledger.simulator import Simulator
from tests.platform.fake import Fake, cut, reply, reset, serving
from tests.platform.payloads import record
from tests.platform.support import client_for

API = "/restapi/v1.0"
LOG = f"{API}/account/~/call-log"
TOKEN = {"access_token": "AT-1", "expires_in": 3600, "refresh_token": "RT-1"}


def listing(*records: Any, more: bool = False) -> dict[str, Any]:
    navigation = {"nextPage": {"uri": "https://elsewhere.example/x?page=2"}} if more else {}
    return {"records": list(records), "navigation": navigation}


async def test_who_we_are_and_who_there_is() -> None:
    async with Simulator() as sim, client_for(sim.url) as client:
        me = await client.whoami()
        assert (me.account_id, me.extension_id, me.extension_number) == ("1001", "2001", "101")
        found, unreadable = await client.extensions()
        assert unreadable == 0
        assert [one.id for one in found] == ["2001", "2002", "2003", "2004", "2005"]
        assert all(one.has_presence for one in found)


async def test_presence_is_read() -> None:
    async with Simulator() as sim, client_for(sim.url) as client:
        seen = await client.read_presence("2001", account_id="1001")
        assert (seen.extension_id, seen.items, seen.truncated) == ("2001", (), False)


@pytest.mark.parametrize("odd", ["../../../x", "..", ".", "a?b=1", "a#b", "%2e%2e/", "//evil.example/", "@x", "a b"])
async def test_no_id_leads_elsewhere(odd: str) -> None:
    """An id is somebody else's text; the request bears a token, and one of these deletes."""
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(TOKEN))
        asked = [
            (client.read_presence(odd, account_id="1"), f"{API}/account/~/extension/{{}}/presence"),
            (client.renew_subscription(odd), f"{API}/subscription/{{}}/renew"),
            (client.get_subscription(odd), f"{API}/subscription/{{}}"),
            (client.delete_subscription(odd), f"{API}/subscription/{{}}"),
            (client.active_calls(account_id="1", extension_id=odd), f"{API}/account/~/extension/{{}}/active-calls"),
            (Actions(client).ring_out_status(odd), f"{API}/account/~/extension/~/ring-out/{{}}"),
            (Actions(client).cancel_ring_out(odd), f"{API}/account/~/extension/~/ring-out/{{}}"),
        ]
        for question, path in asked:
            there = path.format(odd if odd.strip(".") else f" {odd}")
            fake.script(there, reply({"errorCode": "CMN-102"}, 404))
            with pytest.raises(NotFound):
                await question
            assert fake.requests[-1][1] == there


async def test_the_life_of_a_subscription() -> None:
    async with Simulator() as sim, client_for(sim.url) as client:
        made = await client.create_subscription([f"{API}/account/~/presence?detailedTelephonyState=true"])
        assert made.active
        assert made.pubnub is not None
        assert made.pubnub.encryption_key is not None
        assert made.pubnub.encryption_key not in repr(made)
        assert (await client.get_subscription(made.id)).pubnub == made.pubnub
        assert (await client.renew_subscription(made.id)).id == made.id
        await client.delete_subscription(made.id)
        with pytest.raises(NotFound):
            await client.renew_subscription(made.id)


async def test_an_expired_token_is_renewed_once_and_the_request_repeated() -> None:
    async with Simulator() as sim, client_for(sim.url) as client:
        await client.whoami()
        sim.oauth.expire_access_tokens()
        assert (await client.whoami()).extension_id == "2001"
        sim.oauth.revoke_all()
        assert (await client.whoami()).extension_id == "2001"


def scripted(fake: Fake, *replies: Any) -> None:
    fake.script(TOKEN_PATH, reply(TOKEN))
    fake.script(LOG, *replies)


async def test_all_pages_each_record_once() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        pages = listing(record(id="A"), record(id="B"), more=True), listing(record(id="B"), 7, record(id="C"))
        scripted(fake, *(reply(page) for page in pages))
        read = await client.call_log(CallLogQuery(since_ms=0, number="+1555"), account_id="1")
        assert [claim.record_id for claim in read.claims] == ["A", "B", "C"]
        assert len(read.unreadable) == 1
        assert {claim.read_at for claim in read.claims} == {read.read_at}
        first, second = fake.asked(LOG)
        assert (first["page"], second["page"]) == ("1", "2")
        assert first["phoneNumber"] == "1555"
        assert first["dateFrom"] == "1970-01-01T00:00:00.000Z"


@pytest.mark.parametrize("trouble", [reply(status=503), cut, reset, reply(text="<html>"), reply({"paging": {}})])
async def test_a_failed_page_fails_the_listing(trouble: Any) -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, reply(listing(record(), more=True)), trouble)
        with pytest.raises(PlatformUnavailable):
            await client.call_log(CallLogQuery(), account_id="1")


async def test_active_calls_and_single_sessions() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, reply(listing()))
        fake.script(f"{API}/account/~/extension/7/active-calls", reply(listing(record(result="In Progress"))))
        read = await client.active_calls(account_id="1", extension_id="7")
        assert read.claims[0].running
        await client.call_log(CallLogQuery(session_id="9", since_ms=5), account_id="1")
        assert fake.asked(LOG) == [{"perPage": "250", "sessionId": "9", "page": "1"}]


async def test_synchronisation() -> None:
    path = f"{API}/account/~/call-log-sync"
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(TOKEN))
        expired = {"errorCode": "CLG-102", "message": "Sync token expired"}
        fake.script(path, reply({"records": [record()], "syncInfo": {"syncToken": "T1"}}), reply(expired, 400))
        page = await client.call_log_sync(account_id="1", since_ms=0)
        assert (page.sync_token, len(page.claims)) == ("T1", 1)
        with pytest.raises(SyncExpired):
            await client.call_log_sync(account_id="1", sync_token="T1")
        assert [asked["syncType"] for asked in fake.asked(path)] == ["FSync", "ISync"]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply({"errorCode": "CMN-102"}, 404), NotFound),
        (reply({"errorCode": "CMN-101", "message": "bad"}, 400), BadRequest),
        (reply({"errors": [{"errorCode": "CMN-401", "permissionName": "ReadCallLog"}]}, 403), PermissionDenied),
        (reply({}, 429), Throttled),
        (reply({}, 500), PlatformUnavailable),
        (reply(text="<html>", status=404), Malformed),
        (reply({}, 302), Malformed),
        (reset, PlatformUnavailable),
        (reply({}, 401), PlatformUnavailable),
    ],
)
async def test_each_failure_says_who_must_act(answer: Any, kind: type[PlatformError]) -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, answer)
        with pytest.raises(PlatformError) as caught:
            await client.request("GET", "/account/~/call-log", group=RateGroup.HEAVY)
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value)
        assert "AT-1" not in str(caught.value)
        if isinstance(caught.value, PermissionDenied):
            assert caught.value.permission == "ReadCallLog"


async def test_an_outage_is_told_when_it_begins_and_when_it_ends() -> None:
    notices: list[tuple[str, str]] = []
    async with serving() as fake, client_for(fake.url, notices=notices) as client:
        scripted(fake, reply({}, 503), reply({}, 503), reply(listing()))
        for _ in range(3):
            try:
                await client.call_log(CallLogQuery(), account_id="1")
            except PlatformUnavailable:
                continue
    assert [kind for kind, _ in notices] == ["platform.unavailable", "platform.recovered"]


async def test_nothing_leaves_within_a_penalty() -> None:
    waits: list[tuple[str, str, float]] = []
    async with serving() as fake, client_for(fake.url, speed=1000, waits=waits) as client:
        scripted(fake, reply({}, 429, Retry_After="40"), reply(listing()))
        with pytest.raises(Throttled):
            await client.call_log(CallLogQuery(), account_id="1")
        asked = client.pace.now()
        await client.call_log(CallLogQuery(), account_id="1", background=False)
        assert client.pace.now() - asked >= 35
        assert waits[0][:2] == ("heavy", "penalty")


async def test_the_budget_is_what_the_headers_say() -> None:
    waits: list[tuple[str, str, float]] = []
    headers = {"X_Rate_Limit_Limit": "2", "X_Rate_Limit_Remaining": "0", "X_Rate_Limit_Window": "10"}
    async with serving() as fake, client_for(fake.url, speed=1000, waits=waits) as client:
        scripted(fake, reply(listing(), **headers))
        await client.call_log(CallLogQuery(), account_id="1")
        await client.call_log(CallLogQuery(), account_id="1")
    assert waits[0][:2] == ("heavy", "budget")


async def test_the_platforms_clock_is_learnt() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, reply(listing(), Date="Mon, 05 Jan 2026 10:00:00 GMT"))
        await client.call_log(CallLogQuery(), account_id="1")
        assert abs(client.platform_now_ms() - 1767607200500) < 30_000


async def test_an_answer_bears_its_own_date_however_long_it_took() -> None:
    """Not what we make of the platform's clock, which adds the way, and the wait for a turn in the rate group."""
    ten = 1767607200000
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, reply(listing(), Date="Mon, 05 Jan 2026 09:00:00 GMT"))
        await client.call_log(CallLogQuery(), account_id="1")  # since then an hour has passed there, a moment here
        path = f"{API}/account/~/extension/2/presence"
        fake.script(path, reply({"extension": {"id": 2}}, Date="Mon, 05 Jan 2026 10:00:00 GMT"))
        assert (await client.read_presence("2", account_id="1")).at == ten
        fake.script(
            f"{API}/account/~/active-calls",
            reply(listing(record(id="1"), more=True), Date="Mon, 05 Jan 2026 10:00:00 GMT"),
            reply(listing(record(id="2")), Date="Mon, 05 Jan 2026 10:00:09 GMT"),
        )
        told = await client.active_calls(account_id="1")
        assert (told.read_at, [one.read_at for one in told.claims]) == (ten, [ten, ten + 9_000])


async def test_an_answer_without_a_date_is_dated_by_what_is_known_of_the_platforms_clock() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, reply(listing(), Date="Mon, 05 Jan 2026 10:00:00 GMT"))
        await client.call_log(CallLogQuery(), account_id="1")
        fake.script(f"{API}/account/~/extension/2/presence", reply({"extension": {"id": 2}}, Date="yesterday"))
        seen = await client.read_presence("2", account_id="1")
        assert abs(seen.at - 1767607200500) < 30_000


async def test_one_may_not_read_who_one_is() -> None:
    denied = reply({"errors": [{"errorCode": "CMN-401", "permissionName": "ReadAccounts"}]}, 403)
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(TOKEN))
        fake.script(f"{API}/account/~/extension/~", denied, reply({"id": 2, "extensionNumber": "101"}))
        assert (await client.whoami()).extension_id == "~"
        fake.script(f"{API}/account/~", denied, reply({"id": 1}))
        assert (await client.whoami()).account_id == "~"
        assert (await client.whoami()).account_id == "1"


@pytest.mark.parametrize("date", ["Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"])
async def test_an_impossible_date_dates_nothing(date: str) -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, reply(listing(record()), Date=date))
        read = await client.call_log(CallLogQuery(), account_id="1")
        assert abs(read.claims[0].read_at - now_ms()) < 30_000
        assert client.clock_offset_ms == 0


async def test_a_log_that_ignores_the_page_is_read_once() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, *[reply(listing(record(id="A"), record(id="B"), more=True))] * 3)
        read = await client.call_log(CallLogQuery(), account_id="1")
        assert [claim.record_id for claim in read.claims] == ["A", "B"]
        assert len(fake.asked(LOG)) == 2


async def test_a_full_page_that_comes_again_may_hide_the_rest() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, *[reply(listing(record(id="A"), record(id="B"), more=True))] * 3)
        with pytest.raises(Malformed, match="page 2 of a listing is one that came before"):
            await client.call_log(CallLogQuery(per_page=2), account_id="1")
        assert len(fake.asked(LOG)) == 2


async def test_a_page_number_that_does_not_advance_ends_a_listing() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        page = listing(record(id="A"), more=True) | {"paging": {"page": 1, "perPage": 100}}
        again = listing(record(id="B"), more=True) | {"paging": {"page": 1, "perPage": 100}}
        scripted(fake, reply(page), reply(again))
        read = await client.call_log(CallLogQuery(), account_id="1")
        assert [claim.record_id for claim in read.claims] == ["A"]
        assert len(fake.asked(LOG)) == 2


@pytest.mark.parametrize("link", [{}, {"uri": ""}, {"uri": None}, None])
async def test_an_empty_link_names_no_page(link: object) -> None:
    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, reply({"records": [record()], "navigation": {"nextPage": link}}))
        assert len((await client.call_log(CallLogQuery(), account_id="1")).claims) == 1
        assert len(fake.asked(LOG)) == 1


async def test_one_record_never_costs_its_page() -> None:
    whole = json.dumps(listing(record(id="A"), record(id="POISON"), record(id="B")))
    poisons = {
        '"id": "POISON\\ud83d"': ["A", "POISON\ufffd", "B"],
        '"id": "POISON", "name": "\x01"': ["A", "B"],
        '"id": "POISON", "n": 01': ["A", "B"],
        '"id": "POISON", "n": NaN': ["A", "B"],
        '"id": "POISON", "n": ' + "[" * 5000 + "]" * 5000: ["A", "B"],
        '"id": "POISON", "n": 0, "legs": {}': ["A", "B"],
    }
    async with serving() as fake, client_for(fake.url, speed=1000) as client:
        scripted(fake, *[reply(text=whole.replace('"id": "POISON"', poison)) for poison in poisons])
        for poison, expected in poisons.items():
            read = await client.call_log(CallLogQuery(), account_id="1")
            assert [claim.record_id for claim in read.claims] == expected, poison
            assert len(read.unreadable) == 3 - len(expected), poison


async def test_redirects_carry_no_token_elsewhere() -> None:
    async with serving() as fake, serving() as elsewhere, client_for(fake.url) as client:
        scripted(fake, reply({}, 302, Location=f"{elsewhere.url}{LOG}"))
        elsewhere.script(LOG, reply(listing()))
        with pytest.raises(Malformed):
            await client.call_log(CallLogQuery(), account_id="1")
        assert elsewhere.asked(LOG) == []


async def test_an_answer_that_unpacks_to_far_more_is_an_outage() -> None:
    bomb = gzip.compress(b" " * 100_000_000, 1)

    async def answer(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip", "Content-Type": "application/json"})

    async with serving() as fake, client_for(fake.url) as client:
        scripted(fake, answer)
        tracemalloc.start()
        try:
            with pytest.raises(Malformed, match="more than 16777216 bytes"):
                await client.call_log(CallLogQuery(), account_id="1")
            assert tracemalloc.get_traced_memory()[1] < 64 * 1024 * 1024
        finally:
            tracemalloc.stop()


async def test_a_websockets_handshake_follows_no_redirect() -> None:
    async with serving() as fake, serving() as elsewhere, open_session() as session:
        fake.script("/ws", reply({}, 302, Location=f"{elsewhere.url}/ws"))
        elsewhere.script("/ws", reply({}))
        with pytest.raises(aiohttp.ClientResponseError):
            await session.ws_connect(f"{fake.url}/ws?access_token=T")
        assert elsewhere.requests == []


@pytest.mark.parametrize("uri", ["ws://ws.example.com/ws", "http://127.0.0.1/ws", "ftp://x", "://", "wss:" + "x" * 600])
async def test_a_websockets_token_does_not_travel_in_clear(uri: str) -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(TOKEN))
        fake.script("/restapi/oauth/wstoken", reply({"uri": uri, "ws_access_token": "T"}))
        with pytest.raises(Malformed):
            await open_connection(client, None, Vigilance(), lambda: None)
