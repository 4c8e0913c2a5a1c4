"""Back-fill as the running daemon is asked for it: what cannot be a period is told, not tried."""

import pytest

from ringledger.service.commands.backfill import BackfillService


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"since": 5, "until": 5},
        {"since": "1", "until": 2},
        {"since": float("inf"), "until": 2},
        {"since": -(10**23), "until": 2},
        {"since": 1, "until": 10**18},
        {"since": 1, "until": 2, "max_wait": "x"},
        {"since": 1, "until": 2, "max_wait": None},
    ],
)
async def test_what_is_no_period_is_refused_before_anything_is_read(asked):
    with pytest.raises(ValueError, match="backfill"):
        await BackfillService(None, None, None, None, None).answer(asked, lambda _: None)
