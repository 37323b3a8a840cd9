"""What of a device may be written, declared beside its registers. What is not declared cannot be written at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from heliobus.devices.driver import Register
from heliobus.model.device import Identity
from heliobus.model.point import Point, Value

Guard = Callable[[Mapping[str, Value]], str | None]
"""From the device's latest values: why it may not be written to and what to change, or None."""


@dataclass(frozen=True, slots=True, eq=False)
class Coil:
    """A coil that a command writes.

    `inverted`: on the wire 1 means that the point is 0. `momentary`: a button; it is sent exactly once and reads 0.
    `restarts`: what answers goes away for a while, and its answer may be lost; `evidence` is then a point and the bit
    of it that shows that it did restart.
    """

    address: int
    point: Point
    inverted: bool = False
    momentary: bool = False
    restarts: bool = False
    evidence: tuple[Point, int] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Slave:
    """Registers of dynamic limits in RAM, which the device faults on unless they are renewed.

    `highest_amps` is what the largest model takes. `release` is the word that ends each. `renewal` and `timeout` are
    seconds. `state` reads `active` while the device is steered; bit `timeout_fault` of `faults` is set after a missed
    renewal, and `clear` lifts what stays of it.
    """

    volts: Register
    amps: Register
    highest_amps: float
    release: int
    renewal: float
    timeout: float
    state: Register
    active: int
    faults: Register
    timeout_fault: int
    clear: Coil


@dataclass(frozen=True, slots=True, eq=False)
class Eeprom:
    """Charge settings that are stored in the device, and what its procedure of writing them needs.

    After any write bit `edit_fault` of `faults` is set and the device does not charge until `reset`. `state` reads
    `disconnected` while `disconnect` is on, and one of `idle` when it does not charge for want of a reset.
    Settings whose scale has the factor `multiplier` are stored for a 12 V battery.
    """

    registers: tuple[Register, ...]
    multiplier: Point
    guard: Guard
    save: Coil
    disconnect: Coil
    reset: Coil
    faults: Register
    edit_fault: int
    state: Register
    disconnected: int
    idle: frozenset[int]


def _never(_: Identity) -> bool:
    return False


@dataclass(frozen=True, slots=True, eq=False)
class Writes:
    """All that may be written. `network_guard` holds for writes over the device's own network port only.

    `has_server` tells by a device's identity if it has such a port.
    """

    coils: tuple[Coil, ...]
    network_guard: Guard
    slave: Slave | None = None
    eeprom: Eeprom | None = None
    server_reset: Coil | None = None
    equalize: Coil | None = None
    has_server: Callable[[Identity], bool] = _never

    def registers(self) -> tuple[Register, ...]:
        """Every register that may be written."""
        slave = (self.slave.volts, self.slave.amps) if self.slave is not None else ()
        return (*slave, *(self.eeprom.registers if self.eeprom is not None else ()))
