"""Compressed answers, unpacked within bounds.

What must stay true: whatever a body unpacks to, no more than the limit is ever in memory; nothing but
:class:`NotUnpacked` is raised. Only gzip and deflate are asked for, so only they are understood.
"""

import zlib
from typing import Final

#: What a request says it takes.
ACCEPTED: Final = "gzip, deflate"
#: How much is unpacked at once, bytes.
PIECE: Final = 256 * 1024


class NotUnpacked(Exception):
    """A body that is too large, damaged, or packed in a way we did not ask for; the text says which."""


def too_large(limit: int) -> NotUnpacked:
    """The error for more than ``limit`` bytes."""
    return NotUnpacked(f"an answer of more than {limit} bytes")


class Unpacker:
    """Unpacks one body piece by piece. ``encoding``: its ``Content-Encoding``; ``limit``: bytes, of the body as it
    comes and as it is unpacked.
    """

    def __init__(self, encoding: str, limit: int) -> None:
        name = encoding.strip().lower()
        if name not in {"", "identity", "gzip", "x-gzip", "deflate"}:
            raise NotUnpacked("an answer packed in a way nobody asked for")
        self._gzip = name.endswith("gzip")
        self._packed = name not in {"", "identity"}
        self._zip: zlib._Decompress | None = None
        self._limit = limit
        self._came = 0
        self._pieces: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> None:
        """The next piece as it comes."""
        self._came += len(data)
        if self._came > self._limit:
            raise too_large(self._limit)
        if not self._packed:
            self._keep(data)
        elif data:
            self._unpack(data)

    def body(self) -> bytes:
        """All of it. Raises :class:`NotUnpacked` when its end is missing."""
        if self._packed and self._came and (self._zip is None or not self._zip.eof):
            raise NotUnpacked("a packed answer that was cut off")
        return b"".join(self._pieces)

    def _unpack(self, data: bytes) -> None:
        try:
            if self._zip is None:
                self._zip = zlib.decompressobj(self._window(data))
            while data and not self._zip.eof:
                self._keep(self._zip.decompress(data, PIECE))
                data = self._zip.unconsumed_tail
        except zlib.error:
            raise NotUnpacked("a packed answer that is damaged") from None

    def _window(self, data: bytes) -> int:
        """``deflate`` comes with zlib's header, and from some servers without."""
        if self._gzip:
            return 16 + zlib.MAX_WBITS
        return zlib.MAX_WBITS if data[0] & 0x0F == 8 else -zlib.MAX_WBITS

    def _keep(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._limit:
            raise too_large(self._limit)
        self._pieces.append(piece)
