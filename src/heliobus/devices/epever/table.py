"""The registers of EPever chargers, by B-Series Modbus Specification V2.3 and instruction v2.5; gaps by captures.

Addresses are PDU addresses. In 32-bit values the low word comes first. Left out: 0x3113 and 0x906F (nobody knows what
they are), 0x9100 to 0x9105 (passwords), coil 0x0000 (acknowledged without effect), coils 0x0013 and 0x0014 (buttons).
"""

from heliobus.devices.driver import UNSCALED, BlockLimits, Poll, Register, Scale, Table, by
from heliobus.devices.epever import points as ep
from heliobus.devices.epever import settings as st
from heliobus.devices.epever.coding import bit_field, bits_of, clock, hours_minutes, time_of_day
from heliobus.model import vocabulary as v
from heliobus.model.point import Point
from heliobus.wire.modbus.coding import Coding, bits16, s16, s32l, u16, u32l

HUNDREDTH = Scale(0.01)
TEN = Scale(10)
MINUTES = Scale(60)
PER_CELSIUS = by(v.NOMINAL_VOLTAGE, times=-0.00001 / 2)
NO_SENSOR = 2500
"""25.00 °C, which a charger shows where no sensor is fitted."""

R = Register


def _rated(address: int, point: Point, coding: Coding, scale: Scale = HUNDREDTH) -> Register:
    return Register(address, point, coding, scale, Poll.ONCE)


def _normal(address: int, point: Point, coding: Coding, scale: Scale = HUNDREDTH) -> Register:
    return Register(address, point, coding, scale, Poll.NORMAL)


def _sensor(address: int, point: Point, *invalid: int) -> Register:
    return Register(address, point, s16, HUNDREDTH, Poll.NORMAL, invalid=frozenset(invalid))


def _setting(address: int, point: Point, coding: Coding, scale: Scale = UNSCALED) -> Register:
    return Register(address, point, coding, scale, Poll.ONCE, Table.HOLDING)


def _coil(address: int, point: Point, poll: Poll = Poll.SLOW) -> Register:
    return Register(address, point, u16, UNSCALED, poll, Table.COILS)


def _discrete(address: int, point: Point) -> Register:
    return Register(address, point, u16, UNSCALED, Poll.NORMAL, Table.DISCRETE)


D, N, S = _rated, _normal, _setting

RATED = (
    D(0x3000, ep.PV_RATED_VOLTAGE, u16),
    D(0x3001, ep.PV_RATED_CURRENT, u16),
    D(0x3002, ep.PV_RATED_POWER, u32l),
    D(0x3004, ep.BATTERY_RATED_VOLTAGE, u16),
    D(0x3005, v.RATED_CURRENT, u16),
    D(0x3006, ep.CHARGE_RATED_POWER, u32l),
    D(0x3008, ep.CHARGING_MODE, u16, UNSCALED),
)

RATED_LOAD = (
    D(0x300D, ep.LOAD_RATED_VOLTAGE, u16),
    D(0x300E, ep.LOAD_RATED_CURRENT, u16),
    D(0x300F, ep.LOAD_RATED_POWER, u32l),
)

REAL_TIME = (
    R(0x3100, v.PV_VOLTAGE, u16, HUNDREDTH),
    R(0x3101, v.PV_CURRENT, u16, HUNDREDTH),
    R(0x3102, v.PV_POWER, u32l, HUNDREDTH),
    R(0x3104, v.BATTERY_VOLTAGE, u16, HUNDREDTH),
    R(0x3105, v.BATTERY_CURRENT, u16, HUNDREDTH),
    R(0x3106, v.BATTERY_POWER, u32l, HUNDREDTH),
    R(0x3110, ep.BATTERY_PROBE_TEMPERATURE, s16, HUNDREDTH),
    R(0x3111, ep.CONTROLLER_TEMPERATURE, s16, HUNDREDTH),
    N(0x3112, ep.POWER_STAGE_TEMPERATURE, s16),
    N(0x311A, ep.SOC_ESTIMATE, u16, UNSCALED),
    _sensor(0x311B, ep.REMOTE_TEMPERATURE, 0, NO_SENSOR),
    R(0x311D, ep.SYSTEM_VOLTAGE, u16, HUNDREDTH, Poll.SLOW),
    N(0x331A, ep.BATTERY_VOLTAGE_B, u16),
    N(0x331B, ep.NET_BATTERY_CURRENT, s32l),
    _sensor(0x331D, ep.BATTERY_PROBE_TEMPERATURE_B),
    _sensor(0x331E, ep.AMBIENT_TEMPERATURE, NO_SENSOR),
)

