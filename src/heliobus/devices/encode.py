"""Values to the words of registers and back, for what is written. Pure."""

from collections.abc import Mapping

from heliobus.devices.decode import Decoder
from heliobus.devices.driver import Poll, Register, Table
from heliobus.devices.plan import Block
from heliobus.model.point import Value


def encode(register: Register, value: float, factors: Mapping[str, Value]) -> int:
    """The word that stands for `value`, to the nearest count; `factors` are the points its scale is made from.

    Raises ValueError when it does not fit the register or the point's range, or a factor is not known.
    """
    point = register.point
    if register.coding.encode is None:
        raise ValueError(f"{point.name} cannot be written")
    low, high = point.low, point.high
    if (low is not None and value < low) or (high is not None and value > high):
        raise ValueError(f"{point.name} {value:g} is not within {low} to {high}")
    multiplier = register.scale.constant
    for name in register.scale.factors:
        factor = factors.get(name)
        if not isinstance(factor, int | float) or not factor:
            raise ValueError(f"{point.name} cannot be written while {name} is not known")
        multiplier *= factor
    try:
        (word,) = register.coding.encode(value / multiplier)
    except ValueError as error:
        raise ValueError(f"{point.name} {value:g} cannot be stored: {error}") from None
    return word


def decode(register: Register, word: int, factors: Mapping[str, Value]) -> Value:
    """The value that `word` stands for, None where it stands for none."""
    block = Block(Table.HOLDING, register.address, 1, Poll.ONCE, (register,))
    values, _ = Decoder(block).decode((word,), factors)
    return values[register.point.name]
