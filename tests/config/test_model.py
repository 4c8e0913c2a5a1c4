"""Settings: what is accepted, what is refused and in which words, and where a value came from."""

import json
import os
import tomllib
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.config.model import RELOADABLE, Settings, SettingsError, load_settings, schema
from ringledger.exits import NO_RESTART, Exit
from ringledger.ringcentral.errors import CredentialsMissing
from ringledger.service.build import credentials_missing, webhook_secrets_missing
from tests.needs import needs

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
        ("[database]\nurl = 'mysql://x'\n", "2: database.url: found 'mysql://x', allowed: should be sqlite"),
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


@pytest.mark.parametrize("key", ["platform.server_url", "feed.pubnub_origin"])
@pytest.mark.parametrize("host", ["platform.ringcentral.com", "10.0.0.1:8080", "127.0.0.1.example", "[2001:db8::1]"])
def test_what_carries_secrets_travels_in_clear_on_this_machine_alone(key, host):
    (problem,) = problems(overrides={key: f"http://{host}"})
    assert key in problem
    assert "http:// is for this machine alone" in problem


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost:8080", "[::1]:9", "127.8.8.8"])
def test_a_simulator_on_this_machine_needs_no_tls(host):
    assert load_settings(None, {}, {"platform.server_url": f"http://{host}"}).platform.server_url == f"http://{host}"


@pytest.mark.parametrize(
    "host", ["http://127.0.0.1:9", "https://notringcentral.com", "https://ringcentral.com.example"]
)
def test_other_hosts_accept_short_times(host):
    overrides = {
        "platform.server_url": f"{host}/",
        "poll.interval_seconds": 0.05,
        "confirm.sync_interval_seconds": 0.01,
    }
    settings = load_settings(None, {}, overrides)
    assert settings.poll.interval_seconds == 0.05
    assert settings.platform.server_url == host


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


def test_a_servers_database_is_named_without_its_password():
    url = "postgresql://writer:geheim@db.example/ledger?sslmode=verify-full&password=geheim"
    settings = load_settings(None, {}, {"database.url": url, "database.directory": "/run/x"})
    told = " ".join(f"{one.key} {one.value}" for one in settings.sources())
    assert settings.database.shown == "postgresql://writer@db.example/ledger"
    assert settings.database.path == Path("/run/x/postgresql-ledger")
    assert "geheim" not in told
    with pytest.raises(SettingsError) as wrong:
        load_settings(None, {}, {"database.url": "postgresql+psycopg://a:geheim@b/c"})
    assert "geheim" not in str(wrong.value)


def test_the_password_of_a_servers_database_is_in_a_file_whose_name_goes_with_the_url():
    given = {"database.url": "postgresql://writer@db/ledger", "database.password_file": "/etc/ringledger/db password"}
    url = load_settings(None, {}, given).database.url
    assert url == "postgresql://writer@db/ledger?passwordfile=/etc/ringledger/db%20password"
    with pytest.raises(SettingsError, match="password_file"):
        load_settings(None, {}, {"database.password_file": "relative"})


def test_the_database_path():
    assert load_settings(None, {}).database.path == Path("/var/lib/ringledger/ringledger.db")
    assert load_settings(None, {}, {"database.url": "sqlite+aiosqlite:///a/b.db?x=1"}).database.path == Path("a/b.db")


def test_exit_codes_are_the_public_ones():
    assert sorted(Exit) == [0, 1, 64, 65, 69, 70, 74, 75, 77, 78]
    assert sorted(NO_RESTART) == [64, 65, 77, 78]


def test_commands_find_the_services_credentials_beside_its_file(tmp_path):
    installed = write(tmp_path / "ringledger.toml", "[log]\nlevel = 'error'\n")
    write(tmp_path / "client_id", "theirs\n")
    write(tmp_path / "jwt", "secret\n")
    settings = load_settings(None, {}, installed=installed)
    seen = {one.key: one.source for one in settings.sources()}
    assert (settings.credentials.client_id, seen["credentials.jwt"]) == ("theirs", str(tmp_path / "jwt"))
    other = write(tmp_path / "other.toml", "")
    assert load_settings(other, {}, installed=installed).credentials.client_id == ""  # not of another configuration
    given = tmp_path / "given"
    given.mkdir()
    env = {"CREDENTIALS_DIRECTORY": str(given)}
    assert load_settings(None, env, installed=installed).credentials.client_id == ""  # systemd's word is the last


def test_a_webhooks_secret_comes_as_a_credential(tmp_path):
    installed = write(
        tmp_path / "ringledger.toml",
        "[[webhooks]]\nurl = 'https://a/'\nsecret_credential = 'webhook_crm'\n",
    )
    (tmp_path / "webhooks").mkdir()
    write(tmp_path / "webhooks" / "crm", "whsec_beside\n")
    given = tmp_path / "given"
    given.mkdir()
    write(given / "webhook_crm", "whsec_given\n")
    for env, secret in (({}, "whsec_beside"), ({"CREDENTIALS_DIRECTORY": str(given)}, "whsec_given")):
        (hook,) = load_settings(None, env, installed=installed).webhooks
        assert hook.secret.get_secret_value() == secret
    (given / "webhook_crm").unlink()
    settings = load_settings(None, {"CREDENTIALS_DIRECTORY": str(given)}, installed=installed)
    assert settings.why_unset("webhooks.0.secret") == "no credential webhook_crm"
    with pytest.raises(SettingsError, match=r"webhooks\.0 has no secret: no credential webhook_crm"):
        webhook_secrets_missing(settings)


