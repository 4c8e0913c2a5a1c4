"""When something happened: the platform's own time, or an estimate until that is known.

An event of the feed says when it happened. A read over REST only says what was so when the platform answered, to the
second: an estimate. What must stay true: of two exact times the earlier counts, of two estimates too, and an exact time
replaces an estimate, be it earlier or later; in whatever order they are told.
"""

from typing import Final

#: An exact time may be so much later than an estimate and still be the true one: an answer's date has whole seconds,
#: and the clocks of those who answer and of those who notify may differ. What comes still later only repeats what had
#: been seen before.
ESTIMATE_SLACK_MS: Final = 5_000

#: A call that was listed as running longer after its start than this had been answered before: an event just after that
#: listing shows it held, or repeats it, and tells of no answer.
RINGS_AT_MOST_MS: Final = 60_000


def better(known: int | None, known_estimated: bool, told: int, told_estimated: bool) -> tuple[int, bool]:  # noqa: FBT001
    """The time that holds after ``told``, ms, and whether it is an estimate; ``known`` is ``None`` before the first."""
    if known is None:
        return told, told_estimated
    if known_estimated is told_estimated:
        return (min(known, told)), known_estimated
    exact, estimate = (known, told) if told_estimated else (told, known)
    return (exact, False) if exact <= estimate + ESTIMATE_SLACK_MS else (estimate, True)
