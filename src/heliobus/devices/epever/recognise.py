"""Who is there: an EPever charger, a DuoRacer, or something else (epever.md §1, §6).

Every model answers 0x3100 to 0x3107 and no other known device has registers there. Where it says who it is (function
43), the model text decides; where it does not, its rated values or its system voltage must be those of a charger.
"""

import re
from collections.abc import Callable
from typing import cast

from heliobus.devices.driver import Ask, Driver, NotOurs, Recognised, Recognition
from heliobus.devices.epever.families import FAMILIES, LANDSTAR, OTHER, OTHER_MAP, PWM, Family, family_of
from heliobus.devices.epever.settings import SYSTEM_VOLTAGES
from heliobus.model.device import Identity
from heliobus.wire.modbus.pdu import DeviceIdentification, ReadDeviceIdentification, ReadRegisters

REAL_TIME = ReadRegisters(0x3100, 8, function=4)
RATED = ReadRegisters(0x3000, 9, function=4)
SYSTEM_VOLTAGE = ReadRegisters(0x311D, 1, function=4)
STATUS = ReadRegisters(0x3200, 2, function=4)
FIRST_INPUTS = ReadRegisters(0x0000, 8, function=4)
BASIC, SERIAL = ReadDeviceIdentification(1), ReadDeviceIdentification(2)

VENDOR_TEXT, MODEL_TEXT, VERSION_TEXT, SERIAL_TEXT = range(4)
OUR_VENDOR = re.compile(r"EP-?(solar|ever)", re.IGNORECASE)
SERIAL_NUMBER = re.compile(r"\d{16}")
NOMINAL = frozenset(100 * volts for volts in SYSTEM_VOLTAGES.values())
LOWEST_BATTERY, HIGHEST_BATTERY, HIGHEST_PV = 600, 40_000, 30_000
"""Hundredths of a volt."""
HIGHEST_CURRENT = 15_000
STATUS_UNUSED = 0x7E00, 0x0020
"""Bits of 0x3200 and 0x3201 that no document gives a meaning."""
MAINS_HERTZ, MAINS_VOLTS = range(450, 651), range(800, 2601)
"""Tenths, as AC meters have them."""
FLAG_WORDS = frozenset({0, 0xFFFF})

Words = tuple[int, ...] | None
Fit = Callable[[Family], Driver]


def recogniser(fits_tracer: Fit | None, fits_duoracer: Fit | None) -> Recognition:
    """Questions to whatever is there; the arguments give the declaration for a family, None where it is not wanted."""
    real_time = cast(Words, (yield Ask(REAL_TIME)))
    if real_time is None:
        # A meter says nothing to function 43, which would only cost time.
        meter = _meter(cast(Words, (yield Ask(FIRST_INPUTS, optional=True))))
        if meter:
            return NotOurs(f"what answers here is no EPever charger: it looks like a {meter}")
    identification = cast(DeviceIdentification | None, (yield Ask(BASIC, optional=True)))
    vendor, model, version = (_text(identification, number) for number in (VENDOR_TEXT, MODEL_TEXT, VERSION_TEXT))
    ours = bool(OUR_VENDOR.search(vendor)) or (not vendor and any(each.model.match(model) for each in FAMILIES))
    if (vendor or model) and not ours:
        return NotOurs(f"what answers here is a {f'{vendor} {model}'.strip()}, not an EPever charger")
    if ours and OTHER_MAP.match(model):
        return NotOurs(f"an EPever {model} answers here, which has another register map than a Tracer")
    if real_time is None:
        if ours:
            return NotOurs(f"an EPever {model} answers here, but refuses registers 0x3100 to 0x3107 of a Tracer")
        return NotOurs("what answers here refuses registers 0x3100 to 0x3107, which every EPever charger has")
    if not _is_charger(real_time) and not ours:
        return NotOurs(f"what answers here is no EPever charger: from register 0x3100 on it reads {real_time[:6]}")
    rated = cast(Words, (yield Ask(RATED, optional=True)))
    if not ours and not _are_ratings(rated):
        system = cast(Words, (yield Ask(SYSTEM_VOLTAGE, optional=True)))
        status = cast(Words, (yield Ask(STATUS, optional=True)))
        if system is None or system[0] not in NOMINAL or not _is_status(status):
            return NotOurs("what answers here is no EPever charger: it neither names itself nor has rated values")
    family = _family(model, rated)
    fits = fits_tracer if family.load else fits_duoracer
    if fits is None:
        return NotOurs(_wrong_driver(family, model))
    serial = cast(DeviceIdentification | None, (yield Ask(SERIAL, optional=True))) if ours else None
    return Recognised(_identity(model, version, serial, family, rated), fits(family))


def _text(identification: DeviceIdentification | None, number: int) -> str:
    raw = b"" if identification is None else identification.objects.get(number, b"")
    text = raw.decode("ascii", "replace").split("\0", 1)[0].strip()
    return "".join(letter for letter in text if letter.isprintable())


def _meter(first: Words) -> str:
    """Which meter registers 0 to 7 look like, the other family that is common on such lines; empty for none."""
    if first is None:
        return ""
    if first[7] in MAINS_HERTZ and first[0] in MAINS_VOLTS:
        return "PZEM AC meter"
    volts, amps, watts = first[0] / 100, first[1] / 100, (first[3] << 16 | first[2]) / 10
    if {first[6], first[7]} <= FLAG_WORDS and volts > 1 and abs(watts - volts * amps) <= 1 + watts / 20:
        return "PZEM DC meter"
    return ""


def _is_charger(words: tuple[int, ...]) -> bool:
    pv_voltage, pv_current, _, _, battery_voltage, charge_current = words[:6]
    return (
        pv_voltage <= HIGHEST_PV
        and LOWEST_BATTERY <= battery_voltage <= HIGHEST_BATTERY
        and max(pv_current, charge_current) <= HIGHEST_CURRENT
    )


def _are_ratings(words: Words) -> bool:
    if words is None:
        return False
    pv_voltage, _, _, _, battery_voltage, current, _, _, mode = words
    return (
        battery_voltage in NOMINAL and battery_voltage <= pv_voltage <= HIGHEST_PV and 0 < current <= HIGHEST_CURRENT
    ) and mode <= 2


def _is_status(words: Words) -> bool:
    return words is not None and not any(word & unused for word, unused in zip(words, STATUS_UNUSED, strict=True))


def _family(model: str, rated: Words) -> Family:
    if model:
        return family_of(model)
    mode = rated[8] if rated is not None and _are_ratings(rated) else None
    return LANDSTAR if mode == PWM else OTHER


def _wrong_driver(family: Family, model: str) -> str:
    if not model:
        return "an EPever answers here that does not name itself, so it is not known to be a DuoRacer"
    needed = "epever-tracer" if family.load else "epever-duoracer"
    return f"this EPever {model} needs driver = {needed!r}"


def _identity(model: str, version: str, serial: DeviceIdentification | None, family: Family, rated: Words) -> Identity:
    number = _text(serial, SERIAL_TEXT)
    return Identity(
        vendor="EPever",
        model=model or _model_of(rated),
        serial=number if SERIAL_NUMBER.fullmatch(number) and int(number) else None,
        firmware=version or None,
        details={"family": family.name},
    )


def _model_of(rated: Words) -> str:
    """A model text from the rated values, where the device has no name: `MPPT charger 20 A, 150 V`."""
    if rated is None or not _are_ratings(rated):
        return "charger"
    kind = "PWM" if rated[8] == PWM else "MPPT"
    return f"{kind} charger {rated[5] / 100:g} A, {rated[0] / 100:g} V"
