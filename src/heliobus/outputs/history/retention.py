"""What is too old or too much goes: the oldest raw values first, then the oldest minutes."""

import sqlite3
from dataclasses import dataclass

from heliobus.model.clock import CLOCK_SET
from heliobus.outputs.history.levels import DAY, DAY_MS, MINUTE, QUARTER, RAW, SERIES_BITS, Level
from heliobus.outputs.history.local_days import EPOCH


@dataclass(frozen=True, slots=True)
class Limits:
    """Days for which each level is kept, 0 for ever, and how large the file may become, in bytes."""

    raw_days: int
    minute_days: int
    quarter_days: int
    most_bytes: int


def used(connection: sqlite3.Connection) -> int:
    """Bytes of the file that hold something."""
    sizes = [
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    ]
    pages, free, size = (int(each) for each in sizes)
    return (pages - free) * size


def delete_old(connection: sqlite3.Connection, limits: Limits, now: float) -> None:
    """Delete what is older than its level is kept.

    No more than a day, or a block, goes at once: a clock that is wrong for an hour costs a day, not the history.
    """
    if now < CLOCK_SET:
        return
    days = {RAW: limits.raw_days, MINUTE: limits.minute_days, QUARTER: limits.quarter_days, DAY: limits.quarter_days}
    for level, kept in days.items():
        oldest = _oldest(connection, level)
        if not kept or oldest is None:
            continue
        bound = min(_block(level, 1000 * now - kept * DAY_MS), oldest + max(1, DAY_MS // level.span))
        if bound > oldest:
            _delete(connection, level, bound)
    connection.execute(
        "DELETE FROM events WHERE time < min(?, (SELECT min(time) FROM events) + ?)",
        (1000 * now - limits.minute_days * DAY_MS, DAY_MS),
    )


def delete_too_much(connection: sqlite3.Connection, limits: Limits) -> tuple[str, ...]:
    """Delete the oldest days of raw values, then of minutes, until the file is as small as it shall be.

    Gives in words what was deleted.
    """
    deleted = []
    for level, words in ((RAW, "raw values"), (MINUTE, "values of a minute")):
        while used(connection) > limits.most_bytes:
            oldest = _oldest(connection, level)
            if oldest is None:
                break
            connection.execute("BEGIN IMMEDIATE")
            _delete(connection, level, oldest + max(1, DAY_MS // level.span))
            connection.execute("COMMIT")
            if words not in deleted:
                deleted.append(words)
    (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    if pages * size > limits.most_bytes:
        # It frees a page each step, and `execute` takes but one.
        connection.executescript("PRAGMA incremental_vacuum")
    return tuple(deleted)


def _oldest(connection: sqlite3.Connection, level: Level) -> int | None:
    """The number of the oldest block."""
    (number,) = connection.execute(f"SELECT min(id) FROM {level.table}").fetchone()
    return None if number is None else int(number) >> SERIES_BITS


def _block(level: Level, time: float) -> int:
    """The number of the block that `time` in UTC ms lies in."""
    if level is DAY:
        return (EPOCH + int(time) // DAY_MS) // DAY.slots
    return int(time) // level.span


def _delete(connection: sqlite3.Connection, level: Level, bound: int) -> None:
    """Delete all blocks before the number `bound`, and remember that there are none."""
    connection.execute(f"DELETE FROM {level.table} WHERE id < ?", (level.id(bound, 0),))
    start = (bound * DAY.slots - EPOCH) * DAY_MS if level is DAY else bound * level.span
    connection.execute(
        "INSERT INTO meta VALUES (?1, ?2) ON CONFLICT(key) DO UPDATE SET value = max(value, ?2)",
        (f"{level.table}_from", start),
    )
