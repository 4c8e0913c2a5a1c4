"""Letters: events for receivers, written in the transaction of the change that they report."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from ringledger.ledger.schema.statements import Statements
from ringledger.ledger.times import to_text


class Letter(NamedTuple):
    """One event for one receiver. ``body``: JSON. ``if_newly_missed``: only if the call is not known as missed yet."""

    receiver: str
    account_id: str
    session_id: str
    event_id: str
    event: str
    body: str
    if_newly_missed: bool = False


def letter_batch(statements: Statements, letters: Iterable[Letter], now_ms: int) -> list[tuple[str, list[Any]]]:
    """Return the statements that insert letters into the outbox; they precede those of the calls concerned.

    A correction to "missed" of a call that is known as missed is not sent.
    """
    since = to_text(now_ms)
    rows = [(*letter[:6], since, 0, None, None) for letter in letters]
    doubtful = [
        (letter.receiver, letter.event_id, letter.account_id, letter.session_id)
        for letter in letters
        if letter.if_newly_missed
    ]
    batch: list[tuple[str, list[Any]]] = [(statements.outbox, rows), (statements.no_news, doubtful)]
    return [(sql, values) for sql, values in batch if values]
