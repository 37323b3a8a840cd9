"""What a `[[device]]` table says of the role of a meter and of where it sits."""

from heliobus.config.table import Table
from heliobus.devices.driver import Driver
from heliobus.model.placement import KINDS, POSITIONED, Placement, Position
from heliobus.model.role import ROLES, Role

KEYS = ("role", "position", "phase", "kind")
"""The keys of a `[[device]]` table that are read here."""


def role(table: Table, driver: Driver) -> Role:
    """What the device is to the site. Raises ConfigError."""
    return Role(table.choice("role", driver.role.value, tuple(each.value for each in driver.roles)))


def placement(table: Table, role: Role) -> Placement:
    """Where a device of `role` sits. Raises ConfigError."""
    ac = "ac_voltage" in ROLES[role].required
    for key, applies in (("position", role in POSITIONED), ("phase", ac), ("kind", role in KINDS)):
        if table.has(key) and not applies:
            raise table.error(key, table.text(key, "") if key != "phase" else 0, f"nothing, for role {role.value}")
    positions, kinds = POSITIONED.get(role), KINDS.get(role)
    return Placement(
        Position(table.choice("position", positions[0].value, tuple(each.value for each in positions)))
        if positions
        else None,
        table.integer("phase", 1, 1, 3) if ac else 1,
        kinds[table.choice("kind", "generic", tuple(kinds))] if kinds else None,
    )
