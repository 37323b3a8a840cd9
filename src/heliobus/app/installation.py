"""The daemon: buses, devices, ledger and outputs of one site, put together and kept running."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from heliobus.app.buses import Buses, SharedBus
from heliobus.app.clock_drift import ClockDrift
from heliobus.app.control import Controls
from heliobus.app.known_terminal import KnownTerminal
from heliobus.app.lock import take_lock
from heliobus.app.outputs import Surroundings, make
from heliobus.config import SETTINGS_DEVICE, Config, DeviceConfig, on_venus_os
from heliobus.control.controls import points_of
from heliobus.devices import catalog
from heliobus.devices.driver import Driver, Recognised
from heliobus.devices.plan import TCP_COST, Cost, rtu_cost
from heliobus.devices.poll import Poller
from heliobus.inventory import Inventory, Known, seat_of
from heliobus.ledger.ledger import Ledger
from heliobus.ledger.store import LedgerWriteError
from heliobus.ledger.store import write as write_file
from heliobus.model.clock import Clock, SystemClock
from heliobus.model.device import Device
from heliobus.model.localtime import UnknownTimeZoneError, local_time
from heliobus.model.reading import Reading
from heliobus.outputs.output import Output
from heliobus.outputs.socket import NAME, SocketOutput
from heliobus.outputs.status import Statuses
from heliobus.outputs.venus.host import ChargerSettings, VenusOptions
from heliobus.site import Site
from heliobus.supervise import supervise
from heliobus.totals import Totals
from heliobus.wire.address import LinkAddress, LinkAddressError, make_bus, parse_link

log = logging.getLogger("heliobus.app")

SAVE_PERIOD = 300.0


@dataclass(slots=True)
class _Running:
    """A device that is polled, and what it takes to stop that."""

    config: DeviceConfig
    shared: SharedBus
    poller: Poller
    task: asyncio.Task[None]


def bus_cost(link: LinkAddress, driver: Driver) -> Cost:
    """What requests cost on this link, for the block planner."""
    if link.kind == "tcp":
        return TCP_COST
    return rtu_cost(link.baud if link.kind == "serial" else driver.baud, driver.turnaround)


class Installation:
    """One site at work. It also is what the Venus output asks things of (`VenusHost`).

    One that is not `lasting` lives for one command: it serves nothing and does nothing by itself.
    """

    def __init__(self, config: Config, *, clock: Clock | None = None, lasting: bool = True) -> None:
        self._lasting = lasting
        self._config = config
        self._clock = clock or SystemClock()
        state = config.site.state
        self._ledger = Ledger(state / "ledger.json", local_time(config.site.timezone), self._clock)
        self._inventory = Inventory(state / "devices.json", config.site.first_number)
        self.site = Site([self._account, ClockDrift(lambda: self._ledger.local).annotate, self._annotate])
        self._controls = Controls(
            state / "control",
            config,
            self._clock,
            lambda: self._ledger.local,
            self.site,
            self._save,
            on_demand=not lasting,
        )
        self._buses = Buses(lambda link: make_bus(link, wall_clock=self._clock))
        self._totals = Totals(self.site, config.totals if lasting else ())
        self._running: dict[str, _Running] = {}
        self._present: set[str] = set()
        self._outputs: list[asyncio.Task[None]] = []
        self._unsaved_inventory = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled. Raises StartError, or FatalOutputError when an output cannot go on."""
        lock = take_lock(self._config.site.state)
        # One worker thread for what blocks: fsync and DNS.
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1, "heliobus-blocking"))
        try:
            for note in (*self._ledger.load(), self._inventory.load()):
                if note:
                    log.error("%s", note)
            await self._buses.claim(device.link for device in self._config.devices)
            for device in self._config.devices:
                self._start(device)
            self._totals.start()
            self._outputs = [
                asyncio.create_task(supervise(output.name, partial(output.run, self.site)))
                for output in self._make_outputs()
            ]
            saver = asyncio.create_task(self._save_in_rhythm())
            await _first_failure([*self._outputs, saver])
        finally:
            await self._stop()
            lock.close()

    def place(self, settings: ChargerSettings | None) -> None:
        """Poll the charger that the settings of a GX describe, in place of the one before."""
        before = self._running.get(SETTINGS_DEVICE)
        if settings is None:
            if before is not None:
                self._end(SETTINGS_DEVICE)
                self.site.remove(SETTINGS_DEVICE)
                self._totals.observe(SETTINGS_DEVICE)
            return
        try:
            link = parse_link(f"tcp://{settings.host}:{settings.port}")
        except LinkAddressError as error:
            log.error("settings: the address of the charger is not one: %s", error)
            self.place(None)
            return
        config = DeviceConfig(
            SETTINGS_DEVICE, settings.driver, link, settings.unit, settings.interval, options=settings.control
        )
        if before is not None:
            if before.config == config:
                return
            self._end(SETTINGS_DEVICE)
            if _place(before.config) != _place(config):
                self.site.remove(SETTINGS_DEVICE)
            else:
                self.site.silence(SETTINGS_DEVICE)
            self._totals.observe(SETTINGS_DEVICE)
        log.info(
            "%s: %s every %g s, as set in the settings", SETTINGS_DEVICE, link.describe(settings.unit), config.poll
        )
        self._start(config)

    def time_zone(self, name: str) -> None:
        """Let local days follow the time zone `name`, unless the config names one."""
        if self._config.site.timezone is not None or not name:
            return
        try:
            self._ledger.set_local(local_time(name))
        except UnknownTimeZoneError as error:
            log.error("%s; local days stay as they are", error)

    def recognised(self, config: DeviceConfig, recognised: Recognised) -> Device | None:
        """A device said who it is; the site's device, or None if another place of the site has it live."""
        driver = recognised.driver
        known, news = self._inventory.remember(
            _place(config), driver.name, driver.short, recognised.identity, seat_of(config.link, config.unit)
        )
        if news:
            self._unsaved_inventory.set()
        twin = next((each for each in self.site.devices if each.key == known.key and each.name != config.name), None)
        if twin is not None:
            if twin.name in self._present:
                log.error("%s: is the same device as %s (%s); ignored", config.name, twin.name, known.key)
                return None
            # It has moved here: its serial number counts, not where it was seen last.
            self._controls.stop(twin.name)
            self.site.remove(twin.name)
            self._totals.observe(twin.name)
        self._present.add(config.name)
        identity = recognised.identity
        if news:
            serial = f", serial number {identity.serial}" if identity.serial else ""
            version = f", firmware {identity.firmware}" if identity.firmware else ""
            log.info("%s: found %s %s%s%s", config.name, identity.vendor, identity.model, serial, version)
        device = self._device(config, driver, known)
        running = self._running[config.name]
        cost = bus_cost(config.link, driver)
        terminal = KnownTerminal(running.shared.bus, config.unit, driver, cost, identity.serial)
        control = self._controls.start(config, device, driver, terminal, running.poller)
        self.site.introduce(device, control)
        return self.site.device(config.name)

    def silent(self, name: str) -> None:
        """The device of this name does not answer."""
        self._present.discard(name)

    def observed(self, name: str) -> None:
        """The site has a new reading of the device of this name."""
        self._controls.observe(name)
        self._totals.observe(name)

    def _account(self, device: Device, reading: Reading) -> Reading:
        return self._ledger.apply(reading, device.key)

    def _annotate(self, device: Device, reading: Reading) -> Reading:
        return self._controls.annotate(device, reading)

    def _make_outputs(self) -> list[Output]:
        outputs: list[Output] = [SocketOutput(self._config.site.state / NAME)] if self._lasting else []
        venus = self._config.venus
        if venus is not None:
            from heliobus.outputs.venus.output import Timing, VenusOutput  # noqa: PLC0415  brings dbus-fast

            options = VenusOptions(venus.bus, venus.settings_charger, venus.on_bus_loss == "exit", venus.hide_firmware)
            # Beside a GX nobody starts localsettings a moment later.
            timing = Timing() if on_venus_os() else Timing(grace=0.5)
            outputs.append(VenusOutput(self, options, timing))
        if self._lasting:
            outputs += make(self._config.outputs, self._surroundings())
        return outputs

    def _surroundings(self) -> Surroundings:
        site = self._config.site
        return Surroundings(site.name, site.state, self._clock, lambda: self._ledger.local, Statuses())

    def _start(self, config: DeviceConfig) -> None:
        driver = catalog.driver(config.driver)
        self._introduce_known(config)
        shared = self._buses.join(config.link, config.unit)
        poller = Poller(
            shared.bus,
            config.unit,
            driver,
            bus_cost(config.link, driver),
            _Listener(self, config),
            name=config.name,
            period=config.poll,
            clock=self._clock,
            watched=self._controls.watched(config, driver),
        )
        task = asyncio.create_task(supervise(config.name, poller.run))
        self._running[config.name] = _Running(config, shared, poller, task)

    def _introduce_known(self, config: DeviceConfig) -> None:
        """Show a device seen here earlier as not connected until it answers."""
        known = self._inventory.known(_place(config))
        if known is None:
            return
        try:
            driver = catalog.driver(known.driver)
        except catalog.UnknownDriverError as error:
            log.warning("%s: was known by another version of Heliobus: %s", config.name, error)
            return
        self.site.introduce(self._device(config, driver, known))

    def _end(self, name: str) -> None:
        running = self._running.pop(name)
        self._present.discard(name)
        running.task.cancel()
        ending = self._controls.stop(name)
        if ending is None:
            self._buses.leave(running.shared)
        else:
            # The charger is given back to itself first, and that takes its bus.
            ending.add_done_callback(lambda _: self._buses.leave(running.shared))

    def _device(self, config: DeviceConfig, driver: Driver, known: Known) -> Device:
        controls = self._controls.offered(config, driver, known.identity)
        points = driver.points()
        if controls:
            points |= {point.name: point for point in points_of(driver)}
        return Device(
            name=config.name,
            label=config.label,
            driver=driver.name,
            short=driver.short,
            role=config.role or driver.role,
            address=config.link.describe(config.unit),
            identity=known.identity,
            points=points,
            key=known.key,
            number=known.number,
            controls=controls,
            placement=config.placement,
            roles=driver.roles,
        )

    async def _save_in_rhythm(self) -> None:
        while True:
            # A number that a new device got must outlive a power cut; the ledger's counters catch up by themselves.
            with suppress(TimeoutError):
                async with asyncio.timeout(SAVE_PERIOD):
                    await self._unsaved_inventory.wait()
            await self._save()

    async def _save(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            path = self._inventory.path
            if path is not None and self._unsaved_inventory.is_set():
                self._unsaved_inventory.clear()
                await loop.run_in_executor(None, write_file, path, self._inventory.serialize())
            path = self._ledger.path
            if path is not None and self._ledger.dirty:
                await loop.run_in_executor(None, write_file, path, self._ledger.serialize())
                self._ledger.saved()
        except LedgerWriteError as error:
            log.error("%s", error)

    async def _stop(self) -> None:
        await self._controls.close()
        tasks = [*self._outputs, *(running.task for running in self._running.values())]
        tasks += self._buses.tasks
        await _ended(tasks)
        await self._save()


class _Listener:
    """Takes what comes of polling one device to the site."""

    def __init__(self, installation: Installation, config: DeviceConfig) -> None:
        self._installation = installation
        self._config = config
        self._device: Device | None = None

    def recognised(self, recognised: Recognised) -> None:
        """Introduce the device to the site."""
        self._device = self._installation.recognised(self._config, recognised)

    def read(self, reading: Reading) -> None:
        """Put the reading, unless the device has moved to another place meanwhile."""
        site = self._installation.site
        if self._device is not None and site.device(self._config.name) is self._device:
            site.put(reading)
            self._installation.observed(self._config.name)

    def silent(self, why: str) -> None:
        """The poller has said so in the log, and the reading says it to the outputs."""
        self._installation.silent(self._config.name)

    def stranger(self, why: str) -> None:
        """The poller has said so in the log."""


def _place(config: DeviceConfig) -> str:
    return f"{config.link}#{config.unit}"


async def _first_failure(tasks: list[asyncio.Task[None]]) -> None:
    try:
        await asyncio.gather(*tasks)
    finally:
        await _ended(tasks)


async def _ended(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        # A second cancellation would break off what the first one has them tidy up.
        if not task.cancelling():
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
