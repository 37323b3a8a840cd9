"""Morningstar TriStar MPPT 150 V (TS-MPPT-30, -45, -60, -60M), by MODBUS Specification MS-002582 V11.

Addresses are PDU addresses. In RAM the high word comes first, in EEPROM the low word. Charge voltages in EEPROM are for
a 12 V battery and are multiplied by the system multiplier here (ProStar specification; verified on a 24 V unit).
"""

from heliobus.devices.driver import UNSCALED, BlockLimits, Driver, Poll, Recognition, Register, Scale, Table, by
from heliobus.devices.morningstar import points as ts
from heliobus.devices.morningstar.derive import DERIVED, derive
from heliobus.devices.morningstar.recognise import recogniser
from heliobus.devices.morningstar.writes import tristar_writes
from heliobus.devices.morningstar_tristar_mppt_600v import DRIVER as DRIVER_600V
from heliobus.model import vocabulary as v
from heliobus.model.point import Point
from heliobus.model.role import Role
from heliobus.wire.bus import Timing
from heliobus.wire.modbus.coding import (
    Coding,
    ascii_low_first,
    bcd16,
    fixed16_16,
    ipv4_low_first,
    mac_low_first,
    s16,
    u16,
    u32,
    u32l,
)

VOLTS = by(ts.VOLTAGE_SCALING, times=2**-15)
AMPS = by(ts.CURRENT_SCALING, times=2**-15)
WATTS = by(ts.VOLTAGE_SCALING, ts.CURRENT_SCALING, times=2**-17)
V12 = by(ts.VOLTAGE_SCALING, ts.SYSTEM_MULTIPLIER, times=2**-15)
V12_PER_CELSIUS = by(ts.VOLTAGE_SCALING, ts.SYSTEM_MULTIPLIER, times=-(2**-16))
TENTH = Scale(0.1)
NO_SENSOR = frozenset({0x80, -0x80})

R = Register

