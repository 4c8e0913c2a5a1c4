"""The schema's way from any released version to this one; Alembic's revisions, run without a configuration file.

Alembic is loaded only where revisions are run or compared: a daemon whose database is up to date never pays for it.

What must stay true: a whole upgrade is one transaction, so a process killed in the middle leaves the old schema and
the next start upgrades cleanly; no file that is not ours is ever written to; an older database is copied first.
"""

import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, tzinfo
from pathlib import Path
from typing import Final

from sqlalchemy import URL, Connection, inspect
from sqlalchemy.exc import DBAPIError, OperationalError

from ringledger.ledger.errors import (
    DatabaseCorrupt,
    DatabaseForeign,
    DatabaseMissing,
    DatabaseNewer,
    LedgerFailing,
    classified,
)
from ringledger.ledger.file.backup import backup
from ringledger.ledger.file.copies import before_upgrade, expire
from ringledger.ledger.file.lock import DaemonLock
from ringledger.ledger.file.opening import acting_as_owner
from ringledger.ledger.file.sqlite import connect, is_sqlite, keep_readable, migration_engine, parse, path_of, placed
from ringledger.ledger.schema.difference import differences
from ringledger.ledger.schema.ours import SCHEMA, foreign_part, outdated_view
from ringledger.ledger.schema.tables import APPLICATION_ID, metadata
from ringledger.ledger.schema.views import INDEXES, VIEWS, create_view
from ringledger.rights import may_write

MIGRATIONS: Final = Path(__file__).resolve().parents[2] / "migrations"


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    """What was done: versions are ordinals of revisions, 0 for an empty database. ``backup``: the copy made first."""

    before: int
    after: int
    backup: Path | None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What :func:`check` found. ``newest``: the version this program wants. No ``problems``: all is well."""

    version: int
    newest: int
    problems: tuple[str, ...]


def upgrade(url: str | URL, *, scripts: Path = MIGRATIONS, zone: tzinfo = UTC) -> UpgradeReport:
    """Bring the database to the newest revision; create it when there is none. ``zone``: whose days views count.

    Raises ``DatabaseNewer``, ``DatabaseForeign``, ``DatabaseCorrupt``, ``DatabaseMissing`` (no such directory),
    ``DatabaseMisplaced`` (no file), ``LedgerLocked`` (a daemon is running), ``LedgerUnavailable`` (busy, full, not
    writable).
    """
    if is_sqlite(parse(url)):
        return _move(url, scripts, zone)
    from ringledger.ledger.schema import baseline  # noqa: PLC0415 - asyncpg is an extra

    before, after = baseline.move(url, _newest(scripts), lambda connection: _alembic(connection, "head", scripts), zone)
    return UpgradeReport(before, after, None)


def version_of(url: str | URL, *, scripts: Path = MIGRATIONS) -> int:
    """The database's version, 0 when it is empty or not there. Raises ``DatabaseForeign``, ``DatabaseCorrupt``,
    ``DatabaseNewer``. Writes nothing."""
    if not is_sqlite(parse(url)):
        from ringledger.ledger.schema import baseline  # noqa: PLC0415

        return baseline.version_of(url, _newest(scripts))
    path = placed(path_of(url))
    if not path.exists() or path.stat().st_size == 0:
        return 0
    try:
        with acting_as_owner(path), closing(connect(path, read_only=True)) as connection:
            application, version = (
                connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")
            )
            empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
            foreign = foreign_part(connection.execute(SCHEMA), writing=True)
    except sqlite3.Error as error:
        raise _told_of(path, error) from error
    if application != APPLICATION_ID and not (empty and application == 0):
        raise DatabaseForeign(f"{path}: belongs to another program; set database.url to a file of our own")
    newest = _newest(scripts)
    if version > newest:
        raise DatabaseNewer(f"{path}: schema {version} is newer than this program's {newest}; install a newer program")
    if foreign:
        raise DatabaseForeign(f"{path}: holds {foreign}, which is not this program's; restore a backup")
    return int(version)


def check(url: str | URL, *, scripts: Path = MIGRATIONS) -> CheckReport:
    """Read the whole database and compare its schema with the program's. Raises as :func:`version_of` does, and
    ``DatabaseMissing``; damage is ``DatabaseCorrupt``, not a problem among others.
    """
    if not is_sqlite(parse(url)):
        from ringledger.ledger.schema import baseline  # noqa: PLC0415

        found, differing = baseline.problems(url, _newest(scripts))
        return CheckReport(found, _newest(scripts), tuple(differing))
    path = placed(path_of(url))
    if not path.exists():
        raise DatabaseMissing(f"{path}: no such database")
    version, newest = version_of(url, scripts=scripts), _newest(scripts)
    engine = migration_engine(url, read_only=True)
    try:
        with acting_as_owner(path), engine.connect() as connection:
            problems = tuple(_problems(connection, current=version == newest))
    except (sqlite3.Error, DBAPIError) as error:
        raise _told_of(path, error) from error
    finally:
        engine.dispose()
    return CheckReport(version, newest, problems)


def _problems(connection: Connection, *, current: bool) -> list[str]:
    answer = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar_one()
    if answer != "ok":
        raise DatabaseCorrupt(f"database: {answer}; restore the newest backup")
    try:
        orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    except OperationalError as error:
        if "foreign key mismatch" not in str(error.orig):
            raise
        problems = [f"schema: {error.orig}"]
    else:
        problems = [f"foreign key: row {row[1]} of {row[0]} has no parent in {row[2]}" for row in orphans]
    if not current:
        return [*problems, "schema: older than the program; ringledger db upgrade"]
    problems += [f"schema: {difference}" for difference in differences(connection, metadata)]
    problems += [f"schema: no index {name}" for name in sorted(INDEXES.keys() - _made(connection, "index").keys())]
    missing = VIEWS.keys() - set(inspect(connection).get_view_names())
    problems += [f"schema: no view {name}" for name in sorted(missing)]
    other = "" if missing else outdated_view(tuple(row) for row in connection.exec_driver_sql(SCHEMA))
    return [*problems, f"schema: the view {other} is not this program's"] if other else problems


def _move(url: str | URL, scripts: Path, zone: tzinfo) -> UpgradeReport:
    parsed = parse(url)
    path = placed(path_of(parsed))
    if not path.parent.is_dir():
        what = "is no directory" if path.parent.exists() else "no such directory"
        raise DatabaseMissing(f"{path.parent}: {what}; create it or set database.url")
    with acting_as_owner(path), DaemonLock(path):
        before = version_of(parsed, scripts=scripts)
        newest = _newest(scripts)
        moving = before != newest
        copy = _backup_before(path, before) if moving and before > 0 else None
        try:
            after = _run(parsed, "head" if moving else None, scripts, zone)
        except (sqlite3.Error, DBAPIError) as error:
            raise _told_of(path, error) from error
        finally:
            keep_readable(path)
        if copy is not None:
            with suppress(LedgerFailing):  # the daemon tries again
                expire(path)
        return UpgradeReport(before, after, copy)


def _backup_before(path: Path, version: int) -> Path:
    return backup(path, before_upgrade(path, version))


def _run(url: URL, target: str | None, scripts: Path, zone: tzinfo) -> int:
    """One transaction: drop views and their indexes, run the revisions, stamp the file, create all of them again.

    ``target`` ``None``: there is no revision to run, only views may have to be made anew. Returns the version.
    """
    engine = migration_engine(url)
    try:
        with engine.begin() as connection:
            if target is None and _views_stand(connection, zone):
                return _stamped(connection)
            _drop_views(connection)
            if target is not None:
                _stamp(connection, _alembic(connection, target, scripts))
            after = _stamped(connection)
            if after == _newest(scripts):
                _create_views(connection, zone)
            return after
    finally:
        engine.dispose()


def _alembic(connection: Connection, target: str, scripts: Path) -> int:
    """Run the revisions up to the target; returns the version that makes."""
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, target)
    revision = MigrationContext.configure(connection).get_current_revision()
    directory = ScriptDirectory.from_config(config)
    return sum(1 for _ in directory.iterate_revisions(revision, "base")) if revision else 0


def _stamp(connection: Connection, version: int) -> None:
    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
        raise DatabaseCorrupt("database: the upgrade would leave rows without their parents; nothing was changed")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {version}")


def _stamped(connection: Connection) -> int:
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _views_stand(connection: Connection, zone: tzinfo) -> bool:
    """Whether the views are this program's, and so are the indexes made for them."""
    wanted = {name: create_view(name, zone) for name in VIEWS}
    return _made(connection, "view") == wanted and _made(connection, "index").items() >= INDEXES.items()


