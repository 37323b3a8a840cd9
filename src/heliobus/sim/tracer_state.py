"""What a simulated EPever charge controller is beside its regulator, load, clock and counters."""

from dataclasses import dataclass, field
from enum import Enum

from heliobus.sim.tracer_families import Family, Rating


class TracerFault(Enum):
    """Faults that a test can raise; the words they show in are §8.3 of the EPever reference page."""

    OVER_TEMPERATURE = "over temperature inside"
    BATTERY_HOT = "battery too hot"
    BATTERY_COLD = "battery too cold"
    BATTERY_RESISTANCE = "battery resistance"
    WRONG_VOLTAGE = "wrong rated voltage"
    ARRAY_OVER_VOLTAGE = "array voltage too high"
    ARRAY_SHORT = "array short circuit"
    ARRAY_OVER_CURRENT = "array over-current"
    CHARGE_MOSFET_SHORT = "charging MOSFET short"
    LOAD_SHORT = "load short circuit"
    LOAD_OVERLOAD = "load overload"


LOAD_FAULTS = frozenset({TracerFault.LOAD_SHORT, TracerFault.LOAD_OVERLOAD})
CHARGE_FAULTS = frozenset(TracerFault) - LOAD_FAULTS - {TracerFault.BATTERY_RESISTANCE}


@dataclass(slots=True)
class TracerState:
    """Name plate, options and faults. `d1_quirk`: 3201 D1 stands while charging though nothing is wrong."""

    model: str
    serial: str
    version: str
    family: Family
    rating: Rating
    system: int
    remote_sensor: bool
    d1_quirk: bool
    no_input_bit: bool
    injected: set[TracerFault] = field(default_factory=set)
    found: set[TracerFault] = field(default_factory=set)
    low_battery: bool = False
    """Under the warning voltage, until above its recover voltage."""

    @property
    def faults(self) -> set[TracerFault]:
        """What a test raised and what is so."""
        return self.injected | self.found
