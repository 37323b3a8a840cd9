"""The one writer of a history's file. Everything here blocks and is called from one thread at a time."""

import logging
import math
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from heliobus.model.localtime import LocalTime
from heliobus.model.point import Value
from heliobus.outputs.history.coding import sealed
from heliobus.outputs.history.database import Database, is_damage, open_for_writing
from heliobus.outputs.history.hours import Samples, joined, journal_bytes
from heliobus.outputs.history.levels import HOUR, QUARTER
from heliobus.outputs.history.local_days import LocalDays
from heliobus.outputs.history.registry import Channels, Registry
from heliobus.outputs.history.retention import Limits, delete_old, delete_too_much
from heliobus.outputs.history.schema import place
from heliobus.outputs.history.sealing import Sealing
from heliobus.outputs.sampler import Sample

log = logging.getLogger("heliobus.history")

MOST_RECORDS = 120
"""Records of a device in the journal, after which its hour is sealed before it is over."""


class Writer:
    """Takes samples; the file is opened with the first of them, and again after it was found damaged."""

    def __init__(self, path: Path, limits: Limits) -> None:
        self._path = path
        self._limits = limits
        self._database: Database | None = None
        self._registry: Registry | None = None
        self._days: LocalDays | None = None
        self._tended = self._told = 0
        self._known_days: set[int] = set()

    def write(self, samples: Sequence[Sample], now: float, local: LocalTime) -> None:
        """Put `samples` into the file in one transaction, then tend it. `now` is in UTC seconds.

        Raises UnusableFileError, OSError and sqlite3.Error; then nothing of `samples` is in the file.
        """
        try:
            connection = self._opened(now)
            days = self._local_days(local)
            connection.execute("BEGIN IMMEDIATE")
            self._record(connection, self._known(connection), days, samples)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._failed(error)
            raise

    def tend(self, now: float, local: LocalTime) -> None:
        """Seal the hours that are over, and delete what is too old or too much. Raises like `write`."""
        try:
            connection = self._opened(now)
            hour = int(now) // 3600
            self._seal(connection, self._local_days(local), hour)
            if hour != self._tended:
                connection.execute("BEGIN IMMEDIATE")
                delete_old(connection, self._limits, now)
                connection.execute("COMMIT")
                self._tell(delete_too_much(connection, self._limits), hour // 24)
                self._tended = hour
        except sqlite3.Error as error:
            self._failed(error)
            raise

    def close(self) -> None:
        """Close the file."""
        database, self._database, self._registry = self._database, None, None
        if database is not None:
            database.close()

    def _opened(self, now: float) -> sqlite3.Connection:
        if self._database is None:
            self._database = open_for_writing(self._path, now)
            self._registry = None
            for note in self._database.notes:
                log.warning("%s", note)
        return self._database.connection

    def _known(self, connection: sqlite3.Connection) -> Registry:
        if self._registry is None:
            self._registry = Registry(connection)
        return self._registry

    def _local_days(self, local: LocalTime) -> LocalDays:
        if self._days is None or self._days.local is not local:
            self._days, self._known_days = LocalDays(local), set()
        return self._days

    def _tell(self, deleted: tuple[str, ...], day: int) -> None:
        """Say once a day what the limit has cost."""
        if deleted and day != self._told:
            log.warning("history %s has reached limit_mb: deleted the oldest %s", self._path, " and ".join(deleted))
            self._told = day

    def _failed(self, error: sqlite3.Error) -> None:
        # What it knows may have been rolled back.
        self._registry, self._known_days = None, set()
        if self._database is None:
            return
        if is_damage(error):
            log.error("history %s: %s; it is looked through and opened again", self._path, error)
            self.close()
        elif self._database.connection.in_transaction:
            self._database.connection.execute("ROLLBACK")

    def _record(
        self, connection: sqlite3.Connection, registry: Registry, days: LocalDays, samples: Sequence[Sample]
    ) -> None:
        hours: dict[tuple[int, int], list[Samples]] = {}
        for sample in samples:
            if not sample.timed:
                continue
            self._know_day(connection, days, sample.time)
            channels = registry.channels(sample.device)
            numbers = _numbers(registry, channels, sample)
            hours.setdefault((channels.number, sample.time // HOUR), []).append(
                Samples([sample.time], {series: [number] for series, number in numbers.items()})
            )
        for (device, hour), parts in hours.items():
            block = sealed(journal_bytes(joined(parts)), place("journal", device))
            connection.execute("INSERT INTO journal(device, hour, block) VALUES (?, ?, ?)", (device, hour, block))

    def _know_day(self, connection: sqlite3.Connection, days: LocalDays, time: int) -> None:
        """A reader finds local days in the file, also that of samples which are not yet sealed."""
        day = days.of(time // QUARTER.step)
        if day not in self._known_days:
            start = days.quarters(day).start * QUARTER.step
            connection.execute("INSERT OR REPLACE INTO days VALUES (?, ?)", (day, start))
            self._known_days.add(day)

    def _seal(self, connection: sqlite3.Connection, days: LocalDays, present: int) -> None:
        due = connection.execute(
            "SELECT device, hour FROM journal GROUP BY device, hour HAVING hour != ? OR count(*) >= ?",
            (present, MOST_RECORDS),
        ).fetchall()
        for device, hour in due:
            connection.execute("BEGIN IMMEDIATE")
            Sealing(connection, self._known(connection), days).seal(device, hour)
            connection.execute("COMMIT")


def _numbers(registry: Registry, channels: Channels, sample: Sample) -> dict[int, Value]:
    """The numbers of a sample by series; its texts are written down where they have changed."""
    numbers: dict[int, Value] = {}
    for name, value in sample.values.items():
        if isinstance(value, float) and not math.isfinite(value):
            continue
        series, text = channels.of(name, value)
        if series is None:
            continue
        if isinstance(value, str) or value is None:
            if text:
                registry.said(series.id, sample.time, value)
        elif not text:
            numbers[series.id] = value
    return numbers
