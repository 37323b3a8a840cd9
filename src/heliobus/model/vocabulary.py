"""The closed vocabulary of points, grouped by what they describe. Drivers may add points of their own beside it.

Signs: battery current and power + = into the battery; grid + = from the grid; energies only grow.
"""

from heliobus.model.point import Category, Point
from heliobus.model.quantity import (
    AMPERE,
    AMPERE_HOUR,
    CELL_VOLT,
    CELSIUS,
    COUNT,
    DAY,
    DRIFT,
    ENUM,
    FINE_AMPERE,
    FLAGS,
    HERTZ,
    HOUR,
    KILOWATT_HOUR,
    MILLISECOND,
    NUMBER,
    PERCENT,
    POWER_FACTOR,
    SECOND,
    TEXT,
    VOLT,
    VOLT_AMPERE,
    WATT,
    WATT_HOUR,
    Quantity,
)

DIAGNOSTIC = Category.DIAGNOSTIC
SETTING = Category.SETTING

VOCABULARY: dict[str, Point] = {}


def _point(
    name: str,
    quantity: Quantity,
    doc: str,
    category: Category = Category.MEASUREMENT,
    words: dict[int, str] | None = None,
) -> Point:
    point = Point(name, quantity, doc, category, words or {})
    VOCABULARY[name] = point
    return point


# Numbers of VE.Direct's CS field, which the field's tools know.
CHARGER_STATES = {
    0: "off",
    2: "fault",
    3: "bulk",
    4: "absorption",
    5: "float",
    6: "storage",
    7: "equalize",
    11: "power supply",
    252: "external control",
}
# Numbers of VE.Direct's ERR field.
CHARGER_ERRORS = {
    0: "none",
    1: "battery too hot",
    2: "battery voltage high",
    3: "battery temperature sensor miswired",
    4: "battery temperature sensor miswired",
    5: "battery temperature sensor lost",
    6: "battery voltage sense miswired",
    8: "battery voltage sense lost",
    17: "charger too hot",
    18: "charger over-current",
    19: "charger polarity wrong",
    22: "charger temperature sensor failed",
    27: "charger short circuit",
    28: "power stage failed",
    33: "input voltage high",
    34: "input current high",
    67: "battery control lost",
    113: "memory failed",
    116: "calibration lost",
    119: "settings invalid or edited",
}
MPP_MODES = {0: "off", 1: "limited", 2: "tracking"}
SWITCH = {0: "off", 1: "on"}
BUTTON = {0: "ready", 1: "pressed"}
ALARM_LEVELS = {0: "no", 1: "warning", 2: "alarm"}

# Battery side of any device
BATTERY_VOLTAGE = _point("battery_voltage", VOLT, "Battery voltage, the best the device has")
BATTERY_CURRENT = _point("battery_current", AMPERE, "Battery current, + into the battery")
BATTERY_POWER = _point("battery_power", WATT, "Battery power, + into the battery")
BATTERY_TEMPERATURE = _point("battery_temperature", CELSIUS, "Temperature of the battery")
SOC = _point("soc", PERCENT, "State of charge")
SOH = _point("soh", PERCENT, "State of health")
CAPACITY = _point("capacity", AMPERE_HOUR, "Remaining capacity")
CAPACITY_FULL = _point("capacity_full", AMPERE_HOUR, "Capacity when full")
CYCLES = _point("cycles", COUNT, "Charge cycles")
CELL_VOLTAGE_MIN = _point("cell_voltage_min", CELL_VOLT, "Lowest cell voltage")
CELL_VOLTAGE_MAX = _point("cell_voltage_max", CELL_VOLT, "Highest cell voltage")
MAX_CHARGE_VOLTAGE = _point("max_charge_voltage", VOLT, "Charge voltage the battery asks for")
MAX_CHARGE_CURRENT = _point("max_charge_current", AMPERE, "Charge current the battery allows")
MAX_DISCHARGE_CURRENT = _point("max_discharge_current", AMPERE, "Discharge current the battery allows")

# Array side
PV_VOLTAGE = _point("pv_voltage", VOLT, "Array voltage")
PV_CURRENT = _point("pv_current", AMPERE, "Array current")
PV_POWER = _point("pv_power", WATT, "Power won from the array, the best figure the device has")

