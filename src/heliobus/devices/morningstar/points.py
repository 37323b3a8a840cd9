"""The points only a TriStar MPPT has, and the words of its bits (MODBUS Specification MS-002582 V11)."""

from heliobus.model.point import Category, Point
from heliobus.model.quantity import (
    AMPERE,
    AMPERE_HOUR,
    CELSIUS,
    DAY,
    ENUM,
    FACTOR,
    FLAGS,
    HOUR,
    KILOWATT_HOUR,
    NUMBER,
    PERCENT,
    SECOND,
    TEXT,
    VOLT,
    VOLT_PER_CELSIUS,
    WATT,
)

MEASUREMENT = Category.MEASUREMENT
DIAGNOSTIC = Category.DIAGNOSTIC
SETTING = Category.SETTING

CHARGE_STATES = {
    0: "START",
    1: "NIGHT_CHECK",
    2: "DISCONNECT",
    3: "NIGHT",
    4: "FAULT",
    5: "MPPT",
    6: "ABSORPTION",
    7: "FLOAT",
    8: "EQUALIZE",
    9: "SLAVE",
    10: "FIXED",
}
FAULTS = {
    0: "overcurrent",
    1: "FETs shorted",
    2: "software bug",
    3: "battery high voltage disconnect",
    4: "array high voltage disconnect",
    5: "settings switch changed",
    6: "custom settings edit",
    7: "RTS shorted",
    8: "RTS disconnected",
    9: "EEPROM retry limit",
    10: "controller was reset by software",
    11: "slave control timeout",
    12: "fault 13",
    13: "fault 14",
    14: "fault 15",
    15: "fault 16",
}
ALARMS = {
    0: "RTS open",
    1: "RTS shorted",
    2: "RTS disconnected",
    3: "heatsink sensor open",
    4: "heatsink sensor shorted",
    5: "high temperature current limit",
    6: "current limit",
    7: "current offset",
    8: "battery sense out of range",
    9: "battery sense disconnected",
    10: "uncalibrated",
    11: "RTS miswire",
    12: "high voltage disconnect",
    13: "alarm 14",
    14: "system miswire",
    15: "MOSFET open",
    16: "P12 voltage off",
    17: "high input voltage current limit",
    18: "ADC input max",
    19: "controller was reset",
    20: "alarm 21",
    21: "alarm 22",
    22: "alarm 23",
    23: "alarm 24",
}
DAY_FLAGS = {
    0: "reset detected",
    1: "equalize triggered",
    2: "entered float",
    3: "an alarm occurred",
    4: "a fault occurred",
}
SWITCHES = {bit: f"switch {bit + 1}" for bit in range(8)}
LEDS = {
    0: "starting",
    1: "starting 2",
    2: "branching",
    3: "green, fast blinking (equalize)",
    4: "green, slow blinking (float)",
    5: "green, blinking once a second (absorption)",
    6: "green",
    7: "undefined 7",
    8: "yellow",
    9: "undefined 9",
    10: "red, blinking",
    11: "red",
    12: "red-yellow-green error",
    13: "red/yellow-green error",
    14: "red/green-yellow error",
    15: "red-yellow error (high temperature)",
    16: "red-green error (high voltage disconnect)",
    17: "red/yellow-green/yellow error",
    18: "green/yellow/red error",
    19: "green/yellow/red ×2 error",
}
PROGRAMS = {**{number: f"preset {number:03b}" for number in range(7)}, 7: "custom"}
MODELS = {0: "TriStar MPPT 45", 1: "TriStar MPPT 60", 2: "TriStar MPPT 30"}

# Scaling
VOLTAGE_SCALING = Point("voltage_scaling", FACTOR, "V_PU: volts at full scale", DIAGNOSTIC, low=1, high=1000)
CURRENT_SCALING = Point("current_scaling", FACTOR, "I_PU: amperes at full scale", DIAGNOSTIC, low=1, high=1000)
SYSTEM_MULTIPLIER = Point(
    "system_multiplier", NUMBER, "Nominal battery voltage divided by 12 V", DIAGNOSTIC, low=1, high=10
)
SYSTEM_EVIDENCE = Point(
    "system_voltage_evidence", TEXT, "What the nominal battery voltage is concluded from", DIAGNOSTIC
)
CONTROLLER_FIRMWARE = Point("controller_firmware", NUMBER, "Firmware of processor A, the charger", DIAGNOSTIC)

