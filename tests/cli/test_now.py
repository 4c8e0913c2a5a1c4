def test_open_calls(cli, database):
    (row,) = cli("active", "--json").data
    assert list(row) == [
        "account_id", "session_id", "status", "direction", "extension_id", "from_number", "from_name", "to_number",
        "to_name", "started_at", "answered_at", "suspect", "last_seen_at",
    ]  # fmt: skip
    assert (row["session_id"], row["status"]) == ("900000099001", "CallConnected")
    out = cli("active").out
    assert "CallConnected" in out
    assert "+*******0123" in out
    assert "+14155550123" in cli("active", "--full-numbers").out


def test_extensions(cli, database):
    rows = {row["extension_id"]: row for row in cli("presence", "--json").data}
    assert list(rows["2001"]) == [
        "account_id", "extension_id", "extension_number", "name", "telephony_status", "presence_status",
        "user_status", "dnd_status", "since", "updated_at",
    ]  # fmt: skip
    assert rows["2001"]["telephony_status"] == "CallConnected"
    assert rows["607457016"]["telephony_status"] == "NoCall"
    assert "2001" in cli("presence").out
