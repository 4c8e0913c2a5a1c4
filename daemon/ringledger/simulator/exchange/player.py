"""Lets stories and offices happen in simulated time.

What must stay true: steps of all calls happen in the order of their times, whatever calls they belong to; while one is
late, so is the clock, and whoever asks the platform something is answered in between.
"""

import asyncio
import heapq
import itertools

from ringledger.simulator.clock import SimClock
from ringledger.simulator.exchange.model import SimCall, Step
from ringledger.simulator.exchange.office import Office
from ringledger.simulator.exchange.pbx import Pbx
from ringledger.simulator.push.subscriptions import Subscriptions
from ringledger.simulator.story.story import Story


async def play_story(
    clock: SimClock,
    pbx: Pbx,
    subscriptions: Subscriptions,
    story: Story,
    *,
    forced: bool = True,
    rebase: bool = False,
    pace: bool = True,
) -> None:
    """Deliver the story's envelopes with the pauses between them in simulated time (``pace=False``: at once).

    ``rebase`` moves every time the envelopes state to now; else they keep the story's own dates.
    ``forced`` delivers to every subscription, whatever its filters are. Extensions that are new are added, and a read
    of their presence shows what the story told last. Its log records are in the platform's books from their time on.
    """
    if not story.deliveries:
        return
    begin = clock.now_ms()
    first = story.deliveries[0].at
    told = story.shifted(begin - first) if rebase else story
    shift = begin - told.deliveries[0].at
    last = max(delivery.at for delivery in told.deliveries)
    pbx.told_records += [r.later(shift if pace else begin - last) for r in told.log_records]
    for delivery in told.deliveries:
        if pace:
            await clock.sleep_until(delivery.at + shift)
        pbx.tell(delivery.envelope)
        subscriptions.publish(delivery.envelope, forced=forced)


async def run_office(
    clock: SimClock, pbx: Pbx, office: Office, *, until: int | None = None, drain: bool = True
) -> None:
    """Make the office's calls from now on. No call begins at or after ``until`` (ms); with ``drain`` those that have
    begun are played to their end, even beyond it."""
    order = itertools.count()
    upcoming = office.calls(clock.now_ms())
    following: SimCall | None = next(upcoming)
    queue: list[tuple[int, int, SimCall, Step]] = []
    with clock.held() as hold:
        while following or queue:
            while following and (not queue or following.plan[0].at <= queue[0][0]):
                if until is not None and following.plan[0].at >= until:
                    following = None
                    break
                for step in following.plan:
                    heapq.heappush(queue, (step.at, next(order), following, step))
                following = next(upcoming)
            if not queue:
                return
            at, _, call, step = heapq.heappop(queue)
            if until is not None and at >= until and not drain:
                return
            hold(at)
            await clock.sleep_until(at)
            await asyncio.sleep(0)  # the sleep of an office that is late is none
            pbx.apply(call, step)
