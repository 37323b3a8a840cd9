"""Points that only PZEM meters have, and the word that stands for an alarm (pzem.md §5, §6)."""

from collections.abc import Sequence

from heliobus.model.point import Category, Point
from heliobus.model.quantity import ENUM, NUMBER, VOLT, WATT
from heliobus.wire.modbus.coding import Coding

SETTING = Category.SETTING

HIGHEST_ADDRESS = 0xF7
FACTORY_ADDRESS = 1
GENERAL_ADDRESS = 0xF8
"""A single meter answers to it, whatever its own address."""
HIGHEST_COUNT = 9_999_999
"""Wh; at this figure the energy counter begins anew."""
SHUNTS = {50: 1, 100: 0, 200: 2, 300: 3}
"""The code of the current range by the amperes printed on the shunt; the order is the maker's."""

MODBUS_ADDRESS = Point(
    "modbus_address", NUMBER, "Address the meter has stored for itself", SETTING, low=1, high=HIGHEST_ADDRESS
)
SET_ALARM_POWER = Point(
    "set_alarm_power", WATT, "Power above which the meter gives its alarm", SETTING, decimals=0, low=0, high=25_000
)
SET_HIGH_VOLTAGE_ALARM = Point(
    "set_high_voltage_alarm", VOLT, "Voltage above which the meter gives its alarm", SETTING, low=5, high=350
)
SET_LOW_VOLTAGE_ALARM = Point(
    "set_low_voltage_alarm", VOLT, "Voltage below which the meter gives its alarm", SETTING, low=1, high=350
)
CURRENT_RANGE = Point(
    "current_range",
    ENUM,
    "Shunt the meter counts with (PZEM-017); a wrong one scales current, power and energy",
    SETTING,
    {code: f"{amperes} A" for amperes, code in sorted(SHUNTS.items(), key=lambda each: each[1])},
)

_ALARMS = {0x0000: 0, 0xFFFF: 2}


def _alarm(words: Sequence[int]) -> int | None:
    return _ALARMS.get(words[0])


alarm = Coding(1, _alarm)
"""0 no alarm, 2 alarm; any other word than FFFF and 0000 is none of the meter's."""