REAL_TIME_LOAD = (
    R(0x3108, ep.LOAD_INPUT_VOLTAGE, u16, HUNDREDTH),
    R(0x3109, ep.LOAD_INPUT_CURRENT, u16, HUNDREDTH),
    R(0x310A, ep.LOAD_INPUT_POWER, u32l, HUNDREDTH),
    R(0x310C, v.LOAD_VOLTAGE, u16, HUNDREDTH),
    R(0x310D, v.LOAD_CURRENT, u16, HUNDREDTH),
    R(0x310E, v.LOAD_POWER, u32l, HUNDREDTH),
)

REAL_TIME_BATTERY_2 = (
    R(0x310D, ep.BATTERY_2_CURRENT, u16, HUNDREDTH),
    R(0x310E, ep.BATTERY_2_POWER, u32l, HUNDREDTH),
)

STATUS = (
    R(0x3200, ep.BATTERY_STATUS, bits16),
    R(0x3200, ep.BATTERY_VOLTAGE_STATUS, bit_field(0, 4)),
    R(0x3200, ep.BATTERY_TEMPERATURE_STATUS, bit_field(4, 4)),
    R(0x3200, ep.BATTERY_FAULT_BITS, bits_of(*ep.BATTERY_FAULTS)),
    R(0x3201, ep.CHARGING_STATUS, bits16),
    R(0x3201, ep.CHARGING_RUNNING, bit_field(0, 1)),
    R(0x3201, ep.CHARGE_STAGE, bit_field(2, 2)),
    R(0x3201, ep.CHARGING_FAULT_BITS, bits_of(*ep.CHARGING_FAULTS)),
    R(0x3201, ep.PV_INPUT_STATUS, bit_field(14, 2)),
    _discrete(0x2000, ep.OVER_TEMPERATURE),
    _discrete(0x200C, ep.NIGHT),
)

STATUS_LOAD = (
    R(0x3202, ep.LOAD_STATUS, bits16),
    R(0x3202, v.LOAD_STATE, bit_field(0, 1)),
    R(0x3202, ep.LOAD_FAULT_BITS, bits_of(*ep.LOAD_FAULTS)),
    R(0x3202, ep.LOAD_LEVEL, bit_field(12, 2)),
    R(0x3202, ep.LOAD_INPUT_STATUS, bit_field(14, 2)),
)

COILS_LOAD = (
    _coil(0x0001, ep.LOAD_MANUAL_CONTROL),
    _coil(0x0002, v.LOAD_ENABLED, Poll.NORMAL),
    _coil(0x0003, ep.LOAD_DEFAULT),
    _coil(0x0005, ep.LOAD_TEST),
    _coil(0x0006, ep.LOAD_FORCED),
)

STATISTICS = (
    N(0x3300, v.DAY_PV_VOLTAGE_MAX, u16),
    N(0x3301, ep.DAY_PV_VOLTAGE_MIN, u16),
    N(0x3302, v.DAY_BATTERY_VOLTAGE_MAX, u16),
    N(0x3303, v.DAY_BATTERY_VOLTAGE_MIN, u16),
    # A hundredth of a kilowatt hour is ten watt hours.
    N(0x330C, v.ENERGY_DAY_COUNTER, u32l, TEN),
    N(0x330E, ep.ENERGY_MONTH_COUNTER, u32l),
    N(0x3310, ep.ENERGY_YEAR_COUNTER, u32l),
    N(0x3312, v.ENERGY_TOTAL_COUNTER, u32l),
    # A hundredth of a tonne is ten kilograms.
    R(0x3314, ep.CO2_SAVED, u32l, TEN, Poll.SLOW),
)

STATISTICS_LOAD = (
    N(0x3304, v.LOAD_ENERGY_TODAY, u32l),
    N(0x3306, ep.LOAD_ENERGY_MONTH, u32l),
    N(0x3308, ep.LOAD_ENERGY_YEAR, u32l),
    N(0x330A, v.LOAD_ENERGY_TOTAL, u32l),
)

