"""What an EPever charger measures and says of itself, beyond the vocabulary (B-Series Modbus Specification V2.3).

Newer bits are those of the communication instruction v2.5. The settings are in settings.py.
"""

from heliobus.model.point import Category, Point
from heliobus.model.quantity import (
    AMPERE,
    CELSIUS,
    ENUM,
    FACTOR,
    FLAGS,
    KILOWATT_HOUR,
    NUMBER,
    PERCENT,
    VOLT,
    WATT,
    Kind,
    Quantity,
)
from heliobus.model.vocabulary import SWITCH

MEASUREMENT = Category.MEASUREMENT
DIAGNOSTIC = Category.DIAGNOSTIC
COLDEST, HOTTEST = -45, 120
"""Temperatures that a battery or a charger can have, in °C."""

KILOGRAM = Quantity("kilogram", Kind.NUMBER, "kg", 0, 0, 1e9, "weight", "total_increasing", "kilograms")

CHARGING_MODES = {0: "direct connect", 1: "PWM", 2: "MPPT"}
BATTERY_VOLTAGE_STATES = {
    0: "normal",
    1: "over-voltage",
    2: "under-voltage",
    3: "low-voltage disconnect",
    4: "fault",
}
BATTERY_TEMPERATURE_STATES = {0: "normal", 1: "over-temperature", 2: "under-temperature"}
BATTERY_FAULTS = {8: "internal resistance abnormal", 15: "rated voltage wrongly identified"}
CHARGE_STAGES = {0: "not charging", 1: "float", 2: "boost", 3: "equalize"}
CHARGING_FAULTS = {
    4: "PV input short circuit",
    6: "three-circuit disequilibrium",
    7: "load MOSFET short circuit",
    8: "load short circuit",
    9: "load over-current",
    10: "input over-current",
    11: "anti-reverse MOSFET short circuit",
    12: "charging or anti-reverse MOSFET open",
    13: "charging MOSFET short circuit",
}
PV_INPUT_STATES = {0: "normal", 1: "no input power", 2: "input voltage high", 3: "input voltage error"}
LOAD_FAULTS = {
    4: "output over-voltage",
    5: "boost over-voltage",
    6: "short circuit on the high-voltage side",
    7: "input over-voltage",
    8: "output voltage abnormal",
    9: "unable to stop discharging",
    10: "unable to discharge",
    11: "short circuit",
}
LOAD_LEVELS = {0: "light", 1: "moderate", 2: "rated", 3: "overload"}
LOAD_INPUT_STATES = {0: "normal", 1: "low", 2: "high", 3: "no access to input voltage"}
YES_NO = {0: "no", 1: "yes"}
CONVENTIONS = {0: "unclear", 1: "of the actual battery", 2: "for 12 V"}


def _celsius(name: str, doc: str, category: Category = MEASUREMENT) -> Point:
    return Point(name, CELSIUS, doc, category, decimals=2, low=COLDEST, high=HOTTEST)


# Rated
PV_RATED_VOLTAGE = Point("pv_rated_voltage", VOLT, "Rated array voltage", DIAGNOSTIC, low=0)
PV_RATED_CURRENT = Point("pv_rated_current", AMPERE, "Rated array current", DIAGNOSTIC, low=0)
PV_RATED_POWER = Point("pv_rated_power", WATT, "Rated array power", DIAGNOSTIC, low=0)
BATTERY_RATED_VOLTAGE = Point(
    "battery_rated_voltage", VOLT, "Highest nominal battery voltage of this model", DIAGNOSTIC, low=0
)
CHARGE_RATED_POWER = Point("charge_rated_power", WATT, "Rated charge power", DIAGNOSTIC, low=0)
CHARGING_MODE = Point("charging_mode", ENUM, "Kind of charger", DIAGNOSTIC, CHARGING_MODES)
LOAD_RATED_VOLTAGE = Point("load_rated_voltage", VOLT, "Rated voltage of the load output", DIAGNOSTIC, low=0)
LOAD_RATED_CURRENT = Point("load_rated_current", AMPERE, "Rated current of the load output", DIAGNOSTIC, low=0)
LOAD_RATED_POWER = Point("load_rated_power", WATT, "Rated power of the load output", DIAGNOSTIC, low=0)