def _made(connection: Connection, kind: str) -> dict[str, str | None]:
    rows = connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = ?", (kind,))
    return {row[0]: row[1] for row in rows}


def _drop_views(connection: Connection) -> None:
    for name in _made(connection, "view"):
        connection.exec_driver_sql(f'DROP VIEW "{name}"')
    for name in INDEXES:
        connection.exec_driver_sql(f'DROP INDEX IF EXISTS "{name}"')


def _create_views(connection: Connection, zone: tzinfo) -> None:
    for name in VIEWS:
        connection.exec_driver_sql(create_view(name, zone))
    for statement in INDEXES.values():
        connection.exec_driver_sql(statement)


def _newest(scripts: Path) -> int:
    """The newest version: there is a file for each revision, one after another."""
    return sum(1 for _ in (scripts / "versions").glob("*.py"))


def _told_of(path: Path, error: Exception) -> Exception:
    known = classified(error)
    cures = {DatabaseCorrupt: "; restore the newest backup", DatabaseForeign: "; set database.url to another file"}
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if getattr(cause, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY and not may_write(path.parent):
        return type(known)(f"{path}: {_NO_LOG}")
    return type(known)(f"{path}: {cause}{cures.get(type(known), '')}")


#: What keeps a reader out, who is told by SQLite of an attempt to write.
_NO_LOG: Final = (
    "cannot be read without the files -wal and -shm beside it, which only who may write there can make; "
    "start the daemon, or run this as root"
)
