"""Who wants which charge voltage and current, and what comes of it. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """What one source allows: volts, amperes, None where it says nothing. Every limit holds, the smallest counts."""

    source: str
    volts: float | None = None
    amps: float | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the charger may be told at all: `lowest` and `highest` volts, and its rated amperes."""

    lowest: float
    highest: float
    amps: float


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What the charger is told: volts, amperes (0: do not charge), None for its own. `source` is for people."""

    source: str
    volts: float | None = None
    amps: float | None = None


def combine(limits: Iterable[Limit], target: Limit | None, bounds: Bounds) -> Setpoint | None:
    """The set-point that obeys every limit, None when nobody wants anything.

    `target` (a top charge) asks for a voltage, which limits still bound. A voltage below what the charger can sensibly
    regulate to means: do not charge. Sources that decide are named, those of the voltage first.
    """
    raise NotImplementedError
