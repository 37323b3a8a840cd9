"""Extremes of a day: our own samples, and the device's finer ones as far as they belong to that day."""

from heliobus.ledger.sample import Sample
from heliobus.model.day import Day

# The device's highest power, highest array voltage, lowest and highest battery voltage.
Extremes = tuple[float | None, float | None, float | None, float | None]
UNKNOWN: Extremes = (None, None, None, None)


def device_extremes(sample: Sample) -> Extremes:
    """The device's extremes of its own day."""
    return (
        sample.day_power_max,
        sample.day_pv_voltage_max,
        sample.day_battery_voltage_min,
        sample.day_battery_voltage_max,
    )


def known(before: Extremes, now: Extremes) -> Extremes:
    """`now`, with what was not read this time from `before`."""
    if now in (before, UNKNOWN):
        return before
    if None not in now:
        return now
    power, pv, lowest, highest = (old if new is None else new for old, new in zip(before, now, strict=True))
    return power, pv, lowest, highest


def moved(before: Extremes, now: Extremes, date: str, rolled: bool) -> Day | None:
    """The device's extremes that moved, as a record of `date`: the others may still be those of another day."""
    if now == UNKNOWN or (now == before and not rolled):
        return None
    power, pv, lowest, highest = (new if rolled or new != old else None for old, new in zip(before, now, strict=True))
    return Day(date, max_power=power, max_pv_voltage=pv, min_battery_voltage=lowest, max_battery_voltage=highest)


def own(sample: Sample, date: str) -> Day:
    """The sample's own values as a record of `date`."""
    voltage, error = sample.battery_voltage, sample.charger_error
    return Day(
        date,
        0.0,
        sample.power,
        sample.pv_voltage,
        voltage,
        voltage,
        sample.battery_current,
        0.0,
        0.0,
        0.0,
        0.0,
        (error,) if error else (),
    )
