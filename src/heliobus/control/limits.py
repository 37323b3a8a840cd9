"""Who wants which charge voltage and current, and what comes of it. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from heliobus.model import vocabulary as v
from heliobus.model.control_options import ControlOptions
from heliobus.model.point import Value

LOWEST_SHARE = 0.8
"""A voltage below this share of the float setting is not one to charge a battery to (tristar.md §3.1)."""
HVD_MARGIN = 0.2
"""How far below the high voltage disconnect every voltage stays, in volts for 12 V nominal."""
CUSTOM_PROGRAM = 7
PROGRAM = "battery_program"
FLOAT, ABSORPTION, EQUALIZE = "set_float_voltage", "set_absorption_voltage", "set_equalize_voltage"
HVD, CEILING = "set_hvd_voltage", "set_voltage_limit"
PER_DEGREE, COLDEST, HOTTEST = "set_temperature_compensation", "set_compensation_min", "set_compensation_max"
TEMPERATURE, AUTO_EQUALIZE = "regulation_temperature", "auto_equalize"
REFERENCE_CELSIUS = 25.0

KNOWN = (
    *(PROGRAM, FLOAT, ABSORPTION, EQUALIZE, HVD, CEILING, PER_DEGREE, COLDEST, HOTTEST, TEMPERATURE, AUTO_EQUALIZE),
    *(point.name for point in (v.EQUALIZE_REQUESTED, v.NOMINAL_VOLTAGE, v.RATED_CURRENT)),
)
"""The points that what is here is worked out from."""

NO_VOLTAGE = (
    "the nominal voltage of the battery is not known, so no voltage can be imposed: give system_voltage in the config"
)
NO_CURRENT = "the rated current of the charger is not known, so no current can be imposed"


@dataclass(frozen=True, slots=True)
class Limit:
    """What one source allows: volts, amperes, None where it says nothing. Every limit holds, the smallest counts."""

    source: str
    volts: float | None = None
    amps: float | None = None


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the charger may be told at all: `lowest` and `highest` volts, and its rated amperes."""

    lowest: float
    highest: float
    amps: float


@dataclass(frozen=True, slots=True)
class Setpoint:
    """What the charger is told: volts, amperes (0: do not charge), None for its own. `source` is for people."""

    source: str
    volts: float | None = None
    amps: float | None = None


def combine(limits: Iterable[Limit], target: Limit | None, bounds: Bounds) -> Setpoint | None:
    """The set-point that obeys every limit, None when nobody wants anything.

    `target` (a top charge) asks for a voltage, which limits still bound. A voltage below what the charger can sensibly
    regulate to means: do not charge. Sources that decide are named, those of the voltage first. A limit that is no
    number, or has no end, limits nothing; a negative one allows nothing.
    """
    limits = tuple(limits)
    asked = limits if target is None else (*limits, target)
    volts = _smallest((limit.volts, limit.source) for limit in asked)
    amps = _smallest((limit.amps, limit.source) for limit in limits)
    sources = []
    imposed_volts = imposed_amps = None
    if amps is not None:
        imposed_amps = max(0.0, min(amps[0], bounds.amps))
        sources.append(amps[1])
    if volts is not None:
        imposed_volts = min(volts[0], bounds.highest)
        sources.insert(0, volts[1])
        if imposed_volts < bounds.lowest:
            # Told as it is, it would not be sensible; raised, it would break somebody's limit.
            if imposed_amps != 0:
                sources = sources[:1]
            imposed_volts, imposed_amps = bounds.lowest, 0.0
    if not sources:
        return None
    return Setpoint(" and ".join(dict.fromkeys(sources)), imposed_volts, imposed_amps)


def bounds(values: Mapping[str, Value], options: ControlOptions) -> Bounds | None:
    """What the charger may be told, from its latest values; None while its nominal voltage or rating is not known.

    By tristar.md §3.1. Stored settings count only where the switches choose the custom program.
    """
    nominals = options.system_voltage, _positive(values, v.NOMINAL_VOLTAGE.name)
    # Where the owner and the charger differ, one of them is wrong, and the smaller does no harm.
    nominal = min((each for each in nominals if each is not None), default=None)
    amps = highest_amps(values, options)
    if nominal is None or amps is None:
        return None
    twelves = nominal / 12
    custom = values.get(PROGRAM) == CUSTOM_PROGRAM
    floating = _positive(values, FLOAT) if custom else None
    disconnect = _positive(values, HVD) if custom else None
    lowest = options.chemistry.lowest * twelves if floating is None else LOWEST_SHARE * floating
    ceilings = [options.chemistry.highest * twelves]
    if options.highest_voltage is not None:
        ceilings.append(options.highest_voltage)
    if disconnect is not None:
        ceilings.append(disconnect - HVD_MARGIN * twelves)
    highest = min(ceilings)
    return Bounds(lowest, highest, amps) if lowest < highest else None


def highest_amps(values: Mapping[str, Value], options: ControlOptions) -> float | None:
    """The largest current that may be imposed, in amperes; None while the charger's rating is not known."""
    rated = _positive(values, v.RATED_CURRENT.name)
    if rated is None or options.highest_current is None:
        return rated
    return min(rated, options.highest_current)


def own_voltage(values: Mapping[str, Value], *, equalize: bool = True) -> float | None:
    """The highest voltage a custom program regulates to by itself at this temperature; None where it is not known.

    That is absorption, or equalize while one is requested or may begin by itself (tristar.md §4.3); without `equalize`
    always absorption.
    """
    absorption, temperature = _positive(values, ABSORPTION), values.get(TEMPERATURE)
    per_degree, coldest, hottest = (values.get(name) for name in (PER_DEGREE, COLDEST, HOTTEST))
    if values.get(PROGRAM) != CUSTOM_PROGRAM or absorption is None or not isinstance(temperature, int | float):
        return None
    if not (isinstance(per_degree, float) and isinstance(coldest, int | float) and isinstance(hottest, int | float)):
        return None
    volts = absorption
    if equalize and (values.get(AUTO_EQUALIZE) != 0 or values.get(v.EQUALIZE_REQUESTED.name) != 0):
        volts = max(volts, _positive(values, EQUALIZE) or 0.0)
    # The published compensation bears the minus sign that the device leaves out.
    volts += per_degree * (min(max(temperature, coldest), hottest) - REFERENCE_CELSIUS)
    ceiling = _positive(values, CEILING)
    return volts if ceiling is None else min(volts, ceiling)


def _smallest(wanted: Iterable[tuple[float | None, str]]) -> tuple[float, str] | None:
    """The smallest number and who wants it."""
    usable = [(number, source) for number, source in wanted if number is not None and number < math.inf]
    return min(usable, key=lambda each: each[0], default=None)


def _positive(values: Mapping[str, Value], name: str) -> float | None:
    value = values.get(name)
    return float(value) if isinstance(value, int | float) and 0 < value < math.inf else None