# Real time
LOAD_INPUT_VOLTAGE = Point(
    "load_input_voltage", VOLT, "Voltage before the load switch; the battery's on G3 models", DIAGNOSTIC
)
LOAD_INPUT_CURRENT = Point("load_input_current", AMPERE, "Current before the load switch", DIAGNOSTIC)
LOAD_INPUT_POWER = Point("load_input_power", WATT, "Power before the load switch", DIAGNOSTIC)
BATTERY_PROBE_TEMPERATURE = _celsius(
    "battery_probe_temperature", "Battery probe as the charger reads it; exactly 25.00 without a probe", DIAGNOSTIC
)
CONTROLLER_TEMPERATURE = _celsius("controller_temperature", "Temperature inside the charger")
POWER_STAGE_TEMPERATURE = _celsius("power_stage_temperature", "Temperature of the power components")
SOC_ESTIMATE = Point(
    "soc_estimate",
    PERCENT,
    "State of charge as the charger guesses it from the voltage: it jumps to 100 % while charging",
    DIAGNOSTIC,
    decimals=0,
)
REMOTE_TEMPERATURE = _celsius("remote_temperature", "Remote battery temperature sensor")
SYSTEM_VOLTAGE = Point("system_voltage", VOLT, "Nominal battery voltage as the charger found it", DIAGNOSTIC, low=0)
BATTERY_VOLTAGE_B = Point("battery_voltage_b", VOLT, "Battery voltage beside the net current", DIAGNOSTIC)
NET_BATTERY_CURRENT = Point(
    "net_battery_current",
    AMPERE,
    "Battery current less that of the charger's own load output, + into the battery",
    # Its two words are not always of one moment; twice what the largest model has is no current of any.
    low=-200,
    high=200,
)
BATTERY_PROBE_TEMPERATURE_B = _celsius(
    "battery_probe_temperature_b", "Battery probe, read at another time; exactly 25.00 without a probe", DIAGNOSTIC
)
AMBIENT_TEMPERATURE = _celsius("ambient_temperature", "Ambient temperature sensor", DIAGNOSTIC)
BATTERY_2_CURRENT = Point("battery_2_current", AMPERE, "Charge current of the second battery")
BATTERY_2_POWER = Point("battery_2_power", WATT, "Charge power of the second battery")

# Status
BATTERY_STATUS = Point("battery_status", NUMBER, "Battery status word as it is", DIAGNOSTIC)
BATTERY_VOLTAGE_STATUS = Point(
    "battery_voltage_status", ENUM, "Battery voltage by the charger's limits", MEASUREMENT, BATTERY_VOLTAGE_STATES
)
BATTERY_TEMPERATURE_STATUS = Point(
    "battery_temperature_status",
    ENUM,
    "Battery temperature by the charger's limits",
    MEASUREMENT,
    BATTERY_TEMPERATURE_STATES,
)
BATTERY_FAULT_BITS = Point("battery_faults", FLAGS, "Faults of the battery", MEASUREMENT, BATTERY_FAULTS)
CHARGING_STATUS = Point("charging_status", NUMBER, "Charging status word as it is", DIAGNOSTIC)
CHARGING_RUNNING = Point("charging_running", ENUM, "Whether the charger runs", DIAGNOSTIC, SWITCH)
CHARGE_STAGE = Point("charge_stage", ENUM, "Charge stage in the device's own words", MEASUREMENT, CHARGE_STAGES)
CHARGING_FAULT_BITS = Point(
    "charging_faults", FLAGS, "Faults of the charger; its general fault bit is left out, it lies", words=CHARGING_FAULTS
)
PV_INPUT_STATUS = Point("pv_input_status", ENUM, "Array input", MEASUREMENT, PV_INPUT_STATES)
LOAD_STATUS = Point("load_status", NUMBER, "Load status word as it is", DIAGNOSTIC)
LOAD_FAULT_BITS = Point("load_faults", FLAGS, "Faults of the load output", MEASUREMENT, LOAD_FAULTS)
LOAD_LEVEL = Point("load_level", ENUM, "How much the load output has to give", MEASUREMENT, LOAD_LEVELS)
LOAD_INPUT_STATUS = Point("load_input_status", ENUM, "Input voltage of the load output", DIAGNOSTIC, LOAD_INPUT_STATES)
OVER_TEMPERATURE = Point("over_temperature", ENUM, "Whether the charger is too hot inside", MEASUREMENT, YES_NO)
NIGHT = Point("night", ENUM, "Whether the charger takes it for night", MEASUREMENT, {0: "day", 1: "night"})

# Coils
LOAD_MANUAL_CONTROL = Point(
    "load_manual_control", ENUM, "Whether the load output is switched by hand", DIAGNOSTIC, SWITCH
)
LOAD_DEFAULT = Point("load_default", ENUM, "Load output in the default mode", DIAGNOSTIC, SWITCH)
LOAD_TEST = Point("load_test", ENUM, "Test mode of the load output", DIAGNOSTIC, SWITCH)
LOAD_FORCED = Point("load_forced", ENUM, "Load output forced on in the test mode", DIAGNOSTIC, SWITCH)

# Statistics, by the charger's own clock
DAY_PV_VOLTAGE_MIN = Point("day_pv_voltage_min", VOLT, "Lowest array voltage of the device's day", DIAGNOSTIC)
LOAD_ENERGY_MONTH = Point(
    "load_energy_month", KILOWATT_HOUR, "Energy given to the load output in the device's month", DIAGNOSTIC
)
LOAD_ENERGY_YEAR = Point(
    "load_energy_year", KILOWATT_HOUR, "Energy given to the load output in the device's year", DIAGNOSTIC
)
ENERGY_MONTH_COUNTER = Point("energy_month_counter", KILOWATT_HOUR, "Energy won in the device's month", DIAGNOSTIC)
ENERGY_YEAR_COUNTER = Point("energy_year_counter", KILOWATT_HOUR, "Energy won in the device's year", DIAGNOSTIC)
CO2_SAVED = Point("co2_saved", KILOGRAM, "Carbon dioxide saved, by the charger's reckoning", DIAGNOSTIC)

# What the stored voltages are meant for
SETTINGS_CONVENTION = Point(
    "settings_convention", ENUM, "What battery the stored voltages are for", DIAGNOSTIC, CONVENTIONS
)
SETTINGS_RATIO = Point(
    "settings_ratio", FACTOR, "Stored float voltage divided by the nominal voltage", DIAGNOSTIC, decimals=3
)
