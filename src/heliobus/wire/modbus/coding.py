"""Codings: how the words of registers become a value, as a vendor's table names them.

A decode function gets exactly `words` words (0..65535) and gives the raw value, or None where the words hold no value
(a nibble that is no decimal digit, a NaN, a character that cannot be printed). Scaling is not done here.
"""

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Decoded = int | float | str | None


@dataclass(frozen=True, slots=True)
class Coding:
    """How `words` consecutive registers are read, and written where `encode` is given.

    `encode` takes the raw number, rounds it half to even, and raises ValueError if it does not fit.
    """

    words: int
    decode: Callable[[Sequence[int]], Decoded]
    encode: Callable[[float], tuple[int, ...]] | None = None


def _whole(value: float, low: int, high: int) -> int:
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written to a register")
    number = round(value)
    if not low <= number <= high:
        raise ValueError(f"{number} does not fit {low}..{high}")
    return number


def _unsigned16(words: Sequence[int]) -> int:
    return words[0]


def _signed16(words: Sequence[int]) -> int:
    word = words[0]
    return word - 0x10000 if word & 0x8000 else word


def _unsigned32(words: Sequence[int]) -> int:
    return words[0] << 16 | words[1]


def _unsigned32_low_first(words: Sequence[int]) -> int:
    return words[1] << 16 | words[0]


def _sign32(number: int) -> int:
    return number - 0x1_0000_0000 if number & 0x8000_0000 else number


def _encode_unsigned16(value: float) -> tuple[int, ...]:
    return (_whole(value, 0, 0xFFFF),)


def _encode_signed16(value: float) -> tuple[int, ...]:
    return (_whole(value, -0x8000, 0x7FFF) & 0xFFFF,)


def _encode_unsigned32(value: float) -> tuple[int, ...]:
    return divmod(_whole(value, 0, 0xFFFF_FFFF), 0x10000)


def _encode_unsigned32_low_first(value: float) -> tuple[int, ...]:
    return _encode_unsigned32(value)[::-1]


def _bcd16(words: Sequence[int]) -> int | None:
    text = f"{words[0]:x}"
    return int(text) if text.isdecimal() else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _half(words: Sequence[int]) -> float | None:
    return _finite(struct.unpack(">e", words[0].to_bytes(2, "big"))[0])


def _encode_half(value: float) -> tuple[int, ...]:
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written to a register")
    try:
        return struct.unpack(">H", struct.pack(">e", value))
    except OverflowError:
        raise ValueError(f"{value} does not fit a 16-bit float") from None


def _single(words: Sequence[int]) -> float | None:
    return _finite(struct.unpack(">f", struct.pack(">HH", words[0], words[1]))[0])


def _fixed16_16(words: Sequence[int]) -> float:
    return words[0] + words[1] / 0x10000


def _version(words: Sequence[int]) -> str:
    return f"{words[0] >> 8:x}.{words[0] & 0xFF:x}"


def _bytes_low_first(words: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(words)}H", *words)


def _bytes_high_first(words: Sequence[int]) -> bytes:
    return struct.pack(f">{len(words)}H", *words)


def _text(raw: bytes) -> str | None:
    """The printable ASCII before the first NUL, without padding; None if there is none or it is not printable."""
    text = raw.split(b"\0", 1)[0].rstrip(b" ")
    if not text or any(not 0x20 <= byte <= 0x7E for byte in text):
        return None
    return text.decode("ascii")


def _ascii_low_first(words: Sequence[int]) -> str | None:
    return _text(_bytes_low_first(words))


def _ascii_high_first(words: Sequence[int]) -> str | None:
    return _text(_bytes_high_first(words))


def _ipv4_low_first(words: Sequence[int]) -> str:
    return ".".join(str(byte) for byte in _bytes_low_first(words))


def _mac_low_first(words: Sequence[int]) -> str:
    return _bytes_low_first(words).hex(":")


u16 = Coding(1, _unsigned16, _encode_unsigned16)
s16 = Coding(1, _signed16, _encode_signed16)
bits16 = Coding(1, _unsigned16)
bcd16 = Coding(1, _bcd16)
f16 = Coding(1, _half, _encode_half)

u32 = Coding(2, _unsigned32, _encode_unsigned32)
u32l = Coding(2, _unsigned32_low_first, _encode_unsigned32_low_first)
s32 = Coding(2, lambda words: _sign32(_unsigned32(words)))
s32l = Coding(2, lambda words: _sign32(_unsigned32_low_first(words)))
bits32 = Coding(2, _unsigned32)
f32 = Coding(2, _single)
fixed16_16 = Coding(2, _fixed16_16)

version_hex = Coding(1, _version)
ipv4_low_first = Coding(2, _ipv4_low_first)
mac_low_first = Coding(3, _mac_low_first)


def ascii_low_first(words: int) -> Coding:
    """Text of two characters a word, the low byte first, ended by NUL (Morningstar serial numbers)."""
    return Coding(words, _ascii_low_first)


def ascii_high_first(words: int) -> Coding:
    """Text of two characters a word, the high byte first, ended by NUL."""
    return Coding(words, _ascii_high_first)
