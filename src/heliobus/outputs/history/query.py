"""Questions to a history's file, which the daemon may be writing meanwhile."""

import sqlite3
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from heliobus.model.localtime import LocalTime, local_time
from heliobus.model.point import Value
from heliobus.outputs.history.buckets import Entry, Place, Row, bucketed, sample, with_gaps
from heliobus.outputs.history.every import Every
from heliobus.outputs.history.levels import DAY, LEVELS, QUARTER, RAW, Level
from heliobus.outputs.history.local_days import LocalDays
from heliobus.outputs.history.stored import DeviceEntry, NoHistoryError, SeriesEntry, Stored, open_for_reading

__all__ = ["DeviceEntry", "Every", "History", "NoHistoryError", "Row", "Selection", "SeriesEntry", "select"]

SAMPLE_PATIENCE, SLOT_PATIENCE = 3.0, 1.5
"""How many times the usual time between two rows may pass before there is a gap."""


class UnknownNameError(LookupError):
    """There is no device or point called so; `known` are those there are."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(name)
        self.name = name
        self.known = tuple(known)


@dataclass(frozen=True, slots=True)
class Selection:
    """Rows by point, in order of time. `damaged` counts blocks that could not be read and look like gaps."""

    device: DeviceEntry
    rows: dict[str, list[Row]]
    damaged: int


@dataclass(frozen=True, slots=True)
class _Asked:
    """Times are UTC ms; `place` None means that every sample is wanted."""

    begin: int
    end: int
    width: int
    level: Level
    place: Place | None


class History:
    """The file at `path`, opened for reading. `local` says where days begin. Raises NoHistoryError."""

    def __init__(self, path: Path, local: LocalTime | None = None) -> None:
        self._connection = open_for_reading(path)
        self._local = local or local_time(None)
        self._path = path

    def __enter__(self) -> "History":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def devices(self) -> list[DeviceEntry]:
        """All devices that have ever been recorded."""
        with _look(self._connection, self._path) as stored:
            return stored.devices()

    def device(self, name: str) -> DeviceEntry:
        """The device of this key, name or label; of several the one recorded last. Raises UnknownNameError."""
        devices = self.devices()
        wanted: tuple[Callable[[DeviceEntry], bool], ...] = (
            lambda each: each.key == name,
            lambda each: each.name == name,
            lambda each: each.label == name,
            lambda each: name.casefold() in (each.name.casefold(), each.label.casefold()),
        )
        for fits in wanted:
            fitting = [each for each in devices if fits(each)]
            if fitting:
                return max(fitting, key=lambda each: each.last)
        raise UnknownNameError(name, [each.name for each in devices])

    def select(
        self,
        device: DeviceEntry,
        points: Sequence[str],
        start: float,
        end: float,
        *,
        every: Every | None = None,
        pixels: int | None = None,
    ) -> Selection:
        """Rows of number points from `start` until `end` (UTC seconds): `every` so often, or for a plot of so many
        `pixels`, from the coarsest table that serves it. What is kept no longer so fine comes coarser. Raises
        UnknownNameError.
        """
        with _look(self._connection, self._path) as stored:
            begin, finish = round(1000 * start), round(1000 * end)
            asked = self._asked(stored, device, begin, finish, every, pixels)
            rows = {point: _rows(stored, device, _series(device, point), asked) for point in points}
            return Selection(device, rows, stored.damaged)

    def texts(
        self, device: DeviceEntry, points: Sequence[str], start: float, end: float
    ) -> dict[str, list[tuple[int, str | None]]]:
        """The text of each point at `start` and its changes until `end`; times are UTC ms. Raises UnknownNameError."""
        with _look(self._connection, self._path) as stored:
            begin, finish = round(1000 * start), round(1000 * end)
            return {point: stored.texts(_series(device, point), begin, finish) for point in points}

    def _asked(
        self, stored: Stored, device: DeviceEntry, begin: int, end: int, every: Every | None, pixels: int | None
    ) -> _Asked:
        if every is None:
            width = max(1, (end - begin) // max(1, pixels or 1000))
            level = next(level for level in reversed(LEVELS) if level.step <= width)
            if level is RAW and width <= device.period:
                return _Asked(begin, end, 0, RAW, None)
            return _Asked(begin, end, width, level, lambda time: time - (time - begin) % width)
        if every.ms:
            width = every.ms
            level = next(level for level in reversed(LEVELS[:-1]) if width % level.step == 0)
            offset = self._offset(begin)
            return _Asked(begin, end, width, level, lambda time: time - (time + offset) % width)
        if every.about:
            return _Asked(begin, end, every.about, DAY, self._by_days(stored, every))
        return _Asked(begin, end, 0, RAW, None)

    def _offset(self, time: int) -> int:
        offset = self._local(time / 1000).utcoffset()
        return 0 if offset is None else round(1000 * offset.total_seconds())

    def _by_days(self, stored: Stored, every: Every) -> Place:
        days = LocalDays(self._local)
        known: dict[int, int] = dict(zip(stored.days, stored.day_starts, strict=True))

        def place(time: int) -> int:
            bucket = every.bucket(stored.days[max(0, bisect_right(stored.day_starts, time) - 1)])
            if bucket not in known:
                known[bucket] = days.quarters(bucket).start * QUARTER.step
            return known[bucket]

        return place


def select(
    path: Path,
    device: str,
    points: Sequence[str],
    start: float,
    end: float,
    *,
    every: Every | None = None,
    pixels: int | None = None,
    local: LocalTime | None = None,
) -> Selection:
    """`History.select` of a device by key, name or label. Raises NoHistoryError and UnknownNameError."""
    with History(path, local) as history:
        return history.select(history.device(device), points, start, end, every=every, pixels=pixels)


@contextmanager
def _look(connection: sqlite3.Connection, path: Path) -> Iterator[Stored]:
    """A read transaction: all that is read in it belongs together."""
    try:
        connection.execute("BEGIN")
        yield Stored(connection)
    except sqlite3.Error as error:
        raise NoHistoryError(f"{path}: cannot be read: {error}") from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _series(device: DeviceEntry, point: str) -> SeriesEntry:
    if point not in device.series:
        raise UnknownNameError(point, tuple(device.series))
    return device.series[point]


def _rows(stored: Stored, device: DeviceEntry, series: SeriesEntry, asked: _Asked) -> list[Row]:
    found: list[Row] = []
    for level, begin, end in _pieces(stored, asked):
        expected = max(asked.width, device.period, level.step)
        if level is RAW and asked.place is None:
            rows = [sample(time, _number(value)) for time, value in stored.samples(device, series, begin, end)]
            found += with_gaps(rows, expected, SAMPLE_PATIENCE)
        else:
            entries = _entries(stored, device, series, level, begin, end)
            place = _itself if asked.place is None or level.step > asked.width else asked.place
            rows = bucketed(entries, place, summed=series.summed)
            found += with_gaps(rows, expected, SLOT_PATIENCE)
    return found


def _pieces(stored: Stored, asked: _Asked) -> list[tuple[Level, int, int]]:
    """Which level serves which part: the one that was asked for, and coarser ones where it has been deleted."""
    pieces: list[tuple[Level, int, int]] = []
    end = asked.end
    for level in LEVELS[LEVELS.index(asked.level) :]:
        begin = max(asked.begin, stored.start(level))
        if begin < end:
            pieces.insert(0, (level, begin, end))
            end = begin
    return pieces


def _entries(
    stored: Stored, device: DeviceEntry, series: SeriesEntry, level: Level, begin: int, end: int
) -> list[Entry]:
    """Slots of a level and what is not yet sealed, in order of time."""
    if level is RAW:
        samples = stored.samples(device, series, begin, end)
        return [(time, 1, value, value, value) for time, value in samples if isinstance(value, int | float)]
    sealed = list(stored.slots(level, series, begin, end))
    fresh = list(stored.unsealed(device, series, begin, end))
    if not fresh:
        return sealed
    if level is DAY:
        # Its slots have the time of the day's beginning, like that of a sample at midnight.
        return sorted(sealed + fresh, key=lambda entry: entry[0])
    slots = [(time - time % level.step, count, low, high, extra) for time, count, low, high, extra in fresh]
    return sorted(sealed + slots, key=lambda entry: entry[0])


def _itself(time: int) -> int:
    return time


def _number(value: Value) -> float | int | None:
    return value if isinstance(value, int | float) else None