# The charger itself
CHARGER_STATE = _point("charger_state", ENUM, "Charge stage, numbers as VE.Direct CS", words=CHARGER_STATES)
CHARGER_ERROR = _point("charger_error", ENUM, "Most severe error, numbers as VE.Direct ERR", words=CHARGER_ERRORS)
CHARGER_ENABLED = _point("charger_enabled", ENUM, "Whether the charger is allowed to charge", words=SWITCH)
MPP_MODE = _point("mpp_mode", ENUM, "Operation of the maximum power point tracker", words=MPP_MODES)
OFF_REASON = _point(
    "off_reason",
    FLAGS,
    "Why the charger is off, bits as VE.Direct OR",
    words={
        0: "no input power",
        1: "power switch",
        2: "mode register",
        3: "remote input",
        4: "protection",
        8: "analysing input",
        9: "battery too cold",
    },
)
TARGET_VOLTAGE = _point("target_voltage", VOLT, "Voltage the charger regulates to now, temperature compensated")
HIGH_TEMPERATURE = _point(
    "high_temperature", ENUM, "Output reduced by heat: 0 no, 1 warning, 2 alarm", words=ALARM_LEVELS
)
GENERAL_ALARM = _point("general_alarm", ENUM, "Any fault of the device: 0 no, 1 warning, 2 alarm", words=ALARM_LEVELS)
HIGH_VOLTAGE_ALARM = _point(
    "high_voltage_alarm", ENUM, "Battery voltage too high: 0 no, 1 warning, 2 alarm", words=ALARM_LEVELS
)
SHORT_CIRCUIT_ALARM = _point("short_circuit_alarm", ENUM, "Short circuit: 0 no, 1 warning, 2 alarm", words=ALARM_LEVELS)
EQUALIZE_REQUESTED = _point("equalize_requested", ENUM, "Whether an equalize is requested", words=SWITCH)
LOW_VOLTAGE_ALARM = _point("low_voltage_alarm", ENUM, "Voltage too low: 0 no, 1 warning, 2 alarm", words=ALARM_LEVELS)
LOW_TEMPERATURE_ALARM = _point(
    "low_temperature_alarm", ENUM, "Battery too cold: 0 no, 1 warning, 2 alarm", words=ALARM_LEVELS
)
HIGH_POWER_ALARM = _point("high_power_alarm", ENUM, "Power too high: 0 no, 1 warning, 2 alarm", words=ALARM_LEVELS)
ERROR_IDS = _point("error_ids", TEXT, "Errors and warnings as man:[ewi]-code, comma between them, empty for none")
LOAD_VOLTAGE = _point("load_voltage", VOLT, "Load output voltage")
LOAD_CURRENT = _point("load_current", AMPERE, "Load output current")
LOAD_POWER = _point("load_power", WATT, "Load output power")
LOAD_STATE = _point("load_state", ENUM, "Load output", words=SWITCH)
LOAD_ENABLED = _point("load_enabled", ENUM, "Whether the load output is asked to be on", words=SWITCH)
LOAD_ENERGY_TODAY = _point("load_energy_today", KILOWATT_HOUR, "Energy given to the load output in the device's day")
LOAD_ENERGY_TOTAL = _point("load_energy_total", KILOWATT_HOUR, "Energy given to the load output in the device's life")

