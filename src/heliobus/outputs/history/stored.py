"""What a history's file holds, read and decoded: devices, slots, samples, texts."""

import json
import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heliobus.model.point import Value
from heliobus.outputs.history import schema
from heliobus.outputs.history.blocks import Columns, decoded_columns, decoded_times, decoded_values
from heliobus.outputs.history.buckets import Entry
from heliobus.outputs.history.coding import DamagedBlockError, opened
from heliobus.outputs.history.hours import NOTHING, Samples, joined, journal_samples
from heliobus.outputs.history.levels import DAY, HOUR, RAW, SERIES_BITS, Level


class NoHistoryError(Exception):
    """There is nothing to ask. The text is one line that says why."""


@dataclass(frozen=True, slots=True)
class SeriesEntry:
    """A point of a device. `words` names the numbers of an enum or flags; `first` and `last` are UTC ms."""

    id: int
    point: str
    kind: str
    unit: str
    decimals: int
    summed: bool
    words: Mapping[int, str]
    first: int | None
    last: int | None


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """A device that has ever been recorded, and its series by point. `period` is the usual ms between two samples."""

    id: int
    key: str
    name: str
    label: str
    role: str
    model: str
    period: int
    series: Mapping[str, SeriesEntry]

    @property
    def last(self) -> int:
        """The newest moment of all its series, in UTC ms; 0 if there is none."""
        return max((series.last or 0 for series in self.series.values()), default=0)


def open_for_reading(path: Path) -> sqlite3.Connection:
    """The file, to be read while another process may write it. Raises NoHistoryError."""
    if not path.is_file():
        raise NoHistoryError(f"{path}: there is no history yet")
    address = path.absolute().as_uri()
    try:
        connection = sqlite3.connect(f"{address}?mode=ro", uri=True, isolation_level=None, timeout=10.0)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            connection.close()
            # Where the directory may not be written, and nobody else has the file open, it can be read as it is.
            log = path.with_name(path.name + "-wal")
            if log.exists() and log.stat().st_size:
                raise
            connection = sqlite3.connect(f"{address}?mode=ro&immutable=1", uri=True, isolation_level=None)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (application,) = connection.execute("PRAGMA application_id").fetchone()
    except sqlite3.Error as error:
        raise NoHistoryError(f"{path}: cannot be read: {error}") from error
    if application != schema.APPLICATION or version != schema.VERSION:
        connection.close()
        written = "a newer version of Heliobus wrote it" if application == schema.APPLICATION else "it is no history"
        raise NoHistoryError(f"{path}: {written}")
    return connection


