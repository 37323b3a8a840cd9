"""Roles: what a device is to the site, and which points it must then have."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a device is to the site; the words are Victron's service classes, which the field knows.

    A total is none of them: a GX adds up its chargers itself, and would count them twice.
    """

    SOLAR_CHARGER = "solarcharger"
    BATTERY = "battery"
    GRID_METER = "grid"
    AC_LOAD = "acload"
    PV_INVERTER = "pvinverter"
    GENSET = "genset"
    DC_SOURCE = "dcsource"
    DC_LOAD = "dcload"
    DC_SYSTEM = "dcsystem"
    ALTERNATOR = "alternator"
    INVERTER = "inverter"
    TOTAL = "total"


@dataclass(frozen=True, slots=True)
class RolePoints:
    """The points a device of this role must have, and those it may have, by name."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()


_AC = RolePoints(
    frozenset({"ac_voltage", "ac_current", "ac_power"}),
    frozenset({"ac_frequency", "ac_power_factor", "ac_apparent_power", "energy_forward", "energy_reverse"})
    | {"high_power_alarm"},
)
_DC = RolePoints(
    frozenset({"dc_voltage", "dc_current", "dc_power"}),
    frozenset({"energy_forward", "energy_reverse", "high_voltage_alarm", "low_voltage_alarm"}),
)

ROLES: dict[Role, RolePoints] = {
    Role.SOLAR_CHARGER: RolePoints(
        frozenset({"battery_voltage", "battery_current", "pv_voltage", "pv_power", "charger_state"}),
        frozenset(
            {
                "pv_current",
                "battery_power",
                "battery_temperature",
                "charger_error",
                "charger_enabled",
                "mpp_mode",
                "off_reason",
                "target_voltage",
                "high_temperature",
                "general_alarm",
                "high_voltage_alarm",
                "short_circuit_alarm",
                "low_voltage_alarm",
                "low_temperature_alarm",
                "error_ids",
                "equalize_requested",
                "load_voltage",
                "load_current",
                "load_power",
                "load_state",
                "load_enabled",
                "load_energy_today",
                "load_energy_total",
                "yield_today",
                "yield_total",
            }
        ),
    ),
    Role.BATTERY: RolePoints(
        frozenset({"battery_voltage", "battery_current", "soc"}),
        frozenset(
            {
                "battery_power",
                "battery_temperature",
                "soh",
                "capacity",
                "capacity_full",
                "cycles",
                "cell_voltage_min",
                "cell_voltage_max",
                "max_charge_voltage",
                "max_charge_current",
                "max_discharge_current",
            }
        ),
    ),
    Role.GRID_METER: _AC,
    Role.AC_LOAD: _AC,
    Role.PV_INVERTER: _AC,
    Role.GENSET: _AC,
    Role.INVERTER: _AC,
    Role.DC_SOURCE: _DC,
    Role.DC_LOAD: _DC,
    Role.DC_SYSTEM: _DC,
    Role.ALTERNATOR: _DC,
    Role.TOTAL: RolePoints(
        frozenset({"members", "members_answering"}),
        frozenset({"pv_power", "battery_power", "battery_current", "load_power", "yield_today", "yield_total"})
        | {"battery_voltage_min", "battery_voltage_max", "battery_temperature_min", "battery_temperature_max"},
    ),
}