# Raw counters of a charger, food of the ledger
ENERGY_DAY_COUNTER = _point(
    "energy_day_counter",
    WATT_HOUR,
    "The device's own day counter of energy; its day ends when the device likes",
    DIAGNOSTIC,
)
ENERGY_TOTAL_COUNTER = _point(
    "energy_total_counter", KILOWATT_HOUR, "The device's own lifetime counter of energy", DIAGNOSTIC
)
ENERGY_RESETTABLE_COUNTER = _point(
    "energy_resettable_counter",
    KILOWATT_HOUR,
    "The device's own counter of energy that its owner may reset",
    DIAGNOSTIC,
)
CHARGE_DAY_COUNTER = _point("charge_day_counter", AMPERE_HOUR, "The device's own day counter of charge", DIAGNOSTIC)
CHARGE_TOTAL_COUNTER = _point(
    "charge_total_counter", AMPERE_HOUR, "The device's own lifetime counter of charge", DIAGNOSTIC
)
CHARGE_RESETTABLE_COUNTER = _point(
    "charge_resettable_counter",
    AMPERE_HOUR,
    "The device's own counter of charge that its owner may reset",
    DIAGNOSTIC,
)
TIME_ABSORPTION_COUNTER = _point("time_absorption_counter", SECOND, "Absorption time of the device's day", DIAGNOSTIC)
TIME_EQUALIZE_COUNTER = _point("time_equalize_counter", SECOND, "Equalize time of the device's day", DIAGNOSTIC)
TIME_FLOAT_COUNTER = _point("time_float_counter", SECOND, "Float time of the device's day", DIAGNOSTIC)
DAY_BATTERY_VOLTAGE_MIN = _point(
    "day_battery_voltage_min", VOLT, "Lowest battery voltage of the device's day", DIAGNOSTIC
)
DAY_BATTERY_VOLTAGE_MAX = _point(
    "day_battery_voltage_max", VOLT, "Highest battery voltage of the device's day", DIAGNOSTIC
)
DAY_PV_VOLTAGE_MAX = _point("day_pv_voltage_max", VOLT, "Highest array voltage of the device's day", DIAGNOSTIC)
DAY_POWER_MAX = _point("day_power_max", WATT, "Highest output power of the device's day", DIAGNOSTIC)
OVERALL_BATTERY_VOLTAGE_MIN = _point(
    "overall_battery_voltage_min",
    VOLT,
    "Lowest battery voltage since the device's owner cleared it",
    DIAGNOSTIC,
)
OVERALL_BATTERY_VOLTAGE_MAX = _point(
    "overall_battery_voltage_max",
    VOLT,
    "Highest battery voltage since the device's owner cleared it",
    DIAGNOSTIC,
)
OPERATING_HOURS = _point("operating_hours", HOUR, "Hours of operation", DIAGNOSTIC)
RATED_CURRENT = _point("rated_current", AMPERE, "Largest charge current of this model", DIAGNOSTIC)

# Written by the ledger
YIELD_TODAY = _point("yield_today", KILOWATT_HOUR, "Energy won since local midnight")
YIELD_TOTAL = _point("yield_total", KILOWATT_HOUR, "Energy won in the device's life; never shrinks")

# AC and DC meters
AC_VOLTAGE = _point("ac_voltage", VOLT, "AC voltage")
AC_CURRENT = _point("ac_current", FINE_AMPERE, "AC current")
AC_POWER = _point("ac_power", WATT, "AC power")
AC_APPARENT_POWER = _point("ac_apparent_power", VOLT_AMPERE, "AC apparent power")
AC_FREQUENCY = _point("ac_frequency", HERTZ, "AC frequency")
AC_POWER_FACTOR = _point("ac_power_factor", POWER_FACTOR, "AC power factor")
DC_VOLTAGE = _point("dc_voltage", VOLT, "DC voltage")
DC_CURRENT = _point("dc_current", AMPERE, "DC current")
DC_POWER = _point("dc_power", WATT, "DC power")
ENERGY_FORWARD = _point("energy_forward", KILOWATT_HOUR, "Energy consumed (loads, grid) or produced (sources)")
ENERGY_FORWARD_COUNTER = _point(
    "energy_forward_counter", WATT_HOUR, "The meter's own counter of energy, which its owner may reset", DIAGNOSTIC
)
ENERGY_REVERSE = _point("energy_reverse", KILOWATT_HOUR, "Energy given back to the grid")

# A total over several chargers
BATTERY_VOLTAGE_MIN = _point("battery_voltage_min", VOLT, "Lowest battery voltage any of the chargers sees now")
BATTERY_VOLTAGE_MAX = _point("battery_voltage_max", VOLT, "Highest battery voltage any of the chargers sees now")
BATTERY_TEMPERATURE_MIN = _point(
    "battery_temperature_min", CELSIUS, "Lowest battery temperature any of the chargers sees now"
)
BATTERY_TEMPERATURE_MAX = _point(
    "battery_temperature_max", CELSIUS, "Highest battery temperature any of the chargers sees now"
)
MEMBERS = _point("members", NUMBER, "Chargers in the total")
MEMBERS_ANSWERING = _point("members_answering", NUMBER, "Chargers in the total that answer now")

