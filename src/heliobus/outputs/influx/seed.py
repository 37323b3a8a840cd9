"""The layout `seed`: the database of the EPever monitor goes on, with its one measurement and its field names."""

from collections.abc import Sequence

from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.model.role import Role
from heliobus.outputs.influx.lines import Row
from heliobus.outputs.sampler import Sample
from heliobus.site import Site

FIRST = {"PVvolt": "pv_voltage", "PVamps": "pv_current", "BAamps": "battery_current"} | {
    "DCvolt": "load_voltage",
    "DCamps": "load_current",
}
"""Of the first charger alone, for they mean nothing when added."""
SHARED = {"BAvolt": ("battery_voltage", 1.0), "BAperc": ("soc", 0.01)}
"""Of the first charger that has it, for the battery is one; and what it is multiplied by."""
POWERS = {"PVwatt": "pv_power", "DCwatt": "load_power"}
"""Added up over the chargers that have it now."""
ENERGIES = {
    "PVkwh": "yield_total",
    "DCkwh": "load_energy_total",
    "PVkwh2d": "yield_today",
    "DCkwh2d": "load_energy_today",
}
"""Added up only while all chargers that count it say it, or the sum would fall when one goes and leap when it comes."""
ESTIMATES = {"soc": "soc_estimate"}
"""What stands in for a point that chargers do not have: the monitor stored their guess too."""


class SeedLayout:
    """One row per look at the site, without tags as the monitor wrote it."""

    def __init__(self, measurement: str, site: Site) -> None:
        self._measurement = measurement
        self._site = site

    def rows(self, samples: Sequence[Sample]) -> list[Row]:
        """One row for all chargers; none if no charger said anything new."""
        if not any(_is_charger(sample.device) for sample in samples):
            return []
        chargers = sorted(filter(_is_charger, self._site.devices), key=lambda device: (device.short, device.number))
        readings = [reading for each in chargers if (reading := self._site.reading(each.name)) is not None]
        return [Row(self._measurement, {}, fields(readings), max(round(1000 * each.time) for each in readings))]


def fields(readings: Sequence[Reading]) -> dict[str, Value]:
    """The monitor's fields from the newest readings of all chargers, the first charger's first."""
    found: dict[str, Value] = {}
    for field, point in FIRST.items():
        found[field] = _number(readings[0], point) if readings else None
    for field, (point, factor) in SHARED.items():
        known = _known(readings, point)
        found[field] = round(known[0] * factor, 4) if known else None
    for field, point in POWERS.items():
        known = _known(readings, point)
        found[field] = round(sum(known), 3) if known else None
    for field, point in ENERGIES.items():
        able = [reading for reading in readings if point in reading.values]
        known = _known(able, point)
        found[field] = round(sum(known), 3) if known and len(known) == len(able) else None
    return found


def _is_charger(device: Device) -> bool:
    return device.role is Role.SOLAR_CHARGER


def _known(readings: Sequence[Reading], point: str) -> list[float]:
    numbers = (_number(reading, point) for reading in readings)
    return [number for number in numbers if number is not None]


def _number(reading: Reading, point: str) -> float | None:
    value = reading.values.get(point)
    if value is None and point in ESTIMATES:
        value = reading.values.get(ESTIMATES[point])
    return float(value) if isinstance(value, int | float) else None