RAM = (
    R(0x0000, ts.VOLTAGE_SCALING, fixed16_16),
    R(0x0002, ts.CURRENT_SCALING, fixed16_16),
    R(0x0004, ts.CONTROLLER_FIRMWARE, bcd16),
    R(0x0018, v.BATTERY_VOLTAGE, s16, VOLTS),
    R(0x0019, ts.TERMINAL_VOLTAGE, s16, VOLTS),
    R(0x001A, ts.SENSE_VOLTAGE, s16, VOLTS),
    R(0x001B, v.PV_VOLTAGE, s16, VOLTS),
    R(0x001C, v.BATTERY_CURRENT, s16, AMPS),
    R(0x001D, v.PV_CURRENT, s16, AMPS),
    R(0x001E, ts.RAIL_12V, s16, Scale(18.612 / 2**15)),
    R(0x001F, ts.RAIL_3V, s16, Scale(6.6 / 2**15)),
    R(0x0020, ts.RAIL_METERBUS, s16, Scale(18.612 / 2**15)),
    R(0x0021, ts.RAIL_1V8, s16, Scale(3 / 2**15)),
    R(0x0022, ts.REFERENCE_VOLTAGE, s16, Scale(3 / 2**15)),
    R(0x0023, ts.HEATSINK_TEMPERATURE, s16, invalid=NO_SENSOR),
    R(0x0024, ts.RTS_TEMPERATURE, s16, invalid=NO_SENSOR),
    R(0x0025, ts.REGULATION_TEMPERATURE, s16, invalid=NO_SENSOR),
    R(0x0026, ts.SLOW_BATTERY_VOLTAGE, s16, VOLTS),
    R(0x0027, ts.SLOW_BATTERY_CURRENT, s16, AMPS),
    R(0x0028, v.OVERALL_BATTERY_VOLTAGE_MIN, s16, VOLTS),
    R(0x0029, v.OVERALL_BATTERY_VOLTAGE_MAX, s16, VOLTS),
    R(0x002A, v.OPERATING_HOURS, u32),
    R(0x002C, ts.FAULT_BITS, u16),
    R(0x002E, ts.ALARM_BITS, u32),
    R(0x0030, ts.DIP_SWITCHES, u16),
    R(0x0031, ts.LED_STATE, u16),
    R(0x0032, ts.CHARGE_STATE, u16),
    R(0x0033, v.TARGET_VOLTAGE, s16, VOLTS),
    R(0x0034, v.CHARGE_RESETTABLE_COUNTER, u32, TENTH),
    R(0x0036, v.CHARGE_TOTAL_COUNTER, u32, TENTH),
    R(0x0038, v.ENERGY_RESETTABLE_COUNTER, u16),
    R(0x0039, v.ENERGY_TOTAL_COUNTER, u16),
    R(0x003A, v.BATTERY_POWER, u16, WATTS),
    R(0x003B, ts.ARRAY_POWER, u16, WATTS),
    R(0x003C, ts.SWEEP_POWER, u16, WATTS),
    R(0x003D, ts.SWEEP_VMP, s16, VOLTS),
    R(0x003E, ts.SWEEP_VOC, s16, VOLTS),
    R(0x0040, v.DAY_BATTERY_VOLTAGE_MIN, s16, VOLTS),
    R(0x0041, v.DAY_BATTERY_VOLTAGE_MAX, s16, VOLTS),
    R(0x0042, v.DAY_PV_VOLTAGE_MAX, s16, VOLTS),
    R(0x0043, v.CHARGE_DAY_COUNTER, u16, TENTH),
    R(0x0044, v.ENERGY_DAY_COUNTER, u16),
    R(0x0045, ts.DAY_FLAG_BITS, u16),
    R(0x0046, v.DAY_POWER_MAX, u16, WATTS),
    R(0x0047, ts.DAY_TEMPERATURE_MIN, s16, invalid=NO_SENSOR),
    R(0x0048, ts.DAY_TEMPERATURE_MAX, s16, invalid=NO_SENSOR),
    R(0x0049, ts.DAY_FAULT_BITS, u16),
    R(0x004B, ts.DAY_ALARM_BITS, u32),
    R(0x004D, v.TIME_ABSORPTION_COUNTER, u16),
    R(0x004E, v.TIME_EQUALIZE_COUNTER, u16),
    R(0x004F, v.TIME_FLOAT_COUNTER, u16),
    R(0x0058, ts.SLAVE_CURRENT, s16, Scale(80 / 2**15)),
    R(0x0059, ts.SLAVE_VOLTAGE, s16, VOLTS),
    R(0x005A, ts.FIXED_ARRAY_VOLTAGE, s16, VOLTS),
    R(0x005B, ts.FIXED_ARRAY_PERCENT, u16, Scale(100 / 2**16)),
)

COILS = (
    R(0x0000, v.EQUALIZE_REQUESTED, u16, poll=Poll.NORMAL, table=Table.COILS),
    R(0x0002, ts.CHARGE_DISCONNECT, u16, poll=Poll.NORMAL, table=Table.COILS),
)

NETWORK = (
    R(0x1000, ts.SERVER_FIRMWARE, u16, poll=Poll.ONCE),
    R(0x100F, ts.IP_ADDRESS, ipv4_low_first, poll=Poll.ONCE),
    R(0x1011, ts.SUBNET_MASK, ipv4_low_first, poll=Poll.ONCE),
    R(0x1013, ts.GATEWAY, ipv4_low_first, poll=Poll.ONCE),
    R(0x1015, ts.DNS_1, ipv4_low_first, poll=Poll.ONCE),
    R(0x1017, ts.DNS_2, ipv4_low_first, poll=Poll.ONCE),
    R(0x101D, ts.CONTROLLER_ID, ascii_low_first(8), poll=Poll.ONCE),
    R(0x1025, ts.NET_FLAGS, u16, poll=Poll.ONCE),
    R(0x1026, ts.MAC_ADDRESS, mac_low_first, poll=Poll.ONCE),
    R(0x1029, ts.NETBIOS_NAME, ascii_low_first(8), poll=Poll.ONCE),
)


def _setting(address: int, point: Point, coding: Coding, scale: Scale = UNSCALED) -> Register:
    return Register(address, point, coding, scale, Poll.ONCE, Table.HOLDING)


def _stored(address: int, point: Point, coding: Coding, scale: Scale = UNSCALED) -> Register:
    return Register(address, point, coding, scale, Poll.SLOW, Table.HOLDING)


S, C = _setting, _stored

