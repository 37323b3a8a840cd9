"""`[profile.NAME]`: named charge settings, the devices they are for, and when they are due by themselves."""

import itertools
from collections.abc import Collection

from heliobus.config import dates
from heliobus.config.table import ConfigError, Table, line
from heliobus.devices import catalog
from heliobus.model.control_options import Profile
from heliobus.model.point import Point
from heliobus.model.quantity import AMPERE, CELSIUS, DAY, SECOND, VOLT, VOLT_PER_CELSIUS

PREFIX = "set_"
LONGEST_NAME = 40
RANGES = {
    VOLT: (0.0, 70.0),
    AMPERE: (0.0, 100.0),
    SECOND: (0.0, 65535.0),
    DAY: (0.0, 65535.0),
    CELSIUS: (-60.0, 80.0),
    VOLT_PER_CELSIUS: (-1.0, 0.0),
}
"""What no charger goes beyond. What this battery bears is checked when a profile is written."""
ANY = (0.0, 65535.0)
"""What a word can be."""


def profiles(table: Table, devices: Collection[str]) -> tuple[Profile, ...]:
    """The profiles in `[profile]`; `devices` are the names there are. Raises ConfigError."""
    names = table.names()
    if not names:
        return ()
    settings = {
        register.point.name.removeprefix(PREFIX): register.point
        for driver in catalog.drivers()
        if driver.writes is not None
        for register in driver.writes.stored
    }
    found = tuple(_profile(table, name, settings, devices) for name in names)
    for one, other in itertools.combinations(found, 2):
        _refuse_overlap(table, one, other)
    return found


def _profile(outer: Table, name: str, settings: dict[str, Point], devices: Collection[str]) -> Profile:
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable() or name != name.strip():
        raise outer.error("a profile's name", name, f"1 to {LONGEST_NAME} characters that can be printed")
    table = outer.table(name)
    table.only(*settings, "devices", "when")
    values = {settings[key].name: _setting(table, key, settings[key]) for key in table.names() if key in settings}
    if not values:
        raise ConfigError(f"{table.where()}: no setting; allowed: {', '.join(settings)}")
    allowed = line("names of devices: " + ", ".join(f'"{each}"' for each in devices))
    chosen = table.texts("devices", allowed)
    if table.has("devices") and not chosen:
        raise table.error("devices", [], f"{allowed}; left out it is for all")
    for device in chosen:
        if device not in devices:
            raise table.error("devices", device, allowed)
    when = dates.when(table.table("when")) if table.has("when") else None
    return Profile(name, values, chosen, when)


def _setting(table: Table, key: str, point: Point) -> float:
    low, high = RANGES.get(point.quantity, ANY)
    if point.quantity is SECOND:
        return table.seconds(key, 0, low, high)
    return table.number(key, None, low, high, point.unit)


def _refuse_overlap(table: Table, one: Profile, other: Profile) -> None:
    """Refuse two profiles of one device if nobody could say which of them is due."""
    if one.when is None or other.when is None or not dates.overlap(one.when, other.when):
        return
    if one.devices and other.devices:
        shared = [name for name in one.devices if name in other.devices]
        if not shared:
            return
    else:
        shared = list(one.devices or other.devices)
    who = line(", ".join(shared)) or "every device"
    raise ConfigError(f"{table.where()}: {one.name!r} and {other.name!r} are due at the same time for {who}")
