"""Extensions of which the feed never tells, though the platform's records know calls of theirs.

A subscription can be granted in part without a word. What was asked for is compared with what the platform says it
grants (``subscription.filters_refused``); what it does not even say shows here. What must stay true: a call counts only
if the feed was up from before its start until it was written; an extension the feed tells of is none, but one that it
has ceased to tell of is.
"""

from collections.abc import Iterable
from typing import Final

from ringledger.domain.observation import PresenceObservation

#: So many calls that the feed ought to have told of are no lost events any more.
SUSPICIOUS_CALLS: Final = 2
#: So many in a row, of an extension that the subscription did tell of before.
SUSPICIOUS_SILENCE: Final = 5
#: Extensions that are remembered on either side.
MOST_EXTENSIONS: Final = 20_000


#: The feed has told of a moment when it has told of what came so much later, ms.
PASSED_AFTER_MS: Final = 5_000
#: Extensions of which calls came from the records while the feed was behind them.
MOST_WAITING: Final = 1_000


class Unheard:
    """Keeps count since the newest subscription, of each extension since the feed last told of it. A call counts when
    the feed has told of what came after its start: before that it may only be behind.
    """

    def __init__(self) -> None:
        self._heard: set[str] = set()
        self._calls: dict[str, int] = {}
        #: The platform's time of the newest event.
        self._told_until = 0
        #: Of extensions the starts of calls the feed has not come to yet, and the first of them all.
        self._waiting: dict[str, list[int]] = {}
        self._first = 0

    def subscribed(self) -> None:
        """There is a new subscription: the count begins anew."""
        self._heard.clear()
        self._calls.clear()
        self._waiting.clear()

    def heard(self, observations: Iterable[PresenceObservation]) -> list[tuple[str, int]]:
        """The feed has told of these extensions. Returns those that have become suspicious by that, with their calls:
        it has come past calls without a word of them."""
        for seen in observations:
            if seen.extension_id not in self._heard and len(self._heard) < MOST_EXTENSIONS:
                self._heard.add(seen.extension_id)
            if self._calls:
                self._calls.pop(seen.extension_id, None)
            if self._waiting:
                self._waiting.pop(seen.extension_id, None)
            self._told_until = max(self._told_until, seen.at)
        return self._passed() if self._waiting and self._first + PASSED_AFTER_MS <= self._told_until else []

    def _passed(self) -> list[tuple[str, int]]:
        waiting, self._waiting = self._waiting, {}
        found = [(one, count) for one, starts in waiting.items() for at in starts if (count := self.brought(one, at))]
        self._first = min((at for starts in self._waiting.values() for at in starts), default=0)
        return found

    def brought(self, extension_id: str | None, started_at: int) -> int:
        """The platform's records have brought a call of this extension that the feed, being up, has not told of.

        Returns how many there are now if that makes the extension suspicious, just now; else 0.
        """
        if not extension_id:
            return 0
        if started_at + PASSED_AFTER_MS > self._told_until:
            if extension_id in self._waiting or len(self._waiting) < MOST_WAITING:
                self._first = min(self._first, started_at) if self._waiting else started_at
                self._waiting.setdefault(extension_id, []).append(started_at)
                del self._waiting[extension_id][:-SUSPICIOUS_SILENCE]
            return 0
        if extension_id not in self._calls and len(self._calls) >= MOST_EXTENSIONS:
            return 0
        self._calls[extension_id] = count = self._calls.get(extension_id, 0) + 1
        return count if count == self._enough(extension_id) else 0

    def _enough(self, extension_id: str) -> int:
        return SUSPICIOUS_SILENCE if extension_id in self._heard else SUSPICIOUS_CALLS

    @property
    def extensions(self) -> tuple[tuple[str, int], ...]:
        """Suspicious extensions, each with its calls that only the records have brought; most calls first."""
        found = [(one, count) for one, count in self._calls.items() if count >= self._enough(one)]
        return tuple(sorted(found, key=lambda one: (-one[1], one[0])))
