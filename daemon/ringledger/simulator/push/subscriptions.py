"""Subscriptions: which filters they hold, how long they live, and which events reach them.

What must stay true: ``~`` never appears in an answer's filters; a dead subscription delivers nothing and says
nothing; renewing it is a 404. Transports register themselves, so a new one needs no change here.
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from aiohttp import web

from ringledger.simulator.clock import SimClock, iso_z
from ringledger.simulator.exchange.pbx import Pbx
from ringledger.simulator.push.payloads import Json, simple_body
from ringledger.simulator.rest.answers import api_error, invalid, json_body, not_found
from ringledger.simulator.rest.oauth import OAuth

MAX_SUBSCRIPTIONS = 30
PRESENCE = re.compile(
    r"^/restapi/v1\.0/account/(?P<account>[^/]+)(/extension/(?P<extension>[^/]+))?/presence(\?(?P<query>.*))?$"
)
OTHER_KNOWN = re.compile(
    r"^/restapi/v1\.0/(account/[^/]+/(extension/[^/]+/)?(telephony/sessions|message-store|presence/line)|subscription/~)"
)
EVENT_EXTENSION = re.compile(r"/extension/([^/]+)/presence")


@dataclass(slots=True)
class Subscription:
    """One subscription; times in simulated ms. ``delivery`` is the transport's own part of the answer."""

    id: str
    owner_id: str
    transport: str
    filters: list[str]
    disabled: list[Json]
    created_at: int
    expires_at: int
    seconds: int
    delivery: Json = field(default_factory=dict)
    everything: bool = False
    extensions: dict[str, bool] = field(default_factory=dict)  # id -> detailed?


class Transport(Protocol):
    """A way events reach a subscriber."""

    def open(self, subscription: Subscription, /) -> Json:
        """The answer's ``deliveryMode``; called again at a renewal that changes parameters."""

    def deliver(self, subscription: Subscription, envelope: Json) -> None:
        """Send one notification."""

    def close(self, subscription: Subscription) -> None:
        """The subscription is no more."""


