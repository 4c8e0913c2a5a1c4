"""What became of a call, in one word, from the platform's word for it (rule 7.4)."""

from enum import StrEnum
from typing import Final


class Disposition(StrEnum):
    """What became of a call."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    MISSED = "missed"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    DECLINED = "declined"
    ABANDONED = "abandoned"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    BLOCKED = "blocked"
    FAILED = "failed"
    UNKNOWN = "unknown"


_BY_RESULT: Final = {
    "accepted": Disposition.ANSWERED,
    "call connected": Disposition.ANSWERED,
    "voicemail": Disposition.VOICEMAIL,
    "sent to voicemail": Disposition.VOICEMAIL,
    "missed": Disposition.MISSED,
    "no answer": Disposition.NO_ANSWER,
    "busy": Disposition.BUSY,
    "rejected": Disposition.DECLINED,
    "declined": Disposition.DECLINED,
    "hang up": Disposition.ABANDONED,
    "abandoned": Disposition.ABANDONED,
    "answered elsewhere": Disposition.ANSWERED_ELSEWHERE,
    "blocked": Disposition.BLOCKED,
}

#: The platform's word for a call that has not ended: no verdict.
IN_PROGRESS: Final = "in progress"


#: Results that say where a call went, not how it ended (rule 7.6).
EMERGENCY: Final = frozenset({"911", "933"})


def disposition_of(result: str, *, talked: bool = False) -> Disposition:
    """The disposition a platform ``result`` stands for; case does not matter, an unknown word is ``failed``.
    ``talked``: presence saw the call connected, or the record has a duration; it decides for results that do not say.
    """
    word = result.strip().lower()
    if word in EMERGENCY:
        return Disposition.ANSWERED if talked else Disposition.NO_ANSWER
    return _BY_RESULT.get(word, Disposition.FAILED)
