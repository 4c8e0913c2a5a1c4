"""Accounts and extensions as the platform describes them."""

from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from ringledger.ringcentral.decode.presence import WireExtension
from ringledger.ringcentral.decode.records import decode_listing
from ringledger.ringcentral.decode.unreadable import WireError, WireReason, decode
from ringledger.ringcentral.decode.values import NAME_LENGTH, WireId, cut, text_id


class WireExtensionInfo(msgspec.Struct, rename="camel"):
    """An extension, or (id alone) an account."""

    id: WireId = None
    extension_number: WireId = None
    name: str | None = None
    type: str | None = None
    status: str | None = None
    account: WireExtension | None = None


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """Whose authorisation is in use; ``~`` stands for an id one may not read."""

    account_id: str
    extension_id: str
    extension_number: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class ExtensionInfo:
    """One extension of the account. ``type`` and ``status`` are the platform's words."""

    id: str
    number: str | None
    name: str | None
    type: str
    status: str

    @property
    def has_presence(self) -> bool:
        """Whether it can have calls of its own to watch: an enabled user."""
        return self.type in ("User", "DigitalUser", "VirtualUser", "FlexibleUser", "") and self.status in (
            "Enabled",
            "",
        )


_INFO: Final = msgspec.json.Decoder(WireExtensionInfo)


def decode_whoami(payload: bytes) -> WhoAmI:
    """GET extension; raises :class:`WireError`."""
    wire = decode(_INFO, payload)
    extension_id = text_id(wire.id)
    if extension_id is None:
        raise WireError(WireReason.MISSING_FIELD, "no id")
    account_id = text_id(wire.account.id) if wire.account else None
    return WhoAmI(account_id or "~", extension_id, text_id(wire.extension_number), cut(wire.name, NAME_LENGTH))


class ExtensionList(NamedTuple):
    """Return the extensions, and how many entries could not be read: their extensions are not watched."""

    people: list[ExtensionInfo]
    unreadable: int


def decode_extension_page(payload: bytes) -> ExtensionList:
    """Return a page of GET extensions. Raises :class:`WireError` when it cannot be read as one."""
    found: list[ExtensionInfo] = []
    unreadable = 0
    for raw in decode_listing(payload).records or ():
        try:
            wire = decode(_INFO, bytes(raw))
        except WireError:
            unreadable += 1
            continue
        extension_id = text_id(wire.id)
        if extension_id is None:
            unreadable += 1
            continue
        number = text_id(wire.extension_number)
        kind, status = cut(wire.type) or "", cut(wire.status) or ""
        found.append(ExtensionInfo(extension_id, number, cut(wire.name, NAME_LENGTH), kind, status))
    return ExtensionList(found, unreadable)
