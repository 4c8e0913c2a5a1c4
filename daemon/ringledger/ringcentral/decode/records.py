"""Records of active-calls and the call log become ``RecordClaim`` (platform page 5.2).

Each record is decoded on its own: a broken one is put aside and counted, the rest of its page is kept, even when it
breaks the JSON of the whole page (rule 7.7). Only an answer that is no listing at all raises. What must stay true:
nothing but :class:`WireError` comes out.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from ringledger.clock import now_ms
from ringledger.domain.disposition import IN_PROGRESS, Disposition, disposition_of
from ringledger.domain.observation import Direction, Party, RecordClaim, Source, Unreadable
from ringledger.ringcentral.api.http import MAX_ANSWER_BYTES
from ringledger.ringcentral.decode.broken_pages import elements, members
from ringledger.ringcentral.decode.presence import party
from ringledger.ringcentral.decode.unreadable import WireError, WireReason, decode
from ringledger.ringcentral.decode.values import (
    MAX_DURATION_MS,
    PATH_LENGTH,
    Int64,
    WireId,
    WireNumber,
    cut,
    latest_time,
    text_id,
    time_of,
)

T = TypeVar("T")
#: A listing is 3 to 10 s behind (platform page 5.1), and durations are in whole seconds: what seems to have ended so
#: little before it was listed goes on.
BEHIND_MS: Final = 15_000
#: More records on a page than this, and more legs of a record, are no answer to what we ask.
MOST_RECORDS: Final = 10_000
MOST_LEGS: Final = 1_000
#: A longer text is no token; a token goes into an address.
MOST_SYNC_TOKEN: Final = 4_096
_URI_EXTENSION: Final = re.compile(r"/extension/([0-9]+)/call-log")
_DIRECTION: Final = {direction.value: direction for direction in Direction}


class WireParty(msgspec.Struct, rename="camel", gc=False):
    """``from`` or ``to`` of a record."""

    phone_number: WireNumber = None
    extension_number: WireNumber = None
    extension_id: WireId = None
    name: str | None = None


class WireReference(msgspec.Struct, gc=False):
    """Something with an id."""

    id: WireId = None


class WireLeg(msgspec.Struct, rename="camel", gc=False):
    """What records and their legs have in common."""

    session_id: WireId = None
    telephony_session_id: WireId = None
    start_time: str | None = None
    duration: int | float | None = None
    duration_ms: Int64 | None = None
    type: str | None = None
    direction: str | None = None
    action: str | None = None
    result: str | None = None
    from_: WireParty | None = msgspec.field(default=None, name="from")
    to: WireParty | None = None
    extension: WireReference | None = None
    delegation_type: str | None = None
    finished: bool | None = None


class WireRecord(WireLeg, rename="camel", gc=False):
    """One record; ``legs`` only in the detailed view."""

    id: WireId = None
    uri: str | None = None
    legs: list[msgspec.Raw] | None = None


class WireLink(msgspec.Struct, gc=False):
    """A link of ``navigation``."""

    uri: str | None = None


class WireNavigation(msgspec.Struct, rename="camel", gc=False):
    """Where the next page is, if there is one."""

    next_page: WireLink | None = None


class WirePaging(msgspec.Struct, rename="camel", gc=False):
    """Which page this is."""

    page: Int64 | None = None
    per_page: Int64 | None = None
    total_pages: Int64 | None = None


class WireSyncInfo(msgspec.Struct, rename="camel", gc=False):
    """``syncInfo`` of a call-log-sync answer."""

    sync_type: str | None = None
    sync_token: str | None = None
    sync_time: str | None = None


class WireListing(msgspec.Struct, rename="camel", gc=False):
    """A page of anything: its records unread."""

    records: list[msgspec.Raw] | None = None
    navigation: WireNavigation | None = None
    paging: WirePaging | None = None
    sync_info: WireSyncInfo | None = None

    @property
    def next_page(self) -> str | None:
        """Where the next page is; ``None`` on the last one, also where an empty link is given."""
        link = self.navigation.next_page if self.navigation else None
        return (link.uri if link else None) or None


@dataclass(frozen=True, slots=True)
class RecordPage:
    """One answer read. ``next_page``: path or address of the next page, ``None`` on the last;
    ``sync_token``: where the next incremental synchronisation goes on.
    """

    claims: tuple[RecordClaim, ...]
    unreadable: tuple[Unreadable, ...]
    next_page: str | None = None
    sync_token: str | None = None


_LISTING: Final = msgspec.json.Decoder(WireListing)
_RECORD: Final = msgspec.json.Decoder(WireRecord)
_LEG: Final = msgspec.json.Decoder(WireLeg)


_NAVIGATION: Final = msgspec.json.Decoder(WireNavigation)
_PAGING: Final = msgspec.json.Decoder(WirePaging)
_SYNC_INFO: Final = msgspec.json.Decoder(WireSyncInfo)


def decode_listing(payload: bytes | str) -> WireListing:
    """A page with its records unread; raises :class:`WireError` when it is no listing."""
    try:
        listing = decode(_LISTING, payload, most=MAX_ANSWER_BYTES)
    except WireError as error:
        found = _taken_apart(payload.encode("utf-8", "replace") if isinstance(payload, str) else payload, error)
        if found is None:
            raise
        listing = found
    if listing.records is None:
        raise WireError(WireReason.MISSING_BODY, "the answer has no records", payload)
    if len(listing.records) > MOST_RECORDS:
        raise WireError(WireReason.TOO_LARGE, f"{len(listing.records)} records on a page, at most {MOST_RECORDS}")
    return listing


def _taken_apart(payload: bytes, error: WireError) -> WireListing | None:
    """A page that is no JSON as a whole: one broken record is no reason to lose the others."""
    if error.reason not in _BROKEN:
        return None
    parts = members(payload) or {}
    records = elements(parts.get(b"records", b""))
    if records is None:
        return None
    return WireListing(
        [msgspec.Raw(one) for one in records[: MOST_RECORDS + 1]],
        _part(_NAVIGATION, parts.get(b"navigation")),
        _part(_PAGING, parts.get(b"paging")),
        _part(_SYNC_INFO, parts.get(b"syncInfo")),
    )


def _part(decoder: msgspec.json.Decoder[T], text: bytes | None) -> T | None:
    try:
        return decode(decoder, text) if text is not None else None
    except WireError:
        return None


_BROKEN: Final = frozenset({WireReason.NOT_JSON, WireReason.NOT_TEXT, WireReason.TOO_DEEP})


def decode_records(
    payload: bytes | str,
    *,
    account_id: str,
    source: Source,
    default_region: str,
    read_at: int,
    faxes: bool = False,
    latest: int | None = None,
) -> RecordPage:
    """A page of records or a call-log-sync answer. ``read_at``: when it was given, ms; ``latest``: as for a
    notification.

    Faxes are left out, or with ``faxes`` all but them. Raises :class:`WireError` when the answer is no listing.
    """
    listing = decode_listing(payload)
    latest = latest_time(now_ms()) if latest is None else latest
    reader = _PageReader(account_id, source, default_region, read_at, faxes=faxes, latest=latest)
    for raw in listing.records or ():
        reader.read(bytes(raw))
    token = listing.sync_info.sync_token if listing.sync_info else None
    if token is not None and (len(token) > MOST_SYNC_TOKEN or "\x00" in token):
        raise WireError(WireReason.WRONG_SHAPE, f"a synchronisation token of {len(token)} characters, or with NUL")
    return RecordPage(
        claims=tuple(reader.claims),
        unreadable=tuple(reader.unreadable),
        next_page=listing.next_page,
        sync_token=token or None,
    )


class _PageReader:
    """Collects the claims and the broken records of one page."""

    def __init__(self, account_id: str, source: Source, region: str, read_at: int, *, faxes: bool, latest: int) -> None:
        self.claims: list[RecordClaim] = []
        self.unreadable: list[Unreadable] = []
        self._account_id = account_id
        self._source = source
        self._region = region
        self._read_at = read_at
        self._faxes = faxes
        self._latest = latest

    def read(self, raw: bytes) -> None:
        try:
            record = decode(_RECORD, raw)
            if (record.type == "Fax") is not self._faxes:
                return
            claim = self._claim(record, _required(text_id(record.id), "id"), record.uri)
            if len(record.legs or ()) > MOST_LEGS:
                raise WireError(WireReason.TOO_LARGE, f"more than {MOST_LEGS} legs")  # noqa: TRY301 - as all others
        except WireError as error:
            self._quarantine(error, raw)
            return
        self.claims.append(claim)
        for number, leg in enumerate(record.legs or (), start=1):
            self._read_leg(bytes(leg), number, claim)

    def _read_leg(self, raw: bytes, number: int, whole: RecordClaim) -> None:
        try:
            leg = decode(_LEG, raw)
            claim = self._claim(leg, f"{whole.record_id}/{number}", None, whole)
        except WireError as error:
            self._quarantine(error, raw)
            return
        self.claims.append(claim)

    def _quarantine(self, error: WireError, raw: bytes) -> None:
        told = WireError(error.reason, error.detail, raw)
        self.unreadable.append(told.unreadable(now_ms(), self._source))

    def _claim(self, wire: WireLeg, record_id: str, uri: str | None, whole: RecordClaim | None = None) -> RecordClaim:
        direction = _DIRECTION.get(wire.direction or "") or (whole.direction if whole else None)
        started_at = time_of(wire.start_time, self._latest) if wire.start_time else None
        if started_at is None and whole is not None and not wire.start_time:
            started_at = whole.started_at
        direction = _required(direction, "direction")
        return RecordClaim(
            account_id=self._account_id,
            session_id=text_id(wire.session_id) or (whole.session_id if whole else None),
            telephony_session_id=text_id(wire.telephony_session_id) or (whole.telephony_session_id if whole else None),
            record_id=record_id,
            source=self._source,
            direction=direction,
            from_party=_party(wire.from_, self._region),
            to_party=_party(wire.to, self._region),
            extension_id=_extension_id(wire, uri, direction),
            started_at=started_at,
            duration_ms=_duration_ms(wire),
            result=cut(wire.result),
            action=cut(wire.action),
            running=self._runs(wire, started_at),
            read_at=self._read_at,
            leg_of=whole.record_id if whole else None,
            internal=_is_extension(wire.from_) and _is_extension(wire.to),
            queue_call=wire.delegation_type == "QueueForwarding",
            coarse=wire.duration_ms is None,
            parties=tuple(text_id(end.extension_id) or "" if end else "" for end in (wire.from_, wire.to)),
        )

    def _runs(self, wire: WireLeg, started_at: int | None) -> bool:
        """Whether the call goes on. Where ``finished`` is not told, a talk in active-calls that has lasted until now is
        one that grows (rule 6.5); older platforms show it as any other. What does not say when it began or how long
        it has lasted does not say that.
        """
        result = (wire.result or "").casefold()
        if wire.finished is not None or self._source is not Source.ACTIVE_CALLS or result == IN_PROGRESS:
            return wire.finished is False or result == IN_PROGRESS
        duration_ms = _duration_ms(wire)
        if started_at is None or duration_ms is None or disposition_of(result) is not Disposition.ANSWERED:
            return False
        return started_at + duration_ms >= self._read_at - BEHIND_MS


def _required(value: T | None, name: str) -> T:
    if value is None:
        raise WireError(WireReason.MISSING_FIELD, f"the record has no usable {name}")
    return value


def _party(wire: WireParty | None, region: str) -> Party:
    if wire is None:
        return party(None, None, region)
    return party(wire.phone_number or wire.extension_number, wire.name, region)


def _is_extension(wire: WireParty | None) -> bool:
    return wire is not None and bool(wire.extension_number or text_id(wire.extension_id))


def _extension_id(wire: WireLeg, uri: str | None, direction: Direction) -> str | None:
    """On whose behalf: said outright, or in the record's address, or by our end of the call."""
    if wire.extension and (named := text_id(wire.extension.id)):
        return named
    if uri and len(uri) <= PATH_LENGTH and (match := _URI_EXTENSION.search(uri)):
        return match[1]
    ours = wire.to if direction is Direction.INBOUND else wire.from_
    return text_id(ours.extension_id) if ours else None


def _duration_ms(wire: WireLeg) -> int | None:
    """Real duration, ms; ``None`` when the record has none, for a blank says nothing (rule 7.5). Raises
    :class:`WireError` for impossible figures."""
    if wire.duration_ms is None and wire.duration is None:
        return None
    exact = wire.duration_ms if wire.duration_ms is not None else (wire.duration or 0) * 1000
    if not 0 <= exact <= MAX_DURATION_MS:
        raise WireError(WireReason.WRONG_SHAPE, "impossible duration")
    return round(exact)
