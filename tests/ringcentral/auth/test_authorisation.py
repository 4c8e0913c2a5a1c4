"""Tokens: one request for many callers, refusals never repeated, refresh tokens used once."""

import asyncio
import contextlib
from dataclasses import replace

import pytest

from ringledger.ringcentral.auth.authorisation import TOKEN_PATH, AuthEvent, AuthEventKind, Credentials
from ringledger.ringcentral.errors import CredentialsRejected, Malformed, PlatformUnavailable, Throttled
from ringledger.simulator import Options, Simulator
from tests.platform.fake import Fake, Reply, cut, reply, reset, serving
from tests.platform.support import GOOD, client_for

ME_PATH = "/restapi/v1.0/account/~/extension/~"
REFUSED = {
    "error": "invalid_grant",
    "error_description": "Token not found",
    "errors": [{"errorCode": "OAU-213", "message": "Token not found"}],
}


def token(number: int, *, expires_in: int = 3600, refresh: bool = True) -> dict[str, object]:
    made: dict[str, object] = {"access_token": f"AT-{number}", "token_type": "bearer", "expires_in": expires_in}
    return {**made, "refresh_token": f"RT-{number}", "refresh_token_expires_in": 604800} if refresh else made


def grants(fake: Fake) -> list[str]:
    return [form["grant_type"].rpartition(":")[2] for form in fake.asked(TOKEN_PATH)]


async def test_many_callers_one_request() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(token(1)))
        assert set(await asyncio.gather(*(client.auth.token() for _ in range(20)))) == {"AT-1"}
        assert grants(fake) == ["jwt-bearer"]


async def test_a_cancelled_caller_does_not_cost_the_others_their_token() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(token(1)))
        first, second = asyncio.create_task(client.auth.token()), asyncio.create_task(client.auth.token())
        await asyncio.sleep(0)
        first.cancel()
        assert await second == "AT-1"
        assert len(grants(fake)) == 1


async def test_the_password_grant() -> None:
    user = replace(GOOD, jwt="", username="+15550100000", password="sim-password")
    async with Simulator(options=Options(legacy_2015=True)) as sim, client_for(sim.url, credentials=user) as client:
        assert await client.auth.token()
    async with Simulator() as sim, client_for(sim.url, credentials=user) as client:
        with pytest.raises(CredentialsRejected, match="OAU-251"):
            await client.auth.token()


async def test_a_token_is_renewed_before_it_expires() -> None:
    events: list[AuthEvent] = []
    async with serving() as fake, client_for(fake.url, speed=10_000, events=events) as client:
        fake.script(TOKEN_PATH, reply(token(1)), reply(token(2)))
        assert await client.auth.token() == "AT-1"
        await client.pace.sleep(2500)
        assert await client.auth.token() == "AT-2"
        assert grants(fake) == ["jwt-bearer", "refresh_token"]
        assert fake.asked(TOKEN_PATH)[1]["refresh_token"] == "RT-1"
    assert [event.kind for event in events] == [AuthEventKind.OBTAINED, AuthEventKind.REFRESHED]


async def test_a_lost_answer_resends_the_same_refresh_token_once() -> None:
    async with serving() as fake, client_for(fake.url, speed=10_000) as client:
        fake.script(TOKEN_PATH, reply(token(1)), reset, reply(token(2)))
        await client.auth.token()
        client.auth.invalidate("AT-1")
        assert await client.auth.token() == "AT-2"
        assert [form.get("refresh_token") for form in fake.asked(TOKEN_PATH)] == [None, "RT-1", "RT-1"]


async def test_a_refused_refresh_token_means_a_new_login() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(token(1)), reply(REFUSED, 400), reply(token(2)))
        await client.auth.token()
        client.auth.invalidate("AT-1")
        assert await client.auth.token() == "AT-2"
        assert grants(fake) == ["jwt-bearer", "refresh_token", "jwt-bearer"]


