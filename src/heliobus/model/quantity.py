"""Kinds of numbers, stated once: every output derives unit, rounding and class from here."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a value is to a program: it decides the type on D-Bus, in JSON and in a database."""

    NUMBER = "number"
    INTEGER = "integer"
    ENUM = "enum"
    FLAGS = "flags"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of number.

    `low` and `high` bound what is physically plausible; a value outside becomes None, reason OUT_OF_RANGE.
    `device_class` and `state_class` are Home Assistant's words, `suffix` is Prometheus' unit suffix.
    """

    name: str
    kind: Kind
    unit: str = ""
    decimals: int = 0
    low: float | None = None
    high: float | None = None
    device_class: str | None = None
    state_class: str | None = None
    suffix: str = ""


VOLT = Quantity("volt", Kind.NUMBER, "V", 2, -1_000, 1_000, "voltage", "measurement", "volts")
CELL_VOLT = Quantity("cell_volt", Kind.NUMBER, "V", 3, 0, 10, "voltage", "measurement", "volts")
AMPERE = Quantity("ampere", Kind.NUMBER, "A", 2, -2_000, 2_000, "current", "measurement", "amperes")
FINE_AMPERE = Quantity("fine_ampere", Kind.NUMBER, "A", 3, -2_000, 2_000, "current", "measurement", "amperes")
WATT = Quantity("watt", Kind.NUMBER, "W", 1, -200_000, 200_000, "power", "measurement", "watts")
VOLT_AMPERE = Quantity("volt_ampere", Kind.NUMBER, "VA", 1, 0, 200_000, "apparent_power", "measurement", "volt_amperes")
KILOWATT_HOUR = Quantity("kilowatt_hour", Kind.NUMBER, "kWh", 2, 0, 1e9, "energy", "total_increasing", "kilowatt_hours")
WATT_HOUR = Quantity("watt_hour", Kind.NUMBER, "Wh", 0, 0, 1e9, "energy", "total_increasing", "watt_hours")
AMPERE_HOUR = Quantity("ampere_hour", Kind.NUMBER, "Ah", 1, -1e9, 1e9, None, "measurement", "ampere_hours")
CELSIUS = Quantity("celsius", Kind.NUMBER, "°C", 1, -60, 200, "temperature", "measurement", "celsius")
PERCENT = Quantity("percent", Kind.NUMBER, "%", 1, 0, 100, None, "measurement", "percent")
HERTZ = Quantity("hertz", Kind.NUMBER, "Hz", 2, 0, 500, "frequency", "measurement", "hertz")
POWER_FACTOR = Quantity("power_factor", Kind.NUMBER, "", 2, -1, 1, "power_factor", "measurement", "ratio")
VOLT_PER_CELSIUS = Quantity("volt_per_celsius", Kind.NUMBER, "V/°C", 4, -1, 1)
SECOND = Quantity("second", Kind.INTEGER, "s", 0, 0, 1e9, "duration", "measurement", "seconds")
DRIFT = Quantity("drift", Kind.INTEGER, "s", 0, -1e10, 1e10, "duration", "measurement", "seconds")
MILLISECOND = Quantity("millisecond", Kind.NUMBER, "ms", 1, 0, 1e7, "duration", "measurement", "milliseconds")
HOUR = Quantity("hour", Kind.INTEGER, "h", 0, 0, 1e8, "duration", "total_increasing", "hours")
DAY = Quantity("day", Kind.INTEGER, "d", 0, 0, 1e5, "duration", "measurement", "days")
COUNT = Quantity("count", Kind.INTEGER, "", 0, 0, 1e12, None, "total_increasing", "total")
NUMBER = Quantity("number", Kind.INTEGER, "", 0)
FACTOR = Quantity("factor", Kind.NUMBER, "", 6)
ENUM = Quantity("enum", Kind.ENUM, device_class="enum")
FLAGS = Quantity("flags", Kind.FLAGS)
TEXT = Quantity("text", Kind.TEXT)
