"""At which speeds and unit ids a device is looked for, the likely ones first. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from heliobus.devices.driver import Driver
from heliobus.wire.bus import Timing
from heliobus.wire.modbus.pdu import ReadRegisters

LIKELY = (1, 2, 3, 4, 5, 6)
"""1 is what every known device leaves its factory with; a parallel adapter numbers six chargers (epever.md §15)."""
UNLIKELY = tuple(range(7, 21))
EVERY = tuple(range(1, 248))
ANYTHING = ReadRegisters(0, 1, function=4)
"""A read that everything on a Modbus line answers, if only with an exception."""


@dataclass(frozen=True, slots=True)
class Speed:
    """How a tty is spoken to: 8 bits without parity, as all known devices have it."""

    baud: int
    stop: int


def speeds(drivers: Iterable[Driver]) -> tuple[Speed, ...]:
    """Every speed of the drivers: first the baud rate that most of them have, then the fewer stop bits.

    Receivers of two stop bits take one (pzem.md §2), and so the first of them usually finds all.
    """
    known = tuple(drivers)
    users = {baud: sum(driver.baud == baud for driver in known) for baud in {driver.baud for driver in known}}
    found = {Speed(driver.baud, driver.stop_bits) for driver in known}
    return tuple(sorted(found, key=lambda speed: (-users[speed.baud], speed.baud, speed.stop)))


def first_question(drivers: Iterable[Driver]) -> ReadRegisters:
    """What finds out whether a unit is there: where it can be, a question that its recognition asks anyway."""
    for driver in drivers:
        questions = driver.recognise()
        ask = next(questions)
        questions.close()
        if isinstance(ask.request, ReadRegisters):
            return ask.request
    return ANYTHING


def short_patience(drivers: Iterable[Driver], least: float = 0.0) -> Timing:
    """The pace for a unit that may not be there: as short as the slowest of the drivers allows, `least` or more."""
    known = tuple(drivers)
    wait = max([least, *(driver.timing.floor for driver in known)])
    return Timing(floor=wait, ceiling=wait, gap=max((driver.timing.gap for driver in known), default=0.0))


def long_patience(drivers: Iterable[Driver]) -> Timing:
    """The pace for a unit of which something was heard."""
    known = tuple(drivers)
    wait = max((driver.timing.ceiling for driver in known), default=1.0)
    return Timing(floor=wait, ceiling=wait, gap=max((driver.timing.gap for driver in known), default=0.0))


def units_of(text: str) -> tuple[int, ...]:
    """The unit ids of a list such as `1-6,10,20`, each once, in its order. Raises ValueError."""
    units: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        low, high = _unit(first), _unit(last if dash else first)
        if high < low:
            raise ValueError(f"{part.strip()!r} runs backwards")
        units |= dict.fromkeys(range(low, high + 1))
    return tuple(units)


def _unit(text: str) -> int:
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 3 and 1 <= int(digits) <= 247):
        raise ValueError(f"{digits!r} is not a unit id within 1..247")
    return int(digits)


def without(units: Sequence[int], known: Iterable[int]) -> tuple[int, ...]:
    """`units` but for those that are `known`."""
    gone = frozenset(known)
    return tuple(unit for unit in units if unit not in gone)
