"""The other end of a terminal. What is written arrives in portions, however short it is."""

import os


def written(master: int) -> bytes:
    """All that was written to a terminal whose own end is closed, or will be by the last process that holds it."""
    parts = []
    while True:
        try:
            part = os.read(master, 65_536)
        except OSError:  # Linux says so when nobody holds the other end any more
            break
        if not part:
            break
        parts.append(part)
    return b"".join(parts)
