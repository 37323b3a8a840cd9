"""Values as people write them on the command line."""

import re

from heliobus.model import vocabulary as v
from heliobus.model.command import Control, ControlKind
from heliobus.model.point import Point, Value

ON = frozenset({"on", "yes", "true", "1"})
OFF = frozenset({"off", "no", "false", "0"})
PRESSED = frozenset({"press", "pressed", "1"})
NONE = "none"
LIMITS = frozenset({v.CHARGE_VOLTAGE_LIMIT.name, v.CHARGE_CURRENT_LIMIT.name})
"""Limits of the owner, for which 0 is no limit."""
SECONDS = {"m": 60, "min": 60, "h": 3600}
NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*(.*)")


def parse(text: str, control: Control) -> Value:
    """What `text` stands for. Ranges are for the device's guards. Raises ValueError, saying what is taken."""
    if control.kind is ControlKind.TEXT:
        return text
    word, point = text.strip().casefold(), control.point
    if control.kind is ControlKind.BUTTON:
        if word in PRESSED:
            return 1
    elif control.kind is ControlKind.SWITCH:
        if word in ON or word in OFF:
            return int(word in ON)
    else:
        value: float | None = _word(word, point) if point.words else None
        if point.name in LIMITS and word in (NONE, *OFF):
            return 0.0
        if value is None:
            value = _number(word, point)
        if value is not None:
            return value
    raise ValueError(f"{point.name} takes {allowed(control)}, not {text!r}")


def allowed(control: Control) -> str:
    """What a control takes, for people."""
    point = control.point
    if control.kind is ControlKind.TEXT:
        return "a text"
    if control.kind is ControlKind.BUTTON:
        return "press"
    if control.kind is ControlKind.SWITCH:
        return "on or off"
    if point.words:
        return " or ".join(word for number, word in point.words.items() if control.low <= number <= control.high)
    unit = f" {point.unit}" if point.unit else ""
    more = f", or {NONE}" if point.name in LIMITS else ", or 90m, 2h" if point.unit == "s" else ""
    return f"{control.low:g} to {control.high:g}{unit}{more}"


def shown(point: Point, value: Value) -> str:
    """A value as it is printed, in words that `parse` takes."""
    return NONE if point.name in LIMITS and value == 0 else point.text(value)


def _word(text: str, point: Point) -> int | None:
    return next((number for number, word in point.words.items() if word.casefold() == text), None)


def _number(text: str, point: Point) -> float | None:
    match = NUMBER.fullmatch(text)
    if match is None:
        return None
    number, unit = float(match[1]), match[2]
    if point.unit == "s" and unit in SECONDS:
        return number * SECONDS[unit]
    return number if unit in ("", point.unit.casefold()) else None
