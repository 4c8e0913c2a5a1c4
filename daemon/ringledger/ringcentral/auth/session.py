"""What the platform has granted, and how a grant outlives the process that got it.

What must stay true: a record is used only for the server and the credentials it was made with; one that is odd in any
way is no grant at all; tokens never show in a ``repr``. Instants are kept in real monotonic seconds, which every
process of one boot shares; a grant counts in platform seconds (``pace``).
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, Protocol

import msgspec

from ringledger.ringcentral.api.pace import Pace

#: Of a record's form; another one is not read.
VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Grant:
    """A token and its instants, monotonic platform seconds."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    refresh_at: float
    expires_at: float
    refresh_until: float
    scope: str
    owner_id: str

    def good_for(self, now: float) -> bool:
        """Whether anything can be done with it, without new credentials."""
        return now < self.expires_at or (self.refresh_token is not None and now < self.refresh_until)


class NotKept(Exception):
    """What was kept is of no use; the text says why and holds no secret."""


class GrantKeeper(Protocol):
    """Keeps one opaque record beyond the end of the process, and shows it to no other."""

    def load(self) -> bytes | None:
        """The newest record that was saved whole; ``None``: there is none. Raises ``ValueError`` when it is odd."""

    def save(self, record: bytes) -> None:
        """Keep this instead; empty: nothing. Never raises: to keep a record is a courtesy."""


class _Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of a record; instants in real monotonic seconds. Its ``repr`` shows tokens: it never leaves here."""

    version: int
    fingerprint: str
    access_token: str
    refresh_token: str | None
    refresh_at: float
    expires_at: float
    refresh_until: float
    scope: str
    owner_id: str


def fingerprint(*parts: str) -> str:
    """Tells one server and its credentials from another, without telling what they are."""
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()


def pack(grant: Grant, mark: str, pace: Pace) -> bytes:
    """The record of a grant; ``mark``: the fingerprint it belongs to."""
    return msgspec.json.encode(
        _Record(
            version=VERSION,
            fingerprint=mark,
            access_token=grant.access_token,
            refresh_token=grant.refresh_token,
            refresh_at=grant.refresh_at / pace.speed,
            expires_at=grant.expires_at / pace.speed,
            refresh_until=grant.refresh_until / pace.speed,
            scope=grant.scope,
            owner_id=grant.owner_id,
        )
    )


def unpack(record: bytes, mark: str, pace: Pace) -> Grant:
    """The grant in a record. Raises :class:`NotKept` when it is damaged, of another form, foreign or expired."""
    try:
        kept = msgspec.json.decode(record, type=_Record)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        raise NotKept("unreadable") from None
    if kept.version != VERSION:
        raise NotKept("another version")
    if kept.fingerprint != mark:
        raise NotKept("other credentials")
    grant = Grant(
        access_token=kept.access_token,
        refresh_token=kept.refresh_token,
        refresh_at=kept.refresh_at * pace.speed,
        expires_at=kept.expires_at * pace.speed,
        refresh_until=kept.refresh_until * pace.speed,
        scope=kept.scope,
        owner_id=kept.owner_id,
    )
    if not grant.good_for(pace.now()):
        raise NotKept("expired")
    return grant


class GrantShelf:
    """The grants of several accounts in the one record that a keeper has room for: as many of the newest as fit.

    ``longest``: what the keeper takes, bytes.
    """

    def __init__(self, keeper: GrantKeeper, *, longest: int = 4_000_000) -> None:
        self._keeper = keeper
        self._longest = longest
        self._kept: dict[str, bytes] = {}
        try:
            record = keeper.load()
            self._kept = {} if record is None else msgspec.msgpack.decode(record, type=dict[str, bytes])
        except (ValueError, msgspec.MsgspecError, RecursionError):  # odd: each account logs in
            self._kept = {}

    def of(self, name: str) -> GrantKeeper:
        """The keeper of one account's grant."""
        return _Place(self, name)

    def load(self, name: str) -> bytes | None:
        """What was saved under a name."""
        return self._kept.get(name)

    def save(self, name: str, record: bytes) -> None:
        """Keep this under a name; empty: nothing."""
        self._kept.pop(name, None)
        if record:
            self._kept[name] = record
        while self._kept and len(whole := msgspec.msgpack.encode(self._kept)) > self._longest:
            del self._kept[next(iter(self._kept))]
        self._keeper.save(whole if self._kept else b"")


class _Place:
    """One account's place on a shelf (``GrantKeeper``)."""

    def __init__(self, shelf: GrantShelf, name: str) -> None:
        self._shelf = shelf
        self._name = name

    def load(self) -> bytes | None:
        return self._shelf.load(self._name)

    def save(self, record: bytes) -> None:
        self._shelf.save(self._name, record)
