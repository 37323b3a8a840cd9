"""What the owner allows on the GX: the settings of the charger's control. Volts and amperes of the actual battery."""

from heliobus.model.chemistry import CHEMISTRIES, UNKNOWN_CHEMISTRY, Chemistry
from heliobus.model.control_options import ControlOptions, EqualizeOptions, ServerOptions, TopChargeOptions
from heliobus.outputs.venus.charger_group import Stored, setting

SYSTEM_VOLTAGES = (12, 24, 48)
HIGHEST_VOLTS, HIGHEST_AMPERES = 80, 200
DAY = 86400
LONGEST_TOP_CHARGE = 43200
"""Twelve hours: what a top charge may take in all."""

# Times are in seconds. 0 says: not confirmed, none, no top charge; a reset hour of -1: no nightly reset.
CONTROL_SETTINGS = (
    setting("Control", 0, 0, 1),
    setting("SystemVoltage", 0, 0, 48),
    setting("Chemistry", UNKNOWN_CHEMISTRY.name),
    setting("EqualizeAllowed", 0, 0, 1),
    setting("NightlyResetHour", 3, -1, 23),
    setting("MaxChargeVoltage", 0.0, 0, HIGHEST_VOLTS),
    setting("MaxChargeCurrent", 0.0, 0, HIGHEST_AMPERES),
    setting("TopChargeVoltage", 0.0, 0, HIGHEST_VOLTS),
    setting("TopChargeTailCurrent", 2.0, 0.1, HIGHEST_AMPERES),
    setting("TopChargeTailTime", 300, 10, DAY),
    setting("TopChargeTimeLimit", 7200, 60, LONGEST_TOP_CHARGE),
)


def control_of(stored: Stored) -> ControlOptions:
    """The options that the settings describe. What is wrong is remarked, and allows nothing."""
    chemistry = _chemistry(stored)
    system_voltage = _system_voltage(stored)
    lowest = chemistry.lowest * (system_voltage or SYSTEM_VOLTAGES[0]) / 12
    highest = chemistry.highest * (system_voltage or SYSTEM_VOLTAGES[-1]) / 12
    ceiling = stored.number("MaxChargeVoltage")
    if 0 < ceiling < lowest:
        stored.remark("MaxChargeVoltage", f"but {chemistry.name} batteries need at least {lowest:g} V: nothing fits")
    return ControlOptions(
        on=stored.whole("Control") == 1,
        system_voltage=system_voltage,
        chemistry=chemistry,
        highest_voltage=ceiling or None,
        highest_current=stored.number("MaxChargeCurrent") or None,
        equalize=EqualizeOptions(allowed=_equalize_allowed(stored, chemistry)),
        top_charge=_top_charge(stored, lowest, min(highest, ceiling or highest)),
        server=ServerOptions(nightly_reset=stored.whole("NightlyResetHour")),
    )


def _chemistry(stored: Stored) -> Chemistry:
    found = CHEMISTRIES.get(stored.text("Chemistry").lower())
    if found is None:
        stored.remark("Chemistry", f"not one of {', '.join(CHEMISTRIES)}: using {UNKNOWN_CHEMISTRY.name}")
    return found or UNKNOWN_CHEMISTRY


def _system_voltage(stored: Stored) -> int | None:
    volts = stored.whole("SystemVoltage")
    if volts in SYSTEM_VOLTAGES:
        return volts
    if volts:
        stored.remark("SystemVoltage", "not 12, 24 or 48: charge settings are not written until it is confirmed")
    return None


def _equalize_allowed(stored: Stored, chemistry: Chemistry) -> bool:
    if stored.whole("EqualizeAllowed") != 1:
        return False
    if not chemistry.equalize:
        fit = " or ".join(each.name for each in CHEMISTRIES.values() if each.equalize)
        stored.remark("EqualizeAllowed", f"but Chemistry is {chemistry.name}, not {fit}: equalize stays locked")
    return chemistry.equalize


def _top_charge(stored: Stored, lowest: float, highest: float) -> TopChargeOptions | None:
    volts, tail_current = stored.number("TopChargeVoltage"), stored.number("TopChargeTailCurrent")
    tail_time, time_limit = stored.number("TopChargeTailTime"), stored.number("TopChargeTimeLimit")
    if not volts:
        return None
    if not lowest <= volts <= highest:
        stored.remark("TopChargeVoltage", f"not {lowest:g} to {highest:g} V: there is no top charge")
        return None
    if tail_time >= time_limit:
        stored.remark("TopChargeTailTime", f"not less than TopChargeTimeLimit ({time_limit:g}): there is no top charge")
        return None
    return TopChargeOptions(volts, tail_current, tail_time, time_limit)
