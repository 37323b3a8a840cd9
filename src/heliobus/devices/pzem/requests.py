"""Requests to PZEM meters that are no mere readings, and the pace they take (pzem.md §2, §3, §7, §8)."""

from heliobus.devices.pzem.points import HIGHEST_ADDRESS, SHUNTS
from heliobus.wire.bus import Timing
from heliobus.wire.modbus.pdu import ReadRegisters, WriteRegister
from heliobus.wire.modbus.vendor import VendorRequest

TIMING = Timing(floor=0.2, ceiling=0.3, gap=0.03)
ALARM_POWER_REGISTER, ADDRESS_REGISTER, RANGE_REGISTER = 1, 2, 3

READ_ADDRESS = ReadRegisters(ADDRESS_REGISTER, 1, function=3)
"""The same register in AC and DC meters; asked of the general address it tells where the only meter is."""
RESET_ENERGY = VendorRequest(0x42)


def set_address(address: int) -> WriteRegister:
    """Give the meter another address, which holds at once; the echo still comes from the old one. ValueError."""
    if not 1 <= address <= HIGHEST_ADDRESS:
        raise ValueError(f"address {address} is not within 1..{HIGHEST_ADDRESS}")
    return WriteRegister(ADDRESS_REGISTER, address, idempotent=False)


def set_range(amperes: int) -> WriteRegister:
    """Have a PZEM-017 count with a shunt for so many amperes. KeyError for one it does not know."""
    return WriteRegister(RANGE_REGISTER, SHUNTS[amperes])


def set_alarm_power(watts: int) -> WriteRegister:
    """Move the power above which an AC meter gives its alarm."""
    return WriteRegister(ALARM_POWER_REGISTER, watts)


def read_setting(address: int) -> ReadRegisters:
    """Read one setting back."""
    return ReadRegisters(address, 1, function=3)
