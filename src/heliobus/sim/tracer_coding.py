"""How EPever writes numbers: hundredths, and 32 bits with the low word first (§7 of the EPever reference page)."""

from collections.abc import Callable, Mapping

from heliobus.sim.device import ILLEGAL_VALUE, RefusalError

NO_SENSOR = 2500
"""25.00 °C where no sensor is fitted."""
SPARSE_LIMIT = 127


def hundredths(value: float) -> int:
    """u16, ÷100, saturated."""
    return max(0, min(0xFFFF, round(value * 100)))


def signed_hundredths(value: float) -> int:
    """s16, ÷100."""
    return max(-0x8000, min(0x7FFF, round(value * 100))) & 0xFFFF


def long_words(address: int, value: float) -> dict[int, int]:
    """u32 or s32, ÷100, the low word at the lower address."""
    whole = round(value * 100) & 0xFFFFFFFF
    return {address: whole & 0xFFFF, address + 1: whole >> 16}


def counted_words(address: int, kwh: float) -> dict[int, int]:
    """u32, 0.01 kWh, never rounded up."""
    return long_words(address, int(kwh * 100 + 1e-6) / 100)


def sparse_answer(pdu: bytes, word_at: Callable[[int], int | None]) -> bytes:
    """Function 43 (§8.5): a mask of the registers that exist, bit 0 the first, then their words."""
    if len(pdu) != 5 or not 1 <= (count := int.from_bytes(pdu[3:5], "big")) <= SPARSE_LIMIT:
        raise RefusalError(ILLEGAL_VALUE)
    first = int.from_bytes(pdu[1:3], "big")
    words: Mapping[int, int | None] = {index: word_at(first + index) for index in range(count)}
    mask = sum(1 << index for index, word in words.items() if word is not None)
    content = b"".join(word.to_bytes(2, "big") for word in words.values() if word is not None)
    return bytes((pdu[0], 2 * count)) + mask.to_bytes((count + 7) // 8, "big") + content
