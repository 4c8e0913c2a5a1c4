"""What the daemon counts and measures, for Prometheus.

Owns the names, which are public: some may be added, none renamed or removed. What must stay true: no number, name
or session in a label; each `Metrics` has its own registry, so that several daemons can live in one process.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import isnan, nan
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ringledger import __version__

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = CONTENT_TYPE_LATEST

Family = TypeVar("Family", Counter, Gauge, "OptionalGauge")

RING = (1, 2.5, 5, 10, 15, 20, 30, 45, 60, 120)
TALK = (5, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200)
REQUEST = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
TAKEOVER = (0.5, 1, 2.5, 5, 10, 15, 30, 60, 300)
COMMIT = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1, 5)


class OptionalGauge(Gauge):
    """A gauge without a sample while it is not known: before its first value, and while NaN."""

    def __init__(self, name: str, documentation: str, labelnames: Sequence[str] = (), **options: Any) -> None:
        super().__init__(name, documentation, labelnames, **options)
        if not labelnames or options.get("_labelvalues"):
            self.set(nan)

    def collect(self) -> Iterator[Metric]:
        """As :meth:`Gauge.collect`."""
        for family in super().collect():
            family.samples = [sample for sample in family.samples if not isnan(sample.value)]
            yield family


class Metrics:
    """All of them as attributes, named as on the wire without `ringledger_` (and `_total`).

    ``by_account``: there are several accounts; what tells of one has the label `account`, the name in the
    configuration, and is counted by way of :meth:`of_account`.
    """

    def __init__(self, *, by_account: bool = False) -> None:
        self.registry = CollectorRegistry()
        self._by_account = by_account
        #: Families with the label `account`, by the attribute, with their other labels.
        self._each: dict[str, tuple[Counter | Gauge, Sequence[str]]] = {}
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
        self.events_received = self._counter(
            "events_received_total", "Items of events and answers.", ["source"], each=True
        )
        self.events_ignored = self._counter(
            "events_ignored_total", "Items that changed nothing.", ["reason"], each=True
        )
        self.events_unreadable = self._counter(
            "events_unreadable_total", "Payloads not understood.", ["reason"], each=True
        )
        self.quarantined = self._counter(
            "quarantined_total",
            "What was put aside because it could not be read or stored.",
            ["source", "reason"],
            each=True,
        )
        self.calls_open = self._gauge("calls_open", "Calls that are open now.", each=True)
        self.calls_recorded = self._counter(
            "calls_recorded_total", "Finished calls written.", ["direction", "disposition"], each=True
        )
        self.call_ring_seconds = self._histogram("call_ring_seconds", "Ring time of finished calls.", RING)
        self.call_talk_seconds = self._histogram("call_talk_seconds", "Talk time of answered calls.", TALK)

    def _push(self) -> None:
        self.push_connected = self._gauge("push_connected", "1 while the feed is up.", each=True)
        self.push_reconnects = self._counter("push_reconnects_total", "Times the feed was lost.", ["reason"], each=True)
        self.push_last_event_timestamp_seconds = self._gauge(
            "push_last_event_timestamp_seconds", "When the feed last brought something.", each=True
        )
        self.subscription_expiry_timestamp_seconds = OptionalGauge(
            "ringledger_subscription_expiry_timestamp_seconds",
            "When the subscription ends unless it is renewed; no sample while that is not known.",
            ["account"] if self._by_account else (),
            registry=self.registry,
        )
        self._note_each("subscription_expiry_timestamp_seconds", self.subscription_expiry_timestamp_seconds, ())
        self.reconcile_corrections = self._counter(
            "reconcile_corrections_total", "Calls that the platform's own records corrected.", ["kind"], each=True
        )
        if self._by_account:
            self.account_up = self._gauge(
                "account_up", "1 while the account runs: it is logged in, and its books are read.", each=True
            )

    def _platform(self) -> None:
        self.api_requests = self._counter("api_requests_total", "Requests answered.", ["endpoint", "code"], each=True)
        self.api_request_duration_seconds = self._histogram(
            "api_request_duration_seconds", "From request to whole answer.", REQUEST, ["endpoint"]
        )
        self.api_throttled_seconds = self._counter(
            "api_throttled_seconds_total", "Time spent waiting because the platform asked for it.", each=True
        )

    def _store(self) -> None:
        self.store_commit_duration_seconds = self._histogram(
            "store_commit_duration_seconds", "One transaction, with its wait for the disk.", COMMIT
        )
        self.accounts_owned = self._gauge("accounts_owned", "Accounts whose lease this process holds.")
        self.lease_lost = self._counter("lease_lost_total", "Leases that another process has taken from this one.")
        self.takeover_seconds = self._histogram(
            "takeover_seconds", "From the last sign of an account's former process to this one's lease on it.", TAKEOVER
        )
        self.store_pending_records = self._gauge("store_pending_records", "Changes waiting for their commit.")
        self.store_disk_full = self._gauge("store_disk_full", "1 while the disk is full.")
        self.store_unreadable = self._counter(
            "store_unreadable_total", "Stored values that a start could not read.", ["table"], each=True
        )
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

    def of_account(self, name: str) -> "Metrics":
        """The same metrics; what tells of an account tells of this one."""
        return _OfAccount(self, name) if self._by_account else self

    def forget(self) -> None:
        """The account these tell of is gone: so are its samples."""

    def value(self, name: str, **labels: str) -> float:
        """One sample as a scraper sees it, 0.0 if there is none yet: `value("events_received_total", source=…)`."""
        return self.registry.get_sample_value(f"ringledger_{name}", labels) or 0.0

    def exposition(self) -> bytes:
        """The body of /metrics; its type is CONTENT_TYPE."""
        return generate_latest(self.registry)

    def _counter(self, name: str, doc: str, labels: Sequence[str] = (), *, each: bool = False) -> Counter:
        made = Counter(f"ringledger_{name}", doc, self._labels(labels, each=each), registry=self.registry)
        return self._note_each(name.removesuffix("_total"), made, labels) if each else made

    def _gauge(self, name: str, doc: str, labels: Sequence[str] = (), *, each: bool = False) -> Gauge:
        made = Gauge(f"ringledger_{name}", doc, self._labels(labels, each=each), registry=self.registry)
        return self._note_each(name, made, labels) if each else made

    def _labels(self, labels: Sequence[str], *, each: bool) -> Sequence[str]:
        return ["account", *labels] if each and self._by_account else labels

    def _note_each(self, name: str, made: Family, labels: Sequence[str]) -> Family:
        if self._by_account:
            self._each[name] = made, labels
        return made

    def _histogram(self, name: str, doc: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
        return Histogram(f"ringledger_{name}", doc, labels, buckets=tuple(buckets), registry=self.registry)


class _OfAccount(Metrics):
    """The metrics as one account sees them."""

    def __init__(self, whole: Metrics, name: str) -> None:
        vars(self).update(vars(whole))
        self._made: list[tuple[Counter | Gauge, tuple[str, ...]]] = []
        for attribute, (family, labels) in self._each.items():
            whole_family = _OfFamily(family, labels, name, self._made)
            setattr(self, attribute, whole_family if labels else whole_family.labels())

    def forget(self) -> None:
        for family, labels in self._made:
            with suppress(KeyError):
                family.remove(*labels)
        self._made.clear()


class _OfFamily:
    """A family of metrics with an account's label already in its place."""

    def __init__(
        self,
        family: Counter | Gauge,
        names: Sequence[str],
        account: str,
        made: list[tuple[Counter | Gauge, tuple[str, ...]]],
    ) -> None:
        self._family = family
        self._names = names
        self._account = account
        self._made = made
        self._known: dict[tuple[str, ...], Any] = {}

    def labels(self, **labels: str) -> Any:
        """As the family's own, without the account."""
        values = (self._account, *(labels[name] for name in self._names))
        if (found := self._known.get(values)) is None:
            found = self._known[values] = self._family.labels(*values)
            self._made.append((self._family, values))
        return found
