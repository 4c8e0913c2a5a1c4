"""The log: form, closed list, levels, and that libraries' loggers go the same way."""

import io
import json
import logging
import os
import re

import pytest

from ringledger.observability.logging import (
    LIBRARIES,
    LOG,
    UNKNOWN_EVENTS,
    Event,
    UnknownEventError,
    bind_account,
    configure_logging,
    event_table,
    get_logger,
    is_heard,
    log_together,
)
from tests.terminal import written

ROW = {"session_id": "67029198021", "from_number": "13027430863", "sequence": 12}


def test_a_line_is_one_json_object_that_begins_with_time_level_and_event(logs):
    LOG.info(Event.CALL_FINISHED, **ROW)
    (line,) = logs.all()
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["timestamp"].endswith("Z")
    assert (line["level"], line["event"], line["sequence"]) == ("info", "call.finished", 12)


@pytest.mark.parametrize("name", ["José", "電話", "\udcff", 'a "quoted"\nname', "\u2028"])
def test_a_line_is_ascii_whatever_is_told(logs, name):
    LOG.info(Event.CALL_FINISHED, from_name=name)
    assert logs.stream.getvalue().isascii()
    assert logs.stream.getvalue().count("\n") == 1
    assert logs.all()[0]["from_name"] == name


def test_the_account_is_on_every_line(logs):
    bind_account("37439510")
    LOG.warning(Event.FEED_GAP)
    logging.getLogger("pubnub").error("lost")
    assert [line["account_id"] for line in logs.all()] == ["37439510"] * 2


def test_bound_fields(logs):
    get_logger(extension_id="101").info(Event.CALL_OPENED)
    assert logs.all()[0]["extension_id"] == "101"


def test_a_name_outside_the_closed_list_is_refused_in_tests():
    with pytest.raises(UnknownEventError, match=r"call\.exploded"):
        LOG.info("call.exploded")


def test_and_counted_in_production(logs):
    configure_logging("info", "json", stream=logs.stream)
    before = UNKNOWN_EVENTS["call.exploded"]
    LOG.info("call.exploded")
    assert UNKNOWN_EVENTS["call.exploded"] == before + 1
    assert logs.events == ["call.exploded"]


def test_levels_follow_a_second_configuration_for_loggers_in_use(logs):
    logger = get_logger()
    logger.debug(Event.EVENT_IGNORED)
    configure_logging("warning", "json", stream=logs.stream)
    logger.info(Event.CALL_OPENED)
    LOG.warning(Event.FEED_SILENT)
    assert logs.events == ["event.ignored", "feed.silent"]


@pytest.mark.parametrize("name", LIBRARIES)
def test_libraries_are_heard_from_warning_up_and_redacted(logs, name):
    logging.getLogger(name).info("chatter")
    logging.getLogger(f"{name}.part").warning("GET /x?access_token=%s", "s3cr3t-value")
    (line,) = logs.all()
    assert (line["event"], line["logger"], line["level"]) == ("library.message", f"{name}.part", "warning")
    assert line["message"] == "GET /x?access_token=[redacted]"


def test_numbers_in_full_on_request(logs):
    configure_logging("info", "json", "full", logs.stream)
    LOG.info(Event.CALL_FINISHED, jwt="s3cr3t", **ROW)
    assert logs.all()[0]["from_number"] == "13027430863"
    assert "s3cr3t" not in logs.text


def test_an_exception_is_redacted_with_its_traceback(logs):
    try:
        raise RuntimeError("Bearer s3cr3t.value for +13027430863")
    except RuntimeError as error:
        LOG.exception(Event.SERVICE_FAILED, error=error)
    (line,) = logs.all()
    assert "Traceback" in line["exception"]
    assert "RuntimeError" in line["error"]
    assert "s3cr3t" not in logs.text
    assert "3027430863" not in logs.text
    assert "0863" in line["error"]


def test_console_for_a_person():
    stream = io.StringIO()
    configure_logging("info", "console", stream=stream)
    LOG.info(Event.CALL_FINISHED, **ROW)
    assert "call.finished" in stream.getvalue()
    assert "*******0863" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()  # colour is for terminals


