"""The calls and extensions in memory: what the ledger gives back, what it may have again, who has a leg where.

The ledger is the memory and this the working set of it: whatever is spoken of is restored first, and released when it
is over and committed. What must stay true: ``calls_of`` names every call that has a leg at an extension.
"""

from collections.abc import Collection, Iterable, Iterator

from ringledger.domain.books import Books
from ringledger.domain.call import CallSession, Phase
from ringledger.domain.changes import Extension, IgnoredReason
from ringledger.domain.observation import CallItem, CallKey, PresenceObservation
from ringledger.domain.timers import Timers


class WorkingSet:
    """``calls`` by key, ``extensions`` and ``calls_of`` by account and extension."""

    def __init__(self, timers: Timers, books: Books) -> None:
        self.calls: dict[CallKey, CallSession] = {}
        self.extensions: dict[tuple[str, str], Extension] = {}
        self.calls_of: dict[tuple[str, str], set[CallKey]] = {}
        self.timers = timers
        self.books = books

    def key_of(self, account_id: str, item: CallItem) -> CallKey | None:
        """The call an item speaks of. One that names its telephony session alone means the call in memory that has it
        (a parked call's, or the last ``NoCall``); a call first known by that alone keeps it as its name.
        """
        session_id, telephony = item.session_id, item.telephony_session_id
        if not session_id or session_id == "0":
            session_id = telephony
            if not session_id:
                return None
        key = CallKey(account_id, session_id)
        if key in self.calls or not telephony:
            return key
        if session_id != telephony:
            other = CallKey(account_id, telephony)
            return other if other in self.calls else key
        same = (call.key for call in self.calls.values() if call.telephony_session_id == telephony)
        return next((found for found in same if found.account_id == account_id), key)

    def nameless(self, observations: Iterable[PresenceObservation]) -> set[str]:
        """Telephony sessions by which alone items speak of calls that are not in memory."""
        return {
            item.telephony_session_id
            for observation in observations
            for item in observation.items
            if item.telephony_session_id
            and (key := self.key_of(observation.account_id, item)) is not None
            and key.session_id == item.telephony_session_id
            and key not in self.calls
        }

    def sort_items(self, observation: PresenceObservation) -> dict[CallKey, list[CallItem]]:
        """Items by call. What cannot be tracked is counted and left out; an item with an unknown status stays, since
        its call has not vanished.
        """
        listed: dict[CallKey, list[CallItem]] = {}
        for told in observation.items:
            if told.monitored:
                self.ignore(observation, told, IgnoredReason.MONITORED)
                continue
            key = self.key_of(observation.account_id, told)
            item = self._completed(told, key, observation.extension_id)
            if key is None or item.direction is None:
                self.ignore(observation, item, IgnoredReason.UNTRACKABLE)
            else:
                listed.setdefault(key, []).append(item)
        return listed

    def _completed(self, item: CallItem, key: CallKey | None, extension_id: str) -> CallItem:
        """An item that does not name its session or its direction, with those of the call it speaks of."""
        if key is None or (item.direction is not None and item.session_id == key.session_id):
            return item  # nearly all
        call = self.calls.get(key)
        if call is None or not call.legs:
            return item
        leg = next(call.legs_of(extension_id), call.legs[0])
        return item._replace(session_id=key.session_id, direction=item.direction or leg.direction)

    def ignore(self, observation: PresenceObservation, item: CallItem, reason: IgnoredReason) -> None:
        """Count an item that changes nothing, with its call if that is known."""
        self.books.ignored(observation, item, reason)
        session_id = item.call_session_id
        call = self.calls.get(CallKey(observation.account_id, session_id)) if session_id else None
        if call is not None and call.legs:
            call.events_ignored += 1
            self.books.call(call)

    def unknown_calls(self, observations: Iterable[PresenceObservation]) -> set[CallKey]:
        """Calls spoken of that are not in memory: ask the ledger for them and ``restore`` before observing. A call may
        have been named by its telephony session before its session was known.
        """
        calls, unknown = self.calls, set[CallKey]()
        for observation in observations:
            for item in observation.items:
                key = self.key_of(observation.account_id, item)
                if key is not None and key not in calls:
                    unknown.add(key)
                    if item.telephony_session_id:
                        unknown.add(CallKey(observation.account_id, item.telephony_session_id))
        return unknown

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
