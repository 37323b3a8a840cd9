"""The control of every device of a site that has it: made when the device says who it is, ended in good order."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from heliobus.config import Config, DeviceConfig
from heliobus.control.audit import Audit
from heliobus.control.controls import controls_of
from heliobus.control.journal import pending
from heliobus.control.plant import Plant
from heliobus.control.store import Store
from heliobus.devices.driver import Driver, Table
from heliobus.devices.poll import Poller
from heliobus.devices.terminal import Terminal
from heliobus.model.clock import Clock
from heliobus.model.command import Change, Command, Control, Failed, Outcome, Refused, StoredSetting
from heliobus.model.control_options import Profile
from heliobus.model.device import Device, Identity
from heliobus.model.localtime import LocalTime
from heliobus.model.reading import Health, Reading
from heliobus.site import Commandable, Site
from heliobus.supervise import supervise

if TYPE_CHECKING:
    from heliobus.control.charger import ChargerControl
    from heliobus.control.device import DeviceControl

log = logging.getLogger("heliobus.app")

ANSWERING = (Health.OK, Health.FAILING)


@dataclass(slots=True, eq=False)
class _Entry:
    """The control of one device, and its task; `began` is set when it may act by itself."""

    key: str
    control: "ChargerControl | DeviceControl"
    task: asyncio.Task[None]
    began: asyncio.Event


class _OnDemand:
    """A control that acts only from its first command on: who only looks changes nothing. Implements Commandable."""

    def __init__(self, control: "ChargerControl | DeviceControl", began: asyncio.Event) -> None:
        self._control = control
        self._began = began

    def refusal(self, command: Command) -> str | None:
        return self._control.refusal(command)

    def refused(self, command: Command, why: str) -> None:
        self._control.refused(command, why)

    async def command(self, command: Command) -> Outcome:
        self._began.set()
        await self._control.ready()
        return await self._control.command(command)

    async def plan(self, command: Command) -> tuple[Change, ...] | Refused | Failed:
        return await self._control.plan(command)

    async def settings(self) -> tuple[StoredSetting, ...] | Refused | Failed:
        return await self._control.settings()


class Controls:
    """All controls of a site, by device name. `folder` is where they remember what they did.

    `on_demand`: none acts by itself before its first command.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        clock: Clock,
        local: Callable[[], LocalTime],
        site: Site,
        save: Callable[[], Awaitable[None]],
        *,
        on_demand: bool = False,
    ) -> None:
        self._on_demand = on_demand
        self._folder = folder
        self._config = config
        self._clock = clock
        self._local = local
        self._site = site
        self._save = save
        self._audit = Audit(folder)
        self._entries: dict[str, _Entry] = {}
        self._ending: dict[str, asyncio.Task[None]] = {}
        # One of each for a device, whoever controls it: an earlier control may still be ending.
        self._stores: dict[str, Store] = {}
        self._busy: dict[str, asyncio.Lock] = {}

    def offered(self, config: DeviceConfig, driver: Driver, identity: Identity) -> dict[str, Control]:
        """What of the device can be commanded."""
        return controls_of(
            driver, config.options, self._profiles(config, driver), network=_host(config, driver, identity) is not None
        )

    def watched(self, config: DeviceConfig, driver: Driver) -> frozenset[str]:
        """The points that are read more often while the device is under control."""
        if not config.options.on:
            return frozenset()
        return frozenset(each.point.name for each in driver.registers if each.table is Table.COILS)

    def start(
        self, config: DeviceConfig, device: Device, driver: Driver, terminal: Terminal, poller: Poller
    ) -> Commandable | None:
        """Take control of `device`, or only set right what an earlier control left, if that is all there is to do."""
        present = self._entries.get(device.name)
        if present is not None and present.key == device.key:
            return self._offer(present) if config.options.on else None
        self.stop(device.name)
        if driver.writes is None:
            if config.options.on:
                log.error("%s: this model does not take commands; it is only read", device.name)
            return None
        store = self._store(device.key)
        left = pending(self._folder, device.key) or bool(store.section("slave").get("engaged"))
        if not config.options.on and not left:
            return None
        control = self._make(config, device, driver, terminal, poller, store)
        work = partial(control.run, supervise) if config.options.on else control.tidy
        began = asyncio.Event()
        if not self._on_demand:
            began.set()
        task = asyncio.create_task(_after(self._ending.get(device.key), began, f"control of {device.name}", work))
        entry = self._entries[device.name] = _Entry(device.key, control, task, began)
        return self._offer(entry) if config.options.on else None

    def annotate(self, device: Device, reading: Reading) -> Reading:
        """The site's step: add what control says."""
        entry = self._entries.get(device.name)
        if entry is None or not device.controls:
            return reading
        values = entry.control.values(answers=reading.health in ANSWERING)
        reasons = {name: why for name, why in reading.reasons.items() if values.get(name) is None}
        return replace(reading, values={**reading.values, **values}, reasons=reasons)

    def observe(self, name: str) -> None:
        """There is a new reading of the device of this name."""
        entry, reading = self._entries.get(name), self._site.reading(name)
        if entry is not None and reading is not None:
            entry.control.observe(reading)

    def stop(self, name: str) -> "asyncio.Task[None] | None":
        """Give the device back to itself; the task is done when it has been, or cannot be reached."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return None
        ending = self._ending[entry.key] = asyncio.create_task(_end(entry, self._ending.get(entry.key)))
        ending.add_done_callback(lambda _: self._ended(entry.key, ending))
        return ending

    async def close(self) -> None:
        """Give all devices back to themselves. Their buses must still run."""
        for name in tuple(self._entries):
            self.stop(name)
        for failure in await asyncio.gather(*self._ending.values(), return_exceptions=True):
            # What goes wrong with one of them must not keep the others.
            if isinstance(failure, Exception):
                log.error("a charger could not be given back to itself", exc_info=failure)

    def _store(self, key: str) -> Store:
        store = self._stores.get(key)
        if store is None:
            store = self._stores[key] = Store(self._folder, key)
            note = store.load()
            if note is not None:
                log.error("%s", note)
        return store

    def _offer(self, entry: _Entry) -> Commandable:
        return _OnDemand(entry.control, entry.began) if self._on_demand else entry.control

    def _ended(self, key: str, ending: "asyncio.Task[None]") -> None:
        if self._ending.get(key) is ending:
            del self._ending[key]

    def _profiles(self, config: DeviceConfig, driver: Driver) -> dict[str, Profile]:
        """Those for the device; of those for all devices the ones whose settings it has."""
        known = {register.point.name for register in driver.writes.stored} if driver.writes is not None else frozenset()
        return {
            profile.name: profile
            for profile in self._config.profiles
            if config.name in profile.devices or (not profile.devices and known >= profile.settings.keys())
        }

    def _make(
        self, config: DeviceConfig, device: Device, driver: Driver, terminal: Terminal, poller: Poller, store: Store
    ) -> "ChargerControl | DeviceControl":
        name, site = device.name, self._site
        plant = Plant(
            name=name,
            key=device.key,
            terminal=terminal,
            options=config.options,
            store=store,
            clock=self._clock,
            local=self._local,
            reading=lambda: site.reading(name),
            refresh=poller.refresh,
            changed=lambda: self._amend(name),
            host=_host(config, driver, device.identity),
            busy=self._busy.setdefault(device.key, asyncio.Lock()),
        )
        return _kind(driver)(
            plant,
            device.controls,
            profiles=self._profiles(config, driver),
            seasons=self._config.site.seasons,
            audit=self._audit,
            save_counters=self._save,
        )

    def _amend(self, name: str) -> None:
        entry, device, reading = self._entries.get(name), self._site.device(name), self._site.reading(name)
        if entry is not None and device is not None and reading is not None and device.controls:
            self._site.amend(name, entry.control.values(answers=reading.health in ANSWERING))


def _kind(driver: Driver) -> "type[ChargerControl | DeviceControl]":
    """What controls such a device; imported when there is one, since it is most of control's memory."""
    if driver.writes is not None and driver.writes.slave is not None:
        from heliobus.control.charger import ChargerControl  # noqa: PLC0415  only for what is steered

        return ChargerControl
    from heliobus.control.device import DeviceControl  # noqa: PLC0415  only for what is not

    return DeviceControl


def _host(config: DeviceConfig, driver: Driver, identity: Identity) -> str | None:
    """Where the device's own network server is, if that is how it is reached."""
    writes = driver.writes
    own = config.link.kind == "tcp" and writes is not None and writes.has_server(identity)
    return config.link.host if own else None


async def _after(
    before: "asyncio.Task[None] | None", began: asyncio.Event, name: str, work: Callable[[], Awaitable[None]]
) -> None:
    """Begin when an earlier control of the same device has ended."""
    if before is not None:
        await asyncio.wait({before})
    await began.wait()
    await supervise(name, work)


async def _end(entry: _Entry, before: "asyncio.Task[None] | None") -> None:
    entry.task.cancel()
    await asyncio.wait({entry.task} if before is None else {entry.task, before})
    if entry.began.is_set():
        await entry.control.close()
