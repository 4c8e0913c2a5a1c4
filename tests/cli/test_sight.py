from ringledger.cli.sight import with_unknown
from tests import office


def test_a_period_seen_live_is_yes(cli, database):
    ended = cli("coverage", "--since", "2026-03-02T09:00Z", "--until", "2026-03-02T10:00Z")
    assert ended.code == 0
    assert "yes" in ended.out


def test_a_hole_is_no_and_1(cli, database):
    ended = cli("coverage", "--since", "2026-03-02T09:00Z", "--until", "2026-03-02T10:30Z", "--json")
    assert ended.code == 1
    assert [row["state"] for row in ended.data] == ["live", "blind", "healed"]
    assert list(ended.data[0]) == ["account_id", "from_at", "until_at", "state", "cause", "recovered_calls"]


def test_a_healed_hole_is_yes(cli, database):
    assert cli("coverage", "--since", "2026-03-02T10:02Z", "--until", "2026-03-02T10:30Z").code == 0


def test_time_without_an_account_is_a_hole(cli, database):
    for period in (
        ["--since", "2026-03-02T08:00Z", "--until", "2026-03-02T09:30Z"],
        ["--since", "2026-03-02T10:30Z", "--until", "2026-03-02T12:00Z"],
        ["--since", "2026-03-02T10:30Z"],
        ["--since", "2025-01-01", "--until", "2025-01-02"],
    ):
        ended = cli("coverage", *period)
        assert ended.code == 1
        assert "no daemon ran" in ended.out


def test_without_an_account_there_is_no_span_to_begin_with():
    assert with_unknown([], None, 1_000_000) == []
    (row,) = with_unknown([], 100_000, 1_000_000)
    assert (row["state"], row["from_at"]) == ("unknown", "1970-01-01T00:01:40.000Z")


def test_a_ledger_without_an_account_of_the_time_says_so(cli, database, clean, tmp_path):
    before = cli("coverage", "--until", "2026-03-01")
    clean.setenv("RINGLEDGER_DATABASE__URL", office.prepared(tmp_path / "new.db"))
    for ended in (before, cli("coverage"), cli("coverage", "--since", "2025-01-01", "--until", "2025-02-01")):
        assert ended.code == 1
        assert "no account of this time" in ended.out
        assert "1970" not in ended.out
    assert cli("coverage", "--json").data == []
    assert "2025-01-01 00:00:00" in ended.out


def test_spans_are_cut_to_the_period(cli, database):
    rows = cli("coverage", "--since", "2026-03-02T09:30Z", "--until", "2026-03-02T10:01:30Z", "--json").data
    assert [(row["from_at"], row["until_at"], row["state"]) for row in rows] == [
        ("2026-03-02T09:30:00.000Z", "2026-03-02T10:00:00.000Z", "live"),
        ("2026-03-02T10:00:00.000Z", "2026-03-02T10:01:00.000Z", "blind"),
        ("2026-03-02T10:01:00.000Z", "2026-03-02T10:01:30.000Z", "healed"),
    ]
