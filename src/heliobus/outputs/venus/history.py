"""The days of a charger under `/History`. Source: venus.md §5.1. Energy in kWh, times in minutes."""

from collections.abc import Callable, Iterable
from datetime import date

from heliobus.model.day import Day, Days
from heliobus.model.point import Value
from heliobus.model.vocabulary import CHARGER_ERRORS
from heliobus.outputs.venus.item import Item, Kind
from heliobus.outputs.venus.items import Items

DAYS = 31
ERRORS = 4

Extreme = tuple[str, Callable[[Iterable[float]], float], Callable[[Day], float | None]]


def _minutes(seconds: float) -> float:
    # Whole minutes, so that a day at work does not change at every poll.
    return float(seconds // 60)


def _error(number: int) -> Callable[[Day], Value]:
    return lambda day: day.errors[number] if number < len(day.errors) else 0


def _number(unit: str, decimals: int) -> Callable[[Value], str]:
    return lambda value: f"{value:.{decimals}f} {unit}"


def _error_text(value: Value) -> str:
    return CHARGER_ERRORS.get(int(value or 0), str(value))


_VOLT, _AMPERE, _WATT = _number("V", 2), _number("A", 2), _number("W", 1)
_KILOWATT_HOUR, _MINUTE = _number("kWh", 2), _number("min", 0)

DAY_LEAVES: tuple[tuple[str, Kind, Callable[[Day], Value], Callable[[Value], str]], ...] = (
    ("Yield", "d", lambda day: round(day.energy / 1000, 2), _KILOWATT_HOUR),
    ("MaxPower", "d", lambda day: day.max_power, _WATT),
    ("MaxPvVoltage", "d", lambda day: day.max_pv_voltage, _VOLT),
    ("MinBatteryVoltage", "d", lambda day: day.min_battery_voltage, _VOLT),
    ("MaxBatteryVoltage", "d", lambda day: day.max_battery_voltage, _VOLT),
    ("MaxBatteryCurrent", "d", lambda day: day.max_battery_current, _AMPERE),
    ("TimeInBulk", "d", lambda day: _minutes(day.time_bulk), _MINUTE),
    ("TimeInAbsorption", "d", lambda day: _minutes(day.time_absorption), _MINUTE),
    ("TimeInFloat", "d", lambda day: _minutes(day.time_float), _MINUTE),
    ("TimeInEqualize", "d", lambda day: _minutes(day.time_equalize), _MINUTE),
    *((f"LastError{n + 1}", "i", _error(n), _error_text) for n in range(ERRORS)),
    ("Nr", "i", lambda day: date.fromisoformat(day.date).toordinal(), str),
)

EXTREMES: tuple[Extreme, ...] = (
    ("MaxPvVoltage", max, lambda day: day.max_pv_voltage),
    ("MaxBatteryVoltage", max, lambda day: day.max_battery_voltage),
    ("MinBatteryVoltage", min, lambda day: day.min_battery_voltage),
)


class History:
    """The leaves under `/History` of one service. `measured` names the overall values the device itself knows.

    What the load output took is known of today only: whoever knows it feeds `consumption_today`.
    """

    def __init__(self, service: Items, measured: frozenset[str]) -> None:
        self._service = service
        self._days: Days = ()
        add = service.add
        self._available = add(Item("/History/Overall/DaysAvailable", "i"))
        service.set(self._available, 0)
        self._extremes = [
            (add(Item(f"/History/Overall/{name}", "d", _VOLT)), choose, of_day)
            for name, choose, of_day in EXTREMES
            if name not in measured
        ]
        self._errors = [add(Item(f"/History/Overall/LastError{n + 1}", "i", _error_text)) for n in range(ERRORS)]
        self._leaves = [
            [add(Item(f"/History/Daily/{n}/{name}", kind, shown)) for name, kind, _, shown in DAY_LEAVES]
            for n in range(DAYS)
        ]
        consumption = [add(Item(f"/History/Daily/{n}/Consumption", "d", _KILOWATT_HOUR)) for n in range(DAYS)]
        self.consumption_today = consumption[0]

    def show(self, days: Days) -> None:
        """Carry `days`; days that did not change since the last time cost nothing."""
        days = days[:DAYS]
        before = self._days
        if days is before:
            return
        self._days = days
        if days == before:
            return
        for n, items in enumerate(self._leaves):
            day = days[n] if n < len(days) else None
            old = before[n] if n < len(before) else None
            if day is not old and day != old:
                self._show_day(items, day)
        self._show_overall([day for day in days if day is not None])
        self._service.set(self._available, _available(days))

    def _show_day(self, items: list[Item], day: Day | None) -> None:
        for item, (_, _, of_day, _) in zip(items, DAY_LEAVES, strict=True):
            value = None if day is None else of_day(day)
            # Most of a day stands still from one poll to the next.
            if value != item.value:
                self._service.set(item, value)

    def _show_overall(self, days: list[Day]) -> None:
        for item, choose, of_day in self._extremes:
            known = [value for day in days if (value := of_day(day)) is not None]
            self._service.set(item, choose(known) if known else None)
        numbers = list(dict.fromkeys(number for day in days for number in day.errors))
        for n, item in enumerate(self._errors):
            nothing = 0 if days else None
            self._service.set(item, numbers[n] if n < len(numbers) else nothing)


def _available(days: Days) -> int:
    """How many day pages there are to show, up to the oldest day with a record."""
    return max((n + 1 for n, day in enumerate(days) if day is not None), default=0)
