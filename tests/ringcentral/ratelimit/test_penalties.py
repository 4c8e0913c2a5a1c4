"""The file that tells every process of a configuration until when a rate group is closed."""

import os
from pathlib import Path

import pytest

from ringledger.ringcentral.ratelimit.limits import RateGroup, RateLimits
from ringledger.ringcentral.ratelimit.penalties import LONGEST_SECONDS, PenaltyFile

NOW = 1_772_442_000.0


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "r.db.penalties"


def test_what_one_process_has_earned_another_knows(path: Path, wall: Wall) -> None:
    PenaltyFile(path, "me", wall=wall).extend("heavy", 60)
    other = PenaltyFile(path, "me", wall=wall)
    assert (other.left("heavy"), other.left("light")) == (60, 0)
    other.extend("light", 30)
    wall.now += 45
    assert (other.left("heavy"), other.left("light")) == (15, 0)


def test_a_penalty_is_never_shortened(path: Path, wall: Wall) -> None:
    PenaltyFile(path, "me", wall=wall).extend("heavy", 60)
    PenaltyFile(path, "me", wall=wall).extend("heavy", 30)
    assert PenaltyFile(path, "me", wall=wall).left("heavy") == 60


def test_the_file_is_the_groups_to_read_and_nothing_is_left_beside_it(path: Path, wall: Wall) -> None:
    for seconds in (10, 20):
        PenaltyFile(path, "me", wall=wall).extend("heavy", seconds)
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_what_root_has_earned_the_daemon_can_read(path: Path, wall: Wall) -> None:
    os.chown(path.parent, 4711, 4712)
    PenaltyFile(path, "me", wall=wall).extend("heavy", 60)
    assert (path.stat().st_uid, path.stat().st_gid) == (4711, 4712)


def test_another_user_and_app_has_penalties_of_its_own(path: Path, wall: Wall) -> None:
    PenaltyFile(path, "somebody else", wall=wall).extend("heavy", 60)
    mine = PenaltyFile(path, "me", wall=wall)
    assert mine.left("heavy") == 0
    mine.extend("heavy", 5)
    assert mine.left("heavy") == 5


def test_a_clock_that_was_set_back_keeps_nobody_out(path: Path, wall: Wall) -> None:
    PenaltyFile(path, "me", wall=wall).extend("heavy", 60)
    wall.now -= LONGEST_SECONDS
    assert PenaltyFile(path, "me", wall=wall).left("heavy") == 0


def test_an_hours_penalty_is_told_as_far_as_it_is_believed(path: Path, wall: Wall) -> None:
    PenaltyFile(path, "me", wall=wall).extend("heavy", 3600)
    assert PenaltyFile(path, "me", wall=wall).left("heavy") == LONGEST_SECONDS


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff\xfe", b"[]", b'{"of":"me"}', b'{"of":"me","blocked_until":{"heavy":"soon"}}',
        b'{"of":"me","blocked_until":{"heavy":1e308}}', b'{"of":"me","blocked_until":{"heavy":NaN}}',
        b'{"of":"me","blocked_until":{"heavy":-1}}', b"[" * 4000, b" " * 100_000,
    ],
)  # fmt: skip
def test_a_damaged_file_is_no_penalty_and_is_replaced(content: bytes, path: Path, wall: Wall) -> None:
    path.write_bytes(content)
    mine = PenaltyFile(path, "me", wall=wall)
    assert mine.left("heavy") == 0
    mine.extend("heavy", 20)
    assert PenaltyFile(path, "me", wall=wall).left("heavy") == 20


def test_without_a_place_for_the_file_a_process_keeps_its_own_penalties(tmp_path: Path) -> None:
    limits = RateLimits(penalties=PenaltyFile(tmp_path / "nowhere" / "r.db.penalties", "me"))
    assert limits.penalise(RateGroup.HEAVY, {"Retry-After": "30"}) == 30
    assert 29 < limits.blocked_for(RateGroup.HEAVY) <= 30
    os.mkfifo(tmp_path / "r.db.penalties")  # nor does anything hang that is no file
    assert PenaltyFile(tmp_path / "r.db.penalties", "me").left("heavy") == 0
