"""Times as people write them, and the zone in which days are counted (`[report] timezone`).

What must stay true: a time without an offset is read in that zone, the zone's own midnight begins a day, and everything
inside is milliseconds since the epoch, UTC. Standard library only: a command line is read before SQLAlchemy is loaded.
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_AGO: Final = re.compile(r"([0-9]{1,9})([smhdw])")
_MONTH: Final = re.compile(r"([0-9]{4})-([0-9]{2})")
#: What ``--since`` and ``--until`` take.
WHEN: Final = (
    "2026-03-02, 2026-03-02T09:30, 2026-03 (its first day), 2026-W10 (its Monday), today, yesterday, "
    "or a time ago: 30m, 2h, 7d"
)
#: The ledger has no older time (rule 9.5), ms.
OLDEST_MS: Final = 946_684_800_000


def instant(text: str, now_ms: int, zone: tzinfo = UTC) -> int:
    """Milliseconds since the epoch. Raises ``ValueError``, in words for a person, for what is no time."""
    now = datetime.fromtimestamp(now_ms / 1000, zone)
    word = text.strip().lower()
    try:
        if word in {"today", "yesterday"}:
            return day_began(now - timedelta(days=word == "yesterday"))
        if word == "now":
            return now_ms
        if ago := _AGO.fullmatch(word):
            return now_ms - round(timedelta(seconds=int(ago[1]) * _UNITS[ago[2]]) / timedelta(milliseconds=1))
        if month := _MONTH.fullmatch(word):
            return _ms(datetime(int(month[1]), int(month[2]), 1, tzinfo=zone))
        moment = datetime.fromisoformat(text.strip())
        return _ms(moment if moment.tzinfo else moment.replace(tzinfo=zone))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time; write {WHEN}" if word else f"is empty; write {WHEN}") from None


def day_began(moment: datetime) -> int:
    """When the day of an aware moment began in its zone, ms."""
    return _ms(moment.replace(hour=0, minute=0, second=0, microsecond=0, fold=0))


def offsets(zone: tzinfo, first_year: int = 2000, last_year: int = 2040) -> list[tuple[int, int]]:
    """When a zone's distance from UTC changes, and what it is from then on: ms and seconds, oldest first.

    The first entry holds for all time before, the last for all time after.
    """

    def offset(at: int) -> int:
        distance = datetime.fromtimestamp(at, zone).utcoffset()
        return 0 if distance is None else round(distance.total_seconds())

    start, end = (round(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (first_year, last_year + 1))
    found = [(start * 1000, offset(start))]
    for week in range(start, end, _UNITS["w"]):
        early, late = week, week + _UNITS["w"]
        if offset(late) == found[-1][1]:
            continue
        while late - early > 1:
            middle = (early + late) // 2
            early, late = (middle, late) if offset(middle) == found[-1][1] else (early, middle)
        found.append((late * 1000, offset(late)))
    return found


def zone_name(zone: tzinfo) -> str:
    """How a zone is named where a day is shown: `UTC`, `Europe/Berlin`."""
    return str(getattr(zone, "key", None) or zone)


def _ms(moment: datetime) -> int:
    return round((moment - datetime.fromtimestamp(0, UTC)) / timedelta(milliseconds=1))
