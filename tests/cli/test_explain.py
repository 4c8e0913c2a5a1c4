def test_every_figure_is_explained(cli, database):
    ended = cli("calls", "show", "67029198021")
    assert ended.code == 0
    for figure in ("= 31.554 s", "= 15.141 s", "2 legs", "inbound and connected", "first ring"):
        assert figure in ended.out
    assert "13027430863" not in ended.out


def test_events_are_listed_with_the_reason_they_were_ignored_for(cli, database):
    out = cli("calls", "show", "67029198021").out
    assert "accepted" in out
    assert "duplicate" in out


def test_as_json_it_has_the_rows_and_the_sentences(cli, database):
    story = cli("calls", "show", "67029198021", "--json").data
    assert {"call", "legs", "transitions", "events", "sources", "parts", "explanation"} <= story.keys()
    assert story["call"]["from_number"] == "+*******0863"
    assert {row["outcome"] for row in story["events"]} == {"accepted", "ignored"}
    assert [row["to_status"] for row in story["transitions"]] == [
        "Ringing", "NoCall", "Ringing", "CallConnected", "NoCall",
    ]  # fmt: skip


def test_a_call_that_goes_on(cli, database):
    out = cli("calls", "show", "900000099001").out
    assert "The call is open: CallConnected" in out


def test_an_unknown_call_is_one_line_and_1(cli, database):
    ended = cli("calls", "show", "12345")
    assert (ended.code, ended.out) == (1, "")
    assert "no call 12345" in ended.err
