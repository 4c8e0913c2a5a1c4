"""A client for one command: its waits, its patience, and what it asks for whom."""

import pytest

from ringledger.cli.platform.client import PATIENCE
from ringledger.ringcentral.errors import CredentialsMissing, PlatformUnavailable
from ringledger.service.commands.platform import MAX_WAIT, OutOfPatience, Patience, extension_named, one_shot
from ringledger.simulator import Options, Simulator
from tests.rig import settings_for


def test_the_command_lines_patience_is_the_services():
    assert PATIENCE == MAX_WAIT


def test_every_wait_is_told_and_short_ones_are_not():
    told = []
    patience = Patience(100, told.append)
    patience.wait("heavy", "penalty", 12.0)
    patience.wait("light", "budget", 0.3)
    patience.wait("light", "budget", 2.0)
    assert told == ["waiting 12 s: Heavy group's penalty", "waiting 2 s: Light group's rate limit"]


def test_waits_add_up_until_the_platform_answers():
    patience = Patience(100, lambda _: None)
    patience.wait("heavy", "penalty", 60)
    with pytest.raises(OutOfPatience):
        patience.wait("heavy", "penalty", 60)
    patience.answered()
    patience.wait("heavy", "penalty", 60)


async def test_a_penalty_is_sat_out_and_not_violated(tmp_path):
    options = Options(rate_limits={"heavy": 1}, rate_window_seconds=0.5, rate_real_time=True)
    async with Simulator(options=options) as sim:
        for _ in range(2):  # two processes, one user: the second does not know what the first has spent
            async with one_shot(settings_for(sim, tmp_path / "r.db"), print) as asking:
                await asking.client.active_calls(account_id="1001")
        assert sim.limits.refused == {"heavy": 1}
        assert sim.limits.violations == 0


async def test_an_outage_is_told_at_once(tmp_path):
    async with Simulator() as sim:
        settings = settings_for(sim, tmp_path / "r.db", platform__server_url="http://127.0.0.1:9")
        async with one_shot(settings, print) as asking:
            with pytest.raises(PlatformUnavailable):
                await asking.client.whoami()


async def test_without_credentials_the_platform_is_not_asked(tmp_path):
    async with Simulator() as sim:
        with pytest.raises(CredentialsMissing):
            async with one_shot(settings_for(sim, tmp_path / "r.db", credentials__jwt=""), print):
                pass


async def test_extensions_are_named_by_number_id_or_tilde(tmp_path):
    async with Simulator() as sim, one_shot(settings_for(sim, tmp_path / "r.db"), print) as asking:
        found = [await extension_named(asking.client, text) for text in ("101", "2003", "~")]
        assert found == ["2001", "2003", "~"]
        with pytest.raises(LookupError):
            await extension_named(asking.client, "999")


@pytest.mark.parametrize(("named", "watched"), [(["~"], {"2001"}), (["~", "2003"], {"2001", "2003"}), (["all"], None)])
async def test_books_are_read_within_the_scope_of_the_settings(tmp_path, named, watched):
    async with (
        Simulator() as sim,
        one_shot(settings_for(sim, tmp_path / "r.db", platform__extensions=named), print) as asking,
    ):
        me = await asking.client.whoami()
        books = asking.books(me)
        assert (books.watched, me.account_id) == (watched, "1001")
