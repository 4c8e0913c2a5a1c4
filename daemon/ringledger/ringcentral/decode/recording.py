"""A recording: what the platform said, one JSON object a line in the order of arrival (``docs/recordings.md``).

A line is a notification as received, or an object with a ``source``: ``event``, ``presence``, ``active-calls``,
``call-log`` or ``feed``. What must stay true: a recording is decoded by the same decoders as the platform's own
answers; whatever a line holds, only :class:`RecordingError` is raised, and it names the line.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from ringledger.domain.observation import PresenceObservation, RecordClaim, Source, Unreadable
from ringledger.ringcentral.api.http import MAX_ANSWER_BYTES
from ringledger.ringcentral.decode.presence import decode_notification, decode_presence_read
from ringledger.ringcentral.decode.records import RecordPage, decode_records
from ringledger.ringcentral.decode.unreadable import WireError, WireReason, decode
from ringledger.ringcentral.decode.values import EARLIEST_MS, LATEST_MS, WireId, http_date, parse_time

#: A time: ms since the epoch, ISO 8601 text, or the text of an HTTP ``Date``.
Moment = str | int | None
#: Where an account's id stands in events and addresses.
_ACCOUNT: Final = re.compile(rb"/account/([0-9]+)/")
#: What makes an object a notification, whatever else is wrong with it.
_EVENT_PATH: Final = re.compile(rb'"event"\s*:\s*"/')
_NO_JSON: Final = frozenset({WireReason.NOT_JSON, WireReason.NOT_TEXT, WireReason.NOT_OBJECT})
#: A line holds one answer of the platform and its envelope.
MAX_LINE_BYTES: Final = MAX_ANSWER_BYTES + 4096


class RecordingError(Exception):
    """A line that cannot be read. ``line``: its number, from 1; ``reason``: what is wrong with it."""

    def __init__(self, line: int, reason: str) -> None:
        self.line = line
        self.reason = reason
        super().__init__(f"line {line}: {reason}")


class RecordedListing(NamedTuple):
    """A listing of records, all of its pages. Times ms: ``asked_at`` and ``received_at`` by the daemon's clock,
    ``read_at`` by the platform's. ``complete``: no page of it is missing, so what it does not list is absent.
    """

    source: Source
    claims: tuple[RecordClaim, ...]
    unreadable: tuple[Unreadable, ...]
    asked_at: int
    received_at: int
    read_at: int
    complete: bool


class FeedState(NamedTuple):
    """The feed is connected (``live``) or is not, from ``at`` on (ms, the daemon's clock)."""

    live: bool
    at: int


#: What a recording holds. :class:`Unreadable`: a notification that the daemon would put aside as well.
Recorded = PresenceObservation | Unreadable | RecordedListing | FeedState


class WireLine(msgspec.Struct, gc=False):
    """A line with a ``source``."""

    source: str | None = None
    received_at: Moment = None
    asked_at: Moment = None
    date: Moment = None
    at: Moment = None
    state: str | None = None
    extension_id: WireId = None
    notification: msgspec.Raw = msgspec.Raw()
    page: msgspec.Raw = msgspec.Raw()
    body: msgspec.Raw = msgspec.Raw()


class RecordedPaging(msgspec.Struct, gc=False):
    """``paging`` of a listing: which of its pages this is."""

    page: int | None = None


class WirePage(msgspec.Struct, gc=False):
    """The part of a page that places it in its listing."""

    paging: RecordedPaging | None = None


_LINE: Final = msgspec.json.Decoder(WireLine)
_PAGE: Final = msgspec.json.Decoder(WirePage)


def account_of(lines: Iterable[bytes]) -> str | None:
    """The first account id that any line names; ``None`` when none does."""
    return next((found[1].decode() for line in lines if (found := _ACCOUNT.search(line))), None)


def read_recording(lines: Iterable[bytes], *, account_id: str, default_region: str) -> Iterator[Recorded]:
    """What the lines hold, in their order; pages of one listing come out as one :class:`Answer`, in place of its last.

    ``account_id``: whose answers these are when a line names no account. Raises :class:`RecordingError`.
    """
    return _LineReader(account_id, default_region).read(lines)


@dataclass(slots=True)
class _Pages:
    """The pages of a listing as far as they have come. ``last``: the number of the newest; ``missing``: whether one
    before it never came.
    """

    asked_at: int
    read_at: int
    received_at: int = 0
    last: int = 0
    missing: bool = False
    claims: dict[str, RecordClaim] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)

    def add(self, page: RecordPage, number: int, received_at: int) -> None:
        """Add a page's records; a record that is listed again replaces itself."""
        self.missing = self.missing or number != self.last + 1
        self.last, self.received_at = number, received_at
        self.claims.update((claim.record_id, claim) for claim in page.claims)
        self.unreadable += page.unreadable

    def answer(self, source: Source, *, complete: bool) -> RecordedListing:
        """The listing as far as it has come. A record that cannot be read may be any call's: it is no whole one."""
        asked_at, received_at = self.asked_at, self.received_at
        claims = tuple([one._replace(asked_at=asked_at, received_at=received_at) for one in self.claims.values()])
        return RecordedListing(
            source,
            claims,
            tuple(self.unreadable),
            asked_at,
            received_at,
            self.read_at,
            complete and not self.unreadable,
        )