async def test_a_refused_login_is_never_repeated() -> None:
    events: list[AuthEvent] = []
    async with serving() as fake, client_for(fake.url, events=events) as client:
        fake.script(TOKEN_PATH, reply(REFUSED, 400))
        for _ in range(3):
            with pytest.raises(CredentialsRejected, match="OAU-213"):
                await client.auth.token()
        assert len(grants(fake)) == 1
    assert [event.kind for event in events] == [AuthEventKind.REJECTED]


@pytest.mark.parametrize(
    ("trouble", "attempts"),
    [
        (reply(status=500), 3),
        (reply(status=408), 3),
        (reset, 3),
        (cut, 3),
        (reply(text="<html>"), 1),
    ],
)
async def test_an_outage_is_tried_three_times_and_can_be_survived(trouble: Reply, attempts: int) -> None:
    async with serving() as fake, client_for(fake.url, speed=10_000) as client:
        fake.script(TOKEN_PATH, trouble)
        with pytest.raises(PlatformUnavailable):
            await client.auth.token()
        assert len(grants(fake)) == attempts
        fake.script(TOKEN_PATH, reply(token(1)))
        with contextlib.suppress(PlatformUnavailable):
            await client.auth.token()
        assert await client.auth.token() == "AT-1"


async def test_a_bad_request_page_of_a_proxy_is_no_refusal() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(status=400, text="<html>bad gateway</html>"))
        with pytest.raises(Malformed):
            await client.auth.token()


async def test_throttling_stops_the_group() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply({}, 429, Retry_After="33"))
        with pytest.raises(Throttled) as caught:
            await client.auth.token()
        assert (caught.value.retry_after, caught.value.group) == (33, "auth")


async def test_a_failed_renewal_keeps_the_token_while_it_works() -> None:
    async with serving() as fake, client_for(fake.url, speed=10_000) as client:
        fake.script(TOKEN_PATH, reply(token(1, expires_in=36_000)), reply({}, 429, Retry_After="1"), reply(token(2)))
        await client.auth.token()
        await client.pace.sleep(24_001)
        assert await client.auth.token() == "AT-1"


async def test_a_newer_token_is_not_invalidated_by_an_old_401() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(token(1)))
        await client.auth.token()
        client.auth.invalidate("AT-0")
        assert await client.auth.token() == "AT-1"
        assert client.auth.status.logged_in


async def test_logout_revokes_and_forgets_whatever_the_platform_says() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(token(1)))
        fake.script("/restapi/oauth/revoke", reply(status=503))
        await client.auth.token()
        await client.auth.logout()
        assert fake.asked("/restapi/oauth/revoke") == [{"token": "RT-1"}]
        assert not client.auth.status.logged_in


class Drawer:
    """Keeps a record as long as the test lasts."""

    def __init__(self) -> None:
        self.record: bytes | None = None
        self.odd = ""

    def load(self) -> bytes | None:
        if self.odd:
            raise ValueError(self.odd)
        return self.record

    def save(self, record: bytes) -> None:
        self.record = record or None


async def test_the_next_process_goes_on_with_the_kept_token() -> None:
    drawer, events = Drawer(), list[AuthEvent]()
    async with serving() as fake:
        fake.script(TOKEN_PATH, reply(token(1)))
        async with client_for(fake.url, keeper=drawer) as client:
            await client.auth.token()
            former = client.auth.status
        async with client_for(fake.url, keeper=drawer, events=events) as client:
            assert await client.auth.token() == "AT-1"
            status = client.auth.status
            assert (status.logged_in, status.refreshable, status.owner_id) == (True, True, former.owner_id)
            assert 0 <= former.expires_in - status.expires_in < 60
        assert grants(fake) == ["jwt-bearer"]
    assert [event.kind for event in events] == [AuthEventKind.RESUMED]


