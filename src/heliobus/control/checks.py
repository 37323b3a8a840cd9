"""Whether charge settings fit each other, the battery and the owner's limits (tristar.md §4.5.7, §2.1). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from heliobus.control.plant import Plant
from heliobus.control.settings import by_name
from heliobus.devices.writes import Eeprom
from heliobus.model import vocabulary as v
from heliobus.model.control_options import ControlOptions
from heliobus.model.point import Value

ABSORPTION, FLOAT, EQUALIZE = "set_absorption_voltage", "set_float_voltage", "set_equalize_voltage"
HVD, RECONNECT, CEILING = "set_hvd_voltage", "set_hvd_reconnect_voltage", "set_voltage_limit"
EQUALIZE_DAYS, CURRENT = "set_equalize_days", "set_current_limit"
COMPENSATION = "set_temperature_compensation"
HOUR = 3600.0
SYSTEMS = (12, 24, 48)
LOWEST, HIGHEST, BROWN_OUT = 7.5, 17.5, 7.0
"""Volts per 12 V that a battery can have, and volts below which the reading is of an open terminal."""
HVD_MARGIN = 1.1
"""A high voltage disconnect must lie above what the battery is charged to, but not far."""
HALF_COUNT = 0.003
"""Volts per 12 V by which a stored voltage may miss the one that was typed."""


@dataclass(frozen=True, slots=True)
class Order:
    """`lower` must be below `upper`, or may be the same; 0 of `off` means that there is no such limit."""

    lower: str
    upper: str
    off: tuple[str, ...] = ()
    same: bool = False


ORDERS = (
    Order(FLOAT, ABSORPTION, (FLOAT,)),
    Order(ABSORPTION, EQUALIZE, (EQUALIZE,), same=True),
    Order(ABSORPTION, HVD, (HVD,)),
    Order(EQUALIZE, HVD, (EQUALIZE, HVD)),
    Order(RECONNECT, HVD, (HVD,)),
    Order(ABSORPTION, CEILING, (CEILING,), same=True),
    Order("set_float_cancel_voltage", FLOAT, (FLOAT, "set_float_cancel_voltage")),
    Order("set_absorption_extension_voltage", FLOAT, (FLOAT, "set_absorption_extension_voltage")),
    Order("set_compensation_min", "set_compensation_max"),
    Order("set_led_green_yellow_voltage", "set_led_green_voltage", same=True),
    Order("set_led_yellow_voltage", "set_led_green_yellow_voltage", same=True),
    Order("set_led_yellow_red_voltage", "set_led_yellow_voltage", same=True),
)
SENSIBLE = {
    "set_absorption_time": (0.0, 12 * HOUR),
    "set_absorption_extension": (0.0, 12 * HOUR),
    "set_float_exit_time": (0.0, 18 * HOUR),
    "set_equalize_time_limit": (0.0, 12 * HOUR),
    "set_equalize_time": (0.0, 12 * HOUR),
    EQUALIZE_DAYS: (0.0, 255.0),
    "set_battery_service_days": (0.0, 1000.0),
    "set_compensation_max": (0.0, 80.0),
    "set_compensation_min": (-40.0, 40.0),
    CURRENT: (0.0, 80.0),
}
SENSIBLE_12V = {
    COMPENSATION: (-0.06, 0.0),
    HVD: (0.0, 20.0),
    RECONNECT: (0.0, 20.0),
    "set_float_cancel_voltage": (0.0, 16.0),
    "set_absorption_extension_voltage": (0.0, 16.0),
    "set_led_green_voltage": (0.0, 17.5),
    "set_led_green_yellow_voltage": (0.0, 17.5),
    "set_led_yellow_voltage": (0.0, 17.5),
    "set_led_yellow_red_voltage": (0.0, 17.5),
}
"""As SENSIBLE, for 12 V nominal."""


def problems(
    eeprom: Eeprom, after: Mapping[str, Value], touched: Mapping[str, float], options: ControlOptions
) -> tuple[str, ...]:
    """Why the charger should not get the settings `after`, of which those `touched` are new; empty if nothing does.

    `touched` are the values that were asked for, which may miss the stored ones by half a count. What was odd before
    and is not touched is no reason.
    """
    if options.system_voltage is None:
        return ("the system voltage is not confirmed",)
    case = _Case(eeprom, after, touched, options, options.system_voltage / 12)
    return (*case.charging(), *case.high_voltage(), *case.equalizing(), *case.current(), *case.ranges(), *case.orders())


@dataclass(frozen=True, slots=True)
class _Case:
    eeprom: Eeprom
    after: Mapping[str, Value]
    touched: Mapping[str, float]
    options: ControlOptions
    times: float

    def number(self, name: str) -> float | None:
        value = self.after.get(name)
        return value if isinstance(value, int | float) else None

    def new(self, name: str) -> float | None:
        """The value of a setting that is touched."""
        return self.number(name) if name in self.touched else None

    def words(self, name: str, value: float | None = None) -> str:
        """`float voltage 28.9 V`."""
        point = by_name(self.eeprom)[name].point
        number = self.touched.get(name, self.number(name)) if value is None else value
        text = f"{round(number or 0.0, point.decimals):g} {point.unit}".rstrip()
        return text if value is not None else f"{title(name)} {text}"

    def charging(self) -> list[str]:
        found = []
        chemistry, owner = self.options.chemistry, self.options.highest_voltage
        slack = HALF_COUNT * self.times
        low, high = chemistry.lowest * self.times, chemistry.highest * self.times
        for name in (ABSORPTION, FLOAT, EQUALIZE, CEILING):
            value = self.new(name)
            if value is None or (value == 0 and name != ABSORPTION):
                continue
            if not low - slack <= value <= high + slack:
                found.append(
                    f"{self.words(name)} is not within {low:g} V to {high:g} V, "
                    f"the limits of chemistry {chemistry.name} at {12 * self.times:g} V"
                )
            if owner is not None and value > owner + slack:
                found.append(
                    f"{self.words(name)} is above the {owner:g} V of [device.limits] (MaxChargeVoltage on a GX)"
                )
        return found

    def high_voltage(self) -> list[str]:
        value, chemistry = self.new(HVD), self.options.chemistry
        high = HVD_MARGIN * chemistry.highest * self.times
        if value is None or value <= high + HALF_COUNT * self.times:
            return []
        return [f"{self.words(HVD)} is above {high:g} V, {HVD_MARGIN:g} times the highest voltage of {chemistry.name}"]

    def equalizing(self) -> list[str]:
        if self.options.chemistry.equalize:
            return []
        return [
            f"{self.words(name)} must be 0: chemistry {self.options.chemistry.name} must not be equalized"
            for name in (EQUALIZE, EQUALIZE_DAYS)
            if self.new(name)
        ]

    def current(self) -> list[str]:
        value, owner = self.new(CURRENT), self.options.highest_current
        if value is None or owner is None or 0 < value <= owner + HALF_COUNT:
            return []
        if value == 0:
            return [f"{self.words(CURRENT)} means the charger's own limit; highest_current is {owner:g} A"]
        return [f"{self.words(CURRENT)} is above highest_current {owner:g} A"]

    def ranges(self) -> list[str]:
        found = []
        of_12v = {name: (low * self.times, high * self.times) for name, (low, high) in SENSIBLE_12V.items()}
        for name, (low, high) in (SENSIBLE | of_12v).items():
            value = self.new(name)
            slack = 0.0 if name in SENSIBLE else HALF_COUNT * self.times
            if value is not None and not low - slack <= value <= high + slack:
                bounds = f"{self.words(name, low)} to {self.words(name, high)}"
                found.append(f"{self.words(name)} is not within {bounds}")
        return found

    def orders(self) -> list[str]:
        found = []
        for order in ORDERS:
            lower, upper = self.number(order.lower), self.number(order.upper)
            if self.touched.keys().isdisjoint((order.lower, order.upper)) or lower is None or upper is None:
                continue
            if any(self.number(name) == 0 for name in order.off) or lower < upper or (order.same and lower == upper):
                continue
            must = "must not be above" if order.same else "must be below"
            found.append(f"{self.words(order.lower)} {must} {self.words(order.upper)}")
        return found


def title(name: str) -> str:
    """The name of a setting in words."""
    return name.removeprefix("set_").replace("_", " ")


def system_refusal(plant: Plant) -> str | None:
    """Why settings cannot be written for the system voltage the owner confirmed, or did not; None if they can."""
    confirmed, found = plant.options.system_voltage, plant.number(v.NOMINAL_VOLTAGE)
    battery = plant.number(v.BATTERY_VOLTAGE)
    where = f"for {plant.name} in the config"
    if confirmed is None:
        looks = f"; it looks like a {found:g} V system" if found else ""
        return (
            "charge settings depend on the nominal voltage of the battery, which you have to confirm once"
            f"{looks}: set system_voltage = {found or 24:g} {where}"
        )
    if confirmed not in SYSTEMS:
        return (
            f"system_voltage = {confirmed}: charge settings can be written for 12, 24 and 48 V only, "
            "since nobody knows what a charger for another voltage multiplies them by"
        )
    if found is not None and found != confirmed:
        return (
            f"system_voltage = {confirmed}, but the charger works as on {found:g} V: "
            f"set system_voltage = {found:g} {where}, or correct settings switches 2 and 3"
        )
    if found is None and battery is not None and battery > BROWN_OUT:
        times = confirmed / 12
        if not LOWEST * times <= battery <= HIGHEST * times:
            return (
                f"system_voltage = {confirmed}, but the battery reads {battery:.1f} V: correct system_voltage {where}"
            )
    return None
