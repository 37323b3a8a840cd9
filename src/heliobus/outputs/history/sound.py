"""Whether a history's file is as it was written: every page and every checksum."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from heliobus.outputs.history import schema
from heliobus.outputs.history.coding import DamagedBlockError, opened
from heliobus.outputs.history.levels import LEVELS
from heliobus.outputs.history.stored import NoHistoryError, open_for_reading

TABLES = ("journal", *(level.table for level in LEVELS))


@dataclass(frozen=True, slots=True)
class Report:
    """`tables` has for each table its blocks and their bytes; `problems` are in words, none if all is well."""

    size: int
    tables: Mapping[str, tuple[int, int]]
    problems: tuple[str, ...]


def examined(path: Path) -> Report:
    """Read all of the file. Raises NoHistoryError."""
    with closing(open_for_reading(path)) as connection:
        problems: list[str] = []
        tables: dict[str, tuple[int, int]] = {}
        try:
            found = [text for (text,) in connection.execute("PRAGMA quick_check(3)")]
            problems += [] if found == ["ok"] else found
            for table in TABLES:
                tables[table], damaged = _table(connection, table)
                if damaged:
                    problems.append(f"{damaged} damaged blocks in the table {table}")
        except sqlite3.DatabaseError as error:
            problems.append(str(error))
        except OSError as error:
            raise NoHistoryError(f"{path}: cannot be read: {error.strerror}") from error
        return Report(path.stat().st_size, tables, tuple(problems))


def _table(connection: sqlite3.Connection, table: str) -> tuple[tuple[int, int], int]:
    """Blocks and bytes of a table, and how many blocks are damaged."""
    count = size = damaged = 0
    owner = "device" if table == "journal" else "id"
    for number, block in connection.execute(f"SELECT {owner}, block FROM {table}"):
        count += 1
        size += len(block)
        try:
            opened(block, schema.place(table, number))
        except DamagedBlockError:
            damaged += 1
    return (count, size), damaged
