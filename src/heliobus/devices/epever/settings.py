"""The settings an EPever charger stores, as points (B-Series Modbus Specification V2.3, instruction v2.5).

Settings that mean the same on every charger have the names they have elsewhere: the vendor's boost is absorption, its
over-voltage disconnect the high voltage disconnect (HVD), its charging limit the ceiling of regulation, its low-voltage
disconnect LVD. Voltages are as stored, which is for the actual battery on every unit known.
"""

from heliobus.model.point import Category, Point
from heliobus.model.quantity import (
    AMPERE,
    AMPERE_HOUR,
    CELSIUS,
    DAY,
    ENUM,
    FLAGS,
    PERCENT,
    SECOND,
    TEXT,
    VOLT,
    VOLT_PER_CELSIUS,
    Kind,
    Quantity,
)
from heliobus.model.vocabulary import SWITCH

SETTING = Category.SETTING
DIAGNOSTIC = Category.DIAGNOSTIC

MILLIOHM = Quantity("milliohm", Kind.NUMBER, "mΩ", 2, 0, 1000, None, "measurement", "milliohms")

USER, SEALED, GEL, FLOODED = range(4)
BATTERY_TYPES = {
    USER: "user",
    SEALED: "sealed",
    GEL: "gel",
    FLOODED: "flooded",
    4: "LiFePO4 4S",
    5: "LiFePO4 8S",
    6: "LiFePO4 15S",
    7: "LiFePO4 16S",
    8: "LiNiCoMn 3S",
    9: "LiNiCoMn 6S",
    10: "LiNiCoMn 7S",
    11: "LiNiCoMn 13S",
    12: "LiNiCoMn 14S",
}
SYSTEM_VOLTAGES = {1: 12, 2: 24, 3: 36, 4: 48, 5: 60, 6: 110, 7: 120, 8: 220, 9: 240}
SYSTEM_VOLTAGE_WORDS = {0: "automatic", **{code: f"{volts} V" for code, volts in SYSTEM_VOLTAGES.items()}}
LOAD_MODES = {0: "manual", 1: "light on/off", 2: "light on and timer", 3: "time control"}
MAIN_SUPPLIES = {1: "battery", 2: "AC-DC"}
TIMER_COUNTS = {0: "one timer", 1: "two timers"}
MANAGEMENT_MODES = {0: "voltage", 1: "state of charge"}
LITHIUM_PROTECTIONS = {
    8: "low temperature cut-off A",
    9: "low temperature cut-off B",
    10: "protection off",
    11: "power reduced by heat",
}


def _volts(name: str, doc: str) -> Point:
    return Point(name, VOLT, doc, SETTING, low=0)


def _celsius(name: str, doc: str) -> Point:
    return Point(name, CELSIUS, doc, SETTING, decimals=2)


# Battery
SET_BATTERY_TYPE = Point("set_battery_type", ENUM, "Kind of battery", SETTING, BATTERY_TYPES)
SET_BATTERY_CAPACITY = Point("set_battery_capacity", AMPERE_HOUR, "Capacity of the battery", SETTING, decimals=0)
SET_TEMPERATURE_COMPENSATION = Point(
    "set_temperature_compensation",
    VOLT_PER_CELSIUS,
    "Temperature compensation of the whole battery, negative by nature",
    SETTING,
)
TEMPERATURE_COEFFICIENT = Point(
    "temperature_coefficient",
    Quantity("millivolt_per_celsius", Kind.NUMBER, "mV/°C/2V", 2, 0, 700),
    "Size of the temperature compensation as stored, for a cell of 2 V",
    DIAGNOSTIC,
)

# The block of voltages, which is written as a whole
SET_HVD_VOLTAGE = _volts("set_hvd_voltage", "Over-voltage disconnect")
SET_VOLTAGE_LIMIT = _volts("set_voltage_limit", "Charging limit: ceiling of regulation")
SET_HVD_RECONNECT_VOLTAGE = _volts("set_hvd_reconnect_voltage", "Reconnect after over-voltage disconnect")
SET_EQUALIZE_VOLTAGE = _volts("set_equalize_voltage", "Equalize voltage at 25 °C")
SET_ABSORPTION_VOLTAGE = _volts("set_absorption_voltage", "Boost (absorption) voltage at 25 °C")
SET_FLOAT_VOLTAGE = _volts("set_float_voltage", "Float voltage at 25 °C")
SET_ABSORPTION_RECONNECT_VOLTAGE = _volts(
    "set_absorption_reconnect_voltage", "Boost reconnect: battery voltage below which float gives way to boost"
)
SET_LVD_RECONNECT_VOLTAGE = _volts("set_lvd_reconnect_voltage", "Load on again after low-voltage disconnect")
SET_LOW_WARNING_RECOVER_VOLTAGE = _volts("set_low_warning_recover_voltage", "End of the under-voltage warning")
SET_LOW_WARNING_VOLTAGE = _volts("set_low_warning_voltage", "Under-voltage warning")
SET_LVD_VOLTAGE = _volts("set_lvd_voltage", "Low-voltage disconnect of the load")
SET_DISCHARGE_LIMIT_VOLTAGE = _volts("set_discharge_limit_voltage", "Discharging limit")