# Health of the device on its bus, counted by the bus
BUS_REQUESTS = _point("bus_requests", COUNT, "Requests sent to this device", DIAGNOSTIC)
BUS_TIMEOUTS = _point("bus_timeouts", COUNT, "Requests of this device without an answer", DIAGNOSTIC)
BUS_BAD_FRAMES = _point("bus_bad_frames", COUNT, "Answers of this device that were not what they should be", DIAGNOSTIC)
BUS_REFUSALS = _point("bus_refusals", COUNT, "Requests this device refused", DIAGNOSTIC)
BUS_LATENCY = _point("bus_latency", MILLISECOND, "Time this device takes to answer, filtered", DIAGNOSTIC)
BUS_LOAD = _point("bus_load", PERCENT, "Share of the last minute in which the bus was busy", DIAGNOSTIC)
BUS_FOREIGN_FRAMES = _point("bus_foreign_frames", COUNT, "Frames of another master seen on the bus", DIAGNOSTIC)
BUS_RECONNECTS = _point("bus_reconnects", COUNT, "Times the link was opened again", DIAGNOSTIC)

# The device's own clock
DEVICE_CLOCK = _point("device_clock", TEXT, "Local time by the device's own clock, YYYY-MM-DD HH:MM:SS", DIAGNOSTIC)
CLOCK_DRIFT = _point("clock_drift", DRIFT, "Device's clock against local time, + if it is fast", DIAGNOSTIC)

# Other words several families share
NOMINAL_VOLTAGE = _point("nominal_voltage", NUMBER, "Nominal voltage of the battery system, in volts", DIAGNOSTIC)
DAYS_SINCE_EQUALIZE = _point("days_since_equalize", DAY, "Days since the last equalize", DIAGNOSTIC)
FAULT_TEXT = _point("fault_text", TEXT, "All faults and alarms in words, empty when there is none")

# What can be commanded
CHARGE_VOLTAGE_LIMIT = _point(
    "charge_voltage_limit", VOLT, "Charge voltage the owner allows; 0 means the charger's own", SETTING
)
CHARGE_CURRENT_LIMIT = _point(
    "charge_current_limit", AMPERE, "Charge current the owner allows; 0 means the charger's own", SETTING
)
TOP_CHARGE = _point("top_charge", ENUM, "Charge once to the top-charge voltage until the tail current", words=SWITCH)
BMS_REQUIRED = _point("bms_required", ENUM, "Charge only while a battery controls the charger", SETTING, words=SWITCH)
SET_CLOCK = _point("set_clock", ENUM, "Set the device's clock to local time", SETTING, words=BUTTON)
RESET_ENERGY = _point("reset_energy", ENUM, "Set the meter's energy counter back to 0", SETTING, words=BUTTON)
RESET_CONTROLLER = _point("reset_controller", ENUM, "Restart the charger", SETTING, words=BUTTON)
RESET_COMM_SERVER = _point("reset_comm_server", ENUM, "Restart the charger's network server", SETTING, words=BUTTON)
CLEAR_FAULTS = _point("clear_faults", ENUM, "Clear faults", SETTING, words=BUTTON)
CLEAR_ALARMS = _point("clear_alarms", ENUM, "Clear alarms", SETTING, words=BUTTON)
CLEAR_CHARGE_COUNTER = _point(
    "clear_charge_counter",
    ENUM,
    "Set the resettable charge counter and the voltage extremes back",
    SETTING,
    words=BUTTON,
)
CLEAR_ENERGY_COUNTER = _point(
    "clear_energy_counter", ENUM, "Set the resettable energy counter back", SETTING, words=BUTTON
)
CLEAR_VOLTAGE_EXTREMES = _point(
    "clear_voltage_extremes", ENUM, "Forget the lowest and highest battery voltage", SETTING, words=BUTTON
)
CLEAR_SERVICE_REMINDER = _point(
    "clear_service_reminder", ENUM, "Begin the battery-service interval anew", SETTING, words=BUTTON
)
SAVE_COUNTERS = _point("save_counters", ENUM, "Store the counters now; costs an EEPROM cycle", SETTING, words=BUTTON)
APPLY_PROFILE = _point("apply_profile", TEXT, "Name of the charge profile to write into the charger", SETTING)
APPLY_SETTINGS = _point("apply_settings", TEXT, "Charge settings to write, as JSON by point name", SETTING)
REMOTE_NETWORK_MODE = _point(
    "remote_network_mode",
    FLAGS,
    "How a GX steers the charger, bits as /Link/NetworkMode",
    words={0: "networked", 2: "external control", 3: "BMS"},
)
REMOTE_CHARGE_VOLTAGE = _point("remote_charge_voltage", VOLT, "Charge voltage a GX asks for")
REMOTE_CHARGE_CURRENT = _point("remote_charge_current", AMPERE, "Charge current a GX allows")

