"""What the figures say of deliveries: outcomes as they come, and what stands in the outbox, looked at now and then.

What must stay true: a label is a receiver's place in the configuration and its host name, never more of its address;
letters for receivers that are not configured are counted as ``other``.
"""

from collections.abc import Iterable
from typing import Final
from urllib.parse import urlsplit

from ringledger.ledger.write.outbox import ReceiverBacklog
from ringledger.observability.metrics import Metrics
from ringledger.service.webhooks.letters import WebhookReceiver

ACCEPTED: Final = "accepted"
FAILED: Final = "failed"
GIVEN_UP: Final = "given_up"
OTHER: Final = {"webhook": "other", "host": ""}


class WebhookMetrics:
    """The figures of ``[[webhooks]]``, numbered from 1 in the order of the configuration."""

    def __init__(self, metrics: Metrics, receivers: Iterable[WebhookReceiver]) -> None:
        self._metrics = metrics
        self._labels = {
            one.key: {"webhook": str(number), "host": urlsplit(one.address).hostname or ""}
            for number, one in enumerate(receivers, start=1)
        }
        for labels in self._labels.values():
            for outcome in (ACCEPTED, FAILED, GIVEN_UP):
                metrics.webhook_deliveries.labels(**labels, outcome=outcome)  # 0 from the start: rates are right

    def attempt(self, receiver: str, outcome: str) -> None:
        """An attempt has come to its end. ``receiver``: its key."""
        self._metrics.webhook_deliveries.labels(**self._labels.get(receiver, OTHER), outcome=outcome).inc()

    def stand(self, backlogs: Iterable[ReceiverBacklog], now_ms: int) -> None:
        """What the outbox holds now."""
        held = {one.receiver: one for one in backlogs}
        for key, labels in self._labels.items():
            self._set(labels, held.pop(key, ReceiverBacklog(key, 0, 0, None)), now_ms)
        dead = sum(one.dead for one in held.values())
        waiting = sum(one.waiting for one in held.values())
        if dead or waiting:
            oldest = min((one.oldest for one in held.values() if one.oldest is not None), default=None)
            self._set(OTHER, ReceiverBacklog("", waiting, dead, oldest), now_ms)
        else:
            self._clear(OTHER)

    def _set(self, labels: dict[str, str], one: ReceiverBacklog, now_ms: int) -> None:
        age = 0.0 if one.oldest is None else max(0.0, (now_ms - one.oldest) / 1000)
        self._metrics.webhook_pending_letters.labels(**labels).set(one.waiting)
        self._metrics.webhook_dead_letters.labels(**labels).set(one.dead)
        self._metrics.webhook_oldest_pending_seconds.labels(**labels).set(age)

    def _clear(self, labels: dict[str, str]) -> None:
        """A series that has nothing to tell any longer goes."""
        names = [*labels.values()]
        for gauge in (
            self._metrics.webhook_pending_letters,
            self._metrics.webhook_dead_letters,
            self._metrics.webhook_oldest_pending_seconds,
        ):
            gauge.remove(*names)
