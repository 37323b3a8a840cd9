"""A device that is the sum of several chargers. No error value ever enters a sum, and no counter in one ever falls."""

from collections.abc import Iterable, Sequence

from heliobus.config import SETTINGS_DEVICE
from heliobus.config.totals import TotalConfig
from heliobus.inventory import device_key
from heliobus.model import vocabulary as v
from heliobus.model.device import Device, Identity
from heliobus.model.point import Point, Value
from heliobus.model.reading import Health, Reading, Reason
from heliobus.model.role import Role
from heliobus.site import Site

DRIVER = "total"
"""What stands where a polled device has its driver's name."""
SUMS = (v.PV_POWER, v.BATTERY_POWER, v.BATTERY_CURRENT, v.LOAD_POWER)
"""Added up over the members that have a value now."""
COUNTERS = (v.YIELD_TODAY, v.YIELD_TOTAL)
"""Added up only while every member has one, or the sum would fall when a member goes and leap when it comes."""
EXTREMES = (
    (v.BATTERY_VOLTAGE, v.BATTERY_VOLTAGE_MIN, v.BATTERY_VOLTAGE_MAX),
    (v.BATTERY_TEMPERATURE, v.BATTERY_TEMPERATURE_MIN, v.BATTERY_TEMPERATURE_MAX),
)
"""Source, lowest, highest."""
POINTS: dict[str, Point] = {
    point.name: point
    for point in (
        *SUMS,
        *COUNTERS,
        *(point for _, lowest, highest in EXTREMES for point in (lowest, highest)),
        v.MEMBERS,
        v.MEMBERS_ANSWERING,
    )
}
ANSWERING = (Health.OK, Health.FAILING)


def total(name: str, readings: Sequence[Reading | None]) -> Reading | None:
    """The reading of the total `name` from its members' newest ones (None: never heard of); None if nobody answers."""
    answering = [reading for reading in readings if reading is not None and reading.health in ANSWERING]
    if not answering:
        return None
    values: dict[str, Value] = {}
    reasons: dict[str, Reason] = {}
    for source, point, figure in _figures(readings):
        values[point.name] = figure
        if figure is None:
            reasons[point.name] = _why(source.name, readings)
    values[v.MEMBERS.name] = len(readings)
    values[v.MEMBERS_ANSWERING.name] = len(answering)
    return Reading(name, max(reading.time for reading in answering), values, reasons)


def _figures(readings: Sequence[Reading | None]) -> Iterable[tuple[Point, Point, float | None]]:
    """Point of the members, point of the total, and its value."""
    for point in (*SUMS, *COUNTERS):
        known = _known(point.name, readings)
        enough = len(known) == len(readings) if point in COUNTERS else bool(known)
        # Adding zero turns -0.0 into 0.0.
        yield point, point, round(sum(known), point.decimals) + 0.0 if enough else None
    for source, lowest, highest in EXTREMES:
        known = _known(source.name, readings)
        yield source, lowest, min(known, default=None)
        yield source, highest, max(known, default=None)


def _known(name: str, readings: Iterable[Reading | None]) -> list[float]:
    values = (reading.values.get(name) for reading in readings if reading is not None)
    return [value for value in values if isinstance(value, int | float)]


def _why(name: str, readings: Iterable[Reading | None]) -> Reason:
    """Why a member has no value; where none has such a point it is not supported."""
    for reading in readings:
        if reading is None:
            return Reason.OFFLINE
        if name in reading.reasons:
            return reading.reasons[name]
    return Reason.NOT_SUPPORTED


def total_device(name: str, address: str, number: int = 0) -> Device:
    """A total as a device of the site; `address` says for people what it is made of."""
    return Device(
        name=name,
        label=name,
        driver=DRIVER,
        short=DRIVER,
        role=Role.TOTAL,
        address=address,
        identity=Identity("Heliobus", "Total"),
        points=POINTS,
        key=device_key(DRIVER, None, name),
        number=number,
    )


class Totals:
    """The totals of a site; `observe` keeps them up to date."""

    def __init__(self, site: Site, totals: Sequence[TotalConfig]) -> None:
        self._site = site
        self._totals = totals

    def start(self) -> None:
        """Make them known; until a member answers they are silent."""
        for number, each in enumerate(self._totals):
            self._site.introduce(total_device(each.name, f"total of {', '.join(each.devices)}", number))

    def observe(self, name: str) -> None:
        """There is news of the device of this name, or it has left the site."""
        for each in self._totals:
            if name in each.devices:
                self._update(each)

    def _update(self, each: TotalConfig) -> None:
        # The charger in the settings of a GX is a member once there is one.
        members = [name for name in each.devices if name != SETTINGS_DEVICE or self._site.device(name) is not None]
        reading = total(each.name, [self._site.reading(name) for name in members])
        if reading is None:
            self._site.silence(each.name)
        else:
            self._site.put(reading)
