"""What a running daemon does at a command's word, by the name of the request.

What must stay true: ``REQUESTS`` names all of it, for a daemon that does not know its platform yet; each handler works
through the parts of the running daemon, so a command and the daemon never write side by side.
"""

from typing import Final

from ringledger.config.model import Settings
from ringledger.ledger.write.store import Ledger
from ringledger.service.commands.backfill import BackfillService
from ringledger.service.commands.purge import PurgeService
from ringledger.service.control.server import Handler
from ringledger.service.ingest.confirmer import Confirmer
from ringledger.service.ingest.coverage import CoverageMonitor
from ringledger.service.ingest.pipeline import Pipeline
from ringledger.service.webhooks.worker import Deliveries

#: What :func:`handlers_of` answers.
REQUESTS: Final = frozenset({"backfill", "webhooks-retry", "purge", "quarantine-retry"})


def handlers_of(
    settings: Settings,
    ledger: Ledger,
    intake: Pipeline,
    *,
    sight: CoverageMonitor,
    deliveries: Deliveries,
    confirmer: Confirmer,
) -> dict[str, Handler]:
    """What a daemon that knows its platform does at a command's word."""
    refill = BackfillService(ledger, intake, sight.backfill, sight.book, sight.time.now)
    region = settings.platform.default_region
    account_id = intake.account_id if settings.account_name else None
    erasure = PurgeService(ledger, intake, confirmer, region, account_id)
    retry = refill.retry(settings.platform.default_region)
    return {
        "backfill": refill.answer,
        "webhooks-retry": deliveries.answer,
        "purge": erasure.answer,
        "quarantine-retry": retry.answer,
    }
