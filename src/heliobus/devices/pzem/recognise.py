"""Who is there: an AC meter, a DC meter, or something else (pzem.md §3, §5, §6).

PZEM meters have no identification and no serial number. The shape of their tables tells them: an AC meter has ten
input registers, a DC meter eight, and both keep alarm thresholds and their own address in holding registers.
"""

from collections.abc import Callable, Generator
from typing import cast

from heliobus.devices.driver import Ask, Driver, NotOurs, Recognised, Recognition
from heliobus.devices.pzem.points import HIGHEST_ADDRESS
from heliobus.model.device import Identity
from heliobus.wire.bus import BusError
from heliobus.wire.modbus.pdu import ReadRegisters

VENDOR = "Peacefair"
AC_MODEL, DC_MODEL = "PZEM-014/016/004T (AC)", "PZEM-003/017 (DC)"
NAMES = {AC_MODEL: "pzem-ac", DC_MODEL: "pzem-dc"}
AC_INPUTS = ReadRegisters(0x0000, 10, function=4)
DC_INPUTS = ReadRegisters(0x0000, 8, function=4)
AC_SETTINGS = ReadRegisters(0x0001, 2, function=3)
DC_SETTINGS = ReadRegisters(0x0000, 3, function=3)
ALARMS = frozenset({0x0000, 0xFFFF})
AC_VOLTS, AC_HERTZ, HIGHEST_FACTOR, DC_VOLTS = range(600, 3001), range(400, 701), 100, range(35_001)
AC_THRESHOLD, DC_HIGH, DC_LOW = range(25_001), range(500, 35_001), range(100, 35_001)

Words = tuple[int, ...]
ELSE = "what answers here is no PZEM meter"


class NotSettledError(BusError):
    """It has the settings of a meter, and measures what none can: it says nothing of itself now."""


def recogniser(ac: Driver | None, dc: Driver | None) -> Recognition:
    """Questions to whatever is there; `ac` and `dc` are the declarations the verdict may name. NotSettledError."""
    inputs = cast(Words | None, (yield Ask(AC_INPUTS)))
    if inputs is not None:
        return (yield from _judged(inputs, AC_SETTINGS, _ac_makes_sense, _fits_ac, ac, AC_MODEL))
    inputs = cast(Words | None, (yield Ask(DC_INPUTS)))
    if inputs is not None:
        return (yield from _judged(inputs, DC_SETTINGS, _dc_makes_sense, _fits_dc, dc, DC_MODEL))
    return NotOurs(f"{ELSE}: it has no input registers 0 to 7")


def _judged(
    inputs: Words,
    question: ReadRegisters,
    makes_sense: Callable[[Words], bool],
    fits: Callable[[Words], bool],
    driver: Driver | None,
    model: str,
) -> Generator[Ask, object, Recognised | NotOurs]:
    # Some copies of these meters do not read their settings back.
    settings = cast(Words | None, (yield Ask(question, optional=True)))
    first = question.address
    # A device that serves one table to both functions is another one.
    if settings is not None and (not fits(settings) or settings == inputs[first : first + question.count]):
        return NotOurs(f"{ELSE}: its registers do not hold what the settings of a {model} do")
    if not makes_sense(inputs):
        if settings is None:
            return NotOurs(f"{ELSE}: its registers do not hold what those of a {model} do")
        raise NotSettledError(
            f"a {model} seems to answer, but what it says makes no sense; for some seconds after power-up that is usual"
        )
    if driver is None:
        return NotOurs(f"a {model} answers here: use driver = {NAMES[model]!r}")
    return Recognised(Identity(VENDOR, model), driver)


def _ac_makes_sense(inputs: Words) -> bool:
    volts, hertz, factor, alarm = inputs[0], inputs[7], inputs[8], inputs[9]
    if volts == 0 and hertz == 0:
        return alarm in ALARMS
    return volts in AC_VOLTS and (hertz == 0 or hertz in AC_HERTZ) and factor <= HIGHEST_FACTOR and alarm in ALARMS


def _dc_makes_sense(inputs: Words) -> bool:
    return inputs[0] in DC_VOLTS and inputs[6] in ALARMS and inputs[7] in ALARMS


def _fits_ac(settings: Words) -> bool:
    return settings[0] in AC_THRESHOLD and _is_address(settings[1])


def _fits_dc(settings: Words) -> bool:
    return settings[0] in DC_HIGH and settings[1] in DC_LOW and _is_address(settings[2])


def _is_address(word: int) -> bool:
    return 1 <= word <= HIGHEST_ADDRESS
