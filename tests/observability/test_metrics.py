"""Metrics: the public names, and no clash between two daemons in one process."""

import re
from collections.abc import Iterable
from math import nan
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from ringledger import __version__
from ringledger.observability.metrics import CONTENT_TYPE, Metrics
from ringledger.simulator import Office, SimClock, Simulator, default_extensions
from tests.rig import running, settings_for

#: What a scraper sees, to the letter: nothing may leave it. `python -m tests.observability.test_metrics` writes it
#: anew.
GOLDEN = Path(__file__).parents[1] / "data" / "metrics.txt"


def scripted() -> Metrics:
    """Every metric with one sample; a label's value is its name."""
    metrics = Metrics()
    collectors: Iterable[Any] = metrics.registry._collector_to_names  # its labels are the library's own
    for collector in collectors:
        if collector._labelnames and collector is not metrics.build_info:
            collector.labels(**{name: name for name in collector._labelnames})
    metrics.subscription_expiry_timestamp_seconds.set(0)
    return metrics


def exposed(metrics: Metrics) -> str:
    """Without what is the library's own affair: when a counter was made. The version differs from run to run."""
    lines = metrics.exposition().decode().splitlines(keepends=True)
    text = "".join(line for line in lines if not re.match(r"(# \w+ )?\w+_created\b", line))
    return text.replace(f'version="{__version__}"', 'version="0.0.0"')


def test_what_a_scraper_sees_is_the_golden_text():
    assert exposed(scripted()) == GOLDEN.read_text()


async def test_no_number_name_or_session_is_in_what_a_daemon_exposes(tmp_path):
    """After an office's calls, a webhook's letters and events nobody can read."""
    golden = {line for line in GOLDEN.read_text().splitlines() if line.startswith("#")}
    hooks = [{"url": "http://127.0.0.1:9/path?token=hush", "events": ["call.*"], "secret": "hush-hush"}]
    async with Simulator(clock=SimClock(speed=60.0)) as sim:
        settings = settings_for(sim, tmp_path / "r.db", calls__settle_seconds=0.05, webhooks=hooks)
        async with running(sim, settings) as rig:
            office = Office(default_extensions(), calls_per_hour=400, seed=3)
            await sim.run_office(office, until=sim.clock.now_ms() + 600_000)
            sim.publish_raw("2001", "no payload +14155550123 \x00")
            metrics = rig.daemon.metrics
            await rig.until(lambda: len(rig.calls()) > 5, "calls are there")
            await rig.until(lambda: b"events_unreadable_total{" in metrics.exposition(), "one was unreadable")
            await rig.until(lambda: b"webhook_deliveries_total{" in metrics.exposition(), "letters were tried")
            await rig.until(lambda: b"calls_recorded_total{" in metrics.exposition(), "calls were counted")
            text = exposed(metrics)
            rows = rig.query("SELECT * FROM all_calls") + rig.query("SELECT * FROM active_calls")
    private = {"hush", "4155550123"}
    for row in rows:
        for name in ("from_number", "to_number", "from_name", "to_name", "session_id", "telephony_session_id"):
            private.add(str(row.get(name) or "").removeprefix("+"))
    told = {line for line in text.splitlines() if line.startswith("#")}
    assert told == golden
    labels = {
        value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for name, value in sample.labels.items()
        if name != "le"
    }
    assert len(private) > 10
    assert not [(value, one) for value in labels for one in private if one and one in value]
    assert not [value for value in labels if re.search(r"\d{4}", value)]


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


if __name__ == "__main__":
    GOLDEN.write_text(exposed(scripted()))
