"""How a TriStar MPPT writes numbers: fixed point on the 150 V family (§2), half floats on the 600 V (§8.3).

Sections are those of the TriStar MPPT reference page (after the vendor's Modbus specifications).
"""

import math
import struct
from typing import Protocol

V_PU = 180.0
I_PU = 80.0


def signed(word: int) -> int:
    """A 16-bit word as two's complement."""
    return word - 0x10000 if word & 0x8000 else word


def s16(value: float) -> int:
    """The nearest signed word, saturated."""
    return max(-0x8000, min(0x7FFF, round(value))) & 0xFFFF


def u16(value: float) -> int:
    """The nearest unsigned word, saturated."""
    return max(0, min(0xFFFF, round(value)))


def high_first(value: float) -> tuple[int, int]:
    """A 32-bit number as two words, high word first."""
    whole = max(0, min(0xFFFFFFFF, round(value)))
    return whole >> 16, whole & 0xFFFF


def low_first(value: float) -> tuple[int, int]:
    """A 32-bit number as two words, low word first."""
    high, low = high_first(value)
    return low, high


def text_words(text: str, words: int) -> list[int]:
    """ASCII, two characters a word, the low byte first, filled with NUL (§4.1, §4.4)."""
    raw = text.encode("ascii")[: 2 * words].ljust(2 * words, b"\0")
    return [raw[index] | raw[index + 1] << 8 for index in range(0, 2 * words, 2)]


class Coding(Protocol):
    """Values to words and settings back to values."""

    def volts(self, value: float) -> int:
        """A voltage."""

    def amps(self, value: float) -> int:
        """A current."""

    def watts(self, value: float) -> int:
        """A power."""

    def celsius(self, value: float | None) -> int:
        """A temperature, None where no sensor is connected."""

    def ratio(self, value: float) -> int:
        """A part of Voc, 0..1."""

    def per_degree(self, value: float) -> int:
        """A temperature compensation, V/°C."""

    def volts_of(self, word: int) -> float:
        """The voltage of a word."""

    def amps_of(self, word: int) -> float:
        """The current of a word."""

    def ratio_of(self, word: int) -> float:
        """The part of Voc of a word."""

    def per_degree_of(self, word: int) -> float:
        """The compensation of a word, V/°C."""

    def celsius_of(self, word: int) -> float:
        """The temperature of a word."""


class FixedPoint:
    """150 V family: n·V_PU/2^15, n·I_PU/2^15, n·V_PU·I_PU/2^17 with 180 and 80 (§2)."""

    def volts(self, value: float) -> int:
        """s16, n·V_PU/2^15."""
        return s16(value * 32768 / V_PU)

    def amps(self, value: float) -> int:
        """s16, n·I_PU/2^15."""
        return s16(value * 32768 / I_PU)

    def watts(self, value: float) -> int:
        """u16, n·V_PU·I_PU/2^17."""
        return u16(value * 131072 / (V_PU * I_PU))

    def celsius(self, value: float | None) -> int:
        """s16 °C, 0x80 where no sensor is connected."""
        return 0x0080 if value is None else s16(max(-127.0, min(127.0, value)))

    def ratio(self, value: float) -> int:
        """u16, per cent n·100/2^16."""
        return u16(value * 65536)

    def per_degree(self, value: float) -> int:
        """u16, n·V_PU/2^16."""
        return u16(value * 65536 / V_PU)

    def volts_of(self, word: int) -> float:
        """V."""
        return signed(word) * V_PU / 32768

    def amps_of(self, word: int) -> float:
        """A."""
        return signed(word) * I_PU / 32768

    def ratio_of(self, word: int) -> float:
        """0..1."""
        return word / 65536

    def per_degree_of(self, word: int) -> float:
        """V/°C."""
        return word * V_PU / 65536

    def celsius_of(self, word: int) -> float:
        """°C."""
        return float(signed(word))


class HalfFloat:
    """600 V: an IEEE half float in each word (§8.3)."""

    def half(self, value: float) -> int:
        """The word of a number."""
        return int.from_bytes(struct.pack(">e", max(-65504.0, min(65504.0, value))), "big")

    def half_of(self, word: int) -> float:
        """The number of a word; 0 where it is not finite, as a setting cannot be."""
        (value,) = struct.unpack(">e", word.to_bytes(2, "big"))
        return float(value) if math.isfinite(value) else 0.0

    volts = amps = watts = ratio = per_degree = half
    volts_of = amps_of = ratio_of = per_degree_of = celsius_of = half_of

    def celsius(self, value: float | None) -> int:
        """°C, NaN where no sensor is connected."""
        return 0x7E00 if value is None else self.half(value)


def float_words(value: float) -> tuple[int, int]:
    """An IEEE single float as two words, high word first (Ah and kWh counters of the 600 V)."""
    raw = int.from_bytes(struct.pack(">f", value), "big")
    return raw >> 16, raw & 0xFFFF
