"""Reads call stories: a text form for people who know telephony (``docs/scenarios.md``).

What must stay true: whatever is wrong with a text is one :class:`StoryError` naming the line; nothing is guessed.
"""

import re
import shlex
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, cast

from ringledger.simulator.clock import iso_z, to_ms
from ringledger.simulator.exchange.model import Style
from ringledger.simulator.story.expectations import Expectations
from ringledger.simulator.story.story import Delivery, Json, LogRecord, Story, StoryCall, StoryError
from ringledger.simulator.story.wire import EventRow, ItemRow, StoryWire
from ringledger.simulator.story.words import check_keys, digest, direction_of, milliseconds, options_of

CALL_KEYS = frozenset(
    [
        "session",
        "telephony",
        "direction",
        "from",
        "to",
        "from-name",
        "to-name",
        "queue",
        "start",
        "id",
        "on-behalf-of",
    ]
)
ITEM_KEYS = CALL_KEYS | {"no-id", "termination", "monitored"}
EVENT_KEYS = frozenset(["uuid", "total", "timestamp", "late", "twice", "lost"])
LOG_KEYS = frozenset(
    ["result", "duration", "start", "direction", "ext", "id", "action", "after", "active", "session", "from", "to"]
)
COLUMNS = ("time", "extension", "seq", "call", "status", "notes")
START = "2026-03-02T09:00:00.000Z"


def load_story(source: str | Path) -> Story:
    """A story from its text (a ``str`` with a line break) or from a file. Raises ``StoryError``, ``OSError``."""
    if isinstance(source, str) and "\n" in source:
        return Parser().parse(source)
    return Parser().parse(Path(source).read_text(encoding="utf-8"))


class Wait(NamedTuple):
    """A pause between two deliveries."""

    ms: int


class LogLine(NamedTuple):
    line: int
    label: str
    options: dict[str, str]


