"""Morningstar TriStar MPPT 600 V, by MODBUS Specification V04: half-precision floats in a map of its own.

Its charge settings are not declared: the specification at hand does not say how each of them is coded.
"""

from collections.abc import Mapping, Sequence

from heliobus.devices.driver import BlockLimits, Driver, Poll, Recognition, Register, Scale, Table
from heliobus.devices.morningstar import points as ts
from heliobus.devices.morningstar.derive import DERIVED, derive
from heliobus.devices.morningstar.recognise import recogniser
from heliobus.model import vocabulary as v
from heliobus.model.point import Category, Point, Value
from heliobus.model.quantity import FLAGS, NUMBER
from heliobus.model.role import Role
from heliobus.wire.bus import Timing
from heliobus.wire.modbus.coding import Coding, Decoded, bcd16, bits32, f16, f32, u16, u32

FAULTS = {
    **ts.FAULTS,
    10: "controller was reset",
    12: "RS-232 or meter bridge",
    13: "battery low voltage disconnect",
    14: "fault 15",
    15: "power board communication",
    **{bit: f"software fault {bit + 1}" for bit in range(16, 22)},
    22: "FPGA version",
    23: "current sensor reference",
    24: "array current slave control timeout",
}
ALARMS = {
    **ts.ALARMS,
    21: "P3 voltage out of range",
    22: "output reduced",
    23: "array current offset",
    25: "Ethernet",
    26: "low voltage disconnect",
}
FAULT_BITS = Point(ts.FAULT_BITS.name, FLAGS, ts.FAULT_BITS.doc, Category.MEASUREMENT, FAULTS)
ALARM_BITS = Point(ts.ALARM_BITS.name, FLAGS, ts.ALARM_BITS.doc, Category.MEASUREMENT, ALARMS)
DAY_FAULT_BITS = Point(ts.DAY_FAULT_BITS.name, FLAGS, ts.DAY_FAULT_BITS.doc, Category.DIAGNOSTIC, FAULTS)
DAY_ALARM_BITS = Point(ts.DAY_ALARM_BITS.name, FLAGS, ts.DAY_ALARM_BITS.doc, Category.DIAGNOSTIC, ALARMS)
FPGA_VERSION = Point("fpga_version", NUMBER, "Version of the FPGA", Category.DIAGNOSTIC)


def _multiplier(words: Sequence[int]) -> Decoded:
    """A whole number, or a half-precision float of one: the document prints both kinds of example."""
    return words[0] if words[0] <= 20 else f16.decode(words)


R = Register
HUNDREDFOLD = Scale(100)

