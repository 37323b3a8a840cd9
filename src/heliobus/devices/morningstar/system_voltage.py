"""The nominal battery voltage of a TriStar MPPT 150 V, which has no register for it, and what speaks for it.

The settings switches 2 and 3 come first, then what the charger regulates to, then what the battery reads. When switches
and battery disagree there is no multiplier, since charge settings would be shown and later written wrongly.
"""

from collections.abc import Mapping

from heliobus.devices.morningstar import points as ts
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value

# Battery volts of a bank that can only be this multiple of 12 V; 36 V and 60 V banks exist between and beyond.
BANDS = ((8.0, 16.5, 1), (19.0, 30.0, 2), (50.0, 66.0, 4))
# Volts per 12 V below and above which a battery cannot be of the multiple the switches say.
LOWEST, HIGHEST = 7.5, 17.5
# Below this the controller itself has no supply, so the reading is of an open terminal.
BROWN_OUT = 7.0
BY_SWITCHES = {(0, 1): 1, (1, 0): 2, (1, 1): 4}
ABSORPTION, FLOAT = 6, 7
CUSTOM = 7


def system_voltage(values: Mapping[str, Value]) -> tuple[int | None, str | None]:
    """The multiplier of 12 V and what it is concluded from; (None, why not); before the first values (None, None)."""
    switches = values.get(ts.DIP_SWITCHES.name)
    battery = _volts(values, v.BATTERY_VOLTAGE)
    if not isinstance(switches, int) or battery is None:
        return None, None
    chosen = BY_SWITCHES.get((switches >> 1 & 1, switches >> 2 & 1))
    if chosen is None:
        return _automatic(values, battery)
    if _contradicts(battery, chosen):
        return None, f"switches 2 and 3 say {12 * chosen} V, but the battery reads {battery:.1f} V"
    return chosen, "switches 2 and 3"


def _automatic(values: Mapping[str, Value], battery: float) -> tuple[int | None, str | None]:
    by_target = _by_target(values)
    if by_target is not None:
        if _contradicts(battery, by_target):
            return None, f"the target voltage fits a {12 * by_target} V system, but the battery reads {battery:.1f} V"
        return by_target, "switches 2 and 3 are automatic; target voltage against the setting"
    for low, high, multiplier in BANDS:
        if low <= battery <= high:
            return multiplier, f"switches 2 and 3 are automatic; the battery reads {12 * multiplier} V"
    return None, f"switches 2 and 3 are automatic, and {battery:.1f} V fits more than one system or none"


def _contradicts(battery: float, multiplier: int) -> bool:
    return battery > BROWN_OUT and not LOWEST <= battery / multiplier <= HIGHEST


def _by_target(values: Mapping[str, Value]) -> int | None:
    """By the voltage regulated to, against the stored setting, where a custom program makes them comparable."""
    switches = values.get(ts.DIP_SWITCHES.name)
    stored = {ABSORPTION: ts.STORED_ABSORPTION, FLOAT: ts.STORED_FLOAT}.get(_state(values))
    if not isinstance(switches, int) or switches >> 3 & 7 != CUSTOM or stored is None:
        return None
    setting, target = _volts(values, stored), _volts(values, v.TARGET_VOLTAGE)
    if not setting or not target:
        return None
    # Temperature compensation moves the target by a few percent.
    return next((multiplier for multiplier in (1, 2, 4) if abs(target / setting / multiplier - 1) < 0.1), None)


def _state(values: Mapping[str, Value]) -> int:
    state = values.get(ts.CHARGE_STATE.name)
    return state if isinstance(state, int) else -1


def _volts(values: Mapping[str, Value], point: Point) -> float | None:
    value = values.get(point.name)
    return value if isinstance(value, int | float) else None