@dataclass
class Parser:
    """One pass over the lines, then :meth:`_finish` puts the parts together."""

    name: str = ""
    style: Style = "modern"
    account_id: str = "1001"
    settle_seconds: float = 10.0
    start: int = field(default_factory=lambda: to_ms(datetime.fromisoformat(START)))
    calls: dict[str, StoryCall] = field(default_factory=dict)
    rows: list[EventRow | Wait] = field(default_factory=list)
    logs: list[LogLine] = field(default_factory=list)
    order: list[int] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    block: str = ""
    line: int = 0

    def parse(self, text: str) -> Story:
        self.expectations = Expectations(self._time, self._session)
        for self.line, raw in enumerate(text.splitlines(), 1):
            stripped = raw.strip()
            if not stripped or stripped.startswith("#"):
                continue
            try:
                self._line(raw, stripped)
            except StoryError:
                raise
            except ValueError as error:
                raise StoryError(self.line, str(error)) from None
        return self._finish()

    # -- lines --------------------------------------------------------------------------------------------------

    def _line(self, raw: str, stripped: str) -> None:
        if stripped.startswith("|"):
            self._table_row(stripped)
        elif raw[0].isspace():
            self._block_line(shlex.split(stripped))
        else:
            self.block = ""
            word, _, rest = stripped.partition(" ")
            reader = getattr(self, f"_read_{word}", None)
            if reader is None:
                raise ValueError(f"{word!r} is no word of a story")
            reader(rest.strip())

    def _read_story(self, rest: str) -> None:
        self.name = rest

    def _read_style(self, rest: str) -> None:
        if rest not in ("modern", "2015"):
            raise ValueError("style is modern or 2015")
        self.style = cast("Style", rest)

    def _read_account(self, rest: str) -> None:
        self.account_id = rest

    def _read_start(self, rest: str) -> None:
        self.start = self._time(rest)

    def _read_settle(self, rest: str) -> None:
        self.settle_seconds = milliseconds(rest) / 1000

    def _read_call(self, rest: str) -> None:
        label, options = self._labelled(rest, CALL_KEYS)
        if "/" in label or label in self.calls:
            raise ValueError(f"call {label!r} is declared twice, or its name has a slash")
        missing = {"session", "direction", "from", "to"} - options.keys()
        if missing:
            raise ValueError(f"call {label} lacks {', '.join(sorted(missing))}")
        self.calls[label] = StoryCall(label, self.line, options)

    def _read_leg(self, rest: str) -> None:
        label, options = self._labelled(rest, CALL_KEYS)
        call, slash, _ = label.partition("/")
        if not slash or call not in self.calls:
            raise ValueError(f"leg {label!r} must be CALL/NAME of a call declared before")
        self.calls[label] = StoryCall(label, self.line, self.calls[call].fields | options)

    def _read_wait(self, rest: str) -> None:
        self.rows.append(Wait(milliseconds(rest)))

    def _read_order(self, rest: str) -> None:
        self.order = [int(word) for word in rest.split()]

    def _read_log(self, rest: str) -> None:
        label, options = self._labelled(rest, LOG_KEYS)
        self._known(label)
        if "result" not in options or "duration" not in options:
            raise ValueError("a log record needs result= and duration=")
        float(options["duration"])
        milliseconds(options.get("after", "0s"))
        milliseconds(options.get("active", "0s"))
        self._time(options.get("start", "+0"))
        self.logs.append(LogLine(self.line, label, options))

    def _read_expect(self, rest: str) -> None:
        match = re.fullmatch(r"(\d+) calls?", rest)
        if not match:
            raise ValueError("write 'expect N calls'")
        self.expectations.count, self.block = int(match[1]), "expect"

    def _read_confirmed(self, rest: str) -> None:
        self._open_block("confirmed", rest)

    def _read_ignored(self, rest: str) -> None:
        self._open_block("ignored", rest)

    def _open_block(self, name: str, rest: str) -> None:
        if rest:
            raise ValueError(f"{name} stands alone; its lines follow, indented")
        self.block = name

    def _block_line(self, words: list[str]) -> None:
        if not self.block:
            raise ValueError("an indented line belongs below expect, confirmed or ignored")
        if self.block == "ignored":
            self.expectations.add_ignored(options_of(words))
            return
        self._known(words[0])
        self.expectations.add(self.block, words[0], options_of(words[1:]))

    def _table_row(self, text: str) -> None:
        if not text.endswith("|"):
            raise ValueError("a table row ends with |")
        cells = [cell.strip() for cell in text[1:-1].split("|")]
        if cells[0] == "time":
            if unknown := set(cells) - set(COLUMNS):
                raise ValueError(f"no such column: {', '.join(sorted(unknown))}; there are {', '.join(COLUMNS)}")
            if missing := {"extension", "call", "status"} - set(cells):
                raise ValueError(f"columns missing: {', '.join(sorted(missing))}")
            self.columns = cells
        elif not self.columns:
            raise ValueError("the first row names the columns: " + " | ".join(COLUMNS))
        elif len(cells) != len(self.columns):
            raise ValueError(f"{len(cells)} cells below {len(self.columns)} columns")
        elif not set("".join(cells)) <= set("-: "):
            self._event_row(dict(zip(self.columns, cells, strict=True)))

    def _event_row(self, row: dict[str, str]) -> None:
        options = options_of(shlex.split(row.get("notes", "")))
        check_keys(options, ITEM_KEYS | EVENT_KEYS)
        direction_of(options.get("direction", "in"))
        self._known(row.get("call", ""))
        if "start" in options and options["start"] != "none":
            options["start"] = iso_z(self._time(options["start"]))
        item = ItemRow(self.calls[row["call"]], row["status"], {k: v for k, v in options.items() if k in ITEM_KEYS})
        extras = {k: v for k, v in options.items() if k in EVENT_KEYS}
        self._check_values(extras)
        if row["time"]:
            if not row["extension"]:
                raise ValueError("an event needs an extension")
            if not (row.get("seq") or "0").isdecimal():
                raise ValueError(f"seq {row['seq']!r} is no number")
            sequence = int(row["seq"]) if row.get("seq") else None
            at = self._time(row["time"])
            self.rows.append(EventRow(self.line, at, row["extension"], sequence, [item], extras))
        elif self.rows and isinstance(self.rows[-1], EventRow) and not extras:
            self.rows[-1].items.append(item)
        else:
            raise ValueError("a row without a time adds a call to the event above it, and has no event notes")

    def _check_values(self, extras: dict[str, str]) -> None:
        """What is computed later is checked now, while the line is known."""
        if not extras.get("total", "0").isdecimal():
            raise ValueError("total is a number")
        milliseconds(extras.get("late", "0s"))
        self._time(extras.get("timestamp", "+0"))

    # -- words --------------------------------------------------------------------------------------------------

    def _labelled(self, rest: str, allowed: frozenset[str]) -> tuple[str, dict[str, str]]:
        words = shlex.split(rest)
        if not words or "=" in words[0]:
            raise ValueError("a name must come first")
        options = options_of(words[1:])
        check_keys(options, allowed)
        direction_of(options.get("direction", "in"))
        if allowed is CALL_KEYS and options.get("start", "none") != "none":
            options["start"] = iso_z(self._time(options["start"]))
        return words[0], options

    def _known(self, label: str) -> None:
        if label not in self.calls:
            raise ValueError(f"call {label!r} is not declared")

    def _session(self, label: str) -> str:
        self._known(label)
        fields = self.calls[label].fields
        return fields["session"] if fields["session"] not in ("", "0", "none") else self._telephony(label)

    def _telephony(self, label: str) -> str:
        given = self.calls[label].fields.get("telephony", "auto")
        if given == "auto":
            base = label.partition("/")[0]
            return "" if self.style == "2015" else "s-" + digest(self.name, base)
        return "" if given == "none" else given

    def _time(self, text: str) -> int:
        """``+SECONDS`` after the start, a time of its day, or a whole ISO time."""
        if re.fullmatch(r"[+-]\d{1,9}(\.\d+)?", text):
            return self.start + round(float(text) * 1000)
        try:
            if re.fullmatch(r"\d\d:\d\d:\d\d(\.\d+)?", text):
                text = f"{iso_z(self.start)[:10]}T{text}Z"
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{text!r} is no time: write +12.5, 09:00:12.500 or a whole ISO time") from None
        if moment.tzinfo is None:
            raise ValueError(f"{text!r} lacks its offset from UTC")
        return to_ms(moment)

    # -- the whole ----------------------------------------------------------------------------------------------

    def _finish(self) -> Story:
        if not self.name:
            raise StoryError(1, "a story begins with: story NAME")
        events = [row for row in self.rows if isinstance(row, EventRow)]
        if not events:
            raise StoryError(self.line, "nothing happens in this story")
        story = Story(self.name, self.style, self.account_id, self.start, self.settle_seconds, self.calls)
        wire = StoryWire(self.name, self.style, self.account_id, self._telephony, self._time)
        envelopes = wire.envelopes(events)
        story.deliveries = self._deliveries(events, envelopes)
        story.log_records = [self._log_record(entry, events, story) for entry in self.logs]
        self.expectations.fill(story, self.line)
        return story

    def _deliveries(self, events: list[EventRow], envelopes: list[Json]) -> list[Delivery]:
        if self.order:
            return self._ordered(events, envelopes)
        found: list[tuple[int, Json]] = []
        now, pause, number = events[0].at, 0, 0
        for row in self.rows:
            if isinstance(row, Wait):
                pause += row.ms
                continue
            envelope, number = envelopes[number], number + 1
            now, pause = max(now + pause, row.at), 0
            if "lost" not in row.options:
                at = now + milliseconds(row.options.get("late", "0s"))
                found += [(at, envelope)] * (2 if "twice" in row.options else 1)
        return [Delivery(at, envelope) for at, envelope in sorted(found, key=lambda pair: pair[0])]

    def _ordered(self, events: list[EventRow], envelopes: list[Json]) -> list[Delivery]:
        if not set(self.order) <= set(range(1, len(events) + 1)):
            raise StoryError(self.line, f"order names events 1 to {len(events)}")
        found: list[Delivery] = []
        now = 0
        for number in self.order:
            now = max(now, events[number - 1].at)
            found.append(Delivery(now, envelopes[number - 1]))
        return found

    def _log_record(self, entry: LogLine, events: list[EventRow], story: Story) -> LogRecord:
        call, given = self.calls[entry.label], entry.options
        rows = [e for e in events if any(i.call.label.partition("/")[0] == entry.label for i in e.items)] or events
        seconds = float(given["duration"])
        extension = given.get("ext", rows[0].extension)
        record: Json = {
            "id": given.get("id", "log-" + digest(self.name, entry.label, str(entry.line))[:12]),
            "sessionId": given.get("session", call.fields["session"]),
            "startTime": iso_z(self._time(given["start"]) if "start" in given else rows[0].at),
            "duration": int(seconds),
            "type": "Voice",
            "direction": direction_of(given.get("direction", call.fields["direction"])),
            "action": given.get("action", "Phone Call"),
            "result": given["result"],
            "from": {"phoneNumber": given.get("from", call.fields["from"])},
            "to": {"phoneNumber": given.get("to", call.fields["to"])},
            "extension": {"id": int(extension) if extension.isdecimal() else extension},
        }
        if self.style == "modern":
            record |= {
                "durationMs": round(seconds * 1000),
                "telephonySessionId": self._telephony(entry.label),
            }
        last = max(d.at for d in story.deliveries) if story.deliveries else rows[-1].at
        listed = last + milliseconds(given["active"]) if "active" in given else None
        return LogRecord(last + milliseconds(given.get("after", "30s")), record, listed)
