"""The history written to a file for other programs: Parquet, CSV or JSON Lines."""

import csv
import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from heliobus.cli.moments import iso
from heliobus.cli.problem import Problem, WrongUse
from heliobus.model.localtime import LocalTime
from heliobus.model.quantity import Kind
from heliobus.outputs.history.levels import HOUR, QUARTER
from heliobus.outputs.history.query import DeviceEntry, Every, History

COLUMNS = ("time", "device", "name", "point", "unit", "value", "min", "max", "count", "text")
TYPES = {
    "time": "TIMESTAMPTZ",
    **dict.fromkeys(("device", "name", "point", "unit", "text"), "VARCHAR"),
    **dict.fromkeys(("value", "min", "max"), "DOUBLE"),
    "count": "BIGINT",
}
PART = 86_400.0
"""Seconds of the history that are in memory at once."""
Line = tuple[object, ...]
Step = Callable[[], None]


def write(
    history: History,
    file: Path,
    devices: Sequence[DeviceEntry],
    first: float,
    last: float,
    every: Every,
    local: LocalTime,
) -> int:
    """Write the rows from `first` until `last` (UTC seconds) to `file`; how many there were. Raises Problem."""
    writers = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}
    writer = writers.get(file.suffix.lower())
    if writer is None:
        raise WrongUse(f"{file}: its name has to end in .parquet, .csv or .jsonl")
    pieces = list(_pieces(devices, first, last, every, local))
    temporary = file.with_name(file.name + ".tmp")
    try:
        with _progress(len(pieces)) as step:
            count = writer(temporary, _all_lines(history, pieces, every, local, step))
        temporary.replace(file)
    except OSError as error:
        raise Problem(f"{file}: cannot be written: {error.strerror or error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return count


@dataclass(frozen=True, slots=True)
class _Piece:
    """What is in memory at once: points of a device from `begin` until `end` (UTC seconds), rows from `since` ms on."""

    device: DeviceEntry
    points: tuple[str, ...]
    begin: float
    end: float
    since: int


def _pieces(
    devices: Sequence[DeviceEntry], first: float, last: float, every: Every, local: LocalTime
) -> Iterator[_Piece]:
    """All points of a device in a day where rows are many, else a point in all the time."""
    for device in devices:
        if every.days or every.months or (every.ms and HOUR % every.ms):
            for point in device.series:
                yield _Piece(device, (point,), first, last, 0)
            continue
        begin, since = first, 0
        end = _on_grid(first, every, local) + PART
        while begin < last:
            yield _Piece(device, tuple(device.series), begin, min(end, last), since)
            begin, end, since = end, end + PART, round(1000 * end)


def _on_grid(time: float, every: Every, local: LocalTime) -> float:
    """The beginning of the slot or bucket that `time` is in, so that none is cut in two."""
    offset = local(time).utcoffset() or timedelta()
    width = max(QUARTER.step, every.ms) / 1000
    return time - (time + offset.total_seconds()) % width


def _all_lines(
    history: History, pieces: Sequence[_Piece], every: Every, local: LocalTime, step: Step
) -> Iterator[list[Line]]:
    for piece in pieces:
        yield _lines(history, piece, every, local)
        step()


def _lines(history: History, piece: _Piece, every: Every, local: LocalTime) -> list[Line]:
    device = piece.device
    names = device.key, device.label or device.name
    words = [point for point in piece.points if device.series[point].kind == Kind.TEXT]
    numbers = [point for point in piece.points if point not in words]
    selection = history.select(device, numbers, piece.begin, piece.end, every=every)
    # All points of a device have the same times.
    times = {time: iso(time, local) for time in {row.time for rows in selection.rows.values() for row in rows}}
    lines: list[Line] = [
        (times[row.time], *names, point, unit, row.value, row.minimum, row.maximum, row.samples, None)
        for point, rows in selection.rows.items()
        for unit in (device.series[point].unit,)
        for row in rows
        if row.samples and row.time >= piece.since
    ]
    said = history.texts(device, words, piece.begin, piece.end)
    lines += [
        (iso(time, local), *names, point, "", None, None, None, None, text)
        for point, found in said.items()
        for time, text in found
        if time >= piece.since
    ]
    return lines


def _csv(file: Path, pieces: Iterator[list[Line]]) -> int:
    count = 0
    with file.open("w", encoding="utf-8", newline="") as sheet:
        _rows(sheet, [COLUMNS])
        for lines in pieces:
            _rows(sheet, lines)
            count += len(lines)
    return count


def _rows(sheet: IO[str], lines: Sequence[Line]) -> None:
    csv.writer(sheet, lineterminator="\n").writerows(lines)


def _jsonl(file: Path, pieces: Iterator[list[Line]]) -> int:
    count = 0
    with file.open("w", encoding="utf-8") as sheet:
        for lines in pieces:
            for each in lines:
                sheet.write(json.dumps(dict(zip(COLUMNS, each, strict=True)), ensure_ascii=False) + "\n")
            count += len(lines)
    return count


def _parquet(file: Path, pieces: Iterator[list[Line]]) -> int:
    """By DuckDB, which makes a small Parquet file of each piece and one of them all."""
    try:
        import duckdb  # noqa: PLC0415  optional, and large
    except ImportError:
        raise Problem("Parquet needs DuckDB: pip install 'heliobus[parquet]'; or name a file .csv or .jsonl") from None
    count = 0
    with tempfile.TemporaryDirectory(dir=file.parent, prefix=".heliobus-export-") as name, duckdb.connect() as database:
        folder = Path(name)
        sheet = folder / "piece.jsonl"
        for number, lines in enumerate(pieces):
            _jsonl(sheet, iter([lines]))
            _copy(
                database,
                f"read_json({_quoted(sheet)}, columns = {TYPES}, format = 'newline_delimited')",
                folder / f"{number:06}.parquet",
            )
            count += len(lines)
        _copy(database, f"read_parquet({_quoted(folder / '*.parquet')})", file)
    return count


def _copy(database: Any, rows: str, file: Path) -> None:
    database.execute(f"COPY (SELECT * FROM {rows}) TO {_quoted(file)} (FORMAT parquet, COMPRESSION zstd)")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


@contextmanager
def _progress(steps: int) -> Iterator[Step]:
    """A bar on stderr where that is a terminal and rich is there."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    try:
        from rich.console import Console  # noqa: PLC0415  brings rich
        from rich.progress import Progress  # noqa: PLC0415  only for a bar
    except ImportError:
        yield lambda: None
        return
    with Progress(console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("writing", total=steps)
        yield lambda: bars.advance(task)
