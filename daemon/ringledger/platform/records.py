"""Records of active-calls and the call log become ``RecordClaim`` (platform page 5.2).

Each record is decoded on its own: a broken one is quarantined and counted, the rest of its page is kept.
Only an answer that is no listing at all raises. What must stay true: nothing but :class:`WireError` comes
out.
"""

import re
from dataclasses import dataclass
from typing import Final, TypeVar

import msgspec

from ringledger.domain.disposition import IN_PROGRESS, Disposition, disposition_of
from ringledger.domain.observation import Direction, Party, RecordClaim, Source, Unreadable
from ringledger.platform.http import MAX_ANSWER_BYTES
from ringledger.platform.unreadable import WireError, WireReason, decode
from ringledger.platform.wire import Int64, WireId, parse_time, party, text_id

T = TypeVar("T")
#: A listing is 3 to 10 s behind (platform page 5.1), and durations are in whole seconds: what seems to have ended so
#: little before it was listed goes on.
BEHIND_MS: Final = 15_000
#: A telephone call longer than this is a damaged figure, not a call.
MAX_DURATION_MS: Final = 366 * 24 * 3600 * 1000
_URI_EXTENSION: Final = re.compile(r"/extension/([0-9]+)/call-log")
_DIRECTION: Final = {direction.value: direction for direction in Direction}


class WireParty(msgspec.Struct, rename="camel", gc=False):
    """``from`` or ``to`` of a record."""

    phone_number: WireId = None
    extension_number: WireId = None
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


class WireSyncInfo(msgspec.Struct, rename="camel", gc=False):
    """``syncInfo`` of a call-log-sync answer."""

    sync_type: str | None = None
    sync_token: str | None = None
    sync_time: str | None = None


class WireListing(msgspec.Struct, rename="camel", gc=False):
    """A page of anything: its records unread."""

    records: list[msgspec.Raw] | None = None
    navigation: WireNavigation | None = None
    sync_info: WireSyncInfo | None = None


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


def decode_listing(payload: bytes | str) -> WireListing:
    """A page with its records unread; raises :class:`WireError` when it is no listing."""
    listing = decode(_LISTING, payload, most=MAX_ANSWER_BYTES)
    if listing.records is None:
        raise WireError(WireReason.MISSING_BODY, "the answer has no records", payload)
    return listing


def decode_records(
    payload: bytes | str, *, account_id: str, source: Source, default_region: str, read_at: int, faxes: bool = False
) -> RecordPage:
    """A page of records or a call-log-sync answer. ``read_at``: when it was given, ms.

    Faxes are left out, or with ``faxes`` all but them. Raises :class:`WireError` when the answer is no listing.
    """
    listing = decode_listing(payload)
    reader = _Reader(account_id, source, default_region, read_at, faxes=faxes)
    for raw in listing.records or ():
        reader.read(bytes(raw))
    link = listing.navigation.next_page if listing.navigation else None
    return RecordPage(
        claims=tuple(reader.claims),
        unreadable=tuple(reader.unreadable),
        next_page=(link.uri if link else None) or None,
        sync_token=(listing.sync_info.sync_token if listing.sync_info else None) or None,
    )


class _Reader:
    """Collects the claims and the broken records of one page."""

    def __init__(self, account_id: str, source: Source, region: str, read_at: int, *, faxes: bool) -> None:
        self.claims: list[RecordClaim] = []
        self.unreadable: list[Unreadable] = []
        self._account_id = account_id
        self._source = source
        self._region = region
        self._read_at = read_at
        self._faxes = faxes

    def read(self, raw: bytes) -> None:
        try:
            record = decode(_RECORD, raw)
            if (record.type == "Fax") is not self._faxes:
                return
            claim = self._claim(record, _required(text_id(record.id), "id"), record.uri)
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
        self.unreadable.append(told.unreadable(self._read_at))

    def _claim(self, wire: WireLeg, record_id: str, uri: str | None, whole: RecordClaim | None = None) -> RecordClaim:
        direction = _DIRECTION.get(wire.direction or "") or (whole.direction if whole else None)
        started_at = parse_time(wire.start_time) if wire.start_time else None
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
            started_at=_required(started_at, "startTime"),
            duration_ms=_duration_ms(wire),
            result=wire.result or None,
            action=wire.action or None,
            running=self._runs(wire, _required(started_at, "startTime")),
            read_at=self._read_at,
            leg_of=whole.record_id if whole else None,
            internal=_is_extension(wire.from_) and _is_extension(wire.to),
            queue_call=wire.delegation_type == "QueueForwarding",
            coarse=wire.duration_ms is None,
            parties=tuple(text_id(end.extension_id) or "" if end else "" for end in (wire.from_, wire.to)),
        )

    def _runs(self, wire: WireLeg, started_at: int) -> bool:
        """Whether the call goes on. Where ``finished`` is not told, a talk in active-calls that has lasted until now is
        one that grows (semantics 6); older platforms show it as any other.
        """
        result = (wire.result or "").casefold()
        if wire.finished is not None or self._source is not Source.ACTIVE_CALLS or result == IN_PROGRESS:
            return wire.finished is False or result == IN_PROGRESS
        grows = disposition_of(result) is Disposition.ANSWERED
        return grows and started_at + _duration_ms(wire) >= self._read_at - BEHIND_MS


def _required(value: T | None, name: str) -> T:
    if value is None:
        raise WireError(WireReason.MISSING_FIELD, f"the record has no usable {name}")
    return value


def _party(wire: WireParty | None, region: str) -> Party:
    if wire is None:
        return party(None, None, region)
    return party(text_id(wire.phone_number) or text_id(wire.extension_number), wire.name, region)


def _is_extension(wire: WireParty | None) -> bool:
    return wire is not None and bool(text_id(wire.extension_number) or text_id(wire.extension_id))


def _extension_id(wire: WireLeg, uri: str | None, direction: Direction) -> str | None:
    """On whose behalf: said outright, or in the record's address, or by our end of the call."""
    if wire.extension and (named := text_id(wire.extension.id)):
        return named
    if uri and (match := _URI_EXTENSION.search(uri)):
        return match[1]
    ours = wire.to if direction is Direction.INBOUND else wire.from_
    return text_id(ours.extension_id) if ours else None


def _duration_ms(wire: WireLeg) -> int:
    """Real duration, ms; 0 when the record has none. Raises :class:`WireError` for impossible figures."""
    exact = wire.duration_ms if wire.duration_ms is not None else (wire.duration or 0) * 1000
    if not 0 <= exact <= MAX_DURATION_MS:
        raise WireError(WireReason.WRONG_SHAPE, "impossible duration")
    return round(exact)