class Stored:
    """One consistent look at the file. Blocks that are damaged are left out, and counted in `damaged`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.damaged = 0
        self._starts: dict[str, int] = dict(connection.execute("SELECT key, value FROM meta"))
        self._tails: dict[int, Samples] = {}
        self._times: dict[tuple[int, int], list[int]] = {}
        days = connection.execute("SELECT day, start FROM days ORDER BY day").fetchall()
        self.days, self.day_starts = [day for day, _ in days], [start for _, start in days]

    def start(self, level: Level) -> int:
        """The time in UTC ms before which `level` has been deleted."""
        return self._starts.get(f"{level.table}_from", 0)

    def devices(self) -> list[DeviceEntry]:
        """All devices, in the order in which they came."""
        series: dict[int, dict[str, SeriesEntry]] = {}
        columns = "device, id, point, kind, unit, decimals, summed, words, first, last"
        found = self._connection.execute(f"SELECT {columns} FROM series WHERE point != ? ORDER BY id", (schema.TIMES,))
        for device, number, point, kind, unit, decimals, summed, words, first, last in found:
            named = {int(key): word for key, word in json.loads(words).items()}
            entry = SeriesEntry(number, point, kind, unit, decimals, bool(summed), named, first, last)
            series.setdefault(device, {})[point] = entry
        rows = self._connection.execute("SELECT id, key, name, label, role, model, period FROM device ORDER BY id")
        return [
            self._with_tail(DeviceEntry(number, key, name, label, role, model, period, series.get(number, {})))
            for number, key, name, label, role, model, period in rows.fetchall()
        ]

    def _with_tail(self, device: DeviceEntry) -> DeviceEntry:
        """With the times of what is not yet sealed."""
        tail = self.tail(device)
        series = {}
        for point, entry in device.series.items():
            taken = [
                time
                for time, value in zip(tail.times, tail.columns.get(entry.id, ()), strict=False)
                if value is not None
            ]
            first, last = entry.first, entry.last
            if taken:
                first = taken[0] if first is None else min(first, taken[0])
                last = taken[-1] if last is None else max(last, taken[-1])
            series[point] = SeriesEntry(
                entry.id, point, entry.kind, entry.unit, entry.decimals, entry.summed, entry.words, first, last
            )
        names = (device.id, device.key, device.name, device.label, device.role, device.model)
        return DeviceEntry(*names, device.period, series)

    def tail(self, device: DeviceEntry) -> Samples:
        """What the journal has of a device."""
        if device.id not in self._tails:
            parts = []
            query = "SELECT block FROM journal WHERE device = ? ORDER BY id"
            for (block,) in self._connection.execute(query, (device.id,)):
                try:
                    parts.append(journal_samples(opened(block, schema.place("journal", device.id))))
                except DamagedBlockError:
                    self.damaged += 1
            self._tails[device.id] = joined(parts) if parts else NOTHING
        return self._tails[device.id]

    def slots(self, level: Level, series: SeriesEntry, begin: int, end: int) -> Iterator[Entry]:
        """The slots of a level from the one that `begin` is in until `end`, in UTC ms."""
        if level is DAY:
            yield from self._day_slots(series, begin, end)
            return
        first = begin // level.step * level.step
        for block in self._blocks(level, begin // level.span, (end - 1) // level.span):
            columns = self._columns(level, level.id(block, series.id))
            if columns is None:
                continue
            base = block * level.span
            times = [base + place * level.step for place in columns.places]
            entries = zip(times, columns.counts, columns.lows, columns.highs, columns.extras, strict=True)
            if first <= base and base + level.span <= end:
                yield from entries
            else:
                yield from (entry for entry in entries if first <= entry[0] < end)

    def samples(self, device: DeviceEntry, series: SeriesEntry, begin: int, end: int) -> list[tuple[int, Value]]:
        """Every sample from `begin` until `end`, sealed or not, in order of time."""
        found: dict[int, Value] = {}
        times = device.id, self._times_of(device)
        for hour in self._blocks(RAW, begin // HOUR, (end - 1) // HOUR):
            for time, value in self._hour(times, series, hour):
                if begin <= time < end:
                    found[time] = value
        tail = self.tail(device)
        for time, value in zip(tail.times, tail.columns.get(series.id, ()), strict=False):
            if begin <= time < end:
                found[time] = value
        return sorted(found.items())

    def unsealed(self, device: DeviceEntry, series: SeriesEntry, begin: int, end: int) -> Iterator[Entry]:
        """What the journal has of a series, as slots of one sample."""
        tail = self.tail(device)
        for time, value in zip(tail.times, tail.columns.get(series.id, ()), strict=False):
            if begin <= time < end and isinstance(value, int | float):
                yield time, 1, value, value, value

    def texts(self, series: SeriesEntry, begin: int, end: int) -> list[tuple[int, str | None]]:
        """The text at `begin`, and every change until `end`."""
        query = "SELECT time, text FROM events WHERE series = ? AND time"
        before = f"{query} <= ? ORDER BY time DESC, id DESC LIMIT 1"
        between = f"{query} > ? AND time < ? ORDER BY time, id"
        earlier = self._connection.execute(before, (series.id, begin)).fetchall()
        return earlier + self._connection.execute(between, (series.id, begin, end)).fetchall()

    def _hour(self, times: tuple[int, int], series: SeriesEntry, hour: int) -> Iterator[tuple[int, Value]]:
        device, number = times
        moments = self._times.get((device, hour))
        try:
            if moments is None:
                payload = self._payload(RAW, RAW.id(hour, number))
                if payload is None:
                    return
                moments = self._times[device, hour] = [hour * HOUR + each for each in decoded_times(payload)]
            payload = self._payload(RAW, RAW.id(hour, series.id))
            # A point that had no value in the whole hour has no block.
            values: Sequence[Value] = [None] * len(moments) if payload is None else decoded_values(payload)
            if len(values) != len(moments):
                raise DamagedBlockError("it is of another length than its times")
        except DamagedBlockError:
            self.damaged += 1
            return
        yield from zip(moments, values, strict=True)

    def _times_of(self, device: DeviceEntry) -> int:
        query = "SELECT id FROM series WHERE device = ? AND point = ?"
        row = self._connection.execute(query, (device.id, schema.TIMES)).fetchone()
        return 0 if row is None else int(row[0])

    def _day_slots(self, series: SeriesEntry, begin: int, end: int) -> Iterator[Entry]:
        first = max(bisect_right(self.day_starts, begin) - 1, 0)
        last = bisect_left(self.day_starts, end)
        starts = dict(zip(self.days[first:last], self.day_starts[first:last], strict=True))
        for block in sorted({day // DAY.slots for day in starts}):
            columns = self._columns(DAY, DAY.id(block, series.id))
            if columns is None:
                continue
            days = (starts.get(block * DAY.slots + place, -1) for place in columns.places)
            entries = zip(days, columns.counts, columns.lows, columns.highs, columns.extras, strict=True)
            yield from (entry for entry in entries if entry[0] >= 0)

    def _blocks(self, level: Level, first: int, last: int) -> range:
        low, high = self._connection.execute(f"SELECT min(id), max(id) FROM {level.table}").fetchone()
        if low is None:
            return range(0)
        return range(max(first, low >> SERIES_BITS), min(last, high >> SERIES_BITS) + 1)

    def _columns(self, level: Level, number: int) -> Columns | None:
        try:
            payload = self._payload(level, number)
            return None if payload is None else decoded_columns(payload)
        except DamagedBlockError:
            self.damaged += 1
            return None

    def _payload(self, level: Level, number: int) -> bytes | None:
        row = self._connection.execute(f"SELECT block FROM {level.table} WHERE id = ?", (number,)).fetchone()
        return None if row is None else opened(row[0], schema.place(level.table, number))
