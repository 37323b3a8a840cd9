"""Commands: what of a device can be commanded, what somebody wants of it, and how it ended."""

import math
from dataclasses import dataclass
from enum import Enum

from heliobus.model.point import Point, Value

LARGEST = 1e300


class ControlKind(Enum):
    """What a control is to who uses it: on and off, a push button, a number, or a text."""

    SWITCH = "switch"
    BUTTON = "button"
    NUMBER = "number"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Control:
    """Something of a device that can be commanded.

    A switch takes 0 and 1, a button only 1, a number `low`..`high`. `locked` says why it refuses and what unlocks it,
    empty if it does not. A `dynamic` control is written again and again by a program that steers the device; its
    value holds only while it is renewed.
    """

    point: Point
    kind: ControlKind
    low: float = -math.inf
    high: float = math.inf
    locked: str = ""
    dynamic: bool = False

    def coerced(self, value: object) -> Value:
        """`value` as this control takes it. Raises ValueError, saying what it takes."""
        if self.kind is ControlKind.TEXT:
            if isinstance(value, str):
                return value
            raise ValueError(f"{self.point.name} takes a text, not {value!r}")
        # The comparison refuses NaN, infinity, and whole numbers that no float can hold.
        number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
        if self.kind is ControlKind.NUMBER:
            if number and self.low <= value <= self.high:  # type: ignore[operator]
                return float(value)  # type: ignore[arg-type]
            raise ValueError(f"{self.point.name} takes a number from {self.low:g} to {self.high:g}, not {value!r}")
        allowed = (0, 1) if self.kind is ControlKind.SWITCH else (1,)
        if number and value in allowed:
            return int(value)  # type: ignore[call-overload, no-any-return]
        words = " or ".join(str(each) for each in allowed)
        raise ValueError(f"{self.point.name} takes {words}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Command:
    """Set `point` of `device` to `value`; `origin` says who asked (`venus`, `cli`, `mqtt`, `schedule`)."""

    device: str
    point: str
    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class Change:
    """One write that a command makes, for people: `place` is `coil 0x0002` or `register 0xE000`.

    Words are raw register contents (a coil's 0 or 1); old ones are None where they are not known.
    """

    point: str
    place: str
    old: Value
    new: Value
    old_word: int | None
    new_word: int


@dataclass(frozen=True, slots=True)
class StoredSetting:
    """A charge setting as the device has it stored: its point, where it is, its raw word and its value."""

    point: Point
    place: str
    word: int
    value: Value


@dataclass(frozen=True, slots=True)
class Done:
    """The device has it: `value` is what was read back."""

    value: Value


@dataclass(frozen=True, slots=True)
class Refused:
    """A guard said no before a byte was sent; `why` says what to change."""

    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It was tried and did not work, or nobody can say whether it did."""

    why: str


Outcome = Done | Refused | Failed
