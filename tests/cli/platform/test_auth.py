"""`auth`: what it says of the authorisation, and what it never says."""

import pytest

from ringledger.simulator import Options


@pytest.fixture
def sim(platform):
    return platform()


def test_status_tells_whose_it_is_and_what_it_allows(cli, sim):
    found = cli("auth", "status", "--json")
    assert found.code == 0
    assert list(found.data) == [
        "server_url", "logged_in", "expires_in", "refreshable", "scope", "account_id", "extension_id",
        "extension_number", "name",
    ]  # fmt: skip
    assert (found.data["logged_in"], found.data["account_id"], found.data["extension_id"]) == (True, "1001", "2001")
    assert found.data["expires_in"] > 3500
    assert "ReadCallLog" in found.data["scope"]
    assert "Ann Archer" in cli("auth", "status").out


@pytest.mark.parametrize("word", ["status", "login", "refresh", "logout"])
def test_nothing_is_left_behind_and_no_token_shown(cli, sim, word, monkeypatch):
    tokens = []
    made = sim.sim.oauth._login

    def login():
        answer = made()
        tokens.extend(str(answer[name]) for name in ("access_token", "refresh_token"))
        return answer

    monkeypatch.setattr(sim.sim.oauth, "_login", login)
    ended = cli("auth", word)
    assert ended.code == 0
    assert tokens
    assert not [token for token in tokens if token in ended.out + ended.err]
    assert sim.sim.oauth.sessions == []


def test_without_refresh_tokens_a_renewal_is_a_new_login(cli, platform):
    platform(Options(issue_refresh=False))
    assert cli("auth", "refresh", "--json").data["refreshable"] is False


def test_rejected_credentials_are_77(cli, sim, clean):
    clean.setenv("RINGLEDGER_CREDENTIALS__CLIENT_SECRET", "another-secret")
    for word in ("status", "login", "refresh", "logout"):
        ended = cli("auth", word)
        assert ended.code == 77
        assert ended.err.startswith("ringledger: the platform rejects the credentials")


def test_a_platform_that_is_down_is_69(cli, sim, clean):
    clean.setenv("RINGLEDGER_PLATFORM__SERVER_URL", "http://127.0.0.1:9")
    assert cli("auth", "status").code == 69
