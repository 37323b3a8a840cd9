"""What our outputs write for one site with a device of every role, so that dashboards have something to show."""

import math
import time
from collections.abc import Iterator

from heliobus.model import vocabulary as v
from heliobus.model.device import Device, Identity
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind
from heliobus.model.reading import Reading
from heliobus.model.role import ROLES, Role
from heliobus.outputs.influx.lines import lines
from heliobus.outputs.influx.native import NativeLayout
from heliobus.outputs.prometheus.exposition import render
from heliobus.outputs.prometheus.scrape import Scrape
from heliobus.outputs.sampler import Sample
from heliobus.outputs.status import OutputStatus

SITE = "cabin"
SPAN, STEP = 900, 10
"""Seconds of data, up to now, and between two samples."""
ALL = {"$site": ".+", "${timezone}": "Europe/Berlin", "${measurement}": "solar"}
OVER_TIME = {"$timeFilter": "time > now() - 15m", "$__interval": "10s", "$__rate_interval": "1m"}


def points_of(role: Role) -> dict[str, Point]:
    """All points that a device of `role` may have by the vocabulary."""
    own = ROLES[role].required | ROLES[role].optional
    points = {name: v.VOCABULARY[name] for name in own}
    if role is Role.SOLAR_CHARGER:
        points |= {point.name: point for point in (*v.SITE_POINTS, *v.CONTROL_POINTS)}
    return points | {point.name: point for point in v.HEALTH_POINTS}


def devices() -> list[Device]:
    return [
        Device(
            name=f"the {role}",
            label="",
            driver="test",
            short=str(role),
            role=role,
            address="",
            identity=Identity("Vendor", "Model", "1"),
            points=points_of(role),
            key=f"{role}_1",
            number=0,
        )
        for role in Role
    ]


def value(point: Point, moment: float) -> Value:
    """Something within the point's range that grows, or moves a little."""
    if point.kind is Kind.TEXT:
        return "text"
    if point.kind in (Kind.ENUM, Kind.FLAGS):
        return min(point.words, default=0)
    if point.quantity.state_class == "total_increasing":
        return int(moment) % 100_000
    low, high = max(point.low or 0.0, 0.0), min(point.high or 50.0, 50.0)
    return (low + high) / 2 + math.sin(moment / 60)


def readings(moment: float) -> Iterator[tuple[Device, dict[str, Value]]]:
    for device in devices():
        yield device, {point.name: value(point, moment) for point in device.points.values()}


def moments() -> list[int]:
    now = int(time.time()) // STEP * STEP
    return list(range(now - SPAN, now + 1, STEP))


def native_lines() -> bytes:
    layout = NativeLayout(SITE, {})
    samples = [Sample(device, 1000 * moment, values) for moment in moments() for device, values in readings(moment)]
    return lines(layout.rows(samples))


def scraped(moment: float) -> bytes:
    """What `/metrics` says at `moment`."""
    found = Scrape(SITE)
    for device, values in readings(moment):
        found.device(device, Reading(device.name, moment, values))
    found.output(OutputStatus("influx", connected=True))
    found.itself()
    return render(found.families)


def asked(query: str) -> str:
    """`query` as Grafana sends it, all sites chosen."""
    for name, text in (ALL | OVER_TIME).items():
        query = query.replace(name, text)
    return query
