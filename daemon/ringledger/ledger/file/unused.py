"""The unused room in a database's pages, where what was deleted may have left copies of itself.

SQLite overwrites a row that it deletes (``secure_delete``), but not the copies that remain where rows were moved from
one page to another: they lie between a page's list of cells and its first cell, until something is written there. So
after a purge that room is emptied here (file format: sqlite.org/fileformat2.html, "B-tree Pages").

What must stay true: no reader looks into that room, so emptying it changes no row; it is written to only while the
caller holds the right to write and the write-ahead log is empty, so that no newer page is on its way into the file. The
descriptor is the caller's: closing any descriptor of the file drops the locks SQLite holds on it.
"""

import os
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

#: First bytes of a page that holds cells; of those that point to other pages the list begins four bytes later.
_INTERIOR: Final = frozenset({2, 5})
_LEAF: Final = frozenset({10, 13})
#: Any other page begins with the number of a page, whose first byte is 0 or 1 in a file of fewer pages than these.
_MOST_PAGES: Final = 1 << 25
_HEADER: Final = struct.Struct(">BHHHB")
_FILE_HEADER: Final = 100
#: Pages that are read at once.
_READ: Final = 256


class _Room(NamedTuple):
    """Unused bytes of a page, from its first byte on."""

    start: int
    end: int


def pages_to_empty(file: int) -> list[int]:
    """The pages, from 0, whose unused room holds something. Raises ``OSError``, and ``ValueError`` for no database."""
    size, count = _shape(file)
    found: list[int] = []
    for first in range(0, count, _READ):
        read = os.pread(file, size * _READ, first * size)
        for at in range(0, len(read) - size + 1, size):
            page = first + at // size
            room = _room_of(page, read[at : at + size])
            if room is not None and read.count(0, at + room.start, at + room.end) < room.end - room.start:
                found.append(page)
    return found


def empty(file: int, pages: Iterable[int]) -> None:
    """Overwrite the unused room of these pages, and wait for the disk. Raises ``OSError``, ``ValueError``."""
    size, count = _shape(file)
    for page in pages:
        room = _room_of(page, os.pread(file, size, page * size)) if page < count else None
        if room is not None:
            os.pwrite(file, bytes(room.end - room.start), page * size + room.start)
    os.fsync(file)


def _shape(file: int) -> tuple[int, int]:
    """The size of a page in bytes, and how many there are."""
    header = os.pread(file, _FILE_HEADER, 0)
    if len(header) < _FILE_HEADER or not header.startswith(b"SQLite format 3\0"):
        raise ValueError("no SQLite database")
    told = int.from_bytes(header[16:18], "big")
    size = 65_536 if told == 1 else told
    count = os.fstat(file).st_size // size
    if count >= _MOST_PAGES:
        raise ValueError(f"{count} pages are too many to be told apart")
    return size, count


def _room_of(page: int, content: bytes) -> _Room | None:
    """The unused room between the list of cells and the cells; ``None``: the page has no cells, or is not as it should
    be."""
    header = _FILE_HEADER if page == 0 else 0
    kind, _, cells, begin, _ = _HEADER.unpack_from(content, header)
    if kind not in _INTERIOR and kind not in _LEAF:
        return None
    start = header + (12 if kind in _INTERIOR else 8) + 2 * cells
    end = begin or 65_536
    return _Room(start, end) if start <= end <= len(content) else None
