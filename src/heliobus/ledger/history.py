"""The record of days: the open day and the days before it, newest first, each date once."""

from heliobus.ledger.moment import DATE_SET, days_between
from heliobus.model.day import Day, Days

KEPT = 31
_ERRORS = 4

Past = tuple[Day, ...]


def merged(day: Day, gain: Day) -> Day:
    """`day` with the sums, extremes and errors of `gain`, which is newer; `day` itself when that changes nothing."""
    result = Day(
        day.date,
        day.energy + gain.energy,
        _highest(day.max_power, gain.max_power),
        _highest(day.max_pv_voltage, gain.max_pv_voltage),
        _lowest(day.min_battery_voltage, gain.min_battery_voltage),
        _highest(day.max_battery_voltage, gain.max_battery_voltage),
        _highest(day.max_battery_current, gain.max_battery_current),
        day.time_bulk + gain.time_bulk,
        day.time_absorption + gain.time_absorption,
        day.time_float + gain.time_float,
        day.time_equalize + gain.time_equalize,
        _errors(day.errors, gain.errors) if gain.errors else day.errors,
    )
    return day if result == day else result


def opened(day: Day, past: Past, today: str) -> tuple[Day, Past]:
    """The open day and the past when it has become `today`.

    A clock stepped back, or set for the first time, gives the open record its new date; a later date opens a new one.
    """
    if today == day.date:
        return day, past
    existing = next((record for record in past if record.date == today), None)
    others = tuple(record for record in past if record is not existing)
    if today < day.date or day.date < DATE_SET:
        return merged(existing or Day(today), day), others
    return existing or Day(today), _pruned(_ordered((day, *others)), today)


def credited(day: Day, past: Past, gain: Day) -> tuple[Day, Past]:
    """The open day and the past with `gain` added to the record of its date."""
    if gain.date == day.date:
        return merged(day, gain), past
    if not any(record.date == gain.date for record in past):
        return day, _pruned(_ordered((gain, *past)), day.date)
    return day, tuple(merged(record, gain) if record.date == gain.date else record for record in past)


def window(records: Past, today: str) -> Days:
    """`records` by age: index n is n days before `today`; later dates are left out, trailing gaps are trimmed."""
    slots: list[Day | None] = [None] * KEPT
    for record in records:
        age = days_between(record.date, today)
        if 0 <= age < KEPT:
            slots[age] = record
    while slots and slots[-1] is None:
        slots.pop()
    return tuple(slots)


def _ordered(records: Past) -> Past:
    return tuple(sorted(records, key=lambda record: record.date, reverse=True))


def _pruned(past: Past, today: str) -> Past:
    if len(past) < KEPT:
        return past
    # Dates ahead of today come from a clock that was wrong: they go first, or they would stay for ever.
    ahead = [record for record in past if record.date > today]
    victim = ahead[-1] if ahead else past[-1]
    return tuple(record for record in past if record is not victim)


def _highest(kept: float | None, value: float | None) -> float | None:
    return kept if value is None or (kept is not None and kept >= value) else value


def _lowest(kept: float | None, value: float | None) -> float | None:
    return kept if value is None or (kept is not None and kept <= value) else value


def _errors(kept: tuple[int, ...], newer: tuple[int, ...]) -> tuple[int, ...]:
    return (*newer, *(number for number in kept if number not in newer))[:_ERRORS]
