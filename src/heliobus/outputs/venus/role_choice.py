"""The role of a meter as its owner chooses it on the GX, and the service that comes back under another class.

Source: venus.md §5.6. The role a consumer sees is the class in the service's name: a new role is a new service.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from heliobus.model.device import Device
from heliobus.model.placement import KINDS, POSITIONED, Placement
from heliobus.model.reading import Reading
from heliobus.model.role import Role
from heliobus.outputs.venus.choice import Choice
from heliobus.outputs.venus.device_service import DeviceService
from heliobus.outputs.venus.instance import Instances
from heliobus.outputs.venus.paths import ROLE_PATHS
from heliobus.outputs.venus.settings import Settings

log = logging.getLogger(__name__)


def allowed_roles(device: Device) -> tuple[Role, ...]:
    """The roles that a device can have on a GX."""
    return tuple(role for role in device.roles if role in ROLE_PATHS)


class RoleChoice(Choice):
    """The role of `device`; `allowed` are the words it may be."""

    def __init__(self, device: Device, settings: Settings) -> None:
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


def _say(device: Device) -> None:
    log.info("%s: role %s, as chosen on the GX", device.name, device.role.value)
    if device.role is Role.GRID_METER and "energy_reverse" not in device.points:
        log.warning("%s: it has no direction: what is fed into the grid counts as taken from it", device.name)


MakeService = Callable[[Device, Reading, RoleChoice], DeviceService]


class RoleService:
    """The service of a device with several roles. `run` serves until cancelled, in the role that is chosen."""

    def __init__(self, device: Device, reading: Reading, make: MakeService) -> None:
        self._device = device
        self._reading = reading
        self._make = make
        self._service: DeviceService | None = None

    def show(self, reading: Reading, changed: frozenset[str]) -> None:
        """Carry `reading`, of which the points `changed` are news, at most one pace later."""
        self._reading = reading
        if self._service is not None:
            self._service.show(reading, changed)

    async def run(self, settings: Settings, instances: Instances) -> None:
        """Serve until cancelled. Raises BusLostError, FatalOutputError."""
        choice = RoleChoice(self._device, settings)
        try:
            await choice.settle()
            while True:
                device = choice.device()
                if device.role is not self._device.role:
                    _say(device)
                self._service = self._make(device, self._reading, choice)
                await _until_changed(self._service, choice, settings, instances)
        finally:
            self._service = None
            choice.close()


async def _until_changed(service: DeviceService, choice: RoleChoice, settings: Settings, instances: Instances) -> None:
    serving = asyncio.create_task(service.run(settings, instances))
    changing = asyncio.create_task(choice.changed())
    try:
        await asyncio.wait({serving, changing}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        changing.cancel()
        if not serving.done():
            serving.cancel()
        await asyncio.wait({serving, changing})
    if not serving.cancelled():
        serving.result()
