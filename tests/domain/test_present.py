"""Which calls an extension shows is forgotten with the calls, whatever became of what told it."""

from ringledger.domain.observation import CallKey, Source
from ringledger.domain.tracker import CallTracker, Records
from tests.builders import ACCOUNT, CALLEE, EXTENSION, SESSION, T0, claim, item, presence

QUEUE = "777"
LOG = "log"


def test_the_first_notification_of_an_extension_after_a_call_that_its_record_was_taken_for() -> None:
    """A record of another session was matched by numbers; the call's own came, and the other became a call of its own.
    Later an extension that only the other had named is heard of for the first time.
    """
    tracker, now = CallTracker(settle_seconds=0), 0.0

    def read(*claims, **fields):
        tracker.take(Records(tuple(claims), frozenset(fields.get("not_found", ()))), now)

    tracker.take(presence(EXTENSION, 1, T0, item("Ringing")), now)
    tracker.take(presence(EXTENSION, 2, T0 + 9_000, item("NoCall")), now)
    tracker.advance(1e6)
    read(claim("Missed", duration=9_000, session=LOG, record="log-1", extension=None))
    assert [*tracker.calls] == [CallKey(ACCOUNT, SESSION)]
    running = claim(None, started=T0, duration=5_000, session=LOG, record="log-2", extension=QUEUE)
    read(running._replace(running=True, source=Source.ACTIVE_CALLS))
    read(claim("Missed", duration=9_000, session=SESSION, record="own"))
    tracker.advance(2e6)
    tracker.drain()
    tracker.release([*tracker.calls])
    tracker.forget(CallKey(ACCOUNT, SESSION))
    tracker.take(presence(QUEUE, 1, T0 + 60_000, item("Ringing", session="later", to=CALLEE)), now)
    assert CallKey(ACCOUNT, "later") in tracker.calls
