"""What the journal has of an hour, made into blocks of all levels, in one transaction."""

import logging
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import pairwise

from heliobus.model.point import Value
from heliobus.outputs.history.blocks import (
    UNSCALED,
    Slot,
    Slots,
    decoded_slots,
    decoded_times,
    decoded_values,
    encoded_times,
    encoded_values,
    merged,
    slot_of,
)
from heliobus.outputs.history.coding import DamagedBlockError, Number, opened, scaled, sealed
from heliobus.outputs.history.hours import NOTHING, Samples, joined, journal_samples
from heliobus.outputs.history.levels import DAY, HOUR, MINUTE, QUARTER, RAW, Level
from heliobus.outputs.history.local_days import LocalDays
from heliobus.outputs.history.registry import Registry, Series
from heliobus.outputs.history.schema import place

log = logging.getLogger("heliobus.history")

ENOUGH = 10
"""Samples in an hour that show how far apart they usually are."""
Parts = Sequence[tuple[int, int, int]]
"""Slots of an hour: number of the slot, first sample, end of its samples."""


class Sealing:
    """Seals one hour of one device at a time; the caller has begun the transaction."""

    def __init__(self, connection: sqlite3.Connection, registry: Registry, days: LocalDays) -> None:
        self._connection = connection
        self._registry = registry
        self._days = days
        self._starts = dict(connection.execute("SELECT key, value FROM meta"))

    def seal(self, device: int, hour: int) -> None:
        """Move what the journal has of `device` in `hour` (since 1970) into the blocks."""
        rows = self._connection.execute(
            "SELECT id, block FROM journal WHERE device = ? AND hour = ? ORDER BY id", (device, hour)
        ).fetchall()
        samples = joined([self._journal(device, block) for _, block in rows])
        if samples.times:
            self._store(device, hour, samples)
        self._connection.executemany("DELETE FROM journal WHERE id = ?", [(number,) for number, _ in rows])

    def _store(self, device: int, hour: int, samples: Samples) -> None:
        # Where raw values are gone already, late ones can only be added to what they were rolled up to.
        kept = self._keeps(RAW, hour)
        if kept:
            samples = joined([self._raw(device, hour), samples])
            self._store_raw(device, hour, samples)
        parts = {level: _parts(samples.times, level.step) for level in (MINUTE, QUARTER)}
        days = sorted({self._days.of(quarter) for quarter, _, _ in parts[QUARTER]})
        for day in days:
            start = self._days.quarters(day).start * QUARTER.step
            self._connection.execute("INSERT OR REPLACE INTO days VALUES (?, ?)", (day, start))
        for series in self._registry.of(device).values():
            column = samples.columns.get(series.id)
            if column is not None:
                self._roll_up(series, hour, column, samples.times, parts, days, adding=not kept)
        self._learn_period(device, samples.times)

    def _roll_up(
        self,
        series: Series,
        hour: int,
        column: Sequence[Value],
        times: Sequence[int],
        parts: dict[Level, Parts],
        days: Iterable[int],
        *,
        adding: bool,
    ) -> None:
        taken = [time for time, value in zip(times, column, strict=True) if value is not None]
        if not taken:
            return
        numbers: Sequence[Number | None] | None = scaled(column, series.decimals)
        decimals = series.decimals
        if numbers is None:
            decimals = UNSCALED
            numbers = [None if value is None or isinstance(value, str) else float(value) for value in column]
        quarters: dict[int, Slots] = {}
        for level in (MINUTE, QUARTER):
            block = hour * HOUR // level.span
            slots = self._slots(level, block, series)
            slots.put(_slots_of(numbers, parts[level], block * level.slots, series.summed), decimals, adding=adding)
            self._write_slots(level, block, series, slots)
            quarters = {block: slots}
        for day in days:
            self._roll_up_day(series, day, quarters)
        self._registry.extend(series.id, taken[0], taken[-1])

    def _roll_up_day(self, series: Series, day: int, quarters: dict[int, Slots]) -> None:
        found: dict[int, list[Slot]] = {}
        for quarter in self._days.quarters(day):
            block, at = divmod(quarter, QUARTER.slots)
            if block not in quarters:
                quarters[block] = self._slots(QUARTER, block, series)
            slot = quarters[block].at.get(at)
            if slot is not None:
                found.setdefault(quarters[block].decimals, []).append(slot)
        block, at = divmod(day, DAY.slots)
        slots = self._slots(DAY, block, series)
        for index, (decimals, several) in enumerate(found.items()):
            # More than one only where the point has got other decimals in the middle of the day.
            slots.put({at: merged(several, summed=series.summed)}, decimals, adding=index > 0)
        if found:
            self._write_slots(DAY, block, series, slots)

    def _slots(self, level: Level, block: int, series: Series) -> Slots:
        payload = self._payload(level, level.id(block, series.id))
        try:
            return Slots(0, series.summed) if payload is None else decoded_slots(payload)
        except DamagedBlockError as error:
            log.warning("history: a block of the table %s is lost: %s", level.table, error)
            return Slots(0, series.summed)

    def _write_slots(self, level: Level, block: int, series: Series, slots: Slots) -> None:
        if (block + 1) * level.span > self._starts.get(f"{level.table}_from", 0) or level is DAY:
            self._write(level, level.id(block, series.id), slots.encoded(level.slots))

    def _store_raw(self, device: int, hour: int, samples: Samples) -> None:
        times = self._registry.times(device)
        if times is None:
            return
        offsets = [time - hour * HOUR for time in samples.times]
        self._write(RAW, RAW.id(hour, times.id), encoded_times(offsets))
        for series in self._registry.of(device).values():
            column = samples.columns.get(series.id)
            if column is not None and any(value is not None for value in column):
                self._write(RAW, RAW.id(hour, series.id), encoded_values(column, series.decimals))

    def _raw(self, device: int, hour: int) -> Samples:
        """What the blocks have of an hour already."""
        times = self._registry.times(device)
        if times is None:
            return NOTHING
        try:
            payload = self._payload(RAW, RAW.id(hour, times.id))
            if payload is None:
                return NOTHING
            moments = [hour * HOUR + offset for offset in decoded_times(payload)]
            columns = {}
            for series in self._registry.of(device):
                payload = self._payload(RAW, RAW.id(hour, series))
                if payload is not None:
                    columns[series] = decoded_values(payload)
                    if len(columns[series]) != len(moments):
                        raise DamagedBlockError("it is of another length than its times")
        except DamagedBlockError as error:
            log.warning("history: an hour of raw values is lost: %s", error)
            return NOTHING
        return Samples(moments, columns)

    def _journal(self, device: int, block: object) -> Samples:
        try:
            return journal_samples(opened(block, place("journal", device)))
        except DamagedBlockError as error:
            log.warning("history: a record of the journal is lost: %s", error)
            return NOTHING

    def _payload(self, level: Level, number: int) -> bytes | None:
        row = self._connection.execute(f"SELECT block FROM {level.table} WHERE id = ?", (number,)).fetchone()
        if row is None:
            return None
        try:
            return opened(row[0], place(level.table, number))
        except DamagedBlockError as error:
            log.warning("history: a block of the table %s is lost: %s", level.table, error)
            return None

    def _write(self, level: Level, number: int, payload: bytes) -> None:
        block = sealed(payload, place(level.table, number))
        self._connection.execute(f"INSERT OR REPLACE INTO {level.table} VALUES (?, ?)", (number, block))

    def _keeps(self, level: Level, hour: int) -> bool:
        return hour * HOUR >= int(self._starts.get(f"{level.table}_from", 0))

    def _learn_period(self, device: int, times: Sequence[int]) -> None:
        if len(times) >= ENOUGH:
            steps = sorted(after - before for before, after in pairwise(times))
            self._connection.execute("UPDATE device SET period = ? WHERE id = ?", (steps[len(steps) // 2], device))


def _parts(times: Sequence[int], step: int) -> Parts:
    """The slots of samples in order of time."""
    parts: list[tuple[int, int, int]] = []
    begin = 0
    for index in range(1, len(times) + 1):
        slot = times[begin] // step
        if index == len(times) or times[index] // step != slot:
            parts.append((slot, begin, index))
            begin = index
    return parts


def _slots_of(numbers: Sequence[Number | None], parts: Parts, first: int, mean: bool) -> dict[int, Slot]:
    """The slots of one series, by their place after the slot number `first`; one without values is left out."""
    found = {}
    for slot, begin, end in parts:
        taken = [number for number in numbers[begin:end] if number is not None]
        if taken:
            found[slot - first] = slot_of(taken, summed=mean)
    return found
