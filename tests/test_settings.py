"""Settings: what is accepted, what is refused and in which words, and where a value came from."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.exits import NO_RESTART, Exit
from ringledger.settings import RELOADABLE, Settings, SettingsError, load_settings, schema

SIMULATED = {"RINGLEDGER_PLATFORM__SERVER_URL": "http://127.0.0.1:8080"}


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def problems(path: Path | None = None, env: dict[str, str] | None = None, overrides=None) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, env or {}, overrides)
    assert all("\n" not in line for line in caught.value.problems)
    return caught.value.problems


def test_nothing_set_is_the_defaults():
    assert load_settings(None, {}) == Settings()


def test_the_process_environment_does_not_leak_into_the_defaults(monkeypatch):
    monkeypatch.setenv("RINGLEDGER_LOG__LEVEL", "debug")
    assert Settings().log.level == "info"
    assert load_settings().log.level == "debug"


def test_file_below_credentials_below_environment_below_overrides(tmp_path):
    file = write(tmp_path / "r.toml", '[log]\nlevel = "error"\n[credentials]\nclient_id = "file"\njwt = "file"\n')
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    write(credentials / "client_id", "credential\n")
    write(credentials / "jwt", "credential\n")
    env = {"CREDENTIALS_DIRECTORY": str(credentials)}
    assert load_settings(file, {}).log.level == "error"
    settings = load_settings(file, env | {"RINGLEDGER_CREDENTIALS__JWT": "environment"})
    assert settings.credentials.client_id == "credential"
    assert settings.credentials.jwt.get_secret_value() == "environment"
    settings = load_settings(file, {"RINGLEDGER_LOG__LEVEL": "warning"}, {"log.level": "debug"})
    assert settings.log.level == "debug"
    assert load_settings(file, {}, {"log": {"level": "debug"}}).log.level == "debug"


def test_every_value_tells_where_it_came_from(tmp_path):
    file = write(tmp_path / "r.toml", '\n[log]\nlevel = "error"\n[credentials]\njwt_file = "jwt"\n')
    write(tmp_path / "jwt", "eyJ-very-secret\n")
    sources = load_settings(file, {"RINGLEDGER_CALLS__SETTLE_SECONDS": "3"}, {"log.numbers": "full"}).sources()
    seen = {line.key: (line.value, line.source) for line in sources}
    assert seen["log.level"] == ("error", f"{file}:3")
    assert seen["credentials.jwt"] == ("**********", f"{file}:5 (jwt_file)")
    assert seen["credentials.password"] == ("", "default")
    assert seen["calls.settle_seconds"] == (3.0, "RINGLEDGER_CALLS__SETTLE_SECONDS")
    assert seen["log.numbers"] == ("full", "override")
    assert "eyJ" not in str(sources)


def test_the_file_is_found_by_its_variable(tmp_path):
    file = write(tmp_path / "r.toml", "[journal]\ndays = 3\n")
    assert load_settings(None, {"RINGLEDGER_CONFIG": str(file)}).journal.days == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[feed]\ntranport = 'x'\n", "2: unknown key feed.tranport; nearest known: feed.transport"),
        ("[fede]\nx = 1\n", "2: unknown key fede; nearest known: feed"),
        ("[http]\nlevel = 1\n", "2: unknown key http.level; nearest known: log.level"),
        ("calls.setle_seconds = 1\n", "1: unknown key calls.setle_seconds; nearest known: calls.settle_seconds"),
        ("calls = { setle_seconds = 1 }\n", "1: unknown key calls.setle_seconds; nearest known: calls.settle_seconds"),
        ("\n[log]\nlevel = 'loud'\n", "3: log.level: found 'loud', allowed: should be 'debug', 'info'"),
        ("[poll]\ninterval_seconds = 119.9\n", "2: poll.interval_seconds: found 119.9, allowed: 120 to 300"),
        ("[confirm]\nsync_interval_seconds = 59\n", "2: confirm.sync_interval_seconds: found 59, allowed: 60 or more"),
        ("[calls]\nsettle_seconds = -1\n", "2: calls.settle_seconds: found -1, allowed: should be greater"),
        (
            "[calls]\nstale_after_seconds = inf\n",
            "2: calls.stale_after_seconds: found inf, allowed: should be a finite",
        ),
        ("[platform]\nserver_url = 'ftp://x'\n", "2: platform.server_url: found 'ftp://x', allowed: should be an http"),
        ("[platform]\nextensions = ['1', 'x']\n", "2: platform.extensions: found 'x', allowed:"),
        ("[database]\nurl = 'postgresql://x'\n", "2: database.url: found 'postgresql://x', allowed: should be sqlite"),
        ("[http]\nlisten = '9464'\n", "2: http.listen: found '9464', allowed: should be HOST:PORT"),
        ("[[webhooks]]\nurl='https://a'\n[[webhooks]]\nevents=['call.*']\n", "4: webhooks.1.url is missing"),
        (
            "[[webhooks]]\nurl='https://a'\nevents=['call.opened', 'call.mised']\n",
            "3: webhooks.0.events found a string (not shown)",
        ),
        (
            "[[webhooks]]\nurl='https://a'\nevent=['x.y']\n",
            "3: unknown key webhooks.0.event; nearest known: webhooks.0.ev",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path, text, line):
    file = write(tmp_path / "r.toml", text)
    (problem,) = problems(file)
    assert problem.startswith(f"{file}:{line}")


@pytest.mark.parametrize("port", ["99999", "0", "http", "-1"])
def test_an_address_with_an_impossible_port_is_refused_rather_than_tried_for_ever(tmp_path, port):
    file = write(tmp_path / "r.toml", f"[platform]\nserver_url = 'http://127.0.0.1:{port}'\n")
    (problem,) = problems(file)
    assert problem.startswith(f"{file}:2: platform.server_url: found")


def test_all_mistakes_are_told_at_once(tmp_path):
    file = write(tmp_path / "r.toml", "[log]\nlevel = 'x'\ncolour = 1\n")
    assert len(problems(file, {"RINGLEDGER_LOG__FORMAT": "xml"})) == 3


def test_mistakes_in_the_environment_name_the_variable():
    env = {"RINGLEDGER_LOG__LEVEL": "loud", "RINGLEDGER_LGO__LEVEL": "info", "RINGLEDGER_LOG__LEVL": "info"}
    told = "\n".join(problems(None, env))
    assert "RINGLEDGER_LOG__LEVEL: log.level: found 'loud'" in told
    assert "RINGLEDGER_LGO__LEVEL: unknown key lgo; nearest known: log" in told
    assert "RINGLEDGER_LOG__LEVL: unknown key log.levl; nearest known: log.level" in told


@pytest.mark.parametrize("text", ["[log\n", "a = \n", "[log]\nlevel = 'info'\nlevel = 'info'\n"])
def test_what_is_not_toml_is_refused_by_name(tmp_path, text):
    file = write(tmp_path / "r.toml", text)
    assert problems(file)[0].startswith(f"{file}: is not TOML")


def test_a_file_nested_too_deeply_is_told_as_such(tmp_path):
    file = write(tmp_path / "r.toml", "[poll]\ninterval_seconds = " + "[" * 20_000)
    assert problems(file) == (f"{file}: is nested too deeply",)


def test_a_missing_file_is_refused_by_name(tmp_path):
    assert problems(tmp_path / "none.toml") == (f"{tmp_path}/none.toml: cannot be read: No such file or directory",)


@pytest.mark.parametrize("host", ["platform.ringcentral.com", "PLATFORM.devtest.ringcentral.com", "ringcentral.com."])
def test_ringcentrals_hosts_are_protected(host):
    overrides = {"platform.server_url": f"https://{host}", "poll.interval_seconds": 5}
    assert "allowed: 120 to 300 against RingCentral" in problems(overrides=overrides)[0]


@pytest.mark.parametrize("host", ["127.0.0.1:9", "notringcentral.com", "ringcentral.com.example"])
def test_other_hosts_accept_short_times(host):
    overrides = {
        "platform.server_url": f"http://{host}/",
        "poll.interval_seconds": 0.05,
        "confirm.sync_interval_seconds": 0.01,
    }
    settings = load_settings(None, {}, overrides)
    assert settings.poll.interval_seconds == 0.05
    assert settings.platform.server_url == f"http://{host}"


def test_lists_in_the_environment():
    env = SIMULATED | {"RINGLEDGER_PLATFORM__EXTENSIONS": "101, 102"}
    assert load_settings(None, env).platform.extensions == ("101", "102")
    env = SIMULATED | {"RINGLEDGER_PLATFORM__EXTENSIONS": '["all"]'}
    assert load_settings(None, env).platform.extensions == ("all",)
    assert problems(None, {"RINGLEDGER_PLATFORM__EXTENSIONS": "[oops"})


def test_a_secret_and_its_file_together_are_refused(tmp_path):
    file = write(tmp_path / "r.toml", "[credentials]\njwt = 'a'\njwt_file = 'b'\n")
    assert problems(file) == (f"{file}:3: credentials.jwt_file: credentials.jwt is set too; keep one of the two",)


def test_a_secret_file_that_cannot_be_read_is_refused(tmp_path):
    file = write(tmp_path / "r.toml", "[credentials]\njwt = ''\njwt_file = 'nowhere'\n")
    assert problems(file)[0].startswith(f"{file}:3: credentials.jwt_file: {tmp_path}/nowhere cannot be read")


def test_webhooks(tmp_path):
    file = write(tmp_path / "r.toml", "[[webhooks]]\nurl = 'https://a/b'\nsecret_file = 's'\n")
    write(tmp_path / "s", "hush\n")
    settings = load_settings(file, {})
    (hook,) = settings.webhooks
    assert (hook.events, hook.secret.get_secret_value()) == (("call.finished",), "hush")
    assert "hush" not in repr(settings)
    assert ("webhooks.0.secret", "**********", f"{file}:3 (secret_file)") in [
        (line.key, line.value, line.source) for line in settings.sources()
    ]


@given(
    secret=st.text(st.characters(categories=["L", "N"]), min_size=12), where=st.sampled_from(["value", "type", "key"])
)
def test_no_message_and_no_repr_shows_a_secret(secret, where):
    hook = {"url": "https://a", "secret": secret}
    if where == "value":
        settings = load_settings(None, {}, {"credentials": {"jwt": secret, "password": secret}, "webhooks": [hook]})
        assert secret not in repr(settings) + str(settings) + str(settings.sources()) + settings.model_dump_json()
    elif where == "type":
        assert secret not in "".join(problems(overrides={"credentials.jwt": [secret], "webhooks": [hook, 5]}))
    else:
        told = "".join(problems(overrides={"credentials": {"jwtt": secret}, "webhooks": [hook | {"url": 5}]}))
        assert secret not in told


def test_settings_are_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Settings().log.level = "debug"


def test_differences_name_the_keys_for_a_reload():
    old, new = load_settings(None, {}), load_settings(None, {}, {"log.level": "debug", "database.commit_batch": 7})
    assert old.differences(new) == ["database.commit_batch", "log.level"]
    assert {line.key for line in old.sources()} >= RELOADABLE


def test_the_default_file_is_the_defaults_and_names_every_key(root):
    file = root / "config" / "ringledger.toml"
    settings = load_settings(file, {})
    assert settings == Settings()
    assert {line.key for line in settings.sources() if line.source == "default"} <= {"webhooks"}


def test_the_schema_is_fresh_and_accepts_the_default_file(root):
    text = (root / "config" / "ringledger.schema.json").read_text()
    assert text == schema(), "make generate"
    validator = jsonschema.Draft202012Validator(json.loads(text))
    validator.validate(tomllib.loads((root / "config" / "ringledger.toml").read_text()))
    assert list(validator.iter_errors({"log": {"levl": "info"}}))


def test_the_database_path():
    assert load_settings(None, {}).database.path == Path("/var/lib/ringledger/ringledger.db")
    assert load_settings(None, {}, {"database.url": "sqlite+aiosqlite:///a/b.db?x=1"}).database.path == Path("a/b.db")


def test_exit_codes_are_the_public_ones():
    assert sorted(Exit) == [0, 1, 64, 65, 69, 70, 74, 75, 77, 78]
    assert sorted(NO_RESTART) == [64, 65, 77, 78]