class _LineReader:
    """Reads lines one by one, gathering the pages of listings."""

    def __init__(self, account_id: str, region: str) -> None:
        self._account_id = account_id
        self._region = region
        self._pages: dict[Source, _Pages] = {}
        self._line = 0
        self._sources: dict[str, Callable[[WireLine], Iterator[Recorded]]] = {
            "event": self._event,
            "presence": self._presence,
            "active-calls": self._listing,
            "call-log": self._listing,
            "feed": self._feed,
        }

    def read(self, lines: Iterable[bytes]) -> Iterator[Recorded]:
        for self._line, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            kind = "a presence notification"
            try:
                wire = decode(_LINE, line, most=MAX_LINE_BYTES)
                kind = kind if wire.source is None else f"an answer of {wire.source}"
                if wire.source is None:
                    yield self._notification(line, None)
                else:
                    yield from self._sourced(wire, wire.source)
            except WireError as error:
                why = "no JSON" if error.reason is WireReason.NOT_JSON else f"{error.reason} {error.detail}"
                raise RecordingError(self._line, f"not {kind}: {why}") from None
        yield from self._unfinished()

    def _notification(self, payload: bytes, received_at: int | None) -> PresenceObservation | Unreadable:
        account = found[1].decode() if (found := _ACCOUNT.search(payload)) else self._account_id
        came_at = received_at or 0
        try:
            seen = decode_notification(payload, account_id=account, default_region=self._region, received_at=came_at)
        except WireError as error:
            if _EVENT_PATH.search(payload) is None or error.reason in _NO_JSON:
                raise
            return error.unreadable(came_at)
        return seen if received_at is not None else seen._replace(received_at=seen.at)

    def _sourced(self, wire: WireLine, source: str) -> Iterator[Recorded]:
        read = self._sources.get(source)
        if read is None:
            raise RecordingError(self._line, f"unknown source {source!r}, known: {', '.join(self._sources)}")
        yield from read(wire)

    def _event(self, wire: WireLine) -> Iterator[Recorded]:
        yield self._notification(self._part(wire.notification, "notification"), self._time(wire, "received_at"))

    def _presence(self, wire: WireLine) -> Iterator[Recorded]:
        asked_at, received_at, read_at = self._times(wire)
        if wire.extension_id is None:
            raise RecordingError(self._line, "a presence answer needs extension_id")
        seen = decode_presence_read(
            self._part(wire.body, "body"),
            account_id=self._account_id,
            extension_id=str(wire.extension_id),
            default_region=self._region,
            read_at=read_at,
            received_at=received_at,
        )
        yield seen._replace(asked_at=asked_at)

    def _listing(self, wire: WireLine) -> Iterator[Recorded]:
        source = Source(wire.source or "")
        asked_at, received_at, read_at = self._times(wire)
        body = self._part(wire.page, "page")
        paging = decode(_PAGE, body, most=MAX_ANSWER_BYTES).paging
        pages = self._pages.pop(source, None)
        number = (paging.page if paging else None) or (1 if pages is None else pages.last + 1)
        if pages is not None and number == 1:
            yield pages.answer(source, complete=False)
            pages = None
        pages = pages or _Pages(asked_at=asked_at, read_at=read_at)
        page = decode_records(
            body, account_id=self._account_id, source=source, default_region=self._region, read_at=read_at
        )
        pages.add(page, number, received_at)
        if page.next_page is None:
            yield pages.answer(source, complete=not pages.missing)
        else:
            self._pages[source] = pages

    def _unfinished(self) -> Iterator[Recorded]:
        for source, pages in self._pages.items():
            yield pages.answer(source, complete=False)

    def _feed(self, wire: WireLine) -> Iterator[Recorded]:
        if wire.state not in {"live", "blind"}:
            raise RecordingError(self._line, 'a feed is "live" or "blind"')
        at = self._time(wire, "at")
        if at is None:
            raise RecordingError(self._line, "a state of the feed needs at")
        yield FeedState(wire.state == "live", at)

    def _part(self, raw: msgspec.Raw, name: str) -> bytes:
        if not raw:
            raise RecordingError(self._line, f"there is no {name}")
        return bytes(raw)

    def _times(self, wire: WireLine) -> tuple[int, int, int]:
        """When an answer was asked for, received and given: what a line lacks follows from the others."""
        asked, received, given = (self._time(wire, name) for name in ("asked_at", "received_at", "date"))
        known = next((one for one in (received, given, asked) if one is not None), None)
        if known is None:
            raise RecordingError(self._line, "an answer needs received_at")
        received = known if received is None else received
        return received if asked is None else asked, received, received if given is None else given

    def _time(self, wire: WireLine, name: str) -> int | None:
        """The time of that name, ms; ``None`` when the line has none."""
        value: Moment = getattr(wire, name)
        if value is None:
            return None
        moment = value if isinstance(value, int) else parse_time(value)
        moment = http_date(str(value)) if moment is None else moment
        if moment is None or not EARLIEST_MS <= moment < LATEST_MS:
            raise RecordingError(self._line, f"{name} is no time between 2000 and 2100")
        return moment
