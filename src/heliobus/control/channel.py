"""One register of slave control: when it is due, and which word stands for a limit."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from heliobus.devices.driver import Register
from heliobus.model.point import Value

SPACING = 1.0
"""No register is written more often than this, in seconds."""


@dataclass(slots=True, eq=False)
class Channel:
    """One register of slave control.

    `word` is what the device took last, None for none or not known. `used`: it may hold a limit, so it must be
    released. `doubt`: what it holds has to be read back. `failing`: the last write came to nothing. `sent`, `taken` and
    `due` are loop times: the last write, the last one that was answered, and when the next one is due.
    """

    register: Register
    word: int | None = None
    used: bool = False
    doubt: bool = True
    failing: bool = False
    sent: float = -math.inf
    taken: float = -math.inf
    due: float = -math.inf

    @property
    def name(self) -> str:
        """Its point's name."""
        return self.register.point.name

    def due_for(self, word: int | None) -> float:
        """When `word` (None: release) may be written: soon if it is new, else when the old one must be renewed."""
        return self.due if self.failing or word == self.word is not None else self.sent + SPACING


def floor_word(register: Register, value: float, factors: Mapping[str, Value]) -> int | None:
    """The largest word that stands for no more than `value`, at least one count: 0 would neither start nor renew.

    None while a factor of its scale is not known, or where the register cannot hold it.
    """
    multiplier = register.scale.constant
    for name in register.scale.factors:
        factor = factors.get(name)
        if not isinstance(factor, int | float) or not factor:
            return None
        multiplier *= factor
    coding, raw = register.coding, value / multiplier
    if coding.encode is None:
        return None
    try:
        (word,) = coding.encode(raw)
    except ValueError:
        return None
    decoded = coding.decode((word,))
    # Words of positive numbers are in the numbers' order, whole counts and half floats alike.
    if isinstance(decoded, int | float) and decoded > raw * (1 + 1e-9):
        word -= 1
    return max(1, word)


def is_positive(word: int) -> bool:
    """Whether a signed word is above zero, and so imposes something."""
    return 0 < word < 0x8000
