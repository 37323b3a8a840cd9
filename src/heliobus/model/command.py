"""Commands: what somebody wants of a device, and how it ended."""

from dataclasses import dataclass

from heliobus.model.point import Value


@dataclass(frozen=True, slots=True)
class Command:
    """Set `point` of `device` to `value`; `origin` says who asked (`venus`, `cli`, `mqtt`)."""

    device: str
    point: str
    value: Value
    origin: str


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