# Filtered analogue values
TERMINAL_VOLTAGE = Point("battery_terminal_voltage", VOLT, "Battery voltage at the power terminals", low=-10, high=180)
SENSE_VOLTAGE = Point("battery_sense_voltage", VOLT, "Battery voltage at the sense input", low=-10, high=180)
SLOW_BATTERY_VOLTAGE = Point("battery_voltage_slow", VOLT, "Battery voltage, filtered over a minute", low=-10, high=180)
SLOW_BATTERY_CURRENT = Point(
    "battery_current_slow", AMPERE, "Charge current, filtered over a minute", decimals=3, low=-10, high=80
)
RAIL_12V = Point("rail_12v", VOLT, "Internal 12 V supply", DIAGNOSTIC)
RAIL_3V = Point("rail_3v", VOLT, "Internal 3 V supply", DIAGNOSTIC)
RAIL_METERBUS = Point("rail_meterbus", VOLT, "MeterBus supply", DIAGNOSTIC)
RAIL_1V8 = Point("rail_1v8", VOLT, "Internal 1.8 V supply", DIAGNOSTIC)
REFERENCE_VOLTAGE = Point("reference_voltage", VOLT, "Internal reference", DIAGNOSTIC)
EXTERNAL_12V = Point("external_12v", VOLT, "External 12 V supply", DIAGNOSTIC)
HEATSINK_TEMPERATURE = Point(
    "heatsink_temperature", CELSIUS, "Temperature of the heatsink", decimals=0, low=-60, high=127
)
RTS_TEMPERATURE = Point("rts_temperature", CELSIUS, "Remote temperature sensor", decimals=0, low=-60, high=127)
REGULATION_TEMPERATURE = Point(
    "regulation_temperature",
    CELSIUS,
    "Temperature used for regulation: the remote sensor, else the controller's own ambient sensor",
    DIAGNOSTIC,
    decimals=0,
    low=-60,
    high=127,
)

# Status
FAULT_BITS = Point("faults", FLAGS, "Faults: operation stops", MEASUREMENT, FAULTS)
ALARM_BITS = Point("alarms", FLAGS, "Alarms: operation modified, or information", MEASUREMENT, ALARMS)
DIP_SWITCHES = Point("dip_switches", FLAGS, "Settings switches that are ON", DIAGNOSTIC, SWITCHES)
LED_STATE = Point("led_state", ENUM, "Pattern of the LEDs", DIAGNOSTIC, LEDS)
CHARGE_STATE = Point("charge_state", ENUM, "Charge stage in the device's own words", MEASUREMENT, CHARGE_STATES)
BATTERY_PROGRAM = Point("battery_program", ENUM, "Battery program of switches 4, 5 and 6", DIAGNOSTIC, PROGRAMS)
AUTO_EQUALIZE = Point("auto_equalize", ENUM, "Switch 7: equalize by itself", DIAGNOSTIC, {0: "manual", 1: "automatic"})
NETWORK_WRITES = Point(
    "network_writes", ENUM, "Switch 8: writes over Ethernet", DIAGNOSTIC, {0: "blocked", 1: "allowed"}
)
CHARGE_DISCONNECT = Point(
    "charge_disconnect", ENUM, "Whether the charger is told to disconnect", MEASUREMENT, {0: "no", 1: "yes"}
)

# Array
ARRAY_POWER = Point(
    "array_power", WATT, "Array input power, from an array current that is good to ±20 %", low=-10, high=20_000
)
SWEEP_POWER = Point("sweep_power_max", WATT, "Largest array power found in the last sweep", low=0, high=20_000)
SWEEP_VMP = Point("sweep_vmp", VOLT, "Array voltage of the largest power in the last sweep", low=-10, high=700)
SWEEP_VOC = Point("sweep_voc", VOLT, "Open circuit array voltage of the last sweep", low=-10, high=700)

