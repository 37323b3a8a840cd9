"""How EPever packs clock, times and states into registers (B-Series Modbus Specification V2.3)."""

from collections.abc import Sequence
from datetime import datetime

from heliobus.wire.modbus.coding import Coding

CENTURY = 2000
LAST_MINUTE = 59


def bit_field(low: int, width: int) -> Coding:
    """The number in bits `low` to `low + width - 1` of a word (the vendor's D3-D2 is `bit_field(2, 2)`)."""
    mask = (1 << width) - 1

    def decode(words: Sequence[int]) -> int:
        return words[0] >> low & mask

    return Coding(1, decode)


def bits_of(*numbers: int) -> Coding:
    """These bits of a word, each in its place; all others read 0."""
    mask = sum(1 << number for number in numbers)

    def decode(words: Sequence[int]) -> int:
        return words[0] & mask

    return Coding(1, decode)


def _hours_minutes(words: Sequence[int]) -> int | None:
    hours, minutes = divmod(words[0], 0x100)
    return None if minutes > LAST_MINUTE else 60 * hours + minutes


def _encode_hours_minutes(value: float) -> tuple[int, ...]:
    minutes = round(value)
    if not 0 <= minutes < 60 * 0x100:
        raise ValueError(f"{minutes} minutes do not fit a register of hours and minutes")
    hours, rest = divmod(minutes, 60)
    return (hours << 8 | rest,)


def _clock(words: Sequence[int]) -> str | None:
    minute, second = divmod(words[0], 0x100)
    day, hour = divmod(words[1], 0x100)
    year, month = divmod(words[2], 0x100)
    try:
        return datetime(CENTURY + year, month, day, hour, minute, second).isoformat(" ")  # noqa: DTZ001  has no zone
    except ValueError:
        return None


def _time_of_day(words: Sequence[int]) -> str | None:
    second, minute, hour = words
    if hour > 23 or minute > LAST_MINUTE or second > LAST_MINUTE:
        return None
    return f"{hour:02}:{minute:02}:{second:02}"


hours_minutes = Coding(1, _hours_minutes, _encode_hours_minutes)
"""D15-D8 hours, D7-D0 minutes, read as minutes."""
clock = Coding(3, _clock)
"""0x9013 minute and second, day and hour, year and month, read as `2015-07-02 02:24:05`; None for no such date."""
time_of_day = Coding(3, _time_of_day)
"""A timer's second, minute and hour, read as `19:00:00`."""
