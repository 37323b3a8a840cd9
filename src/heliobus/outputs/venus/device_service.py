"""One service of a device: its connection, its name, its instance, and at most one signal a second."""

import asyncio
from dataclasses import dataclass

from heliobus.model.reading import Reading
from heliobus.outputs.venus.connection import Connection, connect_to
from heliobus.outputs.venus.face import Face, Tree
from heliobus.outputs.venus.instance import DeviceInstance, Instances
from heliobus.outputs.venus.item import Item
from heliobus.outputs.venus.service import BusItemService
from heliobus.outputs.venus.setting import Setting
from heliobus.outputs.venus.settings import Settings
from heliobus.outputs.venus.stored_item import StoredItem, acceptable_name


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. `pace` between two signals of a service; `grace` for localsettings to appear at the start;
    `patience` for a name or number to be let go by its earlier owner; `stall` until a daemon that takes no messages
    counts as lost; `retry` and `longest_retry` between attempts to connect.
    """

    pace: float = 1.0
    grace: float = 5.0
    patience: float = 2.0
    stall: float = 30.0
    retry: float = 1.0
    longest_retry: float = 60.0


class DeviceService:
    """One service of a device. `run` serves until cancelled; `show` leaves the newest reading for it."""

    def __init__(self, face: Face, reading: Reading, address: str, timing: Timing) -> None:
        self._face = face
        self._reading = reading
        self._news = set(reading.values)
        self._address = address
        self._timing = timing
        self._wake = asyncio.Event()

    def show(self, reading: Reading, changed: frozenset[str]) -> None:
        """Carry `reading`, of which the points `changed` are news, at most one pace later."""
        self._reading = reading
        self._news |= changed
        self._wake.set()

    async def run(self, settings: Settings, instances: Instances) -> None:
        """Serve until cancelled. Raises BusLostError, FatalOutputError."""
        connection = await connect_to(self._address, self._timing.stall)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(connection.lost())
                tasks.create_task(self._serve(connection, settings, instances))
        finally:
            await connection.close()

    async def _serve(self, connection: Connection, settings: Settings, instances: Instances) -> None:
        face, wake = self._face, self._wake.set
        service = BusItemService(connection, face.name)
        number = service.add(Item("/DeviceInstance", "i"))
        instance = DeviceInstance(face, settings, instances, wake)
        name = service.add(Item("/CustomName", "s"))
        setting = Setting(f"/Settings/Devices/{face.key}/CustomName", face.label)
        custom_name = StoredItem(service, name, setting, settings, acceptable_name, wake)
        tree = face.make_tree(service, settings, wake)
        try:
            service.set(number, await instance.take(self._timing.patience))
            self._show(tree)
            await service.claim(self._timing.patience)
            loop = asyncio.get_running_loop()
            next_signal = 0.0
            while True:
                await self._wake.wait()
                if (early := next_signal - loop.time()) > 0:
                    await asyncio.sleep(early)
                self._wake.clear()
                if instance.outdated:
                    # Consumers bind to the number they see when the name appears (venus.md §4.2).
                    await service.release()
                    service.set(number, await instance.take(self._timing.patience))
                    self._show(tree)
                    await service.claim(self._timing.patience)
                self._show(tree)
                if await service.flush():
                    next_signal = loop.time() + self._timing.pace
        finally:
            tree.close()
            custom_name.close()
            instance.close()

    def _show(self, tree: Tree) -> None:
        news, self._news = self._news, set()
        tree.show(self._reading, news)
