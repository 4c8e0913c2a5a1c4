"""A subscription as the platform describes it (platform page 2).

What must stay true: an encryption key lives in memory only and is never shown.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from ringledger.ringcentral.decode.keys import key_bytes
from ringledger.ringcentral.decode.records import decode_listing
from ringledger.ringcentral.decode.unreadable import WireError, WireReason, decode
from ringledger.ringcentral.decode.values import ID_LENGTH, PATH_LENGTH, WireId, cut, life, text_id


class WireDelivery(msgspec.Struct, rename="camel"):
    """``deliveryMode`` of an answer."""

    transport_type: str | None = None
    address: str | None = None
    subscriber_key: str | None = None
    encryption: bool | None = None
    encryption_algorithm: str | None = None
    encryption_key: str | None = None


class WireDisabledFilter(msgspec.Struct):
    """A filter the platform accepted and does not serve."""

    filter: str = ""
    reason: str | None = None
    message: str | None = None


class WireSubscription(msgspec.Struct, rename="camel"):
    """An answer of the subscription resource."""

    id: WireId = None
    status: str | None = None
    expires_in: float | None = None
    event_filters: list[str] | None = None
    disabled_filters: list[WireDisabledFilter] | None = None
    delivery_mode: WireDelivery | None = None


#: The platform's most is 2,000.
MOST_FILTERS: Final = 10_000
#: Why a filter that was asked for is taken as not served, when the platform does not say.
NOT_GRANTED: Final = "not granted"
_EXTENSION: Final = re.compile(r"/extension/([^/?]+)")
_SUBSCRIPTION: Final = msgspec.json.Decoder(WireSubscription)


@dataclass(frozen=True, slots=True)
class PubNubDelivery:
    """Where and how a PubNub subscription's events arrive; ``encryption_key``: base64, ``None`` for plain."""

    subscriber_key: str
    address: str
    encryption_key: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Subscription:
    """One subscription. ``expires_in``: platform seconds, ``None`` when the platform does not say;
    ``disabled_filters``: (filter, reason) pairs the platform does not serve.
    """

    id: str
    status: str
    expires_in: float | None
    filters: tuple[str, ...]
    disabled_filters: tuple[tuple[str, str], ...]
    transport: str
    pubnub: PubNubDelivery | None

    @property
    def active(self) -> bool:
        """Whether events flow; every other word means broken."""
        return self.status == "Active"


def decode_subscription(payload: bytes) -> Subscription:
    """Read an answer of the subscription resource; raises :class:`WireError`."""
    wire = decode(_SUBSCRIPTION, payload)
    return _subscription(wire, _pubnub(wire.delivery_mode or WireDelivery()))


def decode_subscriptions(payload: bytes) -> list[Subscription]:
    """GET subscriptions, without what is needed to listen to them; entries that cannot be read are left out."""
    found = []
    for raw in decode_listing(payload).records or ():
        try:
            found.append(_subscription(decode(_SUBSCRIPTION, bytes(raw)), None))
        except WireError:
            continue
    return found


def refused_extensions(filters: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """The extensions of filters that are not served, each with the platform's reason."""
    return tuple(((match[1] if (match := _EXTENSION.search(text)) else text), reason) for text, reason in filters)


def not_served(asked: Sequence[str], subscription: Subscription) -> tuple[tuple[str, str], ...]:
    """The filters of ``asked`` that the platform does not serve, each with the reason: those it says so of, and those
    its answer no longer has. Extensions are compared, for ids stand where ``~`` was asked; an answer without any
    filters tells nothing.
    """
    found = dict(subscription.disabled_filters)
    if subscription.filters:
        granted = {match[1] for one in subscription.filters if (match := _EXTENSION.search(one))}
        wanted = {match[1]: one for one in asked if (match := _EXTENSION.search(one))}
        own = wanted.pop("~", None)
        if own is not None and "~" not in granted and not granted - wanted.keys():
            found.setdefault(own, NOT_GRANTED)
        told = {match[1] for one in found if (match := _EXTENSION.search(one))}
        for extension, one in wanted.items():
            if extension not in granted and extension not in told:
                found[one] = NOT_GRANTED
    return tuple(found.items())


def _subscription(wire: WireSubscription, pubnub: PubNubDelivery | None) -> Subscription:
    subscription_id = text_id(wire.id)
    if subscription_id is None:
        raise WireError(WireReason.MISSING_FIELD, "a subscription without id")
    return Subscription(
        id=subscription_id,
        status=cut(wire.status) or "Active",
        expires_in=life(wire.expires_in),
        filters=tuple(cut(one, PATH_LENGTH) or "" for one in (wire.event_filters or ())[:MOST_FILTERS]),
        disabled_filters=tuple(
            (cut(one.filter, PATH_LENGTH) or "", cut(one.reason) or "")
            for one in (wire.disabled_filters or ())[:MOST_FILTERS]
        ),
        transport=(cut(wire.delivery_mode.transport_type) if wire.delivery_mode else None) or "",
        pubnub=pubnub,
    )


def _pubnub(wire: WireDelivery) -> PubNubDelivery | None:
    if wire.transport_type != "PubNub":
        return None
    if not wire.address or not wire.subscriber_key:
        raise WireError(WireReason.MISSING_FIELD, "a PubNub subscription without channel or key")
    if len(wire.address) > PATH_LENGTH or len(wire.subscriber_key) > ID_LENGTH:
        raise WireError(WireReason.WRONG_SHAPE, "a PubNub channel or key that is too long")
    if wire.encryption is not False and wire.encryption_key is None:
        raise WireError(WireReason.MISSING_FIELD, "an encrypted subscription without key")
    if wire.encryption_key is not None:
        try:
            key_bytes(wire.encryption_key)
        except ValueError as error:
            raise WireError(WireReason.WRONG_SHAPE, str(error)) from None
    return PubNubDelivery(wire.subscriber_key, wire.address, wire.encryption_key)
