"""Metrics: the public names, and no clash between two daemons in one process."""

from math import nan

from prometheus_client.parser import text_string_to_metric_families

from ringledger import __version__
from ringledger.metrics import CONTENT_TYPE, Metrics

NAMES = {
    "build_info": {"version"},
    "events_received_total": {"source"},
    "events_ignored_total": {"reason"},
    "events_unreadable_total": {"reason"},
    "calls_open": set(),
    "calls_recorded_total": {"direction", "disposition"},
    "call_ring_seconds": set(),
    "call_talk_seconds": set(),
    "push_connected": set(),
    "push_reconnects_total": {"reason"},
    "push_last_event_timestamp_seconds": set(),
    "subscription_expiry_timestamp_seconds": set(),
    "reconcile_corrections_total": {"kind"},
    "api_requests_total": {"endpoint", "code"},
    "api_request_duration_seconds": {"endpoint"},
    "api_throttled_seconds_total": set(),
    "store_commit_duration_seconds": set(),
    "store_pending_records": set(),
    "store_disk_full": set(),
    "db_size_bytes": set(),
    "wal_size_bytes": set(),
    "webhook_deliveries_total": {"webhook", "host", "outcome"},
    "webhook_pending_letters": {"webhook", "host"},
    "webhook_dead_letters": {"webhook", "host"},
    "webhook_oldest_pending_seconds": {"webhook", "host"},
    "loop_lag_seconds": set(),
    "config_last_reload_successful": set(),
    "config_last_reload_success_timestamp_seconds": set(),
}
"""The golden list: nothing may leave it."""


def wire_names(metrics: Metrics) -> dict[str, set[str]]:
    collected = {}
    for collector in metrics.registry._collector_to_names:
        suffix = "_total" if collector._type == "counter" else ""
        collected[collector._name.removeprefix("ringledger_") + suffix] = set(collector._labelnames)
    return collected


def test_names_and_labels_are_the_public_ones():
    assert wire_names(Metrics()) == NAMES


def test_two_daemons_in_one_process_count_apart():
    one, two = Metrics(), Metrics()
    one.events_received.labels(source="feed").inc(3)
    assert one.value("events_received_total", source="feed") == 3
    assert two.value("events_received_total", source="feed") == 0


def test_what_is_not_known_has_no_sample():
    metrics = Metrics()
    expiry = metrics.subscription_expiry_timestamp_seconds
    name = "ringledger_subscription_expiry_timestamp_seconds"
    assert metrics.registry.get_sample_value(name) is None
    expiry.set(17)
    assert metrics.registry.get_sample_value(name) == 17
    expiry.set(nan)
    assert metrics.registry.get_sample_value(name) is None
    assert f"# TYPE {name} gauge" in metrics.exposition().decode()


def test_a_scraper_can_read_it():
    metrics = Metrics()
    metrics.calls_recorded.labels(direction="Inbound", disposition="answered").inc()
    metrics.call_ring_seconds.observe(5.829)
    families = {family.name: family for family in text_string_to_metric_families(metrics.exposition().decode())}
    assert families["ringledger_build_info"].samples[0].labels == {"version": __version__}
    assert families["ringledger_call_ring_seconds"].type == "histogram"
    assert metrics.value("call_ring_seconds_sum") == 5.829
    assert CONTENT_TYPE.startswith("text/plain")
