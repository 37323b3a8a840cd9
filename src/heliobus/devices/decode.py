"""Words of a block → values of points, or the reason why there is none. Pure, and on the hot path."""

import sys
from collections.abc import Mapping, Sequence

from heliobus.devices.driver import Register, Scale
from heliobus.devices.plan import Block
from heliobus.model.point import Value
from heliobus.model.quantity import Kind
from heliobus.model.reading import Reason


class Decoder:
    """The decoder of one block; its constant work is done once."""

    def __init__(self, block: Block) -> None:
        groups: dict[Scale, list[_Field]] = {}
        # What other registers are scaled by comes first.
        for register in sorted(block.registers, key=lambda register: bool(register.scale.factors)):
            groups.setdefault(register.scale, []).append(_Field(register, block.address))
        self._groups = list(groups.items())

    def decode(self, words: Sequence[int], known: Mapping[str, Value]) -> tuple[dict[str, Value], dict[str, Reason]]:
        """Values and reasons by point name.

        `words` are the block's words (or bits) from its first address, `known` the values of the device's other points,
        for scales made from them.
        """
        values: dict[str, Value] = {}
        reasons: dict[str, Reason] = {}
        for scale, fields in self._groups:
            multiplier = _multiplier(scale, values, known)
            for field in fields:
                value = field.decode(words, multiplier)
                if isinstance(value, Reason):
                    values[field.name] = None
                    reasons[field.name] = value
                else:
                    values[field.name] = value
        return values, reasons


def _multiplier(scale: Scale, values: Mapping[str, Value], known: Mapping[str, Value]) -> float | None:
    product = scale.constant
    for name in scale.factors:
        factor = values[name] if name in values else known.get(name)
        if not isinstance(factor, int | float):
            return None
        product *= factor
    return product


class _Field:
    """A register with what decoding needs of it at hand."""

    __slots__ = ("decimals", "high", "invalid", "low", "name", "start", "stop", "to_value", "whole")

    def __init__(self, register: Register, base: int) -> None:
        point = register.point
        self.name = point.name
        self.start = register.address - base
        self.stop = self.start + register.count
        self.to_value = register.coding.decode
        self.invalid = register.invalid
        self.whole = point.kind is not Kind.NUMBER
        self.decimals = point.decimals
        # Without bounds of its own a value still is a finite number.
        self.low = point.low if point.low is not None else -sys.float_info.max
        self.high = point.high if point.high is not None else sys.float_info.max

    def decode(self, words: Sequence[int], multiplier: float | None) -> Value | Reason:
        raw = self.to_value(words[self.start : self.stop])
        if raw is None or multiplier is None or raw in self.invalid:
            return Reason.INVALID
        if isinstance(raw, str):
            return raw
        value = raw * multiplier
        if not self.low <= value <= self.high:
            return Reason.OUT_OF_RANGE
        if self.whole:
            return round(value)
        # Adding zero turns -0.0 into 0.0.
        return round(value, self.decimals) + 0.0
