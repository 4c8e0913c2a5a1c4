from ringledger.cli.stats import By, counted


def row(at, direction="Inbound", disposition="answered", extension="2001", ring=2.0, talk=10.0):
    return {
        "started_at": at, "direction": direction, "disposition": disposition, "extension_id": extension,
        "from_number": "+1", "to_number": "+2", "ring_seconds": ring, "talk_seconds": talk,
    }  # fmt: skip


def test_a_call_nobody_saw_ring_has_no_part_in_the_mean():
    at = "2026-03-03T12:00:00.000Z"
    unseen = row(at, ring=0.0) | {"events_accepted": 0}
    (line,) = counted([row(at, ring=4.0), unseen], By.DAY)
    assert line["ring_seconds_mean"] == 4.0
    (line,) = counted([unseen], By.DAY)
    assert line["ring_seconds_mean"] is None


def test_groups_by_time_stand_in_order():
    lines = counted([row("2026-03-03T12:00:00.000Z"), row("2026-03-01T12:00:00.000Z")], By.DAY)
    assert [line["calls"] for line in lines] == [1, 1]
    assert lines[0]["day"] < lines[1]["day"]


def test_the_answer_rate_is_of_inbound_calls():
    (line,) = counted(
        [
            row("2026-03-01T12:00:00.000Z"),
            row("2026-03-01T12:01:00.000Z", disposition="missed", talk=0.0, ring=4.0),
            row("2026-03-01T12:02:00.000Z", direction="Outbound"),
        ],
        By.EXTENSION,
    )
    assert (line["extension"], line["calls"], line["inbound"], line["outbound"]) == ("2001", 3, 2, 1)
    assert (line["answered"], line["missed"], line["answer_rate"]) == (2, 1, 0.5)
    assert (line["ring_seconds_mean"], line["talk_seconds_mean"], line["talk_seconds"]) == (2.667, 10.0, 20.0)


def test_the_other_party_counts_by_number_busiest_first():
    day = "2026-03-01T12:00:00.000Z"
    lines = counted([row(day), row(day, direction="Outbound"), row(day, direction="Outbound")], By.NUMBER)
    assert [(line["number"], line["calls"]) for line in lines] == [("+2", 2), ("+1", 1)]


def test_the_command(cli, database):
    assert [line["calls"] for line in cli("stats", "--json").data] == [1, 1]
    assert "█" in cli("stats", "--by", "extension").out
    assert cli("stats", "--since", "today").out == "no such call\n"
    assert cli("stats", "--since", "today", "--json").data == []
    assert "13027430863" not in cli("stats", "--by", "number").out
