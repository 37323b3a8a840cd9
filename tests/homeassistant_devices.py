"""Every device that the catalog knows, as the site would have it, for tests of Home Assistant's discovery."""

from dataclasses import replace

from heliobus.control.controls import controls_of, points_of
from heliobus.devices import catalog
from heliobus.devices.driver import Driver
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import ControlOptions, EqualizeOptions, TopChargeOptions
from heliobus.model.device import Device, Identity
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind
from heliobus.outputs.mqtt.topics import Topics
from heliobus.totals import total_device

SITE = "Cabin at the lake"
UNLOCKED = ControlOptions(
    on=True,
    chemistry=CHEMISTRIES["flooded"],
    equalize=EqualizeOptions(allowed=True),
    top_charge=TopChargeOptions(29.6),
)


def topics() -> Topics:
    """Those of a site of its own."""
    return Topics("heliobus", SITE)


def device(driver: Driver, *, control: bool = False, number: int = 0) -> Device:
    """A device of this family with a serial number."""
    controls = controls_of(driver, UNLOCKED, ["winter"], network=True) if control else {}
    points = driver.points() | ({point.name: point for point in points_of(driver)} if controls else {})
    return Device(
        name=f"{driver.short} {number + 1}",
        label="",
        driver=driver.name,
        short=driver.short,
        role=driver.role,
        address="Modbus TCP 192.0.2.4, unit 1",
        identity=Identity(driver.vendor, driver.family, f"0017{number:04}", "1.2.3"),
        points=points,
        key=f"{driver.short}_0017{number:04}",
        number=number,
        controls=controls,
        roles=driver.roles,
    )


def every() -> list[Device]:
    """One of every family and role, with and without control, and a total."""
    found = [total_device("all", "total of a, b")]
    for driver in catalog.drivers():
        for role in driver.roles:
            for control in (False, True):
                made = device(driver, control=control, number=len(found))
                found.append(replace(made, role=role))
    return found


def value(point: Point) -> Value:
    """A plausible value of `point`, not the same for all."""
    if point.kind is Kind.TEXT:
        return f"text of {point.name}"
    if point.kind is Kind.ENUM:
        return max(point.words)
    if point.kind is Kind.FLAGS:
        return sum(1 << bit for bit in list(point.words)[:2])
    low, high = point.low or 0.0, point.high or 100.0
    return round(min(max(low, 12.0 + len(point.name) / 4), high), point.decimals)
