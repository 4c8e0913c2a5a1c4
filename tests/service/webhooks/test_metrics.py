"""The figures of webhooks by themselves; with real deliveries they are in test_webhooks.py."""

import pytest

from ringledger.config.model import WebhookSettings
from ringledger.ledger.write.outbox import ReceiverBacklog
from ringledger.observability.metrics import Metrics
from ringledger.service.webhooks.letters import receivers_of
from ringledger.service.webhooks.metrics import ACCEPTED, FAILED, GIVEN_UP, WebhookMetrics

NOW = 1_772_442_000_000
CRM = {"webhook": "1", "host": "crm.example.com"}
ERP = {"webhook": "2", "host": "10.0.0.7"}
OTHER = {"webhook": "other", "host": ""}


@pytest.fixture
def tallied():
    urls = ("https://user:planted-secret@crm.example.com:8443/hooks/planted-token?key=planted", "http://10.0.0.7/in")
    receivers = receivers_of([WebhookSettings(url=url, events=("call.*",), secret="planted-key") for url in urls])
    metrics = Metrics()
    return metrics, WebhookMetrics(metrics, receivers), [one.key for one in receivers]


def test_outcomes_begin_at_zero_and_are_counted_for_each_receiver(tallied):
    metrics, tally, (crm, erp) = tallied
    text = metrics.exposition().decode()
    for outcome in (ACCEPTED, FAILED, GIVEN_UP):
        assert f'{{host="crm.example.com",outcome="{outcome}",webhook="1"}} 0.0' in text
    tally.attempt(crm, ACCEPTED)
    tally.attempt(erp, FAILED)
    tally.attempt(erp, FAILED)
    assert metrics.value("webhook_deliveries_total", **CRM, outcome=ACCEPTED) == 1
    assert metrics.value("webhook_deliveries_total", **ERP, outcome=FAILED) == 2


def test_the_outbox_as_it_stands(tallied):
    metrics, tally, (crm, _) = tallied
    tally.stand([ReceiverBacklog(crm, 3, 1, NOW - 90_000), ReceiverBacklog("gone", 0, 4, None)], NOW)
    assert metrics.value("webhook_pending_letters", **CRM) == 3
    assert metrics.value("webhook_dead_letters", **CRM) == 1
    assert metrics.value("webhook_oldest_pending_seconds", **CRM) == 90
    assert metrics.value("webhook_dead_letters", **OTHER) == 4
    tally.stand([], NOW)
    assert metrics.value("webhook_pending_letters", **CRM) == 0
    assert metrics.value("webhook_oldest_pending_seconds", **CRM) == 0
    assert 'webhook="other"' not in metrics.exposition().decode()


def test_of_an_address_the_host_is_shown_and_nothing_else(tallied):
    metrics, tally, (crm, erp) = tallied
    tally.attempt(crm, ACCEPTED)
    tally.stand([ReceiverBacklog(erp, 1, 1, NOW)], NOW)
    text = metrics.exposition().decode()
    assert "planted" not in text
    assert ":8443" not in text  # a time may have these digits
