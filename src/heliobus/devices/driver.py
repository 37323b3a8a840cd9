"""How a device family is declared: a line of a table says where a point lives and how it is read."""

from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import TYPE_CHECKING

from heliobus.model.device import Identity
from heliobus.model.point import Point, Value
from heliobus.model.role import Role
from heliobus.model.vocabulary import (
    CLOCK_DRIFT,
    DEVICE_CLOCK,
    ENERGY_DAY_COUNTER,
    ENERGY_FORWARD,
    ENERGY_FORWARD_COUNTER,
    HEALTH_POINTS,
    YIELD_TODAY,
    YIELD_TOTAL,
)
from heliobus.wire.bus import Timing
from heliobus.wire.modbus.coding import Coding
from heliobus.wire.modbus.pdu import ReadDeviceIdentification, ReadRegisters

if TYPE_CHECKING:
    from heliobus.devices.writes import Writes


class Poll(Enum):
    """How often a register is read. The config sets FAST; the others follow from what they are good for."""

    FAST = "fast"
    NORMAL = "normal"
    SLOW = "slow"
    ONCE = "once"


class Table(IntEnum):
    """A Modbus table; the number is the function code that reads it."""

    COILS = 1
    DISCRETE = 2
    HOLDING = 3
    INPUT = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """value = raw · constant · the product of other points' values (`factors`, by name)."""

    constant: float
    factors: tuple[str, ...] = ()


UNSCALED = Scale(1)


def by(*factors: Point, times: float) -> Scale:
    """A scale made from other registers: `by(V_PU, times=2**-15)`."""
    return Scale(times, tuple(point.name for point in factors))


@dataclass(frozen=True, slots=True, eq=False)
class Register:
    """Where a point lives: first PDU address, point, coding, scale, poll class, table, raw values that mean None."""

    address: int
    point: Point
    coding: Coding
    scale: Scale = UNSCALED
    poll: Poll = Poll.FAST
    table: Table = Table.INPUT
    invalid: frozenset[int] = frozenset()

    @property
    def count(self) -> int:
        """How many addresses it covers."""
        return self.coding.words

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.address + self.coding.words


@dataclass(frozen=True, slots=True)
class BlockLimits:
    """What one request of this device may cover.

    `forbidden` addresses must not be read over; `holes` says whether addresses without a register may be. At an
    address in `starts` a request must begin: the stricter models of a family refuse one that reaches over it.
    """

    max_count: int = 125
    holes: bool = True
    forbidden: frozenset[int] = frozenset()
    starts: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of an identification.

    The generator is sent the answer, or None when the device refused. No answer at all fails the identification, unless
    the question is `optional`: then it is None too.
    """

    request: ReadRegisters | ReadDeviceIdentification
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Recognised:
    """It is ours: what it is, and the declaration that fits it."""

    identity: Identity
    driver: "Driver"


@dataclass(frozen=True, slots=True)
class NotOurs:
    """It is something else; `why` says in words what was found."""

    why: str


ADDED_POINTS: Mapping[str, tuple[Point, ...]] = {
    ENERGY_DAY_COUNTER.name: (YIELD_TODAY, YIELD_TOTAL),
    ENERGY_FORWARD_COUNTER.name: (ENERGY_FORWARD,),
    DEVICE_CLOCK.name: (CLOCK_DRIFT,),
}
"""What the site adds to the readings of a device that has a point."""

Recognition = Generator[Ask, object, Recognised | NotOurs]
Derive = Callable[[Mapping[str, Value]], Mapping[str, Value]]


def _nothing(_: Mapping[str, Value]) -> Mapping[str, Value]:
    return {}


Doubt = Callable[[Mapping[str, Value]], Collection[str]]
"""From the values that were read: the names of those that cannot be true beside the others."""


def no_doubt(_: Mapping[str, Value]) -> Collection[str]:
    """The `doubt` of a driver that has none."""
    return ()


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name by which `heliobus read` knows a point, as an older program printed it: value · `times`."""

    point: str
    times: float = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Driver:
    """The declaration of a device family.

    `name` is what the config says, `short` what D-Bus names and keys are made of. `recognise` starts a generator of
    questions that ends with a verdict; it is pure. `derive` adds the `derived` points from the values that were read.
    `writes` is what may be written to it, None for nothing.

    `roles` are all that its owner may choose from, `role` the usual one. `doubt` names values that contradict each
    other; they are out of range. `turnaround` is the usual time from a request's last byte to its answer's first, in
    seconds. For `settling` seconds after it was silent what the device says is not believed.
    """

    name: str
    short: str
    vendor: str
    family: str
    role: Role
    registers: tuple[Register, ...]
    recognise: Callable[[], Recognition]
    derived: tuple[Point, ...] = ()
    derive: Derive = _nothing
    limits: BlockLimits = BlockLimits()
    timing: Timing = field(default_factory=Timing)
    poll_period: float = 5.0
    baud: int = 9600
    stop_bits: int = 1
    notes: str = ""
    writes: "Writes | None" = None
    roles: tuple[Role, ...] = ()
    doubt: Doubt = no_doubt
    turnaround: float = 0.03
    settling: float = 0.0
    aliases: Mapping[str, Alias] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.roles:
            object.__setattr__(self, "roles", (self.role,))

    @property
    def factors(self) -> tuple[str, ...]:
        """The names of the points that other points are scaled by."""
        return tuple(dict.fromkeys(name for register in self.registers for name in register.scale.factors))

    def points(self) -> dict[str, Point]:
        """Every point a device of this family has, by name, in the order of the table."""
        points = {register.point.name: register.point for register in self.registers}
        points.update((point.name, point) for point in self.derived)
        for source, added in ADDED_POINTS.items():
            if source in points:
                points.update((point.name, point) for point in added)
        points.update((point.name, point) for point in HEALTH_POINTS)
        return points
