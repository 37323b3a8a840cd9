"""The role of a meter as its owner chooses it. Source: venus.md §5.6."""

import asyncio
from dataclasses import replace

from heliobus.model.device import Device
from heliobus.model.placement import KINDS, POSITIONED, Placement
from heliobus.model.role import Role
from heliobus.outputs.venus.choice import Choice
from heliobus.outputs.venus.paths import ROLE_PATHS
from heliobus.outputs.venus.setting import Keeping


def allowed_roles(device: Device) -> tuple[Role, ...]:
    """The roles that a device can have on a GX."""
    return tuple(role for role in device.roles if role in ROLE_PATHS)


class RoleChoice(Choice):
    """The role of `device`; `allowed` are the words it may be."""

    def __init__(self, device: Device, settings: Keeping) -> None:
        self.allowed = tuple(role.value for role in allowed_roles(device))
        self._device = device
        self._news = asyncio.Event()
        path = f"/Settings/Devices/{device.key}/Role"
        super().__init__(settings, path, device.role.value, self.allowed, self._news.set)

    async def changed(self) -> None:
        """Wait for another role."""
        await self._news.wait()

    def device(self) -> Device:
        """The device in the role chosen now."""
        self._news.clear()
        role = Role(str(self.value))
        return self._device if role is self._device.role else in_role(self._device, role)


def in_role(device: Device, role: Role) -> Device:
    """`device` in another role than the config's: wired as is usual for it, measuring anything."""
    positions, kinds = POSITIONED.get(role), KINDS.get(role)
    placement = Placement(
        positions[0] if positions else None, device.placement.phase, kinds["generic"] if kinds else None
    )
    return replace(device, role=role, placement=placement)
