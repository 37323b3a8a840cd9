"""Many sites as a store sees them: a charger, two batteries and a meter each, as values. Pure functions of the time.

Nothing is stepped, so a site costs nothing between two samples and a thousand of them are as good as one. Energies
are the integrals of the powers; the values wobble, or they would be packed better than real ones.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from heliobus.model import vocabulary as v
from heliobus.model.device import Device, Identity
from heliobus.model.point import Category, Point, Value
from heliobus.model.quantity import CELL_VOLT
from heliobus.model.role import Role

DAY, HOUR = 86_400.0, 3600.0
DAWN = 6.0
CELLS = 16
CELL_POINTS = tuple(
    Point(f"cell_voltage_{number}", CELL_VOLT, f"Voltage of cell {number}", Category.DIAGNOSTIC)
    for number in range(1, CELLS + 1)
)
CHARGER_POINTS = (
    *(v.BATTERY_VOLTAGE, v.BATTERY_CURRENT, v.BATTERY_POWER, v.BATTERY_TEMPERATURE, v.PV_VOLTAGE, v.PV_CURRENT),
    *(v.PV_POWER, v.CHARGER_STATE, v.CHARGER_ERROR, v.CHARGER_ENABLED, v.MPP_MODE, v.TARGET_VOLTAGE),
    *(v.HIGH_TEMPERATURE, v.GENERAL_ALARM, v.ENERGY_DAY_COUNTER, v.ENERGY_TOTAL_COUNTER, v.CHARGE_DAY_COUNTER),
    *(v.CHARGE_TOTAL_COUNTER, v.TIME_ABSORPTION_COUNTER, v.TIME_FLOAT_COUNTER, v.DAY_BATTERY_VOLTAGE_MIN),
    *(v.DAY_BATTERY_VOLTAGE_MAX, v.DAY_PV_VOLTAGE_MAX, v.DAY_POWER_MAX, v.OPERATING_HOURS, v.RATED_CURRENT),
    *(v.YIELD_TODAY, v.YIELD_TOTAL, v.CLOCK_DRIFT, v.NOMINAL_VOLTAGE, v.DAYS_SINCE_EQUALIZE, v.LOAD_POWER),
    *v.HEALTH_POINTS,
)
BATTERY_POINTS = (
    *(v.BATTERY_VOLTAGE, v.BATTERY_CURRENT, v.BATTERY_POWER, v.BATTERY_TEMPERATURE, v.SOC, v.SOH, v.CAPACITY),
    *(v.CAPACITY_FULL, v.CYCLES, v.CELL_VOLTAGE_MIN, v.CELL_VOLTAGE_MAX, v.MAX_CHARGE_VOLTAGE, v.MAX_CHARGE_CURRENT),
    *(v.MAX_DISCHARGE_CURRENT, v.HIGH_VOLTAGE_ALARM, v.LOW_VOLTAGE_ALARM, v.GENERAL_ALARM),
    *CELL_POINTS,
    *v.HEALTH_POINTS,
)
METER_POINTS = (
    *(v.AC_VOLTAGE, v.AC_CURRENT, v.AC_POWER, v.AC_APPARENT_POWER, v.AC_FREQUENCY, v.AC_POWER_FACTOR),
    *(v.ENERGY_FORWARD, v.ENERGY_FORWARD_COUNTER, v.HIGH_POWER_ALARM, v.CLOCK_DRIFT),
    *v.HEALTH_POINTS,
)


@dataclass(frozen=True, slots=True)
class _Moment:
    """What all devices of a site share at one time: hour of the day 0..24, sun 0..1, and the day's share won so far."""

    seconds: float
    hour: float
    sun: float
    won: float
    phase: float

    def wobble(self, number: int) -> float:
        """-1..1, its own for each `number`."""
        return math.sin(self.seconds * (0.013 + 0.0007 * number) + self.phase * (number + 1))


@dataclass(frozen=True, slots=True)
class _Unit:
    device: Device
    values: Callable[[_Moment, float], dict[str, Value]]


class FleetSite:
    """Site `number` of a fleet; `devices` of them: charger, battery, battery, meter, then more batteries."""

    def __init__(self, number: int, devices: int = 4) -> None:
        self.number = number
        self.name = f"site-{number:04d}"
        self._phase = number * 0.618
        self._peak = 400.0 + 100.0 * (number % 20)
        self._units = tuple(_unit(number, index) for index in range(devices))

    @property
    def devices(self) -> tuple[Device, ...]:
        """What it has."""
        return tuple(unit.device for unit in self._units)

    def sample(self, time: float) -> list[tuple[Device, Mapping[str, Value]]]:
        """Every device and its values at `time`, in UTC seconds since 1970."""
        hour = time % DAY / HOUR
        angle = math.pi * (hour - DAWN) / 12
        lit = 0 <= angle <= math.pi
        won = (1 - math.cos(angle)) / 2 if lit else float(hour > 12)
        moment = _Moment(time, hour, math.sin(angle) if lit else 0.0, won, self._phase)
        return [(unit.device, unit.values(moment, self._peak)) for unit in self._units]


@dataclass(frozen=True, slots=True)
class _Kind:
    short: str
    role: Role
    model: str
    points: tuple[Point, ...]
    values: Callable[[_Moment, float], dict[str, Value]]


def _unit(site: int, index: int) -> _Unit:
    kind = KINDS.get(index, BATTERY)
    serial = f"{site:06d}{index:02d}"
    device = Device(
        name=f"{kind.short}-{index}",
        label="",
        driver="fleet",
        short=kind.short,
        role=kind.role,
        address="simulated",
        identity=Identity("Heliobus", kind.model, serial, "1.0"),
        points={point.name: point for point in kind.points},
        key=f"{kind.short}_{serial}",
        number=index,
    )
    return _Unit(device, kind.values)


