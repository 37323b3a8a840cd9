"""Which values of an EPever charger cannot be true beside the others (epever.md §18). Pure."""

from collections.abc import Collection, Mapping

from heliobus.devices.epever import points as ep
from heliobus.devices.epever.families import PWM
from heliobus.devices.epever.setpoints import nominal_voltage, number
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value

HIGHEST_PV_VOLTAGE = 250.0
OVER_RATED = 1.2
LARGEST_CURRENT = 120.0
"""Amperes that no model exceeds, for a charger that does not tell its rating."""
LOWEST_BATTERY, HIGHEST_BATTERY = 0.5, 1.6
"""Times the nominal voltage."""
SHARE, WATTS = 0.2, 5.0
FAINT = 50.0
"""Watts below which voltage and current are too coarse to doubt the power with, as at dawn."""

POWERS = (
    (v.PV_POWER, v.PV_VOLTAGE, v.PV_CURRENT),
    (v.BATTERY_POWER, v.BATTERY_VOLTAGE, v.BATTERY_CURRENT),
    (v.LOAD_POWER, v.LOAD_VOLTAGE, v.LOAD_CURRENT),
)
"""Each read together with its factors."""


def doubt(values: Mapping[str, Value]) -> Collection[str]:
    """The names of the values that are out of range or that contradict those read with them."""
    rated = number(values, v.RATED_CURRENT)
    amps = OVER_RATED * rated if rated else LARGEST_CURRENT
    nominal = nominal_voltage(values)
    lowest, highest = LOWEST_BATTERY * (nominal or 12), HIGHEST_BATTERY * (nominal or 240)
    doubtful = {
        point.name
        for point, low, high in (
            (v.PV_VOLTAGE, 0.0, HIGHEST_PV_VOLTAGE),
            (v.PV_CURRENT, 0.0, amps),
            (v.BATTERY_CURRENT, 0.0, amps),
            (v.BATTERY_VOLTAGE, lowest, highest),
            (ep.BATTERY_VOLTAGE_B, lowest, highest),
        )
        if _outside(values, point, low, high)
    }
    # What a PWM charger shows as the power of one side is that of the other on some units.
    if number(values, ep.CHARGING_MODE) != PWM:
        doubtful.update(power.name for power, volts, current in POWERS if _contradicts(values, power, volts, current))
    return doubtful


def _outside(values: Mapping[str, Value], point: Point, low: float, high: float) -> bool:
    value = number(values, point)
    return value is not None and not low <= value <= high


def _contradicts(values: Mapping[str, Value], power: Point, volts: Point, current: Point) -> bool:
    watts, factors = number(values, power), (number(values, volts), number(values, current))
    if watts is None or factors[0] is None or factors[1] is None:
        return False
    product = factors[0] * factors[1]
    larger = max(watts, product)
    return larger >= FAINT and abs(watts - product) > SHARE * larger + WATTS
