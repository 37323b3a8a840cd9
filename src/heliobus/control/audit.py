"""The record of commands: `commands.log`, one JSON object a line, appended and rotated, never rewritten."""

import asyncio
import io
import json
import logging
import math
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path

from heliobus.atomic import sync_directory
from heliobus.model.point import Value

log = logging.getLogger("heliobus.control")

FILE_NAME = "commands.log"
RESULTS = ("done", "refused", "failed")
LONGEST_TEXT = 2000
LONGEST_LINE = 500_000
"""More than eight texts of `LONGEST_TEXT` can take."""
UNWRITTEN = 200
"""How many records are kept in memory while the disk takes none."""
END_OF_TIME = 250_000_000_000.0
"""Year 9892: later ones are no dates in every time zone."""


@dataclass(frozen=True, slots=True)
class Record:
    """One command and its end. `time` is UTC seconds since 1970, `key` the device's, `value` what was read back.

    `result` is `done`, `refused` or `failed`, and `why` says why where it is not `done`.
    """

    time: float
    device: str
    key: str
    origin: str
    point: str
    old: Value
    new: Value
    result: str
    why: str = ""
    value: Value = None


NAMES = tuple(field.name for field in fields(Record))
TEXTS = ("device", "key", "origin", "point", "why")
VALUES = ("old", "new", "value")


class Audit:
    """Appends to `commands.log` in `folder` (None: nowhere). A file of `largest` bytes becomes `commands.log.1`;
    `kept` such files stay."""

    def __init__(self, folder: Path | None, *, largest: int = 1_000_000, kept: int = 5) -> None:
        self._folder = folder
        self._largest = largest
        self._kept = kept
        self._waiting: deque[bytes] = deque()
        self._turn = threading.Lock()
        self._failing = False

    async def record(self, record: Record) -> None:
        """Append `record`; it is on disk when this returns. A disk that takes nothing is logged, and never raised."""
        if self._folder is None:
            return
        self._waiting.append(_encoded(record))
        # Who is cancelled while he waits has still commanded something.
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, self._flush, self._folder))

    def _flush(self, folder: Path) -> None:
        """Write what waits, in the order of `record`; blocks."""
        with self._turn:
            lines = [self._waiting.popleft() for _ in range(len(self._waiting))]
            if not lines:
                return
            try:
                self._append(folder, b"".join(lines))
            except OSError as error:
                self._waiting.extendleft(reversed(lines[-UNWRITTEN:]))
                if not self._failing:
                    log.error("commands cannot be recorded in %s: %s", folder, error.strerror or error)
                self._failing = True
                return
            if self._failing:
                log.info("commands are recorded in %s again", folder)
            self._failing = False

    def _append(self, folder: Path, content: bytes) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / FILE_NAME
        if path.exists() and path.stat().st_size + len(content) > self._largest:
            self._rotate(path)
        with path.open("a+b", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if not end:
                sync_directory(folder)
            elif not _ends_a_line(file, end):
                # A power cut left part of a line.
                content = b"\n" + content
            try:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(end)
                raise

    def _rotate(self, path: Path) -> None:
        places = [_numbered(path, number) for number in range(1, self._kept + 1)]
        # A crash may have left a gap: what stands behind it need not move.
        free = next((index for index, place in enumerate(places) if not place.exists()), self._kept - 1)
        for index in range(free, 0, -1):
            places[index - 1].replace(places[index])
        path.replace(places[0])


def _ends_a_line(file: io.FileIO, end: int) -> bool:
    file.seek(end - 1)
    return file.read(1) == b"\n"


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _encoded(record: Record) -> bytes:
    entry: dict[str, object] = asdict(record)
    entry.update((name, _clipped(entry[name])) for name in TEXTS)
    entry.update((name, _plain(entry[name])) for name in VALUES)
    entry["time"] = round(record.time, 3)
    return json.dumps(entry).encode() + b"\n"


def _clipped(text: object) -> str:
    text = str(text)
    return text if len(text) <= LONGEST_TEXT else text[: LONGEST_TEXT - 1] + "…"


def _plain(value: object) -> Value:
    """`value` as JSON has it; what somebody sent instead of a value is named by its kind."""
    if isinstance(value, str):
        return _clipped(value)
    if value is None or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, int) and value.bit_length() <= 64:
        return int(value)
    return str(value) if isinstance(value, float) else f"<{type(value).__name__}>"


def read(folder: Path) -> Iterator[Record]:
    """The records in `folder`, the oldest first; what is no record is left out. Blocks. Raises OSError."""
    path = folder / FILE_NAME
    rotated = {each.suffix[1:]: each for each in folder.glob(f"{FILE_NAME}.*")}
    numbers = sorted((number for number in rotated if number.isdecimal()), key=int, reverse=True)
    for each in (*(rotated[number] for number in numbers), path):
        try:
            with each.open("rb") as file:
                for line in iter(partial(file.readline, LONGEST_LINE), b""):
                    record = _decoded(line)
                    if record is not None:
                        yield record
        except FileNotFoundError:
            continue


def _decoded(line: bytes) -> Record | None:
    try:
        entry = json.loads(line)
        record = Record(**{name: entry[name] for name in NAMES})
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = all(isinstance(getattr(record, name), str) for name in TEXTS)
    values = all(_plain(getattr(record, name)) == getattr(record, name) for name in VALUES)
    time = type(record.time) in (int, float) and 0 <= record.time <= END_OF_TIME
    return record if texts and values and time and record.result in RESULTS else None