# The device's day
DAY_FLAG_BITS = Point("day_flags", FLAGS, "What happened in the device's day", DIAGNOSTIC, DAY_FLAGS)
DAY_TEMPERATURE_MIN = Point(
    "day_temperature_min", CELSIUS, "Lowest battery temperature of the device's day", DIAGNOSTIC, decimals=0
)
DAY_TEMPERATURE_MAX = Point(
    "day_temperature_max", CELSIUS, "Highest battery temperature of the device's day", DIAGNOSTIC, decimals=0
)
DAY_FAULT_BITS = Point("day_faults", FLAGS, "Faults of the device's day", DIAGNOSTIC, FAULTS)
DAY_ALARM_BITS = Point("day_alarms", FLAGS, "Alarms of the device's day", DIAGNOSTIC, ALARMS)

# Manual control, watched only
SLAVE_CURRENT = Point("slave_current", AMPERE, "Battery current override of slave control", DIAGNOSTIC)
SLAVE_VOLTAGE = Point("slave_voltage", VOLT, "Battery voltage override of slave control", DIAGNOSTIC)
FIXED_ARRAY_VOLTAGE = Point("fixed_array_voltage", VOLT, "Fixed array voltage; not zero means no tracking", DIAGNOSTIC)
FIXED_ARRAY_PERCENT = Point(
    "fixed_array_percent",
    PERCENT,
    "Fixed array voltage as share of open circuit; not zero means no tracking",
    DIAGNOSTIC,
)

# Network
SERVER_FIRMWARE = Point("server_firmware", NUMBER, "Firmware of processor B, the network server", DIAGNOSTIC)
IP_ADDRESS = Point("ip_address", TEXT, "IP address", DIAGNOSTIC)
SUBNET_MASK = Point("subnet_mask", TEXT, "Subnet mask", DIAGNOSTIC)
GATEWAY = Point("gateway", TEXT, "Gateway", DIAGNOSTIC)
DNS_1 = Point("dns_1", TEXT, "Primary DNS server", DIAGNOSTIC)
DNS_2 = Point("dns_2", TEXT, "Secondary DNS server", DIAGNOSTIC)
CONTROLLER_ID = Point("controller_id", TEXT, "The controller's name on the network", DIAGNOSTIC)
NET_FLAGS = Point("net_flags", FLAGS, "Network options", DIAGNOSTIC, {14: "DHCP"})
MAC_ADDRESS = Point("mac_address", TEXT, "MAC address", DIAGNOSTIC)
NETBIOS_NAME = Point("netbios_name", TEXT, "NetBIOS name", DIAGNOSTIC)
MODEL_NUMBER = Point("model_number", ENUM, "Model register", DIAGNOSTIC, MODELS)

