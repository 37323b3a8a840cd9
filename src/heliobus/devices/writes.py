"""What of a device may be written, declared beside its registers. What is not declared cannot be written at all."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from heliobus.devices.driver import Register
from heliobus.model.device import Identity
from heliobus.model.point import Point, Value

WRITE_SINGLE, WRITE_SEVERAL = 6, 16
"""Function codes that write registers."""

Guard = Callable[[Mapping[str, Value]], str | None]
"""From the device's latest values: why it may not be written to and what to change, or None."""
SwitchGuard = Callable[[Mapping[str, Value], bool], str | None]
"""The same for a switch that is to be turned on (True) or off."""


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """Where it shows whether a switch works: bit `bit` of `register` follows it within `time` seconds."""

    register: Register
    bit: int
    time: float = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Coil:
    """A coil that a command writes.

    `inverted`: on the wire 1 means that the point is 0. `momentary`: a button; it is sent exactly once and reads 0.
    `restarts`: what answers goes away for a while, and its answer may be lost; `evidence` is then a point and the bit
    of it that shows that it did restart. `guard` looks at the values of the registers `guarded_by`; `effect` is where
    the device shows what came of it.
    """

    address: int
    point: Point
    inverted: bool = False
    momentary: bool = False
    restarts: bool = False
    evidence: tuple[Point, int] | None = None
    guard: SwitchGuard | None = None
    guarded_by: tuple[Register, ...] = ()
    effect: Effect | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """A button that is a request of the vendor's own, sent exactly once: `function` with `payload`.

    A normal answer has `answer_size` bytes after the function. It sets `counter` back to 0; `nearly` is what may have
    been counted since.
    """

    point: Point
    function: int
    counter: Register
    payload: bytes = b""
    answer_size: int = 0
    nearly: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class ClockSetting:
    """The device's clock of local time: `register` spans all its words, which `encode` makes and one request writes."""

    point: Point
    register: Register
    encode: Callable[[datetime], tuple[int, ...]]


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


class Stored(Protocol):
    """Anything that has registers of stored settings."""

    @property
    def registers(self) -> tuple[Register, ...]:
        """They, in the order of the vendor's table."""


@dataclass(frozen=True, slots=True, eq=False)
class Span:
    """Consecutive registers that one request writes."""

    registers: tuple[Register, ...]

    @property
    def address(self) -> int:
        """The first address."""
        return self.registers[0].address

    @property
    def count(self) -> int:
        """How many addresses it covers."""
        return self.registers[-1].end - self.address


Group = tuple[Span, ...]
"""Spans over the same registers, the smallest first, the last over all of them: the first that has all that changes is
written. A device has all registers of a group or none."""


@dataclass(frozen=True, slots=True)
class Order:
    """`upper` must be above `lower`, or may be the `same`. A breach of what is only `advised` is said, not refused."""

    upper: str
    lower: str
    same: bool = False
    advised: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Battery:
    """What settings have to do with the battery; those that have are `governed`.

    `kind` is its type. They count only for the type `user`; other types leave free what `presets` has, by type. `code`
    is how the system voltage is chosen (`codes`: volts), and must not be `automatic` for the type `user`. `sign` by the
    system voltage is within `ratio` where voltages are stored for the actual battery. All `voltages` are within `volts`
    for 12 V, those of `charging` within what battery and owner allow; `disconnect` protects from over-voltage.
    `compensation` by temperature is not below `steepest`, for 12 V too.
    """

    kind: Register
    user: int
    presets: Mapping[int, frozenset[str]]
    governed: frozenset[str]
    code: Register
    automatic: int
    codes: Mapping[int, int]
    sign: Register
    ratio: tuple[float, float]
    volts: tuple[float, float]
    voltages: frozenset[str]
    charging: tuple[str, ...]
    disconnect: str
    equalize: str
    absorption: str
    compensation: str
    steepest: float
    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """Settings that a device has stored when it has answered their write: nothing is interrupted, nothing restarted.

    `function` writes them (6 or 16). `ranges` are by point name. `settle` is how long the device takes to store, in
    seconds. `spaced`: the owner's least time between two changes holds, not only how many there are a day. `rules`
    says what the device itself demands, for when it refuses.
    """

    groups: tuple[Group, ...]
    function: int
    ranges: Mapping[str, tuple[float, float]]
    settle: float = 0.25
    spaced: bool = True
    rules: str = ""
    battery: Battery | None = None

    @property
    def registers(self) -> tuple[Register, ...]:
        """All of them, in the order of the table."""
        return tuple(register for group in self.groups for register in group[-1].registers)

    def spans(self) -> tuple[Span, ...]:
        """Everything that one request may write."""
        return tuple(span for group in self.groups for span in group)


def _never(_: Identity) -> bool:
    return False


def _unguarded(_: Mapping[str, Value]) -> str | None:
    return None


@dataclass(frozen=True, slots=True, eq=False)
class Writes:
    """All that may be written. `network_guard` holds for writes over the device's own network port only.

    `has_server` tells by a device's identity if it has such a port.
    """

    coils: tuple[Coil, ...] = ()
    network_guard: Guard = _unguarded
    slave: Slave | None = None
    eeprom: Eeprom | None = None
    server_reset: Coil | None = None
    equalize: Coil | None = None
    has_server: Callable[[Identity], bool] = _never
    settings: Settings | None = None
    clock: ClockSetting | None = None
    requests: tuple[Request, ...] = ()

    @property
    def stored(self) -> tuple[Register, ...]:
        """The registers of all stored settings, however they are written."""
        stored: Stored | None = self.eeprom or self.settings
        return stored.registers if stored is not None else ()

    @property
    def depends_on_battery(self) -> bool:
        """Whether any of it has to do with a battery."""
        stored = self.settings is not None and self.settings.battery is not None
        return stored or self.slave is not None or self.eeprom is not None

    def registers(self) -> tuple[Register, ...]:
        """Every register that may be written as a single one, by function 6."""
        slave = (self.slave.volts, self.slave.amps) if self.slave is not None else ()
        eeprom = self.eeprom.registers if self.eeprom is not None else ()
        single = self.settings is not None and self.settings.function == WRITE_SINGLE
        return (*slave, *eeprom, *(self.settings.registers if self.settings is not None and single else ()))

    def spans(self) -> frozenset[tuple[int, int]]:
        """First address and number of everything that may be written as one run, by function 16."""
        spans: set[tuple[int, int]] = set()
        if self.settings is not None and self.settings.function == WRITE_SEVERAL:
            spans.update((span.address, span.count) for span in self.settings.spans())
        if self.clock is not None:
            spans.add((self.clock.register.address, self.clock.register.count))
        return frozenset(spans)