SETTINGS = (
    S(0x9000, st.SET_BATTERY_TYPE, u16),
    S(0x9001, st.SET_BATTERY_CAPACITY, u16),
    S(0x9002, st.SET_TEMPERATURE_COMPENSATION, u16, PER_CELSIUS),
    S(0x9002, st.TEMPERATURE_COEFFICIENT, u16, HUNDREDTH),
    S(0x9003, st.SET_HVD_VOLTAGE, u16, HUNDREDTH),
    S(0x9004, st.SET_VOLTAGE_LIMIT, u16, HUNDREDTH),
    S(0x9005, st.SET_HVD_RECONNECT_VOLTAGE, u16, HUNDREDTH),
    S(0x9006, st.SET_EQUALIZE_VOLTAGE, u16, HUNDREDTH),
    S(0x9007, st.SET_ABSORPTION_VOLTAGE, u16, HUNDREDTH),
    S(0x9008, st.SET_FLOAT_VOLTAGE, u16, HUNDREDTH),
    S(0x9009, st.SET_ABSORPTION_RECONNECT_VOLTAGE, u16, HUNDREDTH),
    S(0x900A, st.SET_LVD_RECONNECT_VOLTAGE, u16, HUNDREDTH),
    S(0x900B, st.SET_LOW_WARNING_RECOVER_VOLTAGE, u16, HUNDREDTH),
    S(0x900C, st.SET_LOW_WARNING_VOLTAGE, u16, HUNDREDTH),
    S(0x900D, st.SET_LVD_VOLTAGE, u16, HUNDREDTH),
    S(0x900E, st.SET_DISCHARGE_LIMIT_VOLTAGE, u16, HUNDREDTH),
    S(0x9010, st.SET_CHARGE_TEMPERATURE_MIN, s16, HUNDREDTH),
    S(0x9011, st.SET_DISCHARGE_TEMPERATURE_MIN, s16, HUNDREDTH),
    R(0x9013, v.DEVICE_CLOCK, clock, UNSCALED, Poll.SLOW, Table.HOLDING),
    S(0x9016, st.SET_EQUALIZE_DAYS, u16),
    S(0x9017, st.SET_BATTERY_TEMPERATURE_MAX, s16, HUNDREDTH),
    S(0x9018, st.SET_BATTERY_TEMPERATURE_MIN, s16, HUNDREDTH),
    S(0x9019, st.SET_CONTROLLER_TEMPERATURE_MAX, s16, HUNDREDTH),
    S(0x901A, st.SET_CONTROLLER_TEMPERATURE_RECOVER, s16, HUNDREDTH),
    S(0x901B, st.SET_POWER_STAGE_TEMPERATURE_MAX, s16, HUNDREDTH),
    S(0x901C, st.SET_POWER_STAGE_TEMPERATURE_RECOVER, s16, HUNDREDTH),
    S(0x901D, st.SET_LINE_IMPEDANCE, u16, HUNDREDTH),
    # The specification swaps the labels of 0x901E and 0x9020, not their descriptions.
    S(0x901E, st.SET_NIGHT_VOLTAGE, u16, HUNDREDTH),
    S(0x901F, st.SET_NIGHT_DELAY, u16, MINUTES),
    S(0x9020, st.SET_DAY_VOLTAGE, u16, HUNDREDTH),
    S(0x9021, st.SET_DAY_DELAY, u16, MINUTES),
    S(0x9063, st.SET_BACKLIGHT_TIME, u16),
    S(0x9065, st.SET_NIGHT_LENGTH, hours_minutes, MINUTES),
    S(0x9067, st.SET_SYSTEM_VOLTAGE, u16),
    S(0x906B, st.SET_EQUALIZE_TIME, u16, MINUTES),
    S(0x906C, st.SET_ABSORPTION_TIME, u16, MINUTES),
    # The specification says hundredths, the wire says percent.
    S(0x906D, st.SET_DISCHARGE_PERCENT, u16),
    S(0x906E, st.SET_CHARGE_PERCENT, u16),
    S(0x9070, st.SET_MANAGEMENT_MODE, u16),
    S(0x90BD, st.LARGE_MODEL_CURRENT_LIMIT, u16, HUNDREDTH),
    S(0x90BF, st.SET_CURRENT_LIMIT, u16, HUNDREDTH),
    S(0x9107, st.LITHIUM_PROTECTION, bits16),
)

SETTINGS_LOAD = (
    S(0x903D, st.SET_LOAD_MODE, u16),
    S(0x903E, st.SET_LOAD_TIME_1, hours_minutes, MINUTES),
    S(0x903F, st.SET_LOAD_TIME_2, hours_minutes, MINUTES),
    S(0x9042, st.SET_TIMER_1_ON, time_of_day),
    S(0x9045, st.SET_TIMER_1_OFF, time_of_day),
    S(0x9048, st.SET_TIMER_2_ON, time_of_day),
    S(0x904B, st.SET_TIMER_2_OFF, time_of_day),
    S(0x9066, st.SET_MAIN_SUPPLY, u16),
    S(0x9069, st.SET_TIMER_COUNT, u16),
    S(0x906A, st.SET_LOAD_DEFAULT, u16),
)


ALONE = frozenset(
    {0x0001, 0x0002, 0x0003, 0x0005, 0x0006}
    | {0x300D, 0x300E, 0x300F}
    | {0x3112, 0x311A, 0x311B, 0x311D}
    | {0x3314, 0x331A, 0x331D}
    | {0x9010, 0x9011, 0x9013, 0x9016, 0x9018, 0x901E, 0x903D, 0x9042}
    | {0x9063, 0x9065, 0x9066, 0x9067, 0x9069, 0x906A, 0x906B, 0x906D, 0x9070, 0x90BD, 0x90BF, 0x9107}
)
"""Where the strictest models end what one request may read (epever.md §6)."""

LIMITS = BlockLimits(max_count=20, holes=False, forbidden=frozenset(range(0x9100, 0x9107)), starts=ALONE)
"""A hole within a request refuses it as a whole; the passwords are never read over."""