# Charge settings, in volts of the actual battery system
SET_ABSORPTION_VOLTAGE = Point("set_absorption_voltage", VOLT, "Absorption voltage at 25 °C", SETTING)
SET_FLOAT_VOLTAGE = Point("set_float_voltage", VOLT, "Float voltage at 25 °C; 0 means no float", SETTING)
SET_ABSORPTION_TIME = Point("set_absorption_time", SECOND, "Absorption time before float", SETTING)
SET_ABSORPTION_EXTENSION = Point("set_absorption_extension", SECOND, "More absorption time after a deep night", SETTING)
SET_EXTENSION_VOLTAGE = Point(
    "set_absorption_extension_voltage", VOLT, "Battery voltage below which the extension is used", SETTING
)
SET_FLOAT_CANCEL_VOLTAGE = Point(
    "set_float_cancel_voltage", VOLT, "Battery voltage below which the next float is skipped", SETTING
)
SET_FLOAT_EXIT_TIME = Point("set_float_exit_time", SECOND, "Time below float voltage that ends float", SETTING)
SET_EQUALIZE_VOLTAGE = Point("set_equalize_voltage", VOLT, "Equalize voltage at 25 °C; 0 means never", SETTING)
SET_EQUALIZE_DAYS = Point("set_equalize_days", DAY, "Days between automatic equalizations", SETTING)
SET_EQUALIZE_LIMIT = Point("set_equalize_time_limit", SECOND, "Longest equalize above absorption voltage", SETTING)
SET_EQUALIZE_TIME = Point("set_equalize_time", SECOND, "Equalize time at equalize voltage", SETTING)
SET_SERVICE_DAYS = Point("set_battery_service_days", DAY, "Days between battery-service reminders", SETTING)
SET_TEMPERATURE_COMPENSATION = Point(
    "set_temperature_compensation", VOLT_PER_CELSIUS, "Temperature compensation, negative by nature", SETTING
)
SET_HVD_VOLTAGE = Point("set_hvd_voltage", VOLT, "Battery high voltage disconnect; 0 means off", SETTING)
SET_HVD_RECONNECT_VOLTAGE = Point("set_hvd_reconnect_voltage", VOLT, "Reconnect after high voltage disconnect", SETTING)
SET_VOLTAGE_LIMIT = Point("set_voltage_limit", VOLT, "Ceiling of regulation, not compensated; 0 means off", SETTING)
SET_COMPENSATION_MAX = Point(
    "set_compensation_max", CELSIUS, "Upper clamp of temperature compensation", SETTING, decimals=0
)
SET_COMPENSATION_MIN = Point(
    "set_compensation_min", CELSIUS, "Lower clamp of temperature compensation", SETTING, decimals=0
)
SET_LED_GREEN = Point("set_led_green_voltage", VOLT, "LED green to green-yellow", SETTING)
SET_LED_GREEN_YELLOW = Point("set_led_green_yellow_voltage", VOLT, "LED green-yellow to yellow", SETTING)
SET_LED_YELLOW = Point("set_led_yellow_voltage", VOLT, "LED yellow to yellow-red", SETTING)
SET_LED_YELLOW_RED = Point("set_led_yellow_red_voltage", VOLT, "LED yellow-red to red", SETTING)
SET_MODBUS_UNIT = Point("set_modbus_unit", NUMBER, "Modbus unit id", SETTING)
SET_METERBUS_UNIT = Point("set_meterbus_unit", NUMBER, "MeterBus id", SETTING)
SET_CURRENT_LIMIT = Point("set_current_limit", AMPERE, "Battery current limit; 0 means the model's own", SETTING)
SET_FIXED_ARRAY_VOLTAGE = Point("set_fixed_array_voltage", VOLT, "Fixed array voltage at start", SETTING)
SET_FIXED_ARRAY_PERCENT = Point(
    "set_fixed_array_percent", PERCENT, "Fixed array voltage at start, share of Voc", SETTING
)

# The same settings as they are stored, witnesses of the system voltage
STORED_ABSORPTION = Point("stored_absorption_voltage", VOLT, "Absorption voltage as stored, for 12 V", DIAGNOSTIC)
STORED_FLOAT = Point("stored_float_voltage", VOLT, "Float voltage as stored, for 12 V", DIAGNOSTIC)

# Counters the controller stores once a day
STORED_HOURS = Point("stored_operating_hours", HOUR, "Hours of operation as stored", DIAGNOSTIC)
STORED_CHARGE_RESETTABLE = Point("stored_charge_resettable", AMPERE_HOUR, "Resettable charge as stored", DIAGNOSTIC)
STORED_CHARGE_TOTAL = Point("stored_charge_total", AMPERE_HOUR, "Lifetime charge as stored", DIAGNOSTIC)
STORED_ENERGY_RESETTABLE = Point("stored_energy_resettable", KILOWATT_HOUR, "Resettable energy as stored", DIAGNOSTIC)
STORED_ENERGY_TOTAL = Point("stored_energy_total", KILOWATT_HOUR, "Lifetime energy as stored", DIAGNOSTIC)
STORED_VOLTAGE_MIN = Point(
    "stored_battery_voltage_min", VOLT, "Lowest battery voltage of the last stored 24 h", DIAGNOSTIC
)
STORED_VOLTAGE_MAX = Point(
    "stored_battery_voltage_max", VOLT, "Highest battery voltage of the last stored 24 h", DIAGNOSTIC
)
STORED_PV_VOLTAGE_MAX = Point(
    "stored_pv_voltage_max", VOLT, "Highest array voltage of the last stored 24 h", DIAGNOSTIC
)
DAYS_SINCE_SERVICE = Point("days_since_service", DAY, "Days since the last battery-service reminder", DIAGNOSTIC)