SETTINGS = (
    S(0xE000, ts.SET_ABSORPTION_VOLTAGE, s16, V12),
    S(0xE000, ts.STORED_ABSORPTION, s16, VOLTS),
    S(0xE001, ts.SET_FLOAT_VOLTAGE, s16, V12),
    S(0xE001, ts.STORED_FLOAT, s16, VOLTS),
    S(0xE002, ts.SET_ABSORPTION_TIME, u16),
    S(0xE003, ts.SET_ABSORPTION_EXTENSION, u16),
    S(0xE004, ts.SET_EXTENSION_VOLTAGE, s16, V12),
    S(0xE005, ts.SET_FLOAT_CANCEL_VOLTAGE, s16, V12),
    S(0xE006, ts.SET_FLOAT_EXIT_TIME, u16),
    S(0xE007, ts.SET_EQUALIZE_VOLTAGE, s16, V12),
    S(0xE008, ts.SET_EQUALIZE_DAYS, u16),
    S(0xE009, ts.SET_EQUALIZE_LIMIT, u16),
    S(0xE00A, ts.SET_EQUALIZE_TIME, u16),
    S(0xE00B, ts.SET_SERVICE_DAYS, u16),
    S(0xE00D, ts.SET_TEMPERATURE_COMPENSATION, u16, V12_PER_CELSIUS),
    S(0xE00E, ts.SET_HVD_VOLTAGE, s16, V12),
    S(0xE00F, ts.SET_HVD_RECONNECT_VOLTAGE, s16, V12),
    S(0xE010, ts.SET_VOLTAGE_LIMIT, s16, V12),
    S(0xE011, ts.SET_COMPENSATION_MAX, s16),
    S(0xE012, ts.SET_COMPENSATION_MIN, s16),
    S(0xE015, ts.SET_LED_GREEN, s16, V12),
    S(0xE016, ts.SET_LED_GREEN_YELLOW, s16, V12),
    S(0xE017, ts.SET_LED_YELLOW, s16, V12),
    S(0xE018, ts.SET_LED_YELLOW_RED, s16, V12),
    S(0xE019, ts.SET_MODBUS_UNIT, u16),
    S(0xE01A, ts.SET_METERBUS_UNIT, u16),
    S(0xE01D, ts.SET_CURRENT_LIMIT, s16, AMPS),
    S(0xE020, ts.SET_FIXED_ARRAY_VOLTAGE, s16, VOLTS),
    S(0xE021, ts.SET_FIXED_ARRAY_PERCENT, u16, Scale(100 / 2**16)),
    S(0xE0CC, ts.MODEL_NUMBER, u16),
)

STORED = (
    C(0xE080, ts.STORED_HOURS, u32l),
    C(0xE082, ts.STORED_CHARGE_RESETTABLE, u32l, TENTH),
    C(0xE084, ts.STORED_CHARGE_TOTAL, u32l, TENTH),
    C(0xE086, ts.STORED_ENERGY_RESETTABLE, u16),
    C(0xE087, ts.STORED_ENERGY_TOTAL, u16),
    C(0xE088, ts.STORED_VOLTAGE_MIN, s16, VOLTS),
    C(0xE089, ts.STORED_VOLTAGE_MAX, s16, VOLTS),
    C(0xE08A, ts.STORED_PV_VOLTAGE_MAX, s16, VOLTS),
    C(0xE08B, v.DAYS_SINCE_EQUALIZE, u16),
    C(0xE08C, ts.DAYS_SINCE_SERVICE, u16),
)


def _recognise() -> Recognition:
    return recogniser(fits_150=DRIVER, fits_600=DRIVER_600V)


DRIVER = Driver(
    name="morningstar-tristar-mppt",
    short="tristar",
    vendor="Morningstar",
    family="TriStar MPPT (150 V: 30, 45, 60, 60M)",
    role=Role.SOLAR_CHARGER,
    registers=RAM + COILS + NETWORK + SETTINGS + STORED,
    recognise=_recognise,
    derived=DERIVED,
    derive=derive,
    # 92 registers from 0 are proved by public programs, and reserved words between are answered; more is not.
    limits=BlockLimits(max_count=100),
    timing=Timing(floor=0.5, ceiling=3.0, gap=0.05, connect=3.0),
    poll_period=5.0,
    baud=9600,
    stop_bits=2,
    writes=tristar_writes(RAM + SETTINGS),
)
