"""Peacefair PZEM-003 (10 A) and PZEM-017 (shunt of 50 to 300 A), DC meters (pzem.md §6; the maker's manuals).

Two-word values have the low word first; unlike in the AC meters the current is one word. A current that flows back
reads 0.
"""

from heliobus.devices.driver import UNSCALED, BlockLimits, Driver, Poll, Recognition, Register, Scale, Table
from heliobus.devices.pzem import points as pzem
from heliobus.devices.pzem.doubt import dc_doubt
from heliobus.devices.pzem.recognise import VENDOR, recogniser
from heliobus.devices.pzem.requests import TIMING
from heliobus.devices.pzem.writes import pzem_writes
from heliobus.model import vocabulary as v
from heliobus.model.point import Point
from heliobus.model.role import Role
from heliobus.wire.modbus.coding import u16, u32l

TENTH, HUNDREDTH = Scale(0.1), Scale(0.01)

R = Register

MEASURED = (
    R(0x0000, v.DC_VOLTAGE, u16, HUNDREDTH),
    R(0x0001, v.DC_CURRENT, u16, HUNDREDTH),
    R(0x0002, v.DC_POWER, u32l, TENTH),
    R(0x0004, v.ENERGY_FORWARD_COUNTER, u32l),
    R(0x0006, v.HIGH_VOLTAGE_ALARM, pzem.alarm),
    R(0x0007, v.LOW_VOLTAGE_ALARM, pzem.alarm),
)


def _setting(address: int, point: Point, scale: Scale = UNSCALED) -> Register:
    return Register(address, point, u16, scale, Poll.ONCE, Table.HOLDING)


S = _setting

SETTINGS = (
    S(0x0000, pzem.SET_HIGH_VOLTAGE_ALARM, HUNDREDTH),
    S(0x0001, pzem.SET_LOW_VOLTAGE_ALARM, HUNDREDTH),
    S(0x0002, pzem.MODBUS_ADDRESS),
    # Only the PZEM-017 has it; the 003 refuses, and is then read without it.
    S(0x0003, pzem.CURRENT_RANGE),
)


def _recognise() -> Recognition:
    return recogniser(ac=None, dc=DRIVER)


DRIVER = Driver(
    name="pzem-dc",
    short="pzemdc",
    vendor=VENDOR,
    family="PZEM-003, PZEM-017 (DC)",
    role=Role.DC_LOAD,
    roles=(Role.DC_LOAD, Role.DC_SOURCE, Role.DC_SYSTEM, Role.ALTERNATOR),
    registers=MEASURED + SETTINGS,
    recognise=_recognise,
    # It answers eight input registers and refuses nine (captured).
    limits=BlockLimits(max_count=8, holes=False),
    timing=TIMING,
    poll_period=2.0,
    baud=9600,
    # Its manual says 2, but it takes 1, which the other devices of a line need.
    stop_bits=1,
    notes="measures one direction; 8N1, or `?stop=2` on a line of its own; see [meters.md](meters.md)",
    writes=pzem_writes(MEASURED + SETTINGS),
    doubt=dc_doubt,
)