def _charger(now: _Moment, peak: float) -> dict[str, Value]:
    watts = peak * now.sun * (1 + 0.02 * now.wobble(1))
    volts = 52.0 + 2.5 * now.won - 1.5 * (now.hour / 24) + 0.05 * now.wobble(2)
    array = 110.0 - 12.0 * now.sun + now.wobble(3) if now.sun else 0.0
    # The integral of a half sine of twelve hours.
    day = peak * 24 / math.pi / 1000
    today, before = day * now.won, day * (now.seconds // DAY - 15_000)
    return {
        "battery_voltage": round(volts, 2),
        "battery_current": round(watts * 0.97 / volts, 2),
        "battery_power": round(watts * 0.97, 1),
        "battery_temperature": round(18 + 8 * now.won + 0.3 * now.wobble(4), 1),
        "pv_voltage": round(array, 2),
        "pv_current": round(watts / array, 2) if array else 0.0,
        "pv_power": round(watts, 1),
        "charger_state": 3 if now.sun else 0,
        "charger_error": 0,
        "charger_enabled": 1,
        "mpp_mode": 2 if now.sun else 0,
        "target_voltage": 56.8,
        "high_temperature": 0,
        "general_alarm": 0,
        "energy_day_counter": round(today * 1000),
        "energy_total_counter": round(before + today),
        "charge_day_counter": round(today * 1000 / volts, 1),
        "charge_total_counter": round((before + today) * 1000 / 52, 1),
        "time_absorption_counter": round(HOUR * max(0.0, now.won - 0.8)),
        "time_float_counter": 0,
        "day_battery_voltage_min": 50.5,
        "day_battery_voltage_max": round(52.0 + 2.5 * now.won, 2),
        "day_pv_voltage_max": 111.0,
        "day_power_max": round(peak * (1.0 if now.won >= 0.5 else now.sun), 1),
        "operating_hours": int(now.seconds // HOUR) - 360_000,
        "rated_current": 60.0,
        "yield_today": round(today, 2),
        "yield_total": round(before + today, 2),
        "clock_drift": round(5 * now.wobble(5)),
        "nominal_voltage": 48,
        "days_since_equalize": int(now.seconds // DAY) % 30,
        "load_power": round(60 + 30 * now.wobble(6), 1),
    } | _bus(now)


def _battery(now: _Moment, peak: float) -> dict[str, Value]:
    net = 0.5 * (peak * now.sun * 0.97 - 150.0 - 40.0 * now.wobble(7))
    cell = 3.25 + 0.15 * now.won - 0.09 * now.hour / 24
    cells = {
        f"cell_voltage_{number}": round(cell + 0.004 * now.wobble(number + 20), 3) for number in range(1, CELLS + 1)
    }
    volts = sum(cells.values())
    charge = min(max(35.0 + 60.0 * now.won - 25.0 * now.hour / 24, 0.0), 100.0)
    return {
        "battery_voltage": round(volts, 2),
        "battery_current": round(net / volts, 2),
        "battery_power": round(net, 1),
        "battery_temperature": round(17 + 5 * now.won + 0.2 * now.wobble(8), 1),
        "soc": round(charge, 1),
        "soh": 98.0,
        "capacity": round(2.8 * charge, 1),
        "capacity_full": 280.0,
        "cycles": int(now.seconds // DAY) - 19_000,
        "cell_voltage_min": min(cells.values()),
        "cell_voltage_max": max(cells.values()),
        "max_charge_voltage": 56.8,
        "max_charge_current": 140.0,
        "max_discharge_current": 200.0,
        "high_voltage_alarm": 0,
        "low_voltage_alarm": 0,
        "general_alarm": 0,
        **cells,
    } | _bus(now)


def _meter(now: _Moment, _peak: float) -> dict[str, Value]:
    volts, watts = 230 + 2 * now.wobble(10), 180 + 80 * now.wobble(11)
    used = 0.18 * (now.seconds / HOUR - 400_000)
    return {
        "ac_voltage": round(volts, 2),
        "ac_current": round(watts / volts / 0.9, 3),
        "ac_power": round(watts, 1),
        "ac_apparent_power": round(watts / 0.9, 1),
        "ac_frequency": round(50 + 0.02 * now.wobble(12), 2),
        "ac_power_factor": 0.9,
        "energy_forward": round(used, 2),
        "energy_forward_counter": round(1000 * used) % 10_000_000,
        "high_power_alarm": 0,
        "clock_drift": 0,
    } | _bus(now)


def _bus(now: _Moment) -> dict[str, Value]:
    asked = int(now.seconds // 5) - 300_000_000
    return {
        "bus_requests": asked,
        "bus_timeouts": asked // 20_000,
        "bus_bad_frames": asked // 50_000,
        "bus_refusals": 0,
        "bus_latency": round(45 + 5 * now.wobble(13), 1),
        "bus_load": round(6 + now.wobble(14), 1),
        "bus_foreign_frames": 0,
        "bus_reconnects": asked // 1_000_000,
    }


BATTERY = _Kind("battery", Role.BATTERY, "16S LFP", BATTERY_POINTS, _battery)
KINDS = {
    0: _Kind("tristar", Role.SOLAR_CHARGER, "TS-MPPT-60", CHARGER_POINTS, _charger),
    3: _Kind("pzem", Role.AC_LOAD, "PZEM-016", METER_POINTS, _meter),
}
"""What is what in a site; every other device is a battery."""
