"""Which voltage a setting means for this battery now: system voltage, convention, temperature (epever.md §8.4)."""

from collections.abc import Mapping

from heliobus.devices.epever import points as ep
from heliobus.devices.epever import settings as st
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value

UNCLEAR, ACTUAL, FOR_12_VOLTS = range(3)
FIRST_LITHIUM = 4
REFERENCE_TEMPERATURE = 25.0
LOWEST_RATIO, HIGHEST_RATIO = 1.0, 1.3
"""Float voltage divided by the nominal voltage, of any battery that exists."""
NOMINAL = tuple(st.SYSTEM_VOLTAGES.values())
EXACT = 0.01


def number(values: Mapping[str, Value], point: Point) -> float | None:
    """The point's number, None where it has none."""
    value = values.get(point.name)
    return value if isinstance(value, int | float) else None


def nominal_voltage(values: Mapping[str, Value]) -> int | None:
    """The nominal battery voltage: what the charger found, else what was chosen."""
    found = number(values, ep.SYSTEM_VOLTAGE)
    for volts in NOMINAL:
        if found is not None and abs(found - volts) < EXACT:
            return volts
    chosen = number(values, st.SET_SYSTEM_VOLTAGE)
    return None if chosen is None else st.SYSTEM_VOLTAGES.get(int(chosen))


def ratio(values: Mapping[str, Value]) -> float | None:
    """The stored float voltage divided by the nominal voltage."""
    stored, nominal = number(values, st.SET_FLOAT_VOLTAGE), number(values, v.NOMINAL_VOLTAGE)
    return None if stored is None or not nominal else round(stored / nominal, ep.SETTINGS_RATIO.decimals)


def convention(values: Mapping[str, Value]) -> int | None:
    """What battery the stored voltages are for: ACTUAL, FOR_12_VOLTS or UNCLEAR; None while it cannot be judged."""
    stored, nominal = number(values, st.SET_FLOAT_VOLTAGE), number(values, v.NOMINAL_VOLTAGE)
    if stored is None or not nominal:
        return None
    for meaning, volts in ((ACTUAL, nominal), (FOR_12_VOLTS, 12)):
        if LOWEST_RATIO <= stored / volts <= HIGHEST_RATIO:
            return meaning
    return UNCLEAR


def effective(values: Mapping[str, Value], setting: Point) -> float | None:
    """The voltage that `setting` means for this battery at its temperature; None while that is not known.

    Lithium batteries are not compensated, and none is without a probe.
    """
    stored, nominal = number(values, setting), number(values, v.NOMINAL_VOLTAGE)
    meaning = convention(values)
    if stored is None or nominal is None or meaning not in (ACTUAL, FOR_12_VOLTS):
        return None
    volts = stored * (nominal / 12 if meaning == FOR_12_VOLTS else 1)
    per_celsius = number(values, st.SET_TEMPERATURE_COMPENSATION)
    temperature = number(values, v.BATTERY_TEMPERATURE)
    kind = number(values, st.SET_BATTERY_TYPE)
    if per_celsius is None or temperature is None or (kind is not None and kind >= FIRST_LITHIUM):
        return volts
    return volts + per_celsius * (temperature - REFERENCE_TEMPERATURE)
