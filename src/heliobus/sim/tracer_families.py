"""Which registers and functions each EPever family has: the EPever reference page, §1, §4, §6 and §8."""

from collections.abc import Mapping
from dataclasses import dataclass, replace


def span(*ranges: tuple[int, int]) -> frozenset[int]:
    """The addresses of (first, last) pairs."""
    return frozenset(address for first, last in ranges for address in range(first, last + 1))


_TIMERS = ((0x903D, 0x903F), (0x9042, 0x904D))
_SINGLE = ((0x9063, 0x9063), (0x9065, 0x9065), (0x9067, 0x9067))
_BN_HOLDING = ((0x9000, 0x900E), (0x9013, 0x9021), *_TIMERS, *_SINGLE, (0x9069, 0x9070))
_AN_HOLDING = ((0x9000, 0x900E), (0x9013, 0x9015), (0x9018, 0x9021), *_TIMERS, *_SINGLE, (0x9069, 0x906E))
_RATED = ((0x3000, 0x3008), (0x300E, 0x300E))
_SLOW_INPUTS = ((0x311A, 0x311B), (0x311D, 0x311D))


@dataclass(frozen=True, slots=True)
class Family:
    """Readable input and holding registers, readable coils, coils that are acknowledged and ignored, functions.

    `isolated`: holding registers that function 06 may write; None where the function is unknown. `types`: battery
    types it knows. `mppt` False: PWM. `load` False: no load output (DuoRacer, whose 310D-310F are a second battery).
    """

    inputs: frozenset[int]
    holdings: frozenset[int]
    coils: frozenset[int] = frozenset({0x0002, 0x0003, 0x0005, 0x0006})
    ignored_coils: frozenset[int] = frozenset({0x0000, 0x0001})
    isolated: frozenset[int] | None = None
    identification: bool = True
    sparse: bool = False
    mppt: bool = True
    load: bool = True
    types: frozenset[int] = frozenset(range(4))


BN = Family(
    inputs=span(*_RATED, (0x3100, 0x3113), *_SLOW_INPUTS, (0x3200, 0x3202), (0x3300, 0x3315), (0x331A, 0x331E)),
    holdings=span(*_BN_HOLDING),
    isolated=frozenset({0x9000, 0x9019, 0x901B}),
    sparse=True,
)
AN = Family(
    inputs=span(*_RATED, (0x3100, 0x3112), *_SLOW_INPUTS, (0x3200, 0x3202), (0x3300, 0x3313), (0x331A, 0x331C)),
    holdings=span(*_AN_HOLDING),
    ignored_coils=frozenset({0x0000}),
)
STRICT_AN = replace(
    AN,
    inputs=span((0x3100, 0x3111), (0x311A, 0x311A), (0x311D, 0x311D), (0x3200, 0x3202), (0x3300, 0x3313))
    | span((0x331A, 0x331C)),
    identification=False,
)
LS_B = replace(
    AN,
    inputs=span(*_RATED, (0x3100, 0x3111), *_SLOW_INPUTS, (0x3200, 0x3201), (0x3300, 0x3313), (0x331A, 0x331C)),
    coils=frozenset({0x0002, 0x0005, 0x0006}),
    ignored_coils=frozenset(),
    mppt=False,
)
DUORACER = replace(
    AN,
    inputs=AN.inputs - {0x300E, 0x310C},
    holdings=AN.holdings - span(*_TIMERS) - {0x9069, 0x906A},
    coils=frozenset(),
    load=False,
)
G3 = replace(
    AN,
    inputs=BN.inputs,
    holdings=span(*_BN_HOLDING, (0x9010, 0x9011), (0x90BF, 0x90BF)),
    types=frozenset(range(13)),
)
FAMILIES: Mapping[str, Family] = {
    "BN": BN,
    "AN": AN,
    "strict-AN": STRICT_AN,
    "LS-B": LS_B,
    "DR": DUORACER,
    "G3": G3,
}


@dataclass(frozen=True, slots=True)
class Rating:
    """The name plate: A of charge and load, V of array and of the largest battery, W."""

    amps: float
    array_volts: float
    battery_volts: float

    @property
    def array_watts(self) -> float:
        """520 W on a 20 A, 24 V unit, 2080 W on a 40 A, 48 V one: as recorded."""
        return self.amps * self.battery_volts * 13 / 12

    @property
    def charge_watts(self) -> float:
        """500 W on a 20 A, 24 V unit: as recorded."""
        return self.amps * self.battery_volts * 25 / 24


def rating_of(model: str) -> Rating:
    """What the digits of a model name say; a Tracer2215BN was recorded as 20 A, 24 V and 150 V."""
    digits = "".join(character for character in model if character.isdigit())[:4].ljust(4, "0")
    if model.startswith(("LS", "VS")):
        return Rating(float(digits[:2]), 50.0, float(digits[2:]))
    return Rating(float(digits[0] + "0"), float(digits[2:] + "0"), 48.0 if digits[1] in "45" else 24.0)
