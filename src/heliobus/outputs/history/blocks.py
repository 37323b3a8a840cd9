"""The two kinds of blocks: the values of one hour, and slots that roll up many values."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from heliobus.model.point import Value
from heliobus.outputs.history.coding import (
    Cursor,
    DamagedBlockError,
    Number,
    column,
    numbers_of,
    places,
    present,
    scaled,
    varint,
)

MOST_DECIMALS = 9
UNSCALED = 255
"""In place of the decimals: the block's numbers are doubles."""


def encoded_times(times: Sequence[int]) -> bytes:
    """The moments of an hour's samples, in ms from its beginning, in order."""
    return varint(len(times)) + column(times)


def decoded_times(payload: bytes) -> list[int]:
    """What `encoded_times` wrote. Raises DamagedBlockError."""
    cursor = Cursor(payload)
    return [int(number) for number in numbers_of(cursor, _count(cursor))]


def encoded_values(values: Sequence[Value], decimals: int) -> bytes:
    """A value for each of the hour's samples; None where there is none."""
    numbers: Sequence[Number | None] | None = scaled(values, decimals)
    doubles = numbers is None
    if numbers is None:
        numbers = [None if value is None or isinstance(value, str) else float(value) for value in values]
    taken = [number is not None for number in numbers]
    kept = [number for number in numbers if number is not None]
    head = bytes((UNSCALED if doubles else decimals,)) + varint(len(values))
    return head + present(taken) + column(kept, doubles=doubles)


def decoded_values(payload: bytes) -> list[Number | None]:
    """What `encoded_values` wrote. Raises DamagedBlockError."""
    cursor = Cursor(payload)
    decimals = cursor.take(1)[0]
    count = _count(cursor)
    taken = places(cursor, count)
    numbers = _unscaled(numbers_of(cursor, len(taken)), decimals)
    if len(numbers) == count:
        return list(numbers)
    values: list[Number | None] = [None] * count
    for place, number in zip(taken, numbers, strict=True):
        values[place] = number
    return values


class Slot(NamedTuple):
    """`size` values of one slot, scaled. `extra` is their sum, or the last of them where the series is not summed."""

    size: int
    low: Number
    high: Number
    extra: Number


def slot_of(numbers: Sequence[Number], *, summed: bool) -> Slot:
    """The slot of these numbers, in order of time; there has to be one at least."""
    return Slot(len(numbers), min(numbers), max(numbers), sum(numbers) if summed else numbers[-1])


def merged(slots: Iterable[Slot], *, summed: bool) -> Slot:
    """One slot of several, in order of time."""
    counts, lows, highs, extras = zip(*slots, strict=True)
    return Slot(sum(counts), min(lows), max(highs), sum(extras) if summed else extras[-1])


@dataclass(slots=True)
class Slots:
    """The slots of one block by their place in it. `decimals` says how they are scaled, UNSCALED if they are not."""

    decimals: int
    summed: bool
    at: dict[int, Slot] = field(default_factory=dict)

    def put(self, other: Mapping[int, Slot], decimals: int, *, adding: bool) -> None:
        """Take slots with these `decimals` in place of those that are here, or add to them."""
        # Without scale is the largest of them.
        self._rescale(max(self.decimals, decimals))
        for place, slot in other.items():
            new = _rescaled(slot, decimals, self.decimals)
            old = self.at.get(place) if adding else None
            self.at[place] = new if old is None else merged((old, new), summed=self.summed)

    def encoded(self, size: int) -> bytes:
        """As bytes, for a block of `size` slots."""
        try:
            return self._encoded(size)
        except OverflowError:
            self._rescale(UNSCALED)
            return self._encoded(size)

    def _encoded(self, size: int) -> bytes:
        order = sorted(self.at)
        slots = [self.at[place] for place in order]
        doubles = self.decimals == UNSCALED
        flags = [False] * size
        for place in order:
            flags[place] = True
        head = bytes((self.decimals, self.summed)) + varint(size) + present(flags)
        if doubles:
            rest = ([slot[index] for slot in slots] for index in (1, 2, 3))
            return head + column([slot.size for slot in slots]) + b"".join(column(each, doubles=True) for each in rest)
        lows = [slot.low for slot in slots]
        spreads = [slot.high - slot.low for slot in slots]
        # Against the low of the slot the sum is a small number.
        extras = [slot.extra - slot.low * (slot.size if self.summed else 1) for slot in slots]
        return head + b"".join(column(each) for each in ([slot.size for slot in slots], lows, spreads, extras))

    def _rescale(self, decimals: int) -> None:
        if decimals != self.decimals:
            self.at = {place: _rescaled(slot, self.decimals, decimals) for place, slot in self.at.items()}
            self.decimals = decimals


@dataclass(frozen=True, slots=True)
class Columns:
    """The slots of a block as columns: places in order, and the real numbers. `extras` as in Slot."""

    places: list[int]
    counts: list[int]
    lows: list[Number]
    highs: list[Number]
    extras: list[Number]
    summed: bool


def decoded_columns(payload: bytes) -> Columns:
    """The slots of a block, for reading. Raises DamagedBlockError."""
    decimals, summed, taken, counts, lows, highs, extras = _columns(payload)
    return Columns(
        taken,
        counts,
        _unscaled(lows, decimals),
        _unscaled(highs, decimals),
        _unscaled(extras, decimals),
        summed,
    )


def decoded_slots(payload: bytes) -> Slots:
    """The slots of a block, for going on with them. Raises DamagedBlockError."""
    decimals, summed, taken, counts, lows, highs, extras = _columns(payload)
    each = map(Slot, counts, lows, highs, extras)
    return Slots(decimals, summed, dict(zip(taken, each, strict=True)))


def _columns(
    payload: bytes,
) -> tuple[int, bool, list[int], list[int], list[Number], list[Number], list[Number]]:
    cursor = Cursor(payload)
    decimals, summed = cursor.take(1)[0], bool(cursor.take(1)[0])
    taken = places(cursor, _count(cursor))
    counts = [int(count) for count in numbers_of(cursor, len(taken))]
    lows, spreads, extras = (numbers_of(cursor, len(taken)) for _ in range(3))
    if decimals == UNSCALED:
        return decimals, summed, taken, counts, lows, spreads, extras
    highs = [low + spread for low, spread in zip(lows, spreads, strict=True)]
    if summed:
        extras = [extra + low * count for extra, low, count in zip(extras, lows, counts, strict=True)]
    else:
        extras = [extra + low for extra, low in zip(extras, lows, strict=True)]
    return decimals, summed, taken, counts, lows, highs, extras


def _count(cursor: Cursor) -> int:
    count = cursor.varint()
    if not 0 <= count <= 10_000_000:
        raise DamagedBlockError("it has an impossible size")
    return count


def _unscaled(numbers: list[Number], decimals: int) -> list[Number]:
    if decimals in (0, UNSCALED):
        return numbers
    if decimals > MOST_DECIMALS:
        raise DamagedBlockError("it has impossible decimals")
    factor = 10**decimals
    return [number / factor for number in numbers]


def _rescaled(slot: Slot, before: int, after: int) -> Slot:
    """`slot` with more decimals, or without scale."""
    if before == after:
        return slot
    if after == UNSCALED:
        factor = 10**before
        return Slot(slot.size, slot.low / factor, slot.high / factor, slot.extra / factor)
    times = 10 ** (after - before)
    return Slot(slot.size, slot.low * times, slot.high * times, slot.extra * times)
