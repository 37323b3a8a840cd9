"""Which values of a PZEM meter cannot be true beside the others (pzem.md §9, rules 2, 3 and 6).

Power-up garbage and 32-bit glitches come with a good checksum, so an answer that contradicts itself counts as a whole.
"""

from collections.abc import Collection, Mapping

from heliobus.devices.pzem.points import CURRENT_RANGE, HIGHEST_COUNT, SHUNTS
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value

AC_MEASURED = (
    v.AC_VOLTAGE,
    v.AC_CURRENT,
    v.AC_POWER,
    v.ENERGY_FORWARD_COUNTER,
    v.AC_FREQUENCY,
    v.AC_POWER_FACTOR,
    v.HIGH_POWER_ALARM,
)
DC_MEASURED = (
    v.DC_VOLTAGE,
    v.DC_CURRENT,
    v.DC_POWER,
    v.ENERGY_FORWARD_COUNTER,
    v.HIGH_VOLTAGE_ALARM,
    v.LOW_VOLTAGE_ALARM,
)
AC_VOLTS, AC_HERTZ = (60.0, 300.0), (40.0, 70.0)
AC_AMPS = 1.2 * 100
DC_VOLTS = (0.0, 350.0)
RANGES = {code: amperes for amperes, code in SHUNTS.items()}


def ac_doubt(values: Mapping[str, Value]) -> Collection[str]:
    """The names of what an AC meter cannot have measured; all but a power of 0 where there is no mains."""
    answer = _answer(values, AC_MEASURED)
    if all(values.get(point.name) == 0 for point in (v.AC_VOLTAGE, v.AC_POWER, v.AC_FREQUENCY, v.AC_POWER_FACTOR)):
        return answer - {v.AC_POWER.name}
    if not _adds_up(values, (v.AC_VOLTAGE, v.AC_CURRENT, v.AC_POWER), AC_VOLTS, AC_AMPS):
        return answer
    doubtful = _run_away(values)
    hertz = _number(values, v.AC_FREQUENCY)
    if hertz is not None and not AC_HERTZ[0] <= hertz <= AC_HERTZ[1]:
        doubtful.add(v.AC_FREQUENCY.name)
    return doubtful & answer


def dc_doubt(values: Mapping[str, Value]) -> Collection[str]:
    """The names of what a DC meter cannot have measured; its current is bounded by the shunt it is set to."""
    answer = _answer(values, DC_MEASURED)
    code = values.get(CURRENT_RANGE.name)
    amps = 1.2 * (RANGES.get(code, max(SHUNTS)) if isinstance(code, int) else max(SHUNTS))
    if not _adds_up(values, (v.DC_VOLTAGE, v.DC_CURRENT, v.DC_POWER), DC_VOLTS, amps):
        return answer
    return _run_away(values) & answer


def _answer(values: Mapping[str, Value], measured: tuple[Point, ...]) -> set[str]:
    return {point.name for point in measured if values.get(point.name) is not None}


def _adds_up(
    values: Mapping[str, Value], points: tuple[Point, Point, Point], volts: tuple[float, float], highest_amps: float
) -> bool:
    voltage, current, power = (_number(values, point) for point in points)
    if voltage is None or current is None or power is None:
        return False
    return volts[0] <= voltage <= volts[1] and current <= highest_amps and power <= 1.1 * voltage * current + 5


def _number(values: Mapping[str, Value], point: Point) -> float | None:
    value = values.get(point.name)
    return value if isinstance(value, int | float) else None


def _run_away(values: Mapping[str, Value]) -> set[str]:
    count = _number(values, v.ENERGY_FORWARD_COUNTER)
    return {v.ENERGY_FORWARD_COUNTER.name} if count is not None and count > HIGHEST_COUNT else set()