# Temperatures
SET_CHARGE_TEMPERATURE_MIN = _celsius("set_charge_temperature_min", "No charge below this battery temperature")
SET_DISCHARGE_TEMPERATURE_MIN = _celsius("set_discharge_temperature_min", "No load below this battery temperature")
SET_BATTERY_TEMPERATURE_MAX = _celsius("set_battery_temperature_max", "Battery too hot")
SET_BATTERY_TEMPERATURE_MIN = _celsius("set_battery_temperature_min", "Battery too cold")
SET_CONTROLLER_TEMPERATURE_MAX = _celsius("set_controller_temperature_max", "Charger too hot")
SET_CONTROLLER_TEMPERATURE_RECOVER = _celsius("set_controller_temperature_recover", "Charger cool enough again")
SET_POWER_STAGE_TEMPERATURE_MAX = _celsius("set_power_stage_temperature_max", "Power components too hot")
SET_POWER_STAGE_TEMPERATURE_RECOVER = _celsius(
    "set_power_stage_temperature_recover", "Power components cool enough again"
)

# Times of charging
SET_EQUALIZE_DAYS = Point("set_equalize_days", DAY, "Days between automatic equalizations", SETTING)
SET_EQUALIZE_TIME = Point("set_equalize_time", SECOND, "Equalize duration, whole minutes", SETTING)
SET_ABSORPTION_TIME = Point("set_absorption_time", SECOND, "Boost (absorption) duration, whole minutes", SETTING)
SET_LINE_IMPEDANCE = Point("set_line_impedance", MILLIOHM, "Resistance of the battery cables", SETTING)

# Light control
SET_NIGHT_VOLTAGE = _volts("set_night_voltage", "Array voltage below which it is night")
SET_NIGHT_DELAY = Point("set_night_delay", SECOND, "How long it must be dark, whole minutes", SETTING)
SET_DAY_VOLTAGE = _volts("set_day_voltage", "Array voltage above which it is day")
SET_DAY_DELAY = Point("set_day_delay", SECOND, "How long it must be light, whole minutes", SETTING)
SET_NIGHT_LENGTH = Point("set_night_length", SECOND, "Length of the night, whole minutes", SETTING)

# Load output
SET_LOAD_MODE = Point("set_load_mode", ENUM, "What switches the load output", SETTING, LOAD_MODES)
SET_LOAD_TIME_1 = Point("set_load_time_1", SECOND, "Load on after dusk, whole minutes", SETTING)
SET_LOAD_TIME_2 = Point("set_load_time_2", SECOND, "Load on before dawn, whole minutes", SETTING)
SET_TIMER_1_ON = Point("set_timer_1_on", TEXT, "Timer 1 switches the load on, HH:MM:SS", SETTING)
SET_TIMER_1_OFF = Point("set_timer_1_off", TEXT, "Timer 1 switches the load off, HH:MM:SS", SETTING)
SET_TIMER_2_ON = Point("set_timer_2_on", TEXT, "Timer 2 switches the load on, HH:MM:SS", SETTING)
SET_TIMER_2_OFF = Point("set_timer_2_off", TEXT, "Timer 2 switches the load off, HH:MM:SS", SETTING)
SET_TIMER_COUNT = Point("set_timer_count", ENUM, "Timers in use", SETTING, TIMER_COUNTS)
SET_LOAD_DEFAULT = Point("set_load_default", ENUM, "Load output after power-up in manual mode", SETTING, SWITCH)

# The rest
SET_BACKLIGHT_TIME = Point("set_backlight_time", SECOND, "Backlight of the display", SETTING)
SET_MAIN_SUPPLY = Point("set_main_supply", ENUM, "What feeds the load first", SETTING, MAIN_SUPPLIES)
SET_SYSTEM_VOLTAGE = Point(
    "set_system_voltage", ENUM, "Nominal battery voltage as chosen", SETTING, SYSTEM_VOLTAGE_WORDS
)
SET_DISCHARGE_PERCENT = Point(
    "set_discharge_percent", PERCENT, "State of charge that ends discharge", SETTING, decimals=0
)
SET_CHARGE_PERCENT = Point("set_charge_percent", PERCENT, "State of charge that ends charge", SETTING, decimals=0)
SET_MANAGEMENT_MODE = Point(
    "set_management_mode", ENUM, "Whether charge and discharge end by voltage or by state", SETTING, MANAGEMENT_MODES
)
SET_CURRENT_LIMIT = Point("set_current_limit", AMPERE, "Largest charge current; G3 models only", SETTING, low=0)
LARGE_MODEL_CURRENT_LIMIT = Point(
    "large_model_current_limit", AMPERE, "Largest charge current of some large models, not confirmed", DIAGNOSTIC, low=0
)
LITHIUM_PROTECTION = Point(
    "lithium_protection",
    FLAGS,
    "Options of lithium batteries; sources disagree which cut-off is for charge",
    DIAGNOSTIC,
    LITHIUM_PROTECTIONS,
)
