"""Columns of numbers as bytes: differences, byte planes, deflate, and a checksum that knows where the block belongs."""

import struct
import sys
import zlib
from array import array
from collections.abc import Sequence
from itertools import accumulate
from operator import sub

from heliobus.model.point import Value

CHECKSUM = struct.Struct("<I")
PLAIN, DELTA, CURVE, DOUBLES = 0, 1, 2, 3
"""How a column is written: less its smallest value; as differences; as differences of differences; as doubles."""
CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}
LARGEST = 1 << 60
LONGEST = 140
"""Bits of the longest number at the head of a column."""
Number = int | float


class DamagedBlockError(ValueError):
    """A block is not what was written."""


def sealed(payload: bytes, place: int) -> bytes:
    """`payload` deflated, with a checksum of it and of `place`: the number of its table and id, below 2^63."""
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15, 8)
    body = deflate.compress(payload) + deflate.flush()
    return CHECKSUM.pack(_checksum(body, place)) + body


def opened(block: object, place: int) -> bytes:
    """The payload of a block that was sealed for this `place`. Raises DamagedBlockError."""
    if not isinstance(block, bytes) or len(block) <= CHECKSUM.size:
        raise DamagedBlockError("it is cut off")
    body = block[CHECKSUM.size :]
    if CHECKSUM.unpack_from(block)[0] != _checksum(body, place):
        raise DamagedBlockError("its checksum is wrong")
    try:
        return zlib.decompress(body, -15)
    except zlib.error as error:
        raise DamagedBlockError(str(error)) from error


def _checksum(body: bytes, place: int) -> int:
    return zlib.crc32(body, zlib.crc32(place.to_bytes(8, "little")))


def varint(number: int) -> bytes:
    """A number of any size and sign, short if it is small."""
    rest = _folded(number)
    content = bytearray()
    while rest > 0x7F:
        content.append(rest & 0x7F | 0x80)
        rest >>= 7
    content.append(rest)
    return bytes(content)


class Cursor:
    """Reads a payload from its beginning to its end. Raises DamagedBlockError past the end."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        part = self._payload[self._at : self._at + count]
        if len(part) < count:
            raise DamagedBlockError("it is too short")
        self._at += count
        return part

    def varint(self) -> int:
        """The next number that `varint` wrote."""
        number = shift = 0
        while shift < LONGEST:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (number >> 1) ^ -(number & 1)
        raise DamagedBlockError("it has a number that is too long")


def present(flags: Sequence[bool]) -> bytes:
    """Which of a known number of places are taken."""
    if all(flags):
        return b"\1"
    return b"\0" + int("".join("1" if flag else "0" for flag in flags) or "0", 2).to_bytes((len(flags) + 7) // 8, "big")


def places(cursor: Cursor, count: int) -> list[int]:
    """The places that are taken, of `count`."""
    if cursor.take(1) == b"\1":
        return list(range(count))
    bits = bin(int.from_bytes(cursor.take((count + 7) // 8), "big"))[2:].zfill(count)
    if len(bits) > count:
        raise DamagedBlockError("it has more places than it should")
    return [index for index, bit in enumerate(bits) if bit == "1"]


def column(values: Sequence[Number], *, doubles: bool = False) -> bytes:
    """Numbers as bytes; their count is not in it. Raises OverflowError for integers that 64 bits do not hold."""
    if doubles:
        return bytes((DOUBLES,)) + _planes(array("d", values), 8)
    numbers: Sequence[int] = values  # type: ignore[assignment]
    if not numbers:
        return bytes((PLAIN,)) + varint(0)
    mode, heads, rest = _smallest(numbers)
    width = _width(max(rest, default=0))
    written = bytes((mode | width << 2,)) + b"".join(varint(head) for head in heads)
    return written + (_planes(array(CODES[width], rest), width) if width else b"")


def _smallest(numbers: Sequence[int]) -> tuple[int, tuple[int, ...], list[int]]:
    """How to write `numbers`: mode, the numbers at the head, and what is left, none below 0.

    The smallest sum deflates best, near enough: noise is better off without differences, ramps with them.
    """
    low = min(numbers)
    steps = list(map(sub, numbers[1:], numbers))
    plain, delta = sum(numbers) - low * len(numbers), 2 * sum(map(abs, steps))
    if plain <= delta:
        return PLAIN, (low,), [number - low for number in numbers]
    curve = list(map(sub, steps[1:], steps))
    if 2 * sum(map(abs, curve)) + 2 * abs(steps[0]) < delta:
        return CURVE, (numbers[0], steps[0]), [_folded(bend) for bend in curve]
    return DELTA, (numbers[0],), [_folded(step) for step in steps]


def numbers_of(cursor: Cursor, count: int) -> list[Number]:
    """The `count` numbers of the next column."""
    head = cursor.take(1)[0]
    mode, width = head & 3, head >> 2
    if mode == DOUBLES:
        return list(_joined(cursor.take(8 * count), 8, "d"))
    if width not in (0, *CODES):
        raise DamagedBlockError("it has columns of a width that does not exist")
    first = cursor.varint()
    if not count:
        return []
    if count < mode:
        raise DamagedBlockError("it has too few numbers")
    slope = cursor.varint() if mode == CURVE else 0
    length = count - mode
    rest = _joined(cursor.take(width * length), width, CODES[width]) if width else [0] * length
    if mode == PLAIN:
        return [first + number for number in rest]
    steps = [(number >> 1) ^ -(number & 1) for number in rest]
    if mode == CURVE:
        steps = list(accumulate(steps, initial=slope))
    return list(accumulate(steps, initial=first))


def scaled(values: Sequence[Value], decimals: int) -> list[int | None] | None:
    """`values` times 10^`decimals` as integers, if they all come back the same from it; None if not."""
    factor = 10**decimals
    found: list[int | None] = []
    for value in values:
        if value is None or isinstance(value, str):
            found.append(None)
            continue
        if not -LARGEST < value * factor < LARGEST:
            return None
        number = value * factor if isinstance(value, int) else round(value * factor)
        if number / factor != value:
            return None
        found.append(number)
    return found


def _folded(number: int) -> int:
    return number << 1 if number >= 0 else (-number << 1) - 1


def _width(largest: int) -> int:
    if not largest:
        return 0
    return next((width for width in CODES if largest < 1 << 8 * width), 8)


def _planes(numbers: array, width: int) -> bytes:  # type: ignore[type-arg]
    """The first bytes of all numbers, then the second ones: what changes little comes together."""
    if sys.byteorder == "big":
        numbers.byteswap()
    content = numbers.tobytes()
    return b"".join(content[plane::width] for plane in range(width))


def _joined(content: bytes, width: int, code: str) -> array:  # type: ignore[type-arg]
    count = len(content) // width
    joined = bytearray(len(content))
    for plane in range(width):
        joined[plane::width] = content[plane * count : (plane + 1) * count]
    numbers = array(code)
    numbers.frombytes(bytes(joined))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
