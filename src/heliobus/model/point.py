"""What a point is: a named value with a quantity, a line of doc and, for enums and flags, the words."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from heliobus.model.quantity import Kind, Quantity

Value = float | int | str | None


class Category(StrEnum):
    """Who looks at a point: the owner every day, the owner when he sets something up, or who looks for a fault."""

    MEASUREMENT = "measurement"
    SETTING = "setting"
    DIAGNOSTIC = "diagnostic"


@dataclass(frozen=True, slots=True)
class Point:
    """A named value.

    `words` names the numbers of an enum, or the bits (0 = least significant) of flags.
    `decimals`, `low` and `high` narrow those of the quantity where the point is known better.
    """

    name: str
    quantity: Quantity
    doc: str
    category: Category = Category.MEASUREMENT
    words: Mapping[int, str] = field(default_factory=dict, hash=False)
    decimals: int = -1
    low: float | None = None
    high: float | None = None

    def __post_init__(self) -> None:
        if self.decimals < 0:
            object.__setattr__(self, "decimals", self.quantity.decimals)
        if self.low is None:
            object.__setattr__(self, "low", self.quantity.low)
        if self.high is None:
            object.__setattr__(self, "high", self.quantity.high)

    @property
    def unit(self) -> str:
        """The unit's symbol, empty where there is none."""
        return self.quantity.unit

    @property
    def kind(self) -> Kind:
        """What the value is to a program."""
        return self.quantity.kind

    def text(self, value: Value) -> str:
        """`value` as a person reads it: rounded with its unit, an enum's word, the flags' words."""
        if value is None:
            return "---"
        if isinstance(value, str):
            return value
        if self.kind is Kind.ENUM:
            return self.words.get(int(value), f"unknown ({value})")
        if self.kind is Kind.FLAGS:
            return ", ".join(flag_words(self, int(value))) or "none"
        number = f"{value:.{self.decimals}f}"
        return f"{number} {self.unit}" if self.unit else number


def flag_words(point: Point, value: int) -> tuple[str, ...]:
    """The words of the bits that are set, lowest bit first; a bit without a word is named by its number."""
    bits = (bit for bit in range(value.bit_length()) if value >> bit & 1)
    return tuple(point.words.get(bit, f"bit {bit}") for bit in bits)
