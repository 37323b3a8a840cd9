"""The service of a meter whose owner may choose its role: it comes back under another class. Source: venus.md §5.6.

The role a consumer sees is the class in the service's name: a new role is a new service.
"""

import asyncio
import logging
from collections.abc import Callable

from heliobus.model.device import Device
from heliobus.model.reading import Reading
from heliobus.model.role import Role
from heliobus.outputs.venus.device_service import DeviceService
from heliobus.outputs.venus.instance import Instances
from heliobus.outputs.venus.role_choice import RoleChoice
from heliobus.outputs.venus.settings import Settings

log = logging.getLogger(__name__)

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


def _say(device: Device) -> None:
    log.info("%s: role %s, as chosen on the GX", device.name, device.role.value)
    if device.role is Role.GRID_METER and "energy_reverse" not in device.points:
        log.warning("%s: it has no direction: what is fed into the grid counts as taken from it", device.name)
