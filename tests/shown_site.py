"""A site with devices of any driver, filled with values by hand."""

from collections.abc import Mapping

from heliobus.devices import catalog
from heliobus.model.device import Device, Identity
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind
from heliobus.model.reading import Health, Reading
from heliobus.model.role import Role
from heliobus.site import Site

TRISTAR = "morningstar-tristar-mppt"
TRACER = "epever-tracer"
NOON = 1_795_258_800.0
"""2026-11-21 11:00 UTC, noon in Oslo."""


def introduced(
    site: Site,
    driver: str = TRISTAR,
    name: str = "roof",
    *,
    label: str = "",
    key: str = "",
    number: int = 0,
    unit: int = 1,
    role: Role | None = None,
    points: Mapping[str, Point] | None = None,
) -> Device:
    """A device of `driver` that has said who it is, and nothing else."""
    found = catalog.driver(driver)
    device = Device(
        name,
        label,
        driver,
        found.short,
        role or found.role,
        f"Modbus RTU ttyUSB0, unit {unit}",
        Identity(found.vendor, found.family, "10170296", "1.2"),
        found.points() if points is None else points,
        key or f"{found.short}_10170296",
        number,
    )
    site.introduce(device)
    return device


def any_value(point: Point) -> Value:
    """Something the point may say."""
    if point.kind is Kind.TEXT:
        return "a text"
    if point.kind is Kind.ENUM:
        return next(iter(point.words))
    if point.kind is Kind.FLAGS:
        return 1
    low = point.low if point.low is not None else 0.0
    high = point.high if point.high is not None else 100.0
    value = min(max(12.34, low), high)
    return int(value) if point.kind is Kind.INTEGER else value


def full(device: Device) -> dict[str, Value]:
    """A value for every point."""
    return {point.name: any_value(point) for point in device.points.values()}


def put(site: Site, device: Device, values: Mapping[str, Value], time: float = NOON) -> None:
    """Put a reading in which all that is not in `values` is unknown."""
    site.put(Reading(device.name, time, {**dict.fromkeys(device.points), **values}))


def unplug(site: Site, device: Device) -> None:
    """What the poller says when a cable is pulled: no value any more, the time of the last answer stays."""
    site.silence(device.name)
    reading = site.reading(device.name)
    assert reading is not None and reading.health is Health.OFFLINE
