"""Publishes what every device measures, and whether it answers."""

import asyncio
import math
from contextlib import suppress
from dataclasses import dataclass

from heliobus.model.device import Device
from heliobus.model.reading import Health
from heliobus.outputs.mqtt import values
from heliobus.outputs.mqtt.accounted import Accounted
from heliobus.outputs.mqtt.announced import Announced
from heliobus.outputs.mqtt.session import Session
from heliobus.outputs.mqtt.topics import OFFLINE, ONLINE, Topics
from heliobus.site import Mailbox, Site, Update

REPEAT = 30.0
"""Seconds after which an unchanged state of a device that answers is published again, as a sign of life."""
SILENT = (Health.OFFLINE, Health.UNKNOWN)


class StatePart:
    """States, never retained, and availability, retained. At most one state a device in `every` seconds."""

    def __init__(self, site: Site, topics: Topics, every: float, announced: Announced, accounted: Accounted) -> None:
        self._site = site
        self._topics = topics
        self._every = every
        self._announced = announced
        self._accounted = accounted
        self._publishing: _Publishing | None = None

    def refresh(self) -> None:
        """Publish everything again: somebody has just come who knows nothing."""
        if self._publishing is not None:
            self._publishing.refresh()

    async def silence(self, session: Session) -> None:
        """Say that no device answers, not even those of an earlier life of Heliobus that are not here (yet)."""
        present = {self._topics.device_availability(device) for device in self._site.devices}
        for topic in sorted(await self._announced.load() | present):
            await self._accounted.publish(session, topic, OFFLINE, keep=True)

    async def run(self, session: Session) -> None:
        """Publish while the connection lasts."""
        mailbox = self._site.subscribe()
        self._publishing = _Publishing(self._site, self._topics, self._every, self._announced, self._accounted, session)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._publishing.collect(mailbox))
                group.create_task(self._publishing.publish())
        finally:
            self._publishing = None
            self._site.unsubscribe(mailbox)


@dataclass(slots=True)
class _Shown:
    """What of a device was published last, and when (in the loop's time) it may and shall be next."""

    online: bool | None = None
    payload: bytes = b""
    free: float = -math.inf
    again: float = math.inf


class _Publishing:
    """What one connection has published."""

    def __init__(
        self,
        site: Site,
        topics: Topics,
        every: float,
        announced: Announced,
        accounted: Accounted,
        session: Session,
    ) -> None:
        self._site = site
        self._topics = topics
        self._every = every
        self._repeat = max(REPEAT, every)
        self._announced = announced
        self._accounted = accounted
        self._session = session
        self._shown: dict[str, _Shown] = {}
        self._changed: set[str] = set()
        self._gone: dict[str, Device] = {}
        self._wake = asyncio.Event()

    def refresh(self) -> None:
        """Treat every device as if nothing of it had been published."""
        for device in self._site.devices:
            self._shown[device.name] = _Shown()
            self._changed.add(device.name)
        self._wake.set()

    async def collect(self, mailbox: Mailbox) -> None:
        """Note what changes."""
        while True:
            for update in await mailbox.get():
                self._note(update)
            self._wake.set()

    async def publish(self) -> None:
        """Publish what has changed, each device when its time has come."""
        loop = asyncio.get_running_loop()
        while True:
            self._wake.clear()
            for device in tuple(self._gone.values()):
                await self._take_away(device)
            now = loop.time()
            for name in tuple(self._changed):
                await self._show(name, now)
            for name, shown in tuple(self._shown.items()):
                if shown.again <= now:
                    await self._show(name, now)
            with suppress(TimeoutError):
                async with asyncio.timeout_at(self._next()):
                    await self._wake.wait()

    def _note(self, update: Update) -> None:
        name = update.device.name
        if update.reading is None:
            self._changed.discard(name)
            self._shown.pop(name, None)
            self._gone[name] = update.device
        else:
            self._gone.pop(name, None)
            self._changed.add(name)

    def _next(self) -> float | None:
        """The loop's time at which something has to be done though nothing changes."""
        times = [self._shown[name].free for name in self._changed if name in self._shown]
        times += [shown.again for shown in self._shown.values()]
        soonest = min(times, default=math.inf)
        return None if math.isinf(soonest) else soonest

    async def _show(self, name: str, now: float) -> None:
        device, reading = self._site.device(name), self._site.reading(name)
        if device is None or reading is None:
            self._changed.discard(name)
            return
        shown = self._shown.setdefault(name, _Shown())
        online = reading.health not in SILENT
        turned = online is not shown.online
        if now < shown.free and not turned:
            return
        self._changed.discard(name)
        if turned and not online:
            await self._tell(device, online)
        payload = values.state(device, reading.values)
        if payload != shown.payload or turned or now >= shown.again:
            shown.payload = payload
            shown.free = now + self._every
            shown.again = now + self._repeat if online else math.inf
            await self._say(self._topics.state(device), payload, keep=False)
        # Whoever hears that it answers has what it measures now, and not what it measured once.
        if turned and online:
            await self._tell(device, online)
        shown.online = online

    async def _tell(self, device: Device, online: bool) -> None:
        topic = self._topics.device_availability(device)
        await self._announced.add(topic)
        await self._say(topic, ONLINE if online else OFFLINE, keep=True)

    async def _take_away(self, device: Device) -> None:
        topic = self._topics.device_availability(device)
        await self._say(topic, OFFLINE, keep=True)
        await self._say(topic, b"", keep=True)
        await self._announced.discard(topic)
        self._gone.pop(device.name, None)

    async def _say(self, topic: str, payload: bytes, *, keep: bool) -> None:
        await self._accounted.publish(self._session, topic, payload, keep=keep)
