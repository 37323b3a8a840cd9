"""A site with hand-made devices that are fed readings, for the tests of record outputs."""

from collections.abc import Mapping

from heliobus.model import vocabulary as v
from heliobus.model.device import Device, Identity
from heliobus.model.point import Category, Point, Value
from heliobus.model.quantity import ENUM, FLAGS, PERCENT
from heliobus.model.reading import Health, Reading, Reason
from heliobus.model.role import Role
from heliobus.site import Site, silent

SOC_ESTIMATE = Point("soc_estimate", PERCENT, "Guess of the charger", Category.DIAGNOSTIC, decimals=0)
FAULTS = Point("faults", FLAGS, "Faults as the device numbers them", words={0: "overcurrent", 3: "battery HVD"})
ARRAY_MODE = Point("array_mode", ENUM, "What the array does", words={0: "off", 1: "sweep"})
CHARGER_POINTS = (
    *(v.BATTERY_VOLTAGE, v.BATTERY_CURRENT, v.PV_VOLTAGE, v.PV_CURRENT, v.PV_POWER, v.CHARGER_STATE, v.FAULT_TEXT),
    *(v.LOAD_VOLTAGE, v.LOAD_CURRENT, v.LOAD_POWER, v.LOAD_ENERGY_TODAY, v.LOAD_ENERGY_TOTAL),
    *(v.YIELD_TODAY, v.YIELD_TOTAL, v.BUS_REQUESTS, SOC_ESTIMATE, FAULTS, ARRAY_MODE),
)
GRID_POINTS = (v.AC_VOLTAGE, v.AC_CURRENT, v.AC_POWER, v.ENERGY_FORWARD)
POINTS = {Role.SOLAR_CHARGER: CHARGER_POINTS, Role.GRID_METER: GRID_POINTS}
CHARGER_VALUES: Mapping[str, Value] = {
    "battery_voltage": 27.31,
    "battery_current": 14.5,
    "pv_voltage": 61.0,
    "pv_current": 6.7,
    "pv_power": 412,
    "charger_state": 3,
    "fault_text": "",
    "load_voltage": 27.3,
    "load_current": 1.5,
    "load_power": 41.0,
    "load_energy_today": 0.31,
    "load_energy_total": 120.5,
    "yield_today": 2.25,
    "yield_total": 1000.5,
    "bus_requests": 7,
    "soc_estimate": 48,
    "faults": 9,
    "array_mode": 1,
}


def introduced(
    site: Site,
    name: str,
    number: int = 0,
    *,
    role: Role = Role.SOLAR_CHARGER,
    label: str = "",
    without: tuple[str, ...] = (),
    short: str = "tracer",
) -> Device:
    """A device of `site` that has not been read yet; `without` are points it has not."""
    device = Device(
        name,
        label,
        "epever-tracer",
        short,
        role,
        f"RS-485 /dev/ttyUSB0, unit {number + 1}",
        Identity("EPever", "Tracer 4215BN"),
        {point.name: point for point in POINTS[role] if point.name not in without},
        f"{short}_{number}",
        number,
    )
    site.introduce(device)
    return device


def fed(site: Site, device: Device, time: float, values: Mapping[str, Value] = CHARGER_VALUES) -> None:
    """`device` was read at `time` (UTC s) and said `values`; what is left out is not measured."""
    measured = {name: values.get(name) for name in device.points}
    reasons = {name: Reason.INVALID for name, value in measured.items() if value is None}
    site.put(Reading(device.name, time, measured, reasons))


def unplugged(site: Site, device: Device) -> None:
    """As the poller says it when the device answers no more."""
    before = site.reading(device.name)
    assert before is not None
    site.put(silent(device, Health.OFFLINE, before.time))
