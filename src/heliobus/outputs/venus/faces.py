"""Which services a device has: one of its role, and a companion with its switches if it has any."""

from collections.abc import Callable

from heliobus.model.device import Device
from heliobus.outputs.venus import switch_tree
from heliobus.outputs.venus.commands import Commands
from heliobus.outputs.venus.control_items import ControlItems
from heliobus.outputs.venus.device_tree import DeviceTree
from heliobus.outputs.venus.face import Face, Tree, service_name
from heliobus.outputs.venus.items import Items
from heliobus.outputs.venus.meter_tree import MeterTree
from heliobus.outputs.venus.paths import ROLE_PATHS
from heliobus.outputs.venus.paths_identity import FIRMWARE
from heliobus.outputs.venus.role_choice import RoleChoice
from heliobus.outputs.venus.setting import Keeping
from heliobus.outputs.venus.switch_tree import SwitchTree

STEERED = "remote_charge_voltage"
"""The control that says that a GX may steer the device."""


def role_face(device: Device, hidden: frozenset[str], commands: Commands, roles: RoleChoice | None = None) -> Face:
    """The service of the role of `device`. The `hidden` paths of its identity stay invalid."""
    if STEERED in device.controls:
        # It obeys the GX whatever its firmware is called; systemcalc would raise alarm #48 (venus-consumers.md §4.1).
        hidden |= {FIRMWARE}
    paths = ROLE_PATHS[device.role]

    def tree(service: Items, settings: Keeping, wake: Callable[[], None]) -> Tree:
        plain = DeviceTree(service, device, hidden, ControlItems(service, device.name, commands, wake))
        if roles is None and not paths.positions and not paths.refresh_time:
            return plain
        return MeterTree(plain, service, device, settings, wake, roles)

    first = paths.first_instance
    name = service_name(device)
    return Face(device.role.value, name, device.key, first, first + device.number, device.label, tree)


def companion_face(device: Device, commands: Commands) -> Face | None:
    """The service of the switches of `device`, None if it has no switch."""
    if not switch_tree.switches(device):
        return None
    key = f"{device.key}_switch"

    def tree(service: Items, settings: Keeping, wake: Callable[[], None]) -> Tree:
        return SwitchTree(service, device, ControlItems(service, device.name, commands, wake), key, settings, wake)

    first = switch_tree.FIRST_INSTANCE
    name = service_name(device, switch_tree.SERVICE_CLASS)
    label = f"{device.label} controls" if device.label else ""
    return Face(switch_tree.SERVICE_CLASS, name, key, first, first + device.number, label, tree)
