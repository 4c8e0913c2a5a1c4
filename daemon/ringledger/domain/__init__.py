"""What is true about a call: standard library only, no I/O, no clock, no logger, no asyncio.

Every fact enters through :class:`~ringledger.domain.tracker.CallTracker`; every consequence leaves as
:class:`~ringledger.domain.changes.Changes`. Times are integers, milliseconds since the epoch, UTC, and are
the platform's; timers are floats, seconds of a monotonic clock, and are always an argument.
"""
