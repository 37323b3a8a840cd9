"""The Venus output: every device of the site as a service on the D-Bus, settings from localsettings."""

import asyncio
import logging
from dataclasses import dataclass
from typing import NoReturn

from heliobus.model.device import Device
from heliobus.model.reading import Reading
from heliobus.outputs.alone import alone
from heliobus.outputs.output import FatalOutputError
from heliobus.outputs.venus.charger_settings import ChargerFollower
from heliobus.outputs.venus.commands import Commands
from heliobus.outputs.venus.connection import BusLostError, Connection, bus_address, connect_to
from heliobus.outputs.venus.device_service import DeviceService, Timing
from heliobus.outputs.venus.faces import companion_face, role_face
from heliobus.outputs.venus.host import ChargerSettings, VenusHost, VenusOptions
from heliobus.outputs.venus.instance import Instances
from heliobus.outputs.venus.paths import ROLE_PATHS
from heliobus.outputs.venus.paths_identity import FIRMWARE
from heliobus.outputs.venus.role_choice import RoleChoice, allowed_roles
from heliobus.outputs.venus.role_service import RoleService
from heliobus.outputs.venus.setting import Setting, SettingValue
from heliobus.outputs.venus.settings import Settings
from heliobus.site import Mailbox, Site, Update

__all__ = ["ChargerSettings", "Timing", "VenusHost", "VenusOptions", "VenusOutput"]

TIME_ZONE = Setting("/Settings/System/TimeZone", None)

log = logging.getLogger(__name__)


class VenusOutput:
    """The services of all devices, each on its own connection. Implements `Output`."""

    name = "venus"

    def __init__(self, host: VenusHost, options: VenusOptions, timing: Timing | None = None) -> None:
        self._host = host
        self._options = options
        self._timing = timing or Timing()
        self._charger = ChargerFollower(host)
        self._zone = ""

    async def run(self, site: Site) -> None:
        """Serve until cancelled. Raises FatalOutputError."""
        # A command goes on when the D-Bus goes: half a command is worse than one nobody waits for.
        commands = Commands(site)
        try:
            await self._serve(site, commands)
        finally:
            await commands.close()

    async def _serve(self, site: Site, commands: Commands) -> None:
        address = bus_address(self._options.bus_address)
        hidden = frozenset({FIRMWARE}) if self._options.hide_firmware else frozenset()
        wait = self._timing.retry
        lost = False
        while True:
            session = _Session(address, self._timing, site, hidden, commands)
            try:
                settings = await session.open()
                if lost:
                    log.info("the D-Bus is back")
                    lost, wait = False, self._timing.retry
                self._follow(settings)
                await alone(session.serve())
            except BusLostError as error:
                if self._options.exit_on_bus_loss:
                    raise FatalOutputError(f"the D-Bus is gone: {error}") from error
                if not lost:
                    log.warning("the D-Bus is gone: %s; trying again", error)
                    lost = True
            finally:
                await session.close()
            await asyncio.sleep(wait)
            wait = min(wait * 2, self._timing.longest_retry)

    def _follow(self, settings: Settings) -> None:
        settings.follow(TIME_ZONE, self._time_zone)
        if self._options.settings_charger:
            self._charger.follow(settings)

    def _time_zone(self, value: SettingValue) -> None:
        zone = str(value).strip()
        if zone and zone != self._zone:
            self._zone = zone
            self._host.time_zone(zone)


@dataclass(frozen=True, slots=True)
class _Served:
    """A device with its services and their tasks."""

    device: Device
    services: tuple[DeviceService | RoleService, ...]
    tasks: tuple[asyncio.Task[None], ...]


class _Session:
    """All services while one daemon lasts."""

    def __init__(self, address: str, timing: Timing, site: Site, hidden: frozenset[str], commands: Commands) -> None:
        self._address = address
        self._hidden = hidden
        self._timing = timing
        self._site = site
        self._commands = commands
        self._instances = Instances()
        self._connection: Connection | None = None
        self._served: dict[str, _Served] = {}

    async def open(self) -> Settings:
        """Connect. Raises BusLostError."""
        self._connection = await connect_to(self._address, self._timing.stall)
        self._settings = Settings(self._connection, self._timing.grace)
        await self._settings.start()
        return self._settings

    async def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            await self._connection.close()

    async def serve(self) -> None:
        """Serve until cancelled. Open first. Raises BusLostError, FatalOutputError."""
        assert self._connection is not None
        mailbox = self._site.subscribe()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._connection.lost())
                tasks.create_task(self._settings.run())
                tasks.create_task(self._follow(mailbox, tasks))
        except BaseExceptionGroup as group:
            _raise_worst(group)
        finally:
            self._site.unsubscribe(mailbox)

    async def _follow(self, mailbox: Mailbox, tasks: asyncio.TaskGroup) -> None:
        while True:
            for update in await mailbox.get():
                await self._show(update, tasks)

    async def _show(self, update: Update, tasks: asyncio.TaskGroup) -> None:
        device, reading = update.device, update.reading
        served = self._served.get(device.name)
        if served is not None:
            if reading is not None and (served.device is device or served.device == device):
                for service in served.services:
                    service.show(reading, update.changed)
                return
            del self._served[device.name]
            for task in served.tasks:
                task.cancel()
            if served.tasks:
                await asyncio.wait(served.tasks)
        if reading is not None:
            services = self._services(device, reading)
            started = tuple(tasks.create_task(service.run(self._settings, self._instances)) for service in services)
            self._served[device.name] = _Served(device, services, started)

    def _services(self, device: Device, reading: Reading) -> tuple[DeviceService | RoleService, ...]:
        if device.role not in ROLE_PATHS:
            return ()
        companion = companion_face(device, self._commands)
        beside = () if companion is None else (DeviceService(companion, reading, self._address, self._timing),)
        if len(allowed_roles(device)) > 1:
            return (RoleService(device, reading, self._in_role), *beside)
        return (self._in_role(device, reading), *beside)

    def _in_role(self, device: Device, reading: Reading, roles: RoleChoice | None = None) -> DeviceService:
        face = role_face(device, self._hidden, self._commands, roles)
        return DeviceService(face, reading, self._address, self._timing)


def _raise_worst(group: BaseExceptionGroup[BaseException]) -> NoReturn:
    """The one error that matters: what ends the process, then a lost bus, then anything else as it is."""
    for kind in (FatalOutputError, BusLostError):
        found: BaseException | None = group.subgroup(kind)
        while isinstance(found, BaseExceptionGroup):
            found = found.exceptions[0]
        if found is not None:
            raise found
    raise group
