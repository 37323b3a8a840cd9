"""The devices and series of a history's file, by what the site calls them."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from heliobus.model.device import Device
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind
from heliobus.model.vocabulary import DEVICE_CLOCK, VOCABULARY
from heliobus.outputs.history.blocks import MOST_DECIMALS
from heliobus.outputs.history.levels import SERIES_BITS
from heliobus.outputs.history.schema import TIMES

MOST_SERIES = 1 << SERIES_BITS
UNKEPT = frozenset({DEVICE_CLOCK.name})
"""Texts that change with every reading and say nothing later."""
COUNTERS = ("total_increasing", "total")
"""State classes of what only grows."""


@dataclass(frozen=True, slots=True)
class Series:
    """A device's point in the file; `summed` says whether slots keep a sum, else the last value."""

    id: int
    decimals: int
    summed: bool


def summed(point: Point) -> bool:
    """Whether a mean of this point makes sense: not of counters and states."""
    counts = point.quantity.state_class in COUNTERS or point.name.endswith("_counter")
    return point.kind in (Kind.NUMBER, Kind.INTEGER) and not counts


class Registry:
    """What the file knows; new devices and points are added. To be thrown away when a transaction fails."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._devices: dict[str, tuple[int, tuple[str, ...]]] = {}
        for number, key, *names in connection.execute("SELECT id, key, name, label, role, model FROM device"):
            self._devices[key] = (number, tuple(names))
        self._series: dict[int, dict[str, tuple[Series, tuple[object, ...]]]] = {}
        columns = "id, device, point, decimals, summed, kind, unit, words"
        for number, device, point, decimals, mean, *looks in connection.execute(f"SELECT {columns} FROM series"):
            entry = Series(number, decimals, bool(mean)), (decimals, *looks)
            self._series.setdefault(device, {})[point] = entry
        self._channels: dict[str, Channels] = {}
        self._texts: dict[int, str | None] = dict(
            connection.execute(
                "SELECT series, text FROM events WHERE id IN (SELECT max(id) FROM events GROUP BY series)"
            )
        )

    def device(self, device: Device) -> int:
        """The id of `device`, with the names it has now."""
        names = (device.name, device.label, device.role.value, device.identity.model)
        known = self._devices.get(device.key)
        if known is not None and known[1] == names:
            return known[0]
        number: int | None
        if known is None:
            statement = "INSERT INTO device(name, label, role, model, key, period) VALUES (?, ?, ?, ?, ?, 0)"
            number = self._connection.execute(statement, (*names, device.key)).lastrowid
            assert number is not None
        else:
            number = known[0]
            statement = "UPDATE device SET name = ?, label = ?, role = ?, model = ? WHERE id = ?"
            self._connection.execute(statement, (*names, number))
        self._devices[device.key] = number, names
        return number

    def channels(self, device: Device) -> "Channels":
        """Where the values of `device` go."""
        known = self._channels.get(device.key)
        if known is None or known.device is not device:
            known = self._channels[device.key] = Channels(self, device)
        return known

    def has(self, device: int, name: str) -> bool:
        """Whether there is a series of this point."""
        return name in self._series.get(device, {})

    def series(self, device: int, point: Point) -> Series | None:
        """The series of a point, with the looks it has now; None if there is no room for another one."""
        looks = (min(point.decimals, MOST_DECIMALS), point.kind.value, point.unit, _words(point.words))
        known = self._series.setdefault(device, {}).get(point.name)
        if known is not None and known[1] == looks:
            return known[0]
        if known is None:
            return self._add(device, point.name, looks, summed(point))
        number = known[0].id
        statement = "UPDATE series SET decimals = ?, kind = ?, unit = ?, words = ? WHERE id = ?"
        self._connection.execute(statement, (*looks, number))
        series = Series(number, looks[0], known[0].summed)
        self._series[device][point.name] = series, looks
        return series

    def of(self, device: int) -> Mapping[int, Series]:
        """All series of a device by their id, but for that of its times."""
        series = (entry[0] for point, entry in self._series.get(device, {}).items() if point != TIMES)
        return {each.id: each for each in series}

    def times(self, device: int) -> Series | None:
        """The series that holds the moments of a device's samples."""
        known = self._series.setdefault(device, {}).get(TIMES)
        return known[0] if known is not None else self._add(device, TIMES, (0, Kind.INTEGER.value, "ms", "{}"), False)

    def said(self, series: int, time: int, text: str | None) -> None:
        """A text; it is written down if it is another one than before."""
        if series in self._texts and self._texts[series] == text:
            return
        self._connection.execute("INSERT INTO events(series, time, text) VALUES (?, ?, ?)", (series, time, text))
        self._texts[series] = text
        self.extend(series, time, time)

    def extend(self, series: int, first: int, last: int) -> None:
        """There are values of `series` from `first` to `last`."""
        statement = (
            "UPDATE series SET first = min(ifnull(first, ?1), ?1), last = max(ifnull(last, ?2), ?2) WHERE id = ?3"
        )
        self._connection.execute(statement, (first, last, series))

    def _add(self, device: int, name: str, looks: tuple[int, str, str, str], mean: bool) -> Series | None:
        statement = (
            "INSERT INTO series(decimals, kind, unit, words, device, point, summed) VALUES (?, ?, ?, ?, ?, ?, ?)"
        )
        (highest,) = self._connection.execute("SELECT ifnull(max(id), 0) FROM series").fetchone()
        if highest + 1 >= MOST_SERIES:
            return None
        number = self._connection.execute(statement, (*looks, device, name, mean)).lastrowid
        assert number is not None
        series = Series(number, looks[0], mean)
        self._series.setdefault(device, {})[name] = series, looks
        return series


class Channels:
    """The series of one device object by the names of its points, found once."""

    def __init__(self, registry: Registry, device: Device) -> None:
        self._registry = registry
        self.device = device
        self.number = registry.device(device)
        self._known: dict[str, tuple[Series | None, bool]] = {}

    def of(self, name: str, value: Value) -> tuple[Series | None, bool]:
        """The series of a point and whether its values are texts; None if this value of it is not kept."""
        known = self._known.get(name)
        if known is None:
            point = self.device.points.get(name) or VOCABULARY.get(name)
            if point is None or name in UNKEPT:
                known = None, False
            elif value is None and not self._registry.has(self.number, name):
                # A point that never had a value has no series.
                return None, False
            else:
                known = self._registry.series(self.number, point), point.kind is Kind.TEXT
            self._known[name] = known
        return known


def _words(words: Mapping[int, str]) -> str:
    return json.dumps({str(number): word for number, word in words.items()}, ensure_ascii=False)
