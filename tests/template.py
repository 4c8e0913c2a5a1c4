"""An empty database of today's schema: migrated once in a process, copied wherever a test wants one."""

import atexit
import functools
import shutil
import tempfile
from pathlib import Path

from ringledger.ledger.schema.migrate import upgrade


@functools.cache
def _template() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="ringledger-template-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "ringledger.db"
    upgrade(f"sqlite+aiosqlite:///{path}")
    return path


def migrated(path: Path) -> str:
    """The URL of an empty database at ``path``, made now unless it is there."""
    if not path.exists():
        shutil.copyfile(_template(), path)
        path.chmod(0o640)
    return f"sqlite+aiosqlite:///{path}"
