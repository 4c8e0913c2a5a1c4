def test_values_have_their_sources_and_secrets_are_hidden(cli, clean, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('[credentials]\njwt = "very-secret-value"\n')
    clean.setenv("RINGLEDGER_LOG__LEVEL", "warning")
    rows = {row["key"]: row for row in cli("check-config", "--json", "--config", file).data}
    assert rows["log.level"] == {"key": "log.level", "value": "warning", "source": "RINGLEDGER_LOG__LEVEL"}
    assert rows["credentials.jwt"]["source"] == f"{file}:2"
    assert rows["poll.interval_seconds"]["source"] == "default"
    ended = cli("check-config", "--config", file)
    assert ended.code == 0
    assert "the configuration is valid" in ended.out
    assert "very-secret-value" not in ended.out


def test_what_differs_from_the_default_is_marked_and_empty_file_keys_are_left_out(cli, clean, tmp_path):
    clean.setenv("RINGLEDGER_LOG__LEVEL", "warning")
    clean.setenv("RINGLEDGER_LOG__FORMAT", "auto")  # said, and the default all the same
    lines = {line[2:].split()[0]: line for line in cli("check-config").out.splitlines() if "." in line}
    assert lines["log.level"].startswith("* log.level")
    assert lines["log.format"].startswith("  log.format")
    assert "RINGLEDGER_LOG__FORMAT" in lines["log.format"]
    assert not [key for key in lines if key.endswith("_file")]
    assert [row for row in cli("check-config", "--json").data if row["key"] == "credentials.jwt_file"]


def test_missing_credentials_are_told_for_run_needs_them(cli, clean):
    ended = cli("check-config")
    assert ended.code == 0
    assert "nothing to log in with: credentials.client_id is not set" in ended.out
    clean.setenv("RINGLEDGER_CREDENTIALS__CLIENT_ID", "app")
    clean.setenv("RINGLEDGER_CREDENTIALS__JWT", "planted-jwt")
    assert "nothing to log in with" not in cli("check-config").out


def test_an_unknown_key_names_the_nearest(cli, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text("[poll]\nintervall_seconds = 180\n")
    ended = cli("check-config", "--config", file)
    assert ended.code == 78
    assert f"{file}:2" in ended.err
    assert "poll.interval_seconds" in ended.err
