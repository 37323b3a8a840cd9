"""Home Assistant's classes of our points, from their quantity and their words. Pure."""

from collections.abc import Mapping

from heliobus.model import quantity as q
from heliobus.model import vocabulary as v
from heliobus.model.point import Category, Point
from heliobus.model.quantity import Kind, Quantity

YES_NO = {0: "no", 1: "yes"}
ON_OFF = {"off": "OFF", "on": "ON"}
BINARIES: tuple[tuple[Mapping[int, str], Mapping[str, str]], ...] = (
    (v.SWITCH, ON_OFF),
    (YES_NO, {"no": "OFF", "yes": "ON"}),
    (v.ALARM_LEVELS, {"no": "OFF", "warning": "ON", "alarm": "ON"}),
)
"""Enums that are on or off, and what each of their words is then."""

BINARY_CLASSES: Mapping[str, str] = {
    v.HIGH_TEMPERATURE.name: "heat",
    v.LOW_TEMPERATURE_ALARM.name: "cold",
    v.SHORT_CIRCUIT_ALARM.name: "safety",
    v.LOAD_STATE.name: "power",
}
"""Where a binary point is not a `problem` because of its words alone."""

PERIODS = ("_today", "_month", "_year", "_day_counter", "_month_counter", "_year_counter")
"""Ends of the names of energies that begin again: only lifetime counters shall be offered as statistics."""

WATCHED = frozenset(
    point.name
    for point in (
        *(v.OPERATING_HOURS, v.DAYS_SINCE_EQUALIZE, v.CLOCK_DRIFT, v.NOMINAL_VOLTAGE, v.BUS_TIMEOUTS, v.BUS_LATENCY),
        *(v.CHARGE_VOLTAGE_LIMIT, v.CHARGE_CURRENT_LIMIT, v.BMS_REQUIRED, v.APPLY_PROFILE, v.SET_CLOCK),
        *(v.CLEAR_FAULTS, v.CLEAR_ALARMS, v.RESET_CONTROLLER, v.RESET_COMM_SERVER),
    )
)
"""Diagnostics and settings that owners look at or use; the others are there, and switched off at first."""
UNWATCHED = frozenset({v.REMOTE_NETWORK_MODE.name, v.REMOTE_CHARGE_VOLTAGE.name, v.REMOTE_CHARGE_CURRENT.name})
"""Measurements that only say what a GX does."""

KIND_ICONS = {Kind.ENUM: "mdi:state-machine", Kind.FLAGS: "mdi:flag-variant-outline", Kind.TEXT: "mdi:text"}
ICONS: Mapping[Quantity, str] = {
    q.AMPERE_HOUR: "mdi:battery-charging",
    q.PERCENT: "mdi:percent",
    q.COUNT: "mdi:counter",
}


def device_class(point: Point) -> str | None:
    """The device class of a sensor or number, None where there is none."""
    return "battery" if point.name == v.SOC.name else point.quantity.device_class


def state_class(point: Point) -> str | None:
    """What statistics Home Assistant keeps of a sensor, None for none, as for what was only set."""
    if point.category is Category.SETTING or (point.quantity.device_class == "energy" and point.name.endswith(PERIODS)):
        return None
    return point.quantity.state_class


def binary(point: Point) -> Mapping[str, str] | None:
    """What each word of an enum that is on or off means, None for all other points."""
    return next((meaning for words, meaning in BINARIES if point.words == words), None)


def binary_class(point: Point) -> str | None:
    """The device class of a binary sensor, None where there is none."""
    return BINARY_CLASSES.get(point.name, "problem" if point.words == v.ALARM_LEVELS else None)


def icon(point: Point) -> str | None:
    """An icon where no class gives one."""
    return KIND_ICONS.get(point.kind) or (None if device_class(point) else ICONS.get(point.quantity))


def enabled(point: Point) -> bool:
    """Whether the owner sees it without asking for it."""
    if point.name in WATCHED or point.name in UNWATCHED:
        return point.name in WATCHED
    if point.category is not Category.MEASUREMENT:
        return False
    # Of what only one family measures, states and temperatures are asked for, the other figures hardly ever.
    shown = point.kind not in (Kind.NUMBER, Kind.INTEGER) or point.quantity is q.CELSIUS
    return shown or point.name in v.VOCABULARY
