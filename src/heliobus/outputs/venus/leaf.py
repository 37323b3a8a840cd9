"""How the tables of paths are written: which D-Bus path a point feeds, and what a role's service holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from heliobus.model.device import Device
from heliobus.model.placement import Position
from heliobus.model.point import Value
from heliobus.outputs.venus.item import Kind


@dataclass(frozen=True, slots=True)
class Leaf:
    """A path fed by the point `point`. In `path`, `{phase}` stands for the number of the phase a meter sits on.

    `of` makes the path's value of the point's. `numbers` turns the point's numbers into Victron's; a number without an
    entry becomes invalid. `words` are then the texts of Victron's numbers. With `if_known` the path is there only if
    the device has the point: its presence says that the device can do something. `needs` names a control without which
    the path is not there.

    What is written to the path goes to the control `command`, if the device has it, through `numbers` backwards.
    `otherwise` is shown while the point has no value. `ceiling` names the point whose value is shown while `point` is
    0, which means no limit; as much or more, written, is 0 again. While the point `along` has no value the path is
    invalid too.
    """

    path: str
    point: str
    kind: Kind
    numbers: Mapping[int, int] | None = None
    words: Mapping[int, str] | None = None
    if_known: bool = False
    needs: str = ""
    command: str = ""
    otherwise: Value = None
    ceiling: str = ""
    along: str = ""
    of: Callable[[Value], Value] | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """A path that says who the device is; it changes only with the device itself."""

    path: str
    kind: Kind
    value: Callable[[Device], Value]
    shown: Callable[[Value], str] = str


@dataclass(frozen=True, slots=True)
class RolePaths:
    """What a service of a role holds beside identity and statistics.

    `first_instance` is the VRM instance to ask for; `history` says whether it has the charger's days. `positions` are
    Victron's numbers of where a meter may be wired. `refresh_time` says whether it tells how often it is renewed.
    """

    leaves: tuple[Leaf, ...] = ()
    constants: tuple[Constant, ...] = ()
    first_instance: int = 40
    history: bool = False
    positions: Mapping[Position, int] = field(default_factory=dict)
    refresh_time: bool = False