async def test_a_kept_token_whose_time_is_over_is_renewed_in_the_same_session() -> None:
    drawer, events = Drawer(), list[AuthEvent]()
    async with serving() as fake:
        fake.script(TOKEN_PATH, reply(token(1)), reply(token(2)))
        async with client_for(fake.url, keeper=drawer, speed=100_000) as client:
            await client.auth.token()
            await client.pace.sleep(3601)
        async with client_for(fake.url, keeper=drawer, speed=100_000, events=events) as client:
            assert not client.auth.status.logged_in
            assert await client.auth.token() == "AT-2"
        assert fake.asked(TOKEN_PATH)[1] == {"grant_type": "refresh_token", "refresh_token": "RT-1"}
        async with client_for(fake.url, keeper=drawer, speed=100_000) as client:
            assert await client.auth.token() == "AT-2"
    assert [event.kind for event in events] == [AuthEventKind.RESUMED, AuthEventKind.REFRESHED]
    assert events[0].detail == {"expires_in": 0}


@pytest.mark.parametrize(
    ("refusal", "wanted"),
    [
        ([], ["jwt-bearer", "refresh_token"]),
        ([reply(REFUSED, 400)], ["jwt-bearer", "refresh_token", "jwt-bearer"]),
    ],
)
async def test_a_kept_token_that_is_answered_401_is_renewed_or_replaced(
    refusal: list[Reply], wanted: list[str]
) -> None:
    drawer = Drawer()
    async with serving() as fake:
        fake.script(TOKEN_PATH, reply(token(1)), *refusal, reply(token(2)))
        async with client_for(fake.url, keeper=drawer) as client:
            await client.auth.token()
        fake.script(ME_PATH, reply({}, 401), reply({"id": 2, "account": {"id": "1"}}))
        async with client_for(fake.url, keeper=drawer) as client:
            await client.whoami()
        assert grants(fake) == wanted


@pytest.mark.parametrize(
    ("credentials", "slash"),
    [(replace(GOOD, **{name: "another"}), "") for name in ("client_id", "client_secret", "jwt", "username", "password")]
    + [(GOOD, "/elsewhere")],
)
async def test_changed_credentials_never_use_what_was_kept_for_others(credentials: Credentials, slash: str) -> None:
    drawer, events = Drawer(), list[AuthEvent]()
    async with serving() as fake:
        fake.script(TOKEN_PATH, reply(token(1)), reply(token(2)))
        async with client_for(fake.url, keeper=drawer) as client:
            await client.auth.token()
        fake.script(slash + TOKEN_PATH, reply(token(2)))
        async with client_for(fake.url + slash, keeper=drawer, credentials=credentials, events=events) as client:
            assert await client.auth.token() == "AT-2"
    assert events[0] == AuthEvent(AuthEventKind.NOT_RESUMED, {"reason": "other credentials"})


async def test_what_is_odd_is_told_once_and_replaced_by_a_login() -> None:
    drawer, events = Drawer(), list[AuthEvent]()
    drawer.odd = "damaged"
    async with serving() as fake, client_for(fake.url, keeper=drawer, events=events) as client:
        fake.script(TOKEN_PATH, reply(token(1)))
        assert await client.auth.token() == await client.auth.token() == "AT-1"
    assert events[0] == AuthEvent(AuthEventKind.NOT_RESUMED, {"reason": "damaged"})
    assert [event.kind for event in events[1:]] == [AuthEventKind.OBTAINED]
    assert drawer.record


async def test_a_session_that_was_ended_is_not_kept() -> None:
    drawer = Drawer()
    async with serving() as fake, client_for(fake.url, keeper=drawer) as client:
        fake.script(TOKEN_PATH, reply(token(1)))
        fake.script("/restapi/oauth/revoke", reply({}))
        await client.auth.token()
        await client.auth.logout()
    assert drawer.record is None


async def test_secrets_never_show() -> None:
    async with serving() as fake, client_for(fake.url) as client:
        fake.script(TOKEN_PATH, reply(token(1)))
        await client.auth.token()
        shown = repr(client.auth) + repr(GOOD) + repr(client.auth._grant)
        for secret in ("AT-1", "RT-1", "sim-secret", "sim-jwt"):
            assert secret not in shown
