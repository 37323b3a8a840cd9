"""The history's file for its one writer: opened, looked through, and saved where it is damaged."""

import fcntl
import os
import sqlite3
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from heliobus.outputs.history import schema
from heliobus.outputs.history.salvage import salvaged

MAGIC = b"SQLite format 3\0"
LARGEST_VERSION = 1000
"""A file that says it is of a later version than this does not say so, but is damaged."""
CACHE_KIB = 2048
LOG_BYTES = 4_000_000
"""The write-ahead log is cut back to this after it was larger."""


class UnusableFileError(Exception):
    """There can be no history in this file. The text is one line that says why; the file is untouched."""


class _DamagedError(Exception):
    """The file is damaged; the text says in words how."""


class Database:
    """The open file. `notes` are lines for the log about what was found."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int, notes: tuple[str, ...]) -> None:
        self.path = path
        self.connection = connection
        self.notes = notes
        self._lock = lock

    def close(self) -> None:
        """Close it, and let others have it."""
        try:
            self.connection.close()
        finally:
            os.close(self._lock)


def open_for_writing(path: Path, now: float) -> Database:
    """The file at `path`, made if it is not there; `now` in UTC seconds names what is set aside. Blocks.

    A damaged file is set aside as `.damaged-<time>`, and what can be read of it goes into a new one. Raises
    UnusableFileError, OSError and sqlite3.Error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as undo:
        lock = _locked(path)
        undo.callback(os.close, lock)
        notes: tuple[str, ...] = ()
        _finish_recovery(path)
        try:
            connection = _opened(path)
        except _DamagedError as damage:
            notes = _recovered(path, str(damage), now)
            connection = _opened(path)
        undo.pop_all()
    return Database(path, connection, lock, notes)


def _locked(path: Path) -> int:
    lock = os.open(_beside(path, ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise UnusableFileError(f"{path}: another heliobus writes this file, so no history is kept here") from None
    return lock


def _opened(path: Path) -> sqlite3.Connection:
    fresh = not path.exists() or not path.stat().st_size
    if not fresh:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise _DamagedError("it is no database")
    with ExitStack() as undo:
        # Only one thread uses it at a time, but not always the same.
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30.0)
        undo.callback(connection.close)
        try:
            _set_up(connection, path, fresh=fresh)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and not is_damage(error):
                raise
            raise _DamagedError(str(error)) from error
        undo.pop_all()
    return connection


def _set_up(connection: sqlite3.Connection, path: Path, *, fresh: bool) -> None:
    empty = _empty(connection, path)
    if fresh:
        # Has to be said before there is any table.
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
    connection.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
    if empty:
        make(connection)
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise _DamagedError(" ".join(str(found).split()))


def is_damage(error: sqlite3.Error) -> bool:
    """Whether `error` tells of a damaged file, not of a full disk or the like."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB"))


def _empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether the file has no tables yet. Raises what `open_for_writing` raises if they are not ours."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not tables:
        return True
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != schema.APPLICATION:
        if not tables.intersection(schema.NAMES):
            raise UnusableFileError(f"{path}: this is the database of another program; name another path for history")
        raise _DamagedError("its application id is wrong")
    if schema.VERSION < version < LARGEST_VERSION:
        raise UnusableFileError(
            f"{path}: a newer version of Heliobus wrote this file (its format is {version}, known here is "
            f"{schema.VERSION}); update Heliobus, or name another path for history"
        )
    if version != schema.VERSION or not tables.issuperset(schema.NAMES):
        raise _DamagedError("its tables are not those of a history")
    return False


def make(connection: sqlite3.Connection) -> None:
    """The tables of an empty file."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in schema.TABLES.split(";"):
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={schema.APPLICATION}")
    connection.execute(f"PRAGMA user_version={schema.VERSION}")
    connection.execute("COMMIT")


def _recovered(path: Path, damage: str, now: float) -> tuple[str, ...]:
    """Put what can be read of the damaged file in its place."""
    rescued, done = _beside(path, ".rescued"), _beside(path, ".rescued.tmp")
    for leftover in (done, _beside(done, "-wal"), _beside(done, "-shm")):
        leftover.unlink(missing_ok=True)
    connection = sqlite3.connect(done, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        make(connection)
        counts = salvaged(path, connection)
    finally:
        connection.close()
    done.replace(rescued)
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = _free(_beside(path, f".damaged-{stamp}"))
    # Its log goes first: beside another file it would be taken for that one's.
    for suffix in ("-wal", "-shm", ""):
        part = _beside(path, suffix)
        if part.exists():
            part.replace(_beside(aside, suffix))
    rescued.replace(path)
    return (
        f"history {path} is damaged: {damage}; kept aside as {aside.name}",
        f"history {path}: {counts.series} series, {counts.blocks} blocks, {counts.events} texts saved from it; "
        f"{counts.lost} blocks were damaged",
    )


def _finish_recovery(path: Path) -> None:
    """What a recovery that was cut off has left: the rescued file is whole, once it has its name."""
    rescued = _beside(path, ".rescued")
    if not rescued.exists():
        return
    if path.exists():
        rescued.unlink()
    else:
        rescued.replace(path)


def _free(path: Path) -> Path:
    found, number = path, 2
    while found.exists():
        found = _beside(path, f"-{number}")
        number += 1
    return found


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)
