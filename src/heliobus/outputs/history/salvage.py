"""What can be read of a damaged file, copied into a new one."""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from heliobus.model.clock import CLOCK_SET
from heliobus.outputs.history import schema
from heliobus.outputs.history.coding import DamagedBlockError, opened
from heliobus.outputs.history.levels import DAY, LEVELS, SERIES_BITS, Level
from heliobus.outputs.history.local_days import EPOCH

MOST_FAILURES = 200_000
"""Places in a row that cannot be read, after which the rest of a table is given up: hours of twenty years."""
FEW = 2_000
Row = tuple[object, ...]
Good = Callable[[Row], bool]


@dataclass(slots=True)
class Counts:
    """What was saved, and how many blocks were found damaged."""

    series: int = 0
    events: int = 0
    blocks: int = 0
    lost: int = 0


def salvaged(damaged: Path, new: sqlite3.Connection) -> Counts:
    """Copy all that can be read of `damaged` into the empty tables of `new`."""
    counts = Counts()
    with closing(sqlite3.connect(damaged, isolation_level=None)) as old:
        try:
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.DatabaseError:
            # Without its beginning nobody finds anything in it.
            return counts
        _copy(new, "meta", _whole(old, "meta"))
        _copy(new, "days", _rows(old, "days", lambda row: True))
        devices = _copy(new, "device", _rows(old, "device", lambda row: True))
        series = _copy(new, "series", _rows(old, "series", lambda row: row[1] in devices))
        counts.series = len(series)
        counts.events = len(_copy(new, "events", _rows(old, "events", lambda row: row[1] in series)))
        counts.blocks += len(_copy(new, "journal", _rows(old, "journal", _whether_good("journal", devices, counts))))
        for level in LEVELS:
            rows = _rows(old, level.table, _whether_good(level.table, series, counts), level)
            counts.blocks += len(_copy(new, level.table, rows))
    return counts


def _whether_good(table: str, known: set[object], counts: Counts) -> Good:
    """Whether a row is as it was written, and its owner known."""

    def good(row: Row) -> bool:
        number = row[0] if table != "journal" else row[1]
        try:
            if not isinstance(number, int):
                raise DamagedBlockError("it has no number")
            opened(row[-1], schema.place(table, number))
        except (DamagedBlockError, OverflowError):
            counts.lost += 1
            return False
        owner = number if table == "journal" else number & (1 << SERIES_BITS) - 1
        return owner in known

    return good


def _copy(new: sqlite3.Connection, table: str, rows: Iterable[Row]) -> set[object]:
    """Insert `rows`; the first columns of those that `new` took."""
    taken: set[object] = set()
    new.execute("BEGIN")
    for row in rows:
        # A damaged row may break a rule of its table.
        with suppress(sqlite3.IntegrityError):
            new.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
            taken.add(row[0])
    new.execute("COMMIT")
    return taken


def _whole(old: sqlite3.Connection, table: str) -> Iterator[Row]:
    with suppress(sqlite3.DatabaseError):
        yield from old.execute(f"SELECT * FROM {table}")


def _rows(old: sqlite3.Connection, table: str, good: Good, level: Level | None = None) -> Iterator[Row]:
    """The good rows of a table in order of its key; places that cannot be read are stepped over."""
    key = "day" if table == "days" else "id"
    stride, most = (1, FEW) if level is None else (1 << SERIES_BITS, MOST_FAILURES)
    last, failures = -1 if level is None else _first_id(level), 0
    while failures < most:
        try:
            for row in old.execute(f"SELECT * FROM {table} WHERE {key} > ? ORDER BY {key}", (last,)):
                if good(row):
                    # Damage may have put a row out of order.
                    if isinstance(row[0], int) and row[0] > last:
                        last, failures = row[0], 0
                    yield row
        except sqlite3.DatabaseError:
            failures += 1
            last = (last // stride + 1) * stride
        else:
            return


def _first_id(level: Level) -> int:
    """Below every id: there are no samples from before the clock was set."""
    first = EPOCH + CLOCK_SET // 86_400 if level is DAY else 1000 * CLOCK_SET // level.step
    return level.id(first // level.slots - 1, 0)
