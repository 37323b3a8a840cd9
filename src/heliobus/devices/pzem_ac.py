"""Peacefair PZEM-014, PZEM-016 and PZEM-004T v3, meters of one AC phase (pzem.md §5; the maker's manuals).

Two-word values have the low word first. The meter has no sign: power is a magnitude, and it cannot tell import from
export. It is fed by what it measures: without mains it is silent.
"""

from collections.abc import Mapping

from heliobus.devices.driver import UNSCALED, BlockLimits, Driver, Poll, Recognition, Register, Scale, Table
from heliobus.devices.pzem import points as pzem
from heliobus.devices.pzem.doubt import ac_doubt
from heliobus.devices.pzem.recognise import VENDOR, recogniser
from heliobus.devices.pzem.requests import TIMING
from heliobus.devices.pzem.writes import pzem_writes
from heliobus.model import vocabulary as v
from heliobus.model.point import Value
from heliobus.model.role import Role
from heliobus.wire.modbus.coding import u16, u32l

TENTH, HUNDREDTH, THOUSANDTH = Scale(0.1), Scale(0.01), Scale(0.001)

R = Register

MEASURED = (
    R(0x0000, v.AC_VOLTAGE, u16, TENTH),
    R(0x0001, v.AC_CURRENT, u32l, THOUSANDTH),
    R(0x0003, v.AC_POWER, u32l, TENTH),
    R(0x0005, v.ENERGY_FORWARD_COUNTER, u32l),
    R(0x0007, v.AC_FREQUENCY, u16, TENTH),
    R(0x0008, v.AC_POWER_FACTOR, u16, HUNDREDTH),
    R(0x0009, v.HIGH_POWER_ALARM, pzem.alarm),
)

SETTINGS = (
    R(0x0001, pzem.SET_ALARM_POWER, u16, UNSCALED, Poll.ONCE, Table.HOLDING),
    R(0x0002, pzem.MODBUS_ADDRESS, u16, UNSCALED, Poll.ONCE, Table.HOLDING),
)


def _derive(values: Mapping[str, Value]) -> Mapping[str, Value]:
    volts, amps = values.get(v.AC_VOLTAGE.name), values.get(v.AC_CURRENT.name)
    if not isinstance(volts, int | float) or not isinstance(amps, int | float):
        return {}
    return {v.AC_APPARENT_POWER.name: round(volts * amps, v.AC_APPARENT_POWER.decimals)}


def _recognise() -> Recognition:
    return recogniser(ac=DRIVER, dc=None)


DRIVER = Driver(
    name="pzem-ac",
    short="pzem",
    vendor=VENDOR,
    family="PZEM-014, PZEM-016, PZEM-004T v3 (AC)",
    role=Role.AC_LOAD,
    roles=(Role.AC_LOAD, Role.PV_INVERTER, Role.GENSET, Role.GRID_METER),
    registers=MEASURED + SETTINGS,
    recognise=_recognise,
    derived=(v.AC_APPARENT_POWER,),
    derive=_derive,
    limits=BlockLimits(max_count=10, holes=False),
    timing=TIMING,
    poll_period=2.0,
    baud=9600,
    stop_bits=1,
    notes="measures no direction; silent while there is no mains; see [meters.md](meters.md)",
    writes=pzem_writes(MEASURED + SETTINGS),
    doubt=ac_doubt,
    settling=5.0,
)
