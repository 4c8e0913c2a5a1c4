import json
import time
from dataclasses import replace

from ringledger.cli.ledger.coverage import cure, with_unknown
from ringledger.domain.coverage import CoverageSpan, CoverageState
from ringledger.ledger.times import to_ms, to_text
from ringledger.service.health.status import Life
from tests import office, standing


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
    assert with_unknown([], None, 1_000_000, standing.status(1_000_000)) == []
    (row,) = with_unknown([], 100_000, 1_000_000, standing.status(1_000_000))
    assert (row["state"], row["from_at"]) == ("unknown", "1970-01-01T00:01:40.000Z")


def test_a_ledger_without_an_account_of_the_time_says_so(cli, database, clean, tmp_path):
    before = cli("coverage", "--until", "2026-03-01")
    clean.setenv("RINGLEDGER_DATABASE__URL", office.prepared(tmp_path / "new.db"))
    for ended in (before, cli("coverage"), cli("coverage", "--since", "2025-01-01", "--until", "2025-02-01")):
        assert ended.code == 1
        assert "no account of this time" in ended.out
        assert "1970" not in ended.out
    assert cli("coverage", "--json").data == []
    assert "2025-01-01 00:00" in ended.out


def test_spans_are_cut_to_the_period(cli, database):
    rows = cli("coverage", "--since", "2026-03-02T09:30Z", "--until", "2026-03-02T10:01:30Z", "--json").data
    assert [(row["from_at"], row["until_at"], row["state"]) for row in rows] == [
        ("2026-03-02T09:30:00.000Z", "2026-03-02T10:00:00.000Z", "live"),
        ("2026-03-02T10:00:00.000Z", "2026-03-02T10:01:00.000Z", "blind"),
        ("2026-03-02T10:01:00.000Z", "2026-03-02T10:01:30.000Z", "healed"),
    ]


def live_until(tmp_path, clean, now, state=CoverageState.LIVE):
    """A ledger whose account of sight ends a moment ago, as a daemon that runs leaves it."""
    path = tmp_path / "r.db"
    url = office.prepared(path)
    clean.setenv("RINGLEDGER_DATABASE__URL", url)
    office.cover(url, [CoverageSpan("1001", now - 3_600_000, now - 10_000, state)], now)
    return path


def now_ms():
    return time.time_ns() // 1_000_000


def test_a_daemon_that_runs_has_seen_everything_until_now(cli, tmp_path, clean):
    path = live_until(tmp_path, clean, now_ms())
    with standing.says(path):
        ended = cli("coverage", "--since", "30m", "--json")
    assert (ended.code, ended.err) == (0, "")
    assert ended.data[-1]["state"] == "live"
    assert now_ms() - to_ms(ended.data[-1]["until_at"]) < 5_000


def test_within_a_moment_of_a_kill_it_is_no(cli, tmp_path, clean):
    live_until(tmp_path, clean, now_ms())
    ended = cli("coverage", "--since", "30m", "--json")
    assert ended.code == 1
    assert [row["state"] for row in ended.data] == ["live", "unknown"]
    said = json.loads(ended.err)
    assert said["daemon"] == "not running"
    assert said["as_of"] == said["since"] >= ended.data[0]["until_at"]


def test_a_feed_that_has_gone_a_moment_ago_is_a_hole_at_once(cli, tmp_path, clean):
    now = now_ms()
    path = live_until(tmp_path, clean, now)
    feed = {"state": "blind", "since": now - 4_000, "cause": "network", "seen_until": now - 4_000}
    with standing.says(path, lambda: standing.answer(now, feed=feed, polled_at=None)):
        ended = cli("coverage", "--since", "30m", "--json")
        shown = cli("coverage", "--since", "30m")
    assert ended.code == 1
    assert [row["state"] for row in ended.data] == ["live", "blind"]
    assert ended.data[1]["from_at"] == to_text(now - 4_000)
    assert "feed not connected since" in shown.err


def test_what_is_seen_and_cannot_be_written_is_no(cli, tmp_path, clean):
    """The disk is full, the file is read-only: the feed is connected, but the next end of power takes it all."""
    now = now_ms()
    path = live_until(tmp_path, clean, now)
    with standing.says(path, lambda: standing.answer(now, unwritten_since=now - 5_000)):
        ended = cli("coverage", "--since", "30m", "--json")
        shown = cli("coverage", "--since", "30m")
        earlier = cli("coverage", "--since", to_text(now - 1_800_000), "--until", to_text(now - 6_000))
    assert (ended.code, shown.code, earlier.code) == (1, 1, 0)
    assert [row["state"] for row in ended.data] == ["live", "unknown"]
    assert ended.data[0]["until_at"] == ended.data[1]["from_at"] == to_text(now - 5_000)
    assert ended.data[1]["cause"] == "what was seen cannot be written"
    assert "nothing can be written since" in shown.err


def test_nobody_is_told_to_ask_for_what_the_daemon_does_by_itself():
    now, day = 1_800_000_000_000, 86_400_000

    def hole(first, last, state="blind", reason="network"):
        return {"from_at": to_text(now - first), "until_at": to_text(now - last), "state": state, "cause": reason}

    runs, stopped = standing.status(now), replace(standing.status(now), life=Life.STOPPED, told={})
    new, old = hole(day, day - 60_000), hole(20 * day, 20 * day - 60_000)
    first = hole(7 * day + 60_000, 0, reason="before_first_start")
    before = hole(5 * day, 4 * day, "unknown", "no daemon ran")
    since_then = hole(60_000, 0, "unknown", "no daemon ran")
    asked = "`ringledger backfill --since {}Z` closes what the platform still knows"
    by_itself = "the daemon reads the platform's log for {} by itself, within minutes"
    assert cure([new], runs, 7) == by_itself.format("it")
    assert cure([first], runs, 7) == by_itself.format("it"), "it began when the daemon did"
    assert cure([new, new], runs, 7) == by_itself.format("them")
    assert cure([old], runs, 7) == asked.format(old["from_at"][:19])
    assert cure([old, new], runs, 7) == f"{by_itself.format('1 of them')}; {asked.format(old['from_at'][:19])}"
    assert cure([before], runs, 7) == asked.format(before["from_at"][:19]), "nobody knew of it"
    assert cure([new, since_then], stopped, 7).startswith("`systemctl start ringledger`")
    assert "backfill" not in cure([new, since_then], stopped, 7)
    assert "doctor" in cure([hole(60_000, 0, "unknown", "what was seen cannot be written")], runs, 7)


def test_the_future_is_never_yes(cli, tmp_path, clean):
    path = live_until(tmp_path, clean, now_ms())
    with standing.says(path):
        ended = cli("coverage", "--since", "30m", "--until", "2100-01-01")
        ahead = cli("coverage", "--since", "2100-01-01")
    assert ended.code == 1
    assert "still to come" in ended.out
    assert ahead.code == 64
    assert "lies in the future" in ahead.err


def test_a_daemon_that_runs_now_says_nothing_of_the_past(cli, database):
    with standing.says(database):
        ended = cli("coverage", "--since", "2026-03-02T10:30Z", "--until", "2026-03-02T12:00Z", "--json")
    assert [row["state"] for row in ended.data] == ["healed", "unknown"]
