"""/livez, /readyz and /metrics of a whole daemon."""

import time

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from ringledger.config.model import load_settings
from ringledger.ringcentral.delivery import FeedNotice, FeedNoticeKind
from ringledger.service import Daemon
from ringledger.simulator import Simulator
from ringledger.simulator.push.websocket import LIFE_SECONDS
from tests.rig import running, settings_for


async def get(daemon: Daemon, path: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(f"http://{daemon.address}{path}") as answer:
        return answer.status, await answer.text()


async def test_it_is_off_unless_asked_for(tmp_path):
    async with Simulator() as sim, running(sim, settings_for(sim, tmp_path / "r.db")) as rig:
        assert rig.daemon.address == ""


async def test_a_healthy_daemon(tmp_path):
    async with (
        Simulator() as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", http__listen="127.0.0.1:0")) as rig,
    ):
        assert await get(rig.daemon, "/livez") == (200, "ok\n")
        await rig.until(lambda: rig.daemon.vitals.facts().feed_down == 0, "feed up")
        assert await get(rig.daemon, "/readyz") == (200, "ok\n")
        status, text = await get(rig.daemon, "/readyz?verbose")
        assert status == 200
        codes = [line.split()[1].rstrip(":") for line in text.splitlines()]
        asked = ["started", "loops", "feed", "subscription", "feed-extensions", "poll", "store", "disk", "clock"]
        assert [one for one in codes if one != "feed-extensions"] == [one for one in asked if one != "feed-extensions"]
        status, text = await get(rig.daemon, "/metrics")
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert families["ringledger_push_connected"].samples[0].value == 1
        assert families["ringledger_db_size_bytes"].samples[0].value > 0
        endpoints = {sample.labels["endpoint"] for sample in families["ringledger_api_requests"].samples}
        assert {"oauth", "extension", "subscription", "active-calls"} <= endpoints


@pytest.mark.parametrize("transport", ["websocket", "pubnub"])
async def test_when_the_subscription_ends_is_told_once_it_is_known(tmp_path, transport):
    def expiry():
        text = rig.daemon.metrics.exposition().decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        return [sample.value for sample in families["ringledger_subscription_expiry_timestamp_seconds"].samples]

    async with Simulator() as sim, running(sim, settings_for(sim, tmp_path / "r.db", transport)) as rig:
        await rig.until(expiry, "the subscription's end is known")
        (subscription,) = sim.subscriptions.alive()
        shown = sim.subscriptions.show(subscription)["expiresIn"] if transport == "pubnub" else LIFE_SECONDS
        assert expiry()[0] == pytest.approx(time.time() + shown, abs=60)
        rig.daemon.parts.sight.notice(FeedNotice(FeedNoticeKind.SUBSCRIPTION_LOST, 0))
        assert expiry() == []


async def test_a_stuck_loop_fails_both(tmp_path):
    async with (
        Simulator() as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", http__listen="127.0.0.1:0")) as rig,
    ):
        rig.daemon.loops.beat("housekeeping", -1)
        assert await get(rig.daemon, "/livez") == (503, "stuck: housekeeping\n")
        status, text = await get(rig.daemon, "/readyz")
        assert status == 503
        assert "loops" in text


async def test_it_answers_before_the_platform_does(tmp_path):
    async with Simulator() as sim:
        settings = settings_for(sim, tmp_path / "r.db", http__listen="127.0.0.1:0")
    import asyncio

    daemon = Daemon(settings)
    task = asyncio.create_task(daemon.run())
    async with asyncio.timeout(10):
        while not daemon.address:
            await asyncio.sleep(0.01)
    assert (await get(daemon, "/livez"))[0] == 200
    status, text = await get(daemon, "/readyz")
    assert (status, "started" in text) == (503, True)
    daemon.stop("test")
    await asyncio.wait_for(task, 10)


async def test_an_address_in_use_ends_the_start(tmp_path):
    async with (
        Simulator() as sim,
        running(sim, settings_for(sim, tmp_path / "r.db", http__listen="127.0.0.1:0")) as rig,
    ):
        other = settings_for(sim, tmp_path / "other.db", http__listen=rig.daemon.address)
        with pytest.raises(OSError, match="Address already in use"):
            await Daemon(other).run()


def test_the_address_is_host_and_port():
    assert load_settings(None, {}, {"http.listen": "[::1]:9464"}).http.listen == "[::1]:9464"
