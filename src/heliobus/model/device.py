"""What is known of a device beside its values: its identity and the points it has."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from heliobus.model.command import Control
from heliobus.model.placement import UNPLACED, Placement
from heliobus.model.point import Point
from heliobus.model.role import Role


@dataclass(frozen=True, slots=True)
class Identity:
    """Who the device says it is. `serial` is text (leading zeros count), None where the device has none.

    `firmware` is as the vendor prints it (`1.1.42`). `details` holds more lines for people, such as the network name.
    """

    vendor: str
    model: str
    serial: str | None = None
    firmware: str | None = None
    hardware: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Device:
    """A device the owner has: what he calls it, where it is, and what it can say.

    `name` is the key of readings, unique in the site; `label` what the owner calls it, empty if he gave no name.
    `short` is the driver's short name (`tristar`), `number` counts the devices of one short name from 0 and stays with
    the serial number. `address` is where it is, for people (`Modbus TCP 192.0.2.4, unit 1`). `key` is a stable text of
    letters, digits and underscores for names, instances and history: short name and serial number
    (`tristar_10170296`), or short name and address where there is no serial. `controls` is what can be commanded, by
    point name; empty while control is off. `placement` says where a meter sits, `roles` what else it may be to
    the site; outputs may offer the choice to its owner.
    """

    name: str
    label: str
    driver: str
    short: str
    role: Role
    address: str
    identity: Identity
    points: Mapping[str, Point]
    key: str
    number: int
    controls: Mapping[str, Control] = field(default_factory=dict)
    placement: Placement = UNPLACED
    roles: tuple[Role, ...] = ()