def test_auto_is_console_with_colour_on_a_terminal_and_json_elsewhere():
    parent, child = os.openpty()
    with os.fdopen(child, "w") as terminal:
        configure_logging("info", "auto", stream=terminal)
        LOG.info(Event.SERVICE_READY)
    assert b"\x1b[" in written(parent)
    os.close(parent)
    stream = io.StringIO()
    configure_logging("info", "auto", stream=stream)
    LOG.info(Event.SERVICE_READY)
    assert json.loads(stream.getvalue())["event"] == "service.ready"


@pytest.mark.parametrize(("level", "prefix"), [("debug", "<7>"), ("info", "<6>"), ("warning", "<4>"), ("error", "<3>")])
def test_the_journal_gets_the_priority(tmp_path, monkeypatch, level, prefix):
    with (tmp_path / "journal").open("w+") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        configure_logging("debug", "auto", stream=stream)
        getattr(LOG, level)(Event.SERVICE_READY)
        stream.seek(0)
        text = stream.read()
    assert text.startswith(prefix + "{")
    assert json.loads(text[3:])["level"] == level


def test_every_name_is_past_or_noun_and_explained():
    assert all(event.doc.endswith(".") or event.doc.endswith("`.") for event in Event)
    assert all(event.value.count(".") == 1 for event in Event)


def test_the_page_of_events_is_fresh(root):
    assert (root / "docs" / "log-events.md").read_text() == event_table(), "make generate"


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_is_not_known_is_left_out(logs, form):
    configure_logging("info", form, stream=logs.stream)
    LOG.info(Event.FEED_CONNECTED, reason=None, detail="x")
    assert "reason" not in logs.stream.getvalue()
    assert "detail" in logs.stream.getvalue()


def test_a_whole_row_keeps_its_nulls_for_programs(logs):
    LOG.info(Event.CALL_FINISHED, part_of=None)
    assert logs.all()[0]["part_of"] is None
    configure_logging("info", "console", stream=logs.stream)
    LOG.info(Event.CALL_FINISHED, answered_at=None)
    assert "answered_at" not in logs.stream.getvalue()


LINES = [
    (logging.INFO, Event.CALL_FINISHED, ROW | {"from_name": "Ines Müller 😀", "to_name": '\x7f\n"', "part_of": None}),
    (logging.WARNING, Event.EVENT_UNREADABLE, {"reason": "not_json", "detail": "Bearer s3cr3t.value", "at": None}),
    (logging.DEBUG, Event.EVENT_IGNORED, {"session_id": "s-a0366317ec83z18bz0000", "result": "token=abc"}),
    (logging.INFO, Event.CALL_FINISHED, {"from_number": "+16505551001", "to_number": "sip:+16505551001@x"}),
    (logging.INFO, Event.CALL_OPENED, {"from_name": "\ud83d"}),
]
FOREIGN = ("session_id", "reason", "detail", "result", "from_number", "to_number", "from_name", "to_name")


@pytest.mark.parametrize("level", ["debug", "info", "warning"])
@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize("numbers", ["masked", "full"])
def test_lines_of_one_moment_come_out_as_if_each_had_been_logged_by_itself(level, form, numbers):
    one_by_one, together = io.StringIO(), io.StringIO()
    bind_account("37439510")
    configure_logging(level, form, numbers, one_by_one)
    for severity, event, fields in LINES:
        LOG.log(severity, event, **fields)
    configure_logging(level, form, numbers, together)
    log_together(LINES, FOREIGN)
    without_times = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]*Z")
    told = without_times.sub("", together.getvalue())
    assert told == without_times.sub("", one_by_one.getvalue())
    assert told.count("\n") == sum(is_heard(severity) for severity, _, _ in LINES) > 0


def test_lines_of_one_moment_are_written_at_once(logs, monkeypatch):
    written = []
    monkeypatch.setattr(logs.stream, "write", written.append)
    log_together(LINES, FOREIGN)
    log_together([], FOREIGN)
    assert len(written) == 1
