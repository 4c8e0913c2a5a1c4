"""The calls and extensions in memory: what the ledger gives back, what it may have again, who has a leg where.

The ledger is the memory and this the working set of it: whatever is spoken of is restored first, and released when it
is over and committed. What must stay true: ``calls_of`` names every call that has a leg at an extension.
"""

from collections.abc import Collection, Iterable, Iterator

from ringledger.domain.books import Books
from ringledger.domain.call import CallSession, Phase
from ringledger.domain.changes import Extension
from ringledger.domain.observation import CallKey, PresenceObservation
from ringledger.domain.timers import Timers


class WorkingSet:
    """``calls`` by key, ``extensions`` and ``calls_of`` by account and extension."""

    def __init__(self, timers: Timers, books: Books) -> None:
        self.calls: dict[CallKey, CallSession] = {}
        self.extensions: dict[tuple[str, str], Extension] = {}
        self.calls_of: dict[tuple[str, str], set[CallKey]] = {}
        self.timers = timers
        self.books = books

    def unknown_calls(self, observations: Iterable[PresenceObservation]) -> set[CallKey]:
        """Calls spoken of that are not in memory: ask the ledger for them and ``restore`` before observing."""
        calls = self.calls
        return {
            key
            for observation in observations
            for item in observation.items
            if (session_id := item.call_session_id) is not None
            and (key := CallKey(observation.account_id, session_id)) not in calls
        }

    def restore(self, calls: Iterable[CallSession], extensions: Iterable[Extension] = (), *, now: float) -> None:
        """Take calls and extensions back from the ledger. Settling calls settle anew, in full."""
        for extension in extensions:
            self.extensions.setdefault((extension.account_id, extension.extension_id), extension)
        for call in calls:
            if call.key in self.calls:
                continue
            self.calls[call.key] = call
            for leg in call.legs:
                self.index(call.key, leg.extension_id)
            if call.phase is not Phase.FINISHED:
                self.timers.saw(call.key, now)
            if call.phase is Phase.SETTLING:
                self.timers.start_settling(call.key, now)

    def release(self, keys: Collection[CallKey]) -> None:
        """Forget finished calls whose commit is done, unless they have changed again since."""
        for key in keys:
            call = self.calls.get(key)
            if call is None or call.phase is not Phase.FINISHED or key in self.books.changes.sessions:
                continue
            del self.calls[key]
            for extension_id in {"", *(leg.extension_id for leg in call.legs)}:  # "": before a leg's was known
                self.calls_of.get((key.account_id, extension_id), set()).discard(key)

    def extension(self, account_id: str, extension_id: str) -> Extension:
        """The extension, known from now on."""
        key = (account_id, extension_id)
        extension = self.extensions.get(key)
        if extension is None:
            extension = self.extensions[key] = Extension(account_id, extension_id)
        return extension

    def index(self, key: CallKey, extension_id: str) -> None:
        """Note that a call has a leg at an extension."""
        self.calls_of.setdefault((key.account_id, extension_id), set()).add(key)

    def neighbours(self, call: CallSession) -> Iterator[CallSession]:
        """Other calls in memory that have a leg at one of this call's extensions."""
        for extension_id in {leg.extension_id for leg in call.legs}:
            for key in self.calls_of.get((call.account_id, extension_id), ()):
                if key != call.key:
                    yield self.calls[key]
