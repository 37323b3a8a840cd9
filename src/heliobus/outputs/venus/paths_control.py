"""What of a device under control can be written, and what its control says of itself. Source: venus.md §5.4.

Each writable path is there only if the device has the control: its presence promises that a write is obeyed.
"""

from heliobus.outputs.venus.item import Kind
from heliobus.outputs.venus.leaf import Leaf

DISCONNECTED = {1: 0, 0: 1}
DISCONNECTED_WORDS = {0: "no", 1: "yes"}

# Bits of /Link/NetworkMode: a charge voltage or current is given; a BMS controls.
EXTERNAL_CONTROL, BMS_CONTROLLED = 4, 8
SLAVE, STAND_ALONE = 0, 4
NETWORK_STATUS = {mode: SLAVE if mode & (EXTERNAL_CONTROL | BMS_CONTROLLED) else STAND_ALONE for mode in range(256)}
NETWORK_STATUS_WORDS = {SLAVE: "slave", STAND_ALONE: "stand-alone"}


def _writable(path: str, control: str, kind: Kind = "i") -> Leaf:
    return Leaf(path, control, kind, needs=control, command=control)


LAST_RESULT = Leaf("/Control/LastResult", "command_result", "s", if_known=True)
METER_CONTROL = (_writable("/Control/ResetEnergy", "reset_energy"), LAST_RESULT)

# Charge settings are written together by /Control/ApplySettings, never one by one: each write wears the EEPROM.
CONTROL = (
    _writable("/Control/EqualizeTriggered", "equalize_requested"),
    Leaf(
        "/Control/ChargerDisconnect",
        "charger_enabled",
        "i",
        DISCONNECTED,
        DISCONNECTED_WORDS,
        needs="charger_enabled",
        command="charger_enabled",
    ),
    _writable("/Control/ResetController", "reset_controller"),
    _writable("/Control/ResetCommServer", "reset_comm_server"),
    _writable("/Control/ClearAlarms", "clear_alarms"),
    _writable("/Control/ClearFaults", "clear_faults"),
    _writable("/Control/ClearChargeCounter", "clear_charge_counter"),
    _writable("/Control/ClearEnergyCounter", "clear_energy_counter"),
    _writable("/Control/ClearVoltageExtremes", "clear_voltage_extremes"),
    _writable("/Control/ClearServiceReminder", "clear_service_reminder"),
    _writable("/Control/SaveCounters", "save_counters"),
    _writable("/Control/SetClock", "set_clock"),
    _writable("/Control/LoadEnabled", "load_enabled"),
    _writable("/Control/ChargeVoltageLimit", "charge_voltage_limit", "d"),
    _writable("/Control/ChargeCurrentLimit", "charge_current_limit", "d"),
    _writable("/Control/TopCharge", "top_charge"),
    _writable("/Control/ApplyChargeProfile", "apply_profile", "s"),
    _writable("/Control/ApplySettings", "apply_settings", "s"),
    Leaf("/Control/ChargeProfile/Status", "profile_status", "s", if_known=True),
    Leaf("/Control/ChargeProfile/Progress", "profile_progress", "d", if_known=True),
    Leaf("/Control/ChargeProfile/LastError", "profile_error", "s", if_known=True),
    Leaf("/Control/ChargeProfile/LastApplied", "profile_applied", "s", if_known=True),
    Leaf("/Control/ChargeProfile/LastAppliedAt", "profile_applied_at", "s", if_known=True),
    Leaf("/Control/TopChargeStatus", "top_charge_status", "s", if_known=True),
    Leaf("/Control/TopChargeTimeLeft", "top_charge_time_left", "i", if_known=True),
    Leaf("/Control/TopChargeLast", "top_charge_last", "s", if_known=True),
    Leaf("/Control/EqualizeStatus", "equalize_status", "s", if_known=True),
    Leaf("/Control/Source", "control_source", "s", if_known=True),
    Leaf("/Control/Voltage", "control_voltage", "d", if_known=True),
    Leaf("/Control/Current", "control_current", "d", if_known=True),
    LAST_RESULT,
)

# An invalid NetworkMode would mean that the charger does not take what systemcalc sends.
LINK = (
    Leaf(
        "/Link/NetworkMode",
        "remote_network_mode",
        "i",
        needs="remote_network_mode",
        command="remote_network_mode",
        otherwise=0,
    ),
    Leaf(
        "/Link/NetworkStatus",
        "remote_network_mode",
        "i",
        NETWORK_STATUS,
        NETWORK_STATUS_WORDS,
        needs="remote_network_mode",
        otherwise=STAND_ALONE,
    ),
    _writable("/Link/ChargeVoltage", "remote_charge_voltage", "d"),
    # systemcalc ends with a TypeError when it finds this one without /Settings/ChargeCurrentLimit.
    Leaf(
        "/Link/ChargeCurrent",
        "remote_charge_current",
        "d",
        needs="remote_charge_current",
        command="remote_charge_current",
        along="rated_current",
    ),
    Leaf(
        "/Settings/ChargeCurrentLimit",
        "charge_current_limit",
        "d",
        needs="remote_charge_current",
        command="charge_current_limit",
        ceiling="rated_current",
    ),
    Leaf("/Settings/BmsPresent", "bms_required", "i", needs="remote_network_mode", command="bms_required"),
)
