"""A grant becomes a record and back, for the same credentials, in any process of the same boot; else it is no grant."""

from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringledger.ringcentral.api.pace import Pace
from ringledger.ringcentral.auth.session import Grant, NotKept, fingerprint, pack, unpack

REAL = Pace()
MARK = fingerprint("https://platform.example", "id", "secret")


def grant(pace: Pace = REAL, life: float = 3600, refresh: float = 604_800) -> Grant:
    now = pace.now()
    return Grant(
        access_token="AT-1",
        refresh_token="RT-1",
        refresh_at=now + life * 2 / 3,
        expires_at=now + life,
        refresh_until=now + refresh,
        scope="ReadPresence",
        owner_id="2002",
    )


@pytest.mark.parametrize("token", ["RT-1", None])
def test_there_and_back(token: str | None) -> None:
    ours = replace(grant(), refresh_token=token)
    assert unpack(pack(ours, MARK, REAL), MARK, REAL) == ours


def test_a_record_counts_in_real_seconds_whatever_the_pace() -> None:
    fast, slow = Pace(60.0), Pace(1.0)
    ours = grant(fast)
    there = unpack(pack(ours, MARK, fast), MARK, slow)
    # an hour of the fast platform is a minute of ours
    assert there.expires_at - slow.now() == pytest.approx(60.0, abs=5.0)
    back = unpack(pack(there, MARK, slow), MARK, fast)
    assert back.expires_at == pytest.approx(ours.expires_at, abs=0.01)


def test_an_expired_token_is_of_use_while_it_can_be_renewed() -> None:
    record = pack(grant(life=-1), MARK, REAL)
    assert unpack(record, MARK, REAL).refresh_token == "RT-1"


@pytest.mark.parametrize("ours", [grant(life=-1, refresh=-1), replace(grant(life=-1), refresh_token=None)])
def test_an_expired_grant_is_of_no_use(ours: Grant) -> None:
    with pytest.raises(NotKept, match="expired"):
        unpack(pack(ours, MARK, REAL), MARK, REAL)


def test_another_fingerprint() -> None:
    with pytest.raises(NotKept, match="other credentials"):
        unpack(pack(grant(), MARK, REAL), fingerprint("https://platform.example", "id", "changed"), REAL)


def test_another_version() -> None:
    changed = msgspec.json.decode(pack(grant(), MARK, REAL)) | {"version": 2}
    with pytest.raises(NotKept, match="another version"):
        unpack(msgspec.json.encode(changed), MARK, REAL)


def test_parts_of_a_fingerprint_do_not_run_together() -> None:
    assert fingerprint("ab", "c") != fingerprint("a", "bc") != fingerprint("abc", "")


@given(st.binary())
def test_anything_else_is_no_record(content: bytes) -> None:
    with pytest.raises(NotKept, match="unreadable"):
        unpack(content, MARK, REAL)


@given(st.integers(0, 400), st.integers(0, 255))
def test_a_damaged_record_is_a_grant_or_none_at_all(place: int, byte: int) -> None:
    record = bytearray(pack(grant(), MARK, REAL))
    record[place % len(record)] = byte
    try:
        assert isinstance(unpack(bytes(record), MARK, REAL), Grant)
    except NotKept as odd:
        assert "AT-1" not in repr(odd)


def test_tokens_never_show() -> None:
    assert "AT-1" not in repr(grant())
    assert "RT-1" not in repr(grant())
