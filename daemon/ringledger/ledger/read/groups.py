"""What calls can be counted by, and the figures of a group. Standard library only, for the command line's start."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final


class By(StrEnum):
    """What calls are counted by."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    EXTENSION = "extension"
    NUMBER = "number"
    DIRECTION = "direction"
    DISPOSITION = "disposition"

    @property
    def of_time(self) -> bool:
        """Whether its groups are stretches of time."""
        return self in TIMES


#: How a stretch of time is named; a week by ISO 8601. The names sort like the time does.
TIMES: Final[Mapping[str, str]] = {
    By.HOUR: "%Y-%m-%d %H:00",
    By.DAY: "%Y-%m-%d",
    By.WEEK: "%G-W%V",
    By.MONTH: "%Y-%m",
}
#: What `stats` says of each group, behind its key.
FIGURES: Final = (
    "calls", "inbound", "outbound", "answered", "missed", "answer_rate", "ring_seconds_mean", "talk_seconds_mean",
    "talk_seconds",
)  # fmt: skip
