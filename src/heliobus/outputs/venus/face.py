"""What one service of a device is: a device may have several, each with a name, an instance and a tree of its own."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from heliobus.model.device import Device
from heliobus.model.reading import Health, Reading
from heliobus.outputs.venus.items import Items
from heliobus.outputs.venus.setting import Keeping


class Tree(Protocol):
    """All leaves of a service, but for its instance and its custom name."""

    def show(self, reading: Reading, changed: Iterable[str]) -> None:
        """Carry `reading`, of which the points `changed` are news."""

    def close(self) -> None:
        """Follow no setting any more."""


MakeTree = Callable[[Items, Keeping, Callable[[], None]], Tree]
"""Puts the tree into a service; it calls the last argument when there is something to send."""


@dataclass(frozen=True, slots=True)
class Face:
    """A service: its class, name on the bus, key of its settings, VRM instance to ask for, and first custom name.

    `fallback_instance` is used while localsettings says nothing.
    """

    service_class: str
    name: str
    key: str
    first_instance: int
    fallback_instance: int
    label: str
    make_tree: MakeTree


def service_name(device: Device, service_class: str = "") -> str:
    """`com.victronenergy.solarcharger.tristar_0`: stays with the serial number, as the device's number does."""
    short = re.sub(r"[^A-Za-z0-9_]", "_", device.short)
    return f"com.victronenergy.{service_class or device.role.value}.{short}_{device.number}"


def connected(reading: Reading) -> int:
    """What `/Connected` says."""
    return 1 if reading.health in (Health.OK, Health.FAILING) else 0