def test_an_empty_key_is_no_secret_that_was_asked_for(tmp_path):
    file = write(tmp_path / "r.toml", '[credentials]\nclient_id = ""\n')
    settings = load_settings(file, {})
    assert settings.why_unset("credentials.client_id") == ""
    with pytest.raises(CredentialsMissing, match=r"credentials\.client_id is not set"):
        credentials_missing(settings)


@needs(os.geteuid() == 0, "root", "run the tests as root")
def test_a_secret_that_is_not_ours_to_read_keeps_nobody_from_reading_calls(public_folder):
    installed = write(public_folder / "ringledger.toml", "[credentials]\nclient_secret_file = 'secret'\n")
    for name in ("secret", "jwt"):
        write(public_folder / name, "x").chmod(0o600)
    os.setegid(54322)
    os.seteuid(54322)
    try:
        settings = load_settings(None, {}, installed=installed)
    finally:
        os.seteuid(0)
        os.setegid(0)
    assert settings.why_unset("credentials.jwt") == f"{public_folder}/jwt cannot be read: Permission denied"
    assert settings.why_unset("credentials.client_secret").endswith("secret cannot be read: Permission denied")


ACCOUNTS = """
[platform]
default_region = "DE"
[credentials]
client_id = "app"
client_secret = "app-secret"
jwt = "top"
[[accounts]]
name = "acme"
jwt = "acme-jwt"
extensions = ["all"]
[[accounts]]
name = "beta"
username = "+4930123"
password = "beta-password"
default_region = "FR"
"""


def test_an_account_takes_what_it_does_not_say_from_the_top_level(tmp_path):
    file = write(tmp_path / "r.toml", ACCOUNTS)
    acme, beta = load_settings(file, {}).of_accounts().values()
    assert (acme.account_name, acme.accounts, acme.platform.extensions) == ("acme", (), ("all",))
    assert (acme.platform.default_region, acme.credentials.client_id) == ("DE", "app")
    assert acme.credentials.jwt.get_secret_value() == "acme-jwt"
    assert beta.platform.default_region == "FR"
    given = beta.credentials
    assert (given.username, given.client_secret.get_secret_value()) == ("+4930123", "app-secret")
    assert given.jwt.get_secret_value() == "", "with a login of its own it takes no other one"
    seen = {line.key: line.source for line in beta.sources()}
    assert (seen["platform.default_region"], seen["credentials.client_id"]) == (f"{file}:16", f"{file}:5")


def test_without_accounts_there_is_one_and_it_has_no_name():
    settings = load_settings(None, {})
    assert settings.of_accounts() == {"": settings}
    assert settings.account_name == ""


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ("name = 'acme'\njwt = 'x'\n[[accounts]]\nname = 'Acme'", "name is that of accounts.0 too; names differ"),
        ("name = 'a'\njwt = 'x'\n[[accounts]]\nname = 'b'\njwt = 'x'", "name logs in as a does; each account has"),
        ("name = 'a b'", "accounts.0.name found a string (not shown), allowed: String should match pattern"),
        ("jwt = 'x'", "accounts.0.name is missing"),
        ("name = 'a'\nextension_ids = ['1']", "unknown key accounts.0.extension_ids; nearest known: accounts.0.exten"),
        ("name = 'a'\nsettle_seconds = 1", "unknown key accounts.0.settle_seconds"),
    ],
)
def test_accounts_that_cannot_be_told_apart_are_refused(tmp_path, tables, told):
    (problem,) = problems(write(tmp_path / "r.toml", f"[[accounts]]\n{tables}\n"))
    assert told in problem
    assert "'x'" not in problem


def test_an_accounts_credentials_come_from_its_directory(tmp_path):
    installed = write(
        tmp_path / "ringledger.toml", "[[accounts]]\nname = 'acme'\n[[accounts]]\nname = 'beta'\njwt = 'b'\n"
    )
    (tmp_path / "accounts" / "acme").mkdir(parents=True)
    write(tmp_path / "accounts" / "acme" / "jwt", "beside\n")
    given = tmp_path / "given"
    given.mkdir()
    write(given / "account_acme_jwt", "from systemd\n")
    write(given / "account_beta_jwt", "not wanted: the table has one\n")
    for env, wanted in (({}, "beside"), ({"CREDENTIALS_DIRECTORY": str(given)}, "from systemd")):
        acme, beta = load_settings(None, env, installed=installed).of_accounts().values()
        assert acme.credentials.jwt.get_secret_value() == wanted
        assert beta.credentials.jwt.get_secret_value() == "b"


@needs(os.geteuid() == 0, "root", "run the tests as root")
def test_a_login_that_is_not_ours_to_read_is_not_replaced_by_the_top_levels(public_folder):
    table = "[credentials]\njwt = 'top'\n[[accounts]]\nname = 'acme'\njwt_file = 'closed'\n"
    file = write(public_folder / "r.toml", table)
    write(public_folder / "closed", "acme's").chmod(0o600)
    os.seteuid(54322)
    try:
        (acme,) = load_settings(file, {}).of_accounts().values()
    finally:
        os.seteuid(0)
    assert acme.credentials.jwt.get_secret_value() == ""
    assert "closed cannot be read" in acme.why_unset("credentials.jwt")
