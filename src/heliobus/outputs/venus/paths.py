"""Which paths a device's service has: those of its role, those of every service, and its own points."""

import re

from heliobus.model.point import Point
from heliobus.model.role import Role
from heliobus.outputs.venus.leaf import Leaf, RolePaths
from heliobus.outputs.venus.paths_ac import AC_LOAD, GENSET, GRID_METER, PV_INVERTER
from heliobus.outputs.venus.paths_dc import ALTERNATOR, DC_LOAD, DC_SOURCE, DC_SYSTEM
from heliobus.outputs.venus.paths_solarcharger import SOLAR_CHARGER

ROLE_PATHS: dict[Role, RolePaths] = {
    Role.SOLAR_CHARGER: SOLAR_CHARGER,
    Role.GRID_METER: GRID_METER,
    Role.GENSET: GENSET,
    Role.PV_INVERTER: PV_INVERTER,
    Role.AC_LOAD: AC_LOAD,
    Role.DC_SOURCE: DC_SOURCE,
    Role.DC_LOAD: DC_LOAD,
    Role.DC_SYSTEM: DC_SYSTEM,
    Role.ALTERNATOR: ALTERNATOR,
}
"""A device of any other role has no service."""

STATISTICS = (
    Leaf("/Statistics/Requests", "bus_requests", "i", if_known=True),
    Leaf("/Statistics/Timeouts", "bus_timeouts", "i", if_known=True),
    Leaf("/Statistics/BadFrames", "bus_bad_frames", "i", if_known=True),
    Leaf("/Statistics/Refusals", "bus_refusals", "i", if_known=True),
    Leaf("/Statistics/Latency", "bus_latency", "d", if_known=True),
    Leaf("/Statistics/BusLoad", "bus_load", "d", if_known=True),
    Leaf("/Statistics/ForeignFrames", "bus_foreign_frames", "i", if_known=True),
    Leaf("/Statistics/Reconnects", "bus_reconnects", "i", if_known=True),
)


def own_path(short: str, point: Point) -> str:
    """Where a point without a Victron path goes: `/Tristar/HeatsinkTemperature`."""
    return f"/{camel_case(short)}/{camel_case(point.name)}"


def camel_case(name: str) -> str:
    """`heatsink_temperature` as `HeatsinkTemperature`; only letters and digits may stand in a path."""
    return "".join(word[:1].upper() + word[1:] for word in re.split("[^A-Za-z0-9]+", name))