RAM = (
    R(0x0004, ts.CONTROLLER_FIRMWARE, bcd16),
    R(0x0005, FPGA_VERSION, bcd16),
    R(0x0006, ts.SYSTEM_MULTIPLIER, Coding(1, _multiplier)),
    R(0x0018, v.BATTERY_VOLTAGE, f16),
    R(0x0019, ts.TERMINAL_VOLTAGE, f16),
    R(0x001A, ts.SENSE_VOLTAGE, f16),
    R(0x001B, v.PV_VOLTAGE, f16),
    R(0x001C, v.BATTERY_CURRENT, f16),
    R(0x001D, v.PV_CURRENT, f16),
    R(0x001E, ts.RAIL_12V, f16),
    R(0x001F, ts.RAIL_3V, f16),
    R(0x0020, ts.RAIL_METERBUS, f16),
    R(0x0021, ts.EXTERNAL_12V, f16),
    R(0x0023, ts.HEATSINK_TEMPERATURE, f16),
    R(0x0024, ts.RTS_TEMPERATURE, f16),
    R(0x0025, ts.REGULATION_TEMPERATURE, f16),
    R(0x0026, ts.SLOW_BATTERY_VOLTAGE, f16),
    R(0x0027, ts.SLOW_BATTERY_CURRENT, f16),
    R(0x0028, v.OVERALL_BATTERY_VOLTAGE_MIN, f16),
    R(0x0029, v.OVERALL_BATTERY_VOLTAGE_MAX, f16),
    R(0x002A, v.OPERATING_HOURS, u32),
    R(0x002C, FAULT_BITS, bits32),
    R(0x002E, ALARM_BITS, bits32),
    R(0x0030, ts.DIP_SWITCHES, u16),
    R(0x0031, ts.LED_STATE, u16),
    R(0x0032, ts.CHARGE_STATE, u16),
    R(0x0033, v.TARGET_VOLTAGE, f16),
    R(0x0034, v.CHARGE_RESETTABLE_COUNTER, f32),
    R(0x0036, v.CHARGE_TOTAL_COUNTER, f32),
    R(0x0038, v.ENERGY_RESETTABLE_COUNTER, f16),
    R(0x0039, v.ENERGY_TOTAL_COUNTER, f16),
    R(0x003A, v.BATTERY_POWER, f16),
    R(0x003B, ts.ARRAY_POWER, f16),
    R(0x003C, ts.SWEEP_POWER, f16),
    R(0x003D, ts.SWEEP_VMP, f16),
    R(0x003E, ts.SWEEP_VOC, f16),
    R(0x0040, v.DAY_BATTERY_VOLTAGE_MIN, f16),
    R(0x0041, v.DAY_BATTERY_VOLTAGE_MAX, f16),
    R(0x0042, v.DAY_PV_VOLTAGE_MAX, f16),
    R(0x0043, v.CHARGE_DAY_COUNTER, f16),
    R(0x0044, v.ENERGY_DAY_COUNTER, f16),
    R(0x0045, ts.DAY_FLAG_BITS, u16),
    R(0x0046, v.DAY_POWER_MAX, f16),
    R(0x0047, ts.DAY_TEMPERATURE_MIN, f16),
    R(0x0048, ts.DAY_TEMPERATURE_MAX, f16),
    R(0x0049, DAY_FAULT_BITS, bits32),
    R(0x004B, DAY_ALARM_BITS, bits32),
    R(0x004D, v.TIME_ABSORPTION_COUNTER, u16),
    R(0x004E, v.TIME_EQUALIZE_COUNTER, u16),
    R(0x004F, v.TIME_FLOAT_COUNTER, u16),
    R(0x0059, ts.SLAVE_VOLTAGE, f16),
    R(0x005A, ts.FIXED_ARRAY_VOLTAGE, f16),
    R(0x005B, ts.FIXED_ARRAY_PERCENT, f16, HUNDREDFOLD),
)

REST = (
    R(0x0068, ts.SLAVE_CURRENT, f16, poll=Poll.NORMAL),
    R(0x0000, v.EQUALIZE_REQUESTED, u16, poll=Poll.NORMAL, table=Table.COILS),
    R(0x0002, ts.CHARGE_DISCONNECT, u16, poll=Poll.NORMAL, table=Table.COILS),
)


def _derive(values: Mapping[str, Value]) -> Mapping[str, Value]:
    """As for the 150 V models, but the system voltage and the rating are not concluded."""
    multiplier = values.get(ts.SYSTEM_MULTIPLIER.name)
    own = {
        v.NOMINAL_VOLTAGE.name: 12 * multiplier if isinstance(multiplier, int) else None,
        ts.SYSTEM_MULTIPLIER.name: multiplier,
        ts.SYSTEM_EVIDENCE.name: None if multiplier is None else "register 0x0006",
        v.RATED_CURRENT.name: 60,
    }
    return {**derive(values, FAULT_BITS, ALARM_BITS), **own}


def _recognise() -> Recognition:
    return recogniser(fits_150=None, fits_600=DRIVER)


DRIVER = Driver(
    name="morningstar-tristar-mppt-600v",
    short="tristar",
    vendor="Morningstar",
    family="TriStar MPPT 600 V",
    role=Role.SOLAR_CHARGER,
    registers=RAM + REST,
    recognise=_recognise,
    derived=tuple(point for point in DERIVED if point is not ts.SYSTEM_MULTIPLIER),
    derive=_derive,
    limits=BlockLimits(max_count=100),
    timing=Timing(floor=0.5, ceiling=3.0, gap=0.05, connect=3.0),
    poll_period=5.0,
    baud=9600,
    stop_bits=2,
    notes="by the document only; no frame of a real device has been seen, so it is never written to",
)
