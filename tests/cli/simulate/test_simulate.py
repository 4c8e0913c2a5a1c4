import socket
import tomllib

import pytest

from ringledger.config.model import Settings, load_settings
from tests.cli.conftest import SCENARIOS
from tests.ports import free_port
from tests.until import PATIENCE


def configuration(child):
    """What it prints at its start, up to the last key."""
    lines = []
    while not (lines and lines[-1].startswith("url = ")):
        lines.append(child.stdout.readline())
        assert child.poll() is None, child.stderr.read()
    return "".join(lines)


@pytest.mark.parametrize(("flags", "way"), [([], "jwt"), (["--legacy-2015"], "password")])
def test_it_prints_a_configuration_that_is_valid(process, tmp_path, flags, way):
    text = configuration(process("simulate", "--speed", "10", *flags))
    (tmp_path / "sim.toml").write_text(text)
    settings = load_settings(tmp_path / "sim.toml", env={})
    assert settings.platform.server_url.startswith("http://127.0.0.1:")
    assert settings.calls.settle_seconds == 1
    assert settings.feed.transport == Settings().feed.transport
    assert settings.feed.pubnub_origin == settings.platform.server_url
    assert tomllib.loads(text)["credentials"][way]


def test_it_listens_where_it_was_told_to(process):
    port = free_port()
    assert f"http://127.0.0.1:{port}" in configuration(process("simulate", "--port", port))


def test_a_port_in_use_is_74_in_one_line(process):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        child = process("simulate", "--port", taken.getsockname()[1])
        _, err = child.communicate(PATIENCE)
    assert child.returncode == 74
    assert "cannot listen: Address already in use" in err
    assert err.count("\n") == 1


def test_a_story_that_cannot_be_read_names_file_and_line(cli, tmp_path):
    story = tmp_path / "bad.story"
    story.write_text("story Bad\nnonsense here\n")
    ended = cli("simulate", "--scenario", story)
    assert ended.code == 64
    assert f"{story}: line 2" in ended.err
    assert cli("simulate", "--scenario", tmp_path / "none.story").code == 74


def test_ctrl_c_ends_it_with_0(process):
    child = process("simulate", "--scenario", SCENARIOS / "flow3_ringout.story")
    configuration(child)
    child.terminate()
    assert child.wait(PATIENCE) == 0
    assert child.stderr.read() == ""


@pytest.mark.slow
def test_a_past_is_in_the_call_log_and_the_configuration_reads_it_all(process, clean, cli, tmp_path):
    child = process("simulate", "--history", "10d", "--calls-per-hour", "0")
    (tmp_path / "sim.toml").write_text(configuration(child))
    assert load_settings(tmp_path / "sim.toml", env={}).backfill.max_days == 11
    clean.setenv("RINGLEDGER_DATABASE__URL", f"sqlite+aiosqlite:///{tmp_path / 'r.db'}")
    done = cli("backfill", "--config", tmp_path / "sim.toml", "--since", "10d", "--json").data
    assert done["written"] > 150
    days = cli("stats", "--config", tmp_path / "sim.toml", "--json").data
    assert len(days) >= 7


@pytest.mark.parametrize("span", ["", "abc", "30", "0d", "400d", "99999999d", "-1d"])
def test_a_past_of_no_length_is_a_usage_error(cli, span):
    ended = cli("simulate", f"--history={span}")
    assert ended.code == 64
    assert "write 30d, 12h or 4w" in ended.err


@pytest.mark.parametrize("option", ["--speed", "--calls-per-hour"])
@pytest.mark.parametrize("value", ["9" * 25, "1e400", "nan", "-1"])
def test_a_pace_no_clock_can_keep_is_a_usage_error(cli, option, value):
    assert cli("simulate", f"{option}={value}").code == 64