# What control is doing
CONTROL_SOURCE = _point("control_source", TEXT, "Who steers the charger now; empty when it is on its own")
CONTROL_VOLTAGE = _point("control_voltage", VOLT, "Charge voltage that is imposed on the charger now")
CONTROL_CURRENT = _point("control_current", AMPERE, "Charge current that is imposed on the charger now")
TOP_CHARGE_STATUS = _point("top_charge_status", TEXT, "What the top charge does, or how the last one ended")
TOP_CHARGE_TIME_LEFT = _point("top_charge_time_left", SECOND, "Time until the top charge ends at the latest")
TOP_CHARGE_LAST = _point("top_charge_last", TEXT, "When a top charge last filled the battery, UTC")
EQUALIZE_TIME_LEFT = _point("equalize_time_left", SECOND, "Time until the equalize ends at the latest")
EQUALIZE_STATUS = _point("equalize_status", TEXT, "What the equalize does, or why it ended or may not begin")
PROFILE_STATUS = _point("profile_status", TEXT, "What the change of charge settings does")
PROFILE_PROGRESS = _point("profile_progress", PERCENT, "How far the change of charge settings is")
PROFILE_ERROR = _point("profile_error", TEXT, "Why the last change of charge settings failed, empty if it did not")
PROFILE_APPLIED = _point("profile_applied", TEXT, "The charge profile that was last written")
PROFILE_APPLIED_AT = _point("profile_applied_at", TEXT, "When charge settings were last written, UTC")
COMMAND_RESULT = _point("command_result", TEXT, "The last command and how it ended")
EEPROM_WRITES = _point("eeprom_writes", COUNT, "EEPROM registers written by Heliobus in the device's life", DIAGNOSTIC)
SERVER_RESETS = _point("server_resets", COUNT, "Restarts of the network server by Heliobus", DIAGNOSTIC)

SITE_POINTS = (YIELD_TODAY, YIELD_TOTAL, ENERGY_FORWARD, CLOCK_DRIFT)
"""Added to the readings by the site's steps: the ledger's yields and energies, and how wrong a clock is."""
HEALTH_POINTS = (
    BUS_REQUESTS,
    BUS_TIMEOUTS,
    BUS_BAD_FRAMES,
    BUS_REFUSALS,
    BUS_LATENCY,
    BUS_LOAD,
    BUS_FOREIGN_FRAMES,
    BUS_RECONNECTS,
)
CONTROL_POINTS = (
    CHARGE_VOLTAGE_LIMIT,
    CHARGE_CURRENT_LIMIT,
    TOP_CHARGE,
    BMS_REQUIRED,
    REMOTE_NETWORK_MODE,
    REMOTE_CHARGE_VOLTAGE,
    REMOTE_CHARGE_CURRENT,
    CONTROL_SOURCE,
    CONTROL_VOLTAGE,
    CONTROL_CURRENT,
    TOP_CHARGE_STATUS,
    TOP_CHARGE_TIME_LEFT,
    TOP_CHARGE_LAST,
    EQUALIZE_TIME_LEFT,
    EQUALIZE_STATUS,
    PROFILE_STATUS,
    PROFILE_PROGRESS,
    PROFILE_ERROR,
    PROFILE_APPLIED,
    PROFILE_APPLIED_AT,
    COMMAND_RESULT,
    EEPROM_WRITES,
    SERVER_RESETS,
)
"""Said by control, not by the device; they are there only while control is on."""
