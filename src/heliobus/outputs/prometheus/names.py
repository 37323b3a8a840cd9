"""What a point is called in Prometheus, and in which unit: base units as its naming guide and promtool ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from heliobus.model.point import Point
from heliobus.model.quantity import Kind

PREFIX = "heliobus_"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric: its full `name`, what a point's value is multiplied by, and whether it only grows."""

    name: str
    factor: float = 1.0
    counter: bool = False


BASE_UNITS: Mapping[str, tuple[str, float]] = {
    "V": ("volts", 1),
    "A": ("amperes", 1),
    "W": ("watts", 1),
    "VA": ("volt_amperes", 1),
    "kWh": ("joules", 3.6e6),
    "Wh": ("joules", 3600),
    "Ah": ("coulombs", 3600),
    "°C": ("celsius", 1),
    "%": ("ratio", 0.01),
    "Hz": ("hertz", 1),
    "V/°C": ("volts_per_celsius", 1),
    "mV/°C/2V": ("volts_per_celsius", 0.001),
    "mΩ": ("ohms", 0.001),
    "kg": ("grams", 1000),
    "s": ("seconds", 1),
    "ms": ("seconds", 0.001),
    "h": ("seconds", 3600),
    "d": ("seconds", 86_400),
}
"""Unit of a point → how the name ends, and what the value is multiplied by."""
WORDS = {
    "b": "other",
    "count": "number",
    "counter": "counted",
    "days": "interval",
    "hours": "",
    "percent": "",
    "total": "",
}
"""Words of points that a metric's name must not have: a type, another unit or its sign, or what stands at the end."""
DAILY = frozenset({"day", "today", "month", "year"})
"""Words of points that begin anew: they are no counters, though they only grow in their time."""
LIFELONG = frozenset({"counter", "total", "hours", "saved", "forward", "reverse"})
"""Words of points that grow as long as the device lives, or until its owner resets them."""


def metric_name(point: Point) -> str:
    """The name under which `point` is scraped, also of one that never is because it is a text."""
    return metric(point).name


@cache
def metric(point: Point) -> Metric:
    """Name, factor and type of `point`."""
    unit, factor = BASE_UNITS.get(point.unit, ("", 1))
    if not unit and point.quantity.suffix == "ratio":
        unit = "ratio"
    counter = _grows(point)
    words = [WORDS.get(word, word) for word in point.name.split("_")]
    words += [unit, "total" if counter else ""]
    return Metric(PREFIX + "_".join(word for word in words if word), factor, counter)


def help_text(point: Point) -> str:
    """The point's doc, with the words of its numbers or bits."""
    words = ", ".join(f"{number} {word}" for number, word in point.words.items())
    if not words:
        return point.doc
    return f"{point.doc}; {'bits' if point.kind is Kind.FLAGS else 'numbers'}: {words}"


def _grows(point: Point) -> bool:
    """Whether it is a counter to Prometheus, which takes a fall for a reset."""
    if point.quantity.state_class != "total_increasing":
        return point.unit == "Ah" and _lifelong(point)
    return point.quantity.name == "count" or _lifelong(point)


def _lifelong(point: Point) -> bool:
    words = frozenset(point.name.split("_"))
    return bool(words & LIFELONG) and not words & DAILY