class Subscriptions:
    """The subscription resource and the delivery of events to its records."""

    def __init__(
        self, clock: SimClock, pbx: Pbx, oauth: OAuth, *, seconds: int = 900, lifetime_scale: float = 1.0
    ) -> None:
        self.clock, self.pbx, self.oauth = clock, pbx, oauth
        self.seconds, self.lifetime_scale = seconds, lifetime_scale
        self.transports: dict[str, Transport] = {}
        self.records: dict[str, Subscription] = {}
        self.opened = 0  # so far
        self.rotate_on_renew = False  # renewals bring a new channel and key
        self.account_wide_detailed = True  # whether the undocumented account-wide filter is granted
        self.grants: int | None = None  # so many filters are granted, the others are dropped without a word
        self.serves: int | None = None  # so many extensions are served, though every filter is granted
        self.base_url = ""
        self._send: Callable[[Subscription, Json], None] = self.deliver
        pbx.listeners.append(self.publish)

    def send_by(self, send: Callable[[Subscription, Json], None]) -> None:
        """Hand what is published to ``send``, which may damage it, instead of :meth:`deliver`."""
        self._send = send

    def add_routes(self, router: web.UrlDispatcher) -> None:
        path = "/restapi/v1.0/subscription"
        router.add_post(path, self.create)
        router.add_get(path, self.list_all)
        router.add_get(path + "/{id}", self.read)
        router.add_put(path + "/{id}", self.update)
        router.add_delete(path + "/{id}", self.delete)
        router.add_post(path + "/{id}/renew", self.renew)

    async def create(self, request: web.Request) -> web.Response:
        """POST: over HTTP, so for every transport but WebSocket."""
        owner = self.oauth.require(request)
        body = await json_body(request)
        mode = body.get("deliveryMode")
        kind = mode.get("transportType") if isinstance(mode, dict) else None
        if kind == "WebSocket":
            raise invalid("deliveryMode.transportType")
        return web.json_response(self.show(self.open(owner, body)))

    async def list_all(self, request: web.Request) -> web.Response:
        owner = self.oauth.require(request)
        records = [self.show(s) for s in self.alive() if s.owner_id == owner]
        return web.json_response({"uri": f"{self.base_url}/restapi/v1.0/subscription", "records": records})

    async def read(self, request: web.Request) -> web.Response:
        return web.json_response(self.show(self._find(request)))

    async def update(self, request: web.Request) -> web.Response:
        """PUT: only the filters and expiresIn are honoured; it renews, too."""
        subscription = self._find(request)
        self.change(subscription, await json_body(request))
        return web.json_response(self.show(subscription))

    def change(self, subscription: Subscription, body: Json) -> None:
        """What PUT does; raises the platform's errors."""
        if "eventFilters" in body:
            self._set_filters(subscription, body["eventFilters"])
        if "expiresIn" in body:
            subscription.seconds = self._seconds(body)
        self._extend(subscription)

    async def renew(self, request: web.Request) -> web.Response:
        subscription = self._find(request)
        self._extend(subscription)
        return web.json_response(self.show(subscription))

    async def delete(self, request: web.Request) -> web.Response:
        self.close(self._find(request))
        return web.Response(status=204)

    def open(self, owner_id: str, body: Json) -> Subscription:
        """A new subscription from a request body; raises the platform's errors."""
        mode = body.get("deliveryMode")
        transport = self.transports.get(mode.get("transportType", "") if isinstance(mode, dict) else "")
        if transport is None or not isinstance(mode, dict):
            raise invalid("deliveryMode.transportType")
        if sum(s.owner_id == owner_id for s in self.alive()) >= MAX_SUBSCRIPTIONS:
            raise api_error(403, "SUB-505", "Subscriptions limit exceeded")
        now, seconds = self.clock.now_ms(), self._seconds(body)
        subscription = Subscription(str(uuid.uuid4()), owner_id, mode["transportType"], [], [], now, now, seconds)
        self._set_filters(subscription, body.get("eventFilters"))
        self._extend(subscription)
        subscription.delivery = transport.open(subscription)
        self.records[subscription.id] = subscription
        self.opened += 1
        return subscription

    def close(self, subscription: Subscription) -> None:
        if self.records.pop(subscription.id, None):
            self.transports[subscription.transport].close(subscription)

    def alive(self) -> list[Subscription]:
        """Subscriptions that have not expired; the expired ones are forgotten on the way."""
        now = self.clock.now_ms()
        for subscription in [s for s in self.records.values() if s.expires_at <= now]:
            self.close(subscription)
        return [*self.records.values()]

    def publish(self, envelope: Json, *, forced: bool = False) -> int:
        """Send an event to each subscription whose filters match its extension, or to all; returns how many."""
        extension_id = extension_of(envelope)
        reached = 0
        for subscription in self.alive():
            detailed = True if forced else self._wants(subscription, extension_id)
            if detailed is not None:
                self._send(subscription, self._addressed(subscription, envelope, detailed=detailed))
                reached += 1
        return reached

    def deliver(self, subscription: Subscription, envelope: Json) -> None:
        """Hand a notification to the subscription's transport."""
        self.transports[subscription.transport].deliver(subscription, envelope)

    def expire_all(self) -> None:
        """For tests: every subscription dies silently, now."""
        for subscription in self.alive():
            self.close(subscription)

    def show(self, subscription: Subscription) -> Json:
        """The resource as the platform answers it."""
        left = (subscription.expires_at - self.clock.now_ms()) / 1000 / self.lifetime_scale
        answer: Json = {
            "id": subscription.id,
            "uri": f"{self.base_url}/restapi/v1.0/subscription/{subscription.id}",
            "creationTime": iso_z(subscription.created_at),
            "expirationTime": iso_z(subscription.expires_at),
            "expiresIn": max(0, round(left + 0.49) - 1),
            "status": "Active",
            "eventFilters": subscription.filters,
            "deliveryMode": subscription.delivery,
        }
        return answer | ({"disabledFilters": subscription.disabled} if subscription.disabled else {})

    def _find(self, request: web.Request) -> Subscription:
        owner = self.oauth.require(request)
        wanted = request.match_info["id"]
        for subscription in self.alive():
            if subscription.id == wanted and subscription.owner_id == owner:
                return subscription
        raise not_found("subscriptionId")

    def _seconds(self, body: Json) -> int:
        wanted = body.get("expiresIn", self.seconds)
        if not isinstance(wanted, int) or wanted < 1:
            raise invalid("expiresIn")
        return min(wanted, self.seconds)

    def _extend(self, subscription: Subscription) -> None:
        life = round(subscription.seconds * 1000 * self.lifetime_scale)
        subscription.expires_at = self.clock.now_ms() + life
        if self.rotate_on_renew and subscription.delivery:
            transport = self.transports[subscription.transport]
            transport.close(subscription)
            subscription.delivery = transport.open(subscription)

    def _set_filters(self, subscription: Subscription, filters: Any) -> None:
        if not isinstance(filters, list) or not filters:
            raise invalid("eventFilters")
        subscription.filters, subscription.disabled = [], []
        subscription.extensions, subscription.everything = {}, False
        for text in filters if self.grants is None else filters[: self.grants]:
            self._add_filter(subscription, str(text))
        if self.serves is not None:
            subscription.extensions = dict([*subscription.extensions.items()][: self.serves])
        if not subscription.filters:
            raise api_error(400, "SUB-508", "Event filters are invalid")

    def _add_filter(self, subscription: Subscription, text: str) -> None:
        real = text.replace("/account/~", f"/account/{self.pbx.account_id}")
        real = real.replace("/extension/~", f"/extension/{subscription.owner_id}")
        match = PRESENCE.match(real)
        detailed = "detailedTelephonyState=true" in real or "sipData=true" in real
        if match is None and not OTHER_KNOWN.match(real):
            return self._refuse(subscription, text, "SUB-508", "Event filter is invalid")
        if match and match["account"] != self.pbx.account_id:
            return self._refuse(subscription, text, "SUB-406", "Events of another account are not allowed")
        if match and match["extension"] is None:
            if detailed and not self.account_wide_detailed:
                return self._refuse(subscription, text, "SUB-402", "Detailed presence of the account is not available")
            subscription.everything = True
        elif match and match["extension"] not in self.pbx.extensions:
            return self._refuse(subscription, text, "SUB-408", "User is not found")
        elif match:
            before = subscription.extensions.get(match["extension"], False)
            subscription.extensions[match["extension"]] = before or detailed
        subscription.filters.append(real)
        return None

    @staticmethod
    def _refuse(subscription: Subscription, text: str, reason: str, message: str) -> None:
        subscription.disabled.append({"filter": text, "reason": reason, "message": message})

    def _wants(self, subscription: Subscription, extension_id: str) -> bool | None:
        """Whether it wants the details of that extension's events; ``None``: not the event at all."""
        if extension_id in subscription.extensions:
            return subscription.extensions[extension_id]
        if not subscription.everything:
            return None
        return any("/extension/" not in f and "detailedTelephonyState=true" in f for f in subscription.filters)

    def _addressed(self, subscription: Subscription, envelope: Json, *, detailed: bool) -> Json:
        """The envelope with the subscription's own ids, where the envelope's style has them."""
        if not detailed:
            path = str(envelope.get("event", "")).partition("?")[0]
            envelope = envelope | {"event": path, "body": simple_body(envelope["body"])}
        if str(envelope.get("event", "")).startswith("/restapi/v1.0/account/~/"):
            return envelope  # 2015: no subscriptionId, no ownerId
        return envelope | {"subscriptionId": subscription.id, "ownerId": subscription.owner_id}


def extension_of(envelope: Json) -> str:
    """The extension an event is about: from its body, else from its path."""
    body = envelope.get("body")
    named = body.get("extensionId") if isinstance(body, dict) else None
    if named is not None:
        return str(named)
    match = EVENT_EXTENSION.search(str(envelope.get("event", "")))
    return match[1] if match else ""
