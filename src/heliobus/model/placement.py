"""Where in the installation a meter sits, and what it measures: only its owner knows."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from heliobus.model.role import Role


class Position(StrEnum):
    """The side of the inverter/charger that an AC device is wired to."""

    AC_INPUT_1 = "ac-input-1"
    AC_OUTPUT = "ac-output"
    AC_INPUT_2 = "ac-input-2"


# Numbers of VE.Direct's MON field and of Victron's /Settings/MonitorMode (venus.md §5.7).
DC_SOURCE_KINDS: Mapping[str, int] = {
    "generic": -1,
    "ac charger": -2,
    "dc-dc charger": -3,
    "water generator": -4,
    "shaft generator": -7,
    "wind charger": -8,
}
DC_LOAD_KINDS: Mapping[str, int] = {
    "generic": 1,
    "fridge": 3,
    "water pump": 4,
    "bilge pump": 5,
    "inverter": 7,
    "water heater": 8,
}
KINDS: Mapping[Role, Mapping[str, int]] = {Role.DC_SOURCE: DC_SOURCE_KINDS, Role.DC_LOAD: DC_LOAD_KINDS}
"""What a DC meter of a role can measure, by the word the config uses."""
POSITIONED: Mapping[Role, tuple[Position, ...]] = {
    Role.PV_INVERTER: (Position.AC_INPUT_1, Position.AC_OUTPUT, Position.AC_INPUT_2),
    Role.AC_LOAD: (Position.AC_OUTPUT, Position.AC_INPUT_1),
}
"""The positions a meter of a role can have; the first one is usual."""


@dataclass(frozen=True, slots=True)
class Placement:
    """`position` and `kind` are None for roles that have none. `phase` is 1..3, for AC."""

    position: Position | None = None
    phase: int = 1
    kind: int | None = None


UNPLACED = Placement()
