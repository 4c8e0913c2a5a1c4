"""Packed answers: whatever they unpack to, memory is bounded."""

import gzip
import tracemalloc
import zlib

import pytest

from ringledger.ringcentral.api.unpacking import NotUnpacked, Unpacker

LIMIT = 1_000_000


def unpacked(encoding: str, data: bytes, step: int = 1000) -> bytes:
    unpacker = Unpacker(encoding, LIMIT)
    for start in range(0, len(data), step):
        unpacker.feed(data[start : start + step])
    return unpacker.body()


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("", bytes), ("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress), ("Deflate", raw_deflate)],
)
@pytest.mark.parametrize("body", [b"", b"{}", b'{"records": []}' * 50_000])
def test_what_is_packed_comes_out(encoding: str, pack: "type[bytes]", body: bytes) -> None:
    assert unpacked(encoding, pack(body)) == body


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_bomb_ends_at_the_limit(encoding: str, pack: "type[bytes]") -> None:
    bomb = pack(b" " * 200_000_000)
    assert len(bomb) < LIMIT
    tracemalloc.start()
    try:
        with pytest.raises(NotUnpacked, match="more than 1000000 bytes"):
            unpacked(encoding, bomb, step=len(bomb))
        assert tracemalloc.get_traced_memory()[1] < 3 * LIMIT
    finally:
        tracemalloc.stop()


def test_too_much_as_it_comes_ends_too() -> None:
    with pytest.raises(NotUnpacked, match="more than"):
        unpacked("", b" " * (LIMIT + 1))


@pytest.mark.parametrize(
    ("encoding", "data", "what"),
    [
        ("br", b"x", "nobody asked"),
        ("gzip, gzip", b"x", "nobody asked"),
        ("gzip", b"no gzip at all", "damaged"),
        ("gzip", gzip.compress(b"{}" * 1000, mtime=0)[:-9], "cut off"),
        ("deflate", zlib.compress(b"{}" * 1000)[:-5], "cut off"),
    ],
)
def test_the_rest_is_told(encoding: str, data: bytes, what: str) -> None:
    with pytest.raises(NotUnpacked, match=what):
        unpacked(encoding, data)
