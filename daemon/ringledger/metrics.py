"""What the daemon counts and measures, for Prometheus.

Owns the names, which are public: some may be added, none renamed or removed. What must stay true: no number, name
or session in a label; each `Metrics` has its own registry, so that several daemons can live in one process.
"""

from collections.abc import Iterator, Sequence
from math import isnan, nan

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ringledger import __version__

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

RING = (1, 2.5, 5, 10, 15, 20, 30, 45, 60, 120)
TALK = (5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
REQUEST = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
COMMIT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)


class Known(Gauge):
    """A gauge without labels, and without a sample while it is not known: before its first value, and while NaN."""

    def __init__(self, name: str, documentation: str, *, registry: CollectorRegistry) -> None:
        super().__init__(name, documentation, registry=registry)
        self.set(nan)

    def collect(self) -> Iterator[Metric]:
        """As :meth:`Gauge.collect`."""
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not isnan(sample.value)]
            yield family


class Metrics:
    """All of them as attributes, named as on the wire without `ringledger_` (and `_total`)."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._build_info()
        self._events_and_calls()
        self._push()
        self._platform()
        self._store()
        self._webhooks()

    def _build_info(self) -> None:
        self.build_info = self._gauge("build_info", "The version that runs; always 1.", ["version"])
        self.build_info.labels(version=__version__).set(1)
        self.loop_lag_seconds = self._gauge("loop_lag_seconds", "How late the event loop's last tick was.")
        self.config_last_reload_successful = self._gauge(
            "config_last_reload_successful", "0 while a changed configuration is refused."
        )
        self.config_last_reload_successful.set(1)
        self.config_last_reload_success_timestamp_seconds = self._gauge(
            "config_last_reload_success_timestamp_seconds", "When the configuration in force was read."
        )

    def _events_and_calls(self) -> None:
        self.events_received = self._counter("events_received_total", "Items of events and answers.", ["source"])
        self.events_ignored = self._counter("events_ignored_total", "Items that changed nothing.", ["reason"])
        self.events_unreadable = self._counter("events_unreadable_total", "Payloads not understood.", ["reason"])
        self.calls_open = self._gauge("calls_open", "Calls that are open now.")
        self.calls_recorded = self._counter(
            "calls_recorded_total", "Finished calls written.", ["direction", "disposition"]
        )
        self.call_ring_seconds = self._histogram("call_ring_seconds", "Ring time of finished calls.", RING)
        self.call_talk_seconds = self._histogram("call_talk_seconds", "Talk time of answered calls.", TALK)

    def _push(self) -> None:
        self.push_connected = self._gauge("push_connected", "1 while the feed is up.")
        self.push_reconnects = self._counter("push_reconnects_total", "Times the feed was lost.", ["reason"])
        self.push_last_event_timestamp_seconds = self._gauge(
            "push_last_event_timestamp_seconds", "When the feed last brought something."
        )
        self.subscription_expiry_timestamp_seconds = Known(
            "ringledger_subscription_expiry_timestamp_seconds",
            "When the subscription ends unless it is renewed; no sample while that is not known.",
            registry=self.registry,
        )
        self.reconcile_corrections = self._counter(
            "reconcile_corrections_total", "Calls that the platform's own records corrected.", ["kind"]
        )

    def _platform(self) -> None:
        self.api_requests = self._counter("api_requests_total", "Requests answered.", ["endpoint", "code"])
        self.api_request_duration_seconds = self._histogram(
            "api_request_duration_seconds", "From request to whole answer.", REQUEST, ["endpoint"]
        )
        self.api_throttled_seconds = self._counter(
            "api_throttled_seconds_total", "Time spent waiting because the platform asked for it."
        )

    def _store(self) -> None:
        self.store_commit_duration_seconds = self._histogram(
            "store_commit_duration_seconds", "One transaction, with its wait for the disk.", COMMIT
        )
        self.store_pending_records = self._gauge("store_pending_records", "Changes waiting for their commit.")
        self.store_disk_full = self._gauge("store_disk_full", "1 while the disk is full.")
        self.db_size_bytes = self._gauge("db_size_bytes", "Size of the database file.")
        self.wal_size_bytes = self._gauge("wal_size_bytes", "Size of its write-ahead log.")

    def _webhooks(self) -> None:
        """``webhook``: a receiver's place in the configuration, from 1; ``host``: its host name."""
        receiver = ["webhook", "host"]
        self.webhook_deliveries = self._counter(
            "webhook_deliveries_total", "Attempts by how they ended.", [*receiver, "outcome"]
        )
        self.webhook_pending_letters = self._gauge("webhook_pending_letters", "Events not accepted yet.", receiver)
        self.webhook_dead_letters = self._gauge("webhook_dead_letters", "Events that were given up.", receiver)
        self.webhook_oldest_pending_seconds = self._gauge(
            "webhook_oldest_pending_seconds", "How long the oldest of them has waited; 0 when none does.", receiver
        )

    def value(self, name: str, **labels: str) -> float:
        """One sample as a scraper sees it, 0.0 if there is none yet: `value("events_received_total", source=…)`."""
        return self.registry.get_sample_value(f"ringledger_{name}", labels) or 0.0

    def exposition(self) -> bytes:
        """The body of /metrics; its type is CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _counter(self, name: str, doc: str, labels: Sequence[str] = ()) -> Counter:
        return Counter(f"ringledger_{name}", doc, labels, registry=self.registry)

    def _gauge(self, name: str, doc: str, labels: Sequence[str] = ()) -> Gauge:
        return Gauge(f"ringledger_{name}", doc, labels, registry=self.registry)

    def _histogram(self, name: str, doc: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
        return Histogram(f"ringledger_{name}", doc, labels, buckets=tuple(buckets), registry=self.registry)
