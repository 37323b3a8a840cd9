"""Keeps Home Assistant told of all devices while there is a connection to the broker."""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine
from typing import Any

from heliobus.config.outputs import MqttConfig
from heliobus.model.device import Device
from heliobus.outputs.mqtt.homeassistant import payload, removal
from heliobus.outputs.mqtt.homeassistant.components import expiry
from heliobus.outputs.mqtt.homeassistant.removal import GONE, Platforms
from heliobus.outputs.mqtt.session import Message, PublishRefusedError, Session
from heliobus.outputs.mqtt.topics import ONLINE, Topics
from heliobus.site import Mailbox, Site

log = logging.getLogger(__name__)

LONGEST_DELAY = 10.0
"""Seconds: not everybody shall answer Home Assistant's birth at once."""
SETTLING = 2.0
"""Seconds Home Assistant takes to listen to the states of a device it was just told of."""
LEARNING = 5.0
"""Seconds in which a broker must have sent what it keeps."""
GRACE = 900.0
"""Seconds in which a device that was known in an earlier life of Heliobus may turn up."""


def _any_delay() -> float:
    return random.uniform(0, LONGEST_DELAY)


class HomeAssistant:
    """Home Assistant's discovery. `refresh` has all availabilities and states sent again."""

    def __init__(
        self,
        config: MqttConfig,
        topics: Topics,
        site: Site,
        site_name: str,
        refresh: Callable[[], None],
        *,
        delay: Callable[[], float] = _any_delay,
        settling: float = SETTLING,
        learning: float = LEARNING,
        grace: float = GRACE,
    ) -> None:
        self._prefix = config.discovery
        self._commands = config.commands
        self._expires = expiry(config.every)
        self._topics = topics
        self._site = site
        self._site_name = site_name
        self._refresh = refresh
        self._delay = delay
        self._settling = settling
        self._learning = learning
        self._grace = grace
        self._known: dict[str, Platforms] = {}
        self._devices: dict[str, Device] = {}
        self._refused: set[str] = set()
        self._turn = asyncio.Lock()
        self._born = asyncio.Event()
        self._told = asyncio.Event()

    async def run(self, session: Session) -> None:
        """Publish every device, again at Home Assistant's birth, and follow changes. Raises ConnectionLostError."""
        kept = await self._heard(session, payload.config_filter(self._prefix))
        status = await self._heard(session, self._status)
        self._born.clear()
        await self._learn(session, kept)
        mailbox = self._site.subscribe()
        try:
            await self._tell_all(session)
            await _first_failure(
                self._listen(kept),
                self._listen(status),
                self._follow(session, mailbox),
                self._greet(session),
                self._have_refreshed(),
                self._forget(session),
            )
        finally:
            self._site.unsubscribe(mailbox)

    async def _heard(self, session: Session, topic_filter: str) -> asyncio.Queue[Message]:
        try:
            return await session.subscribe(topic_filter)
        except PublishRefusedError as error:
            self._complain(topic_filter, error)
            return asyncio.Queue()

    @property
    def _status(self) -> str:
        return f"{self._prefix}/status"

    async def _learn(self, session: Session, queue: asyncio.Queue[Message]) -> None:
        """Take what the broker has kept of us: it comes before the echo of a message that is published only now."""
        bridge = self._topic(payload.bridge_key(self._site_name))
        try:
            async with asyncio.timeout(self._learning):
                await self._tell_of_bridge(session)
                while bridge not in self._refused:
                    message = await queue.get()
                    if message.topic == bridge and not message.retain:
                        return
                    self._remember(message)
        except TimeoutError:
            log.debug("the broker does not say what it has kept: what is gone since the last run stays")

    def _remember(self, message: Message) -> None:
        found = removal.learned(message.payload, self._topics.base) if message.retain else None
        if found is not None:
            self._known.setdefault(message.topic, found)

    async def _listen(self, queue: asyncio.Queue[Message]) -> None:
        while True:
            message = await queue.get()
            if message.topic != self._status:
                self._remember(message)
            elif message.payload == ONLINE and not message.retain:
                self._born.set()

    async def _greet(self, session: Session) -> None:
        while True:
            await self._born.wait()
            await asyncio.sleep(self._delay())
            self._born.clear()
            await self._tell_all(session)

    async def _follow(self, session: Session, mailbox: Mailbox) -> None:
        while True:
            for update in await mailbox.get():
                device, before = update.device, self._devices.get(update.device.name)
                if update.reading is None:
                    self._devices.pop(device.name, None)
                    await self._remove(session, device)
                elif device is not before:
                    if before is not None and before.key != device.key:
                        await self._remove(session, before)
                    await self._tell(session, device)

    async def _have_refreshed(self) -> None:
        while True:
            await self._told.wait()
            await asyncio.sleep(self._settling)
            self._told.clear()
            self._refresh()

    async def _forget(self, session: Session) -> None:
        """Remove what an earlier life has made known, once it is clear that it will not come back."""
        await asyncio.sleep(self._grace)
        for topic in self._known.keys() - self._wanted():
            await self._clear(session, topic)

    async def _tell_all(self, session: Session) -> None:
        await self._tell_of_bridge(session)
        for device in self._site.devices:
            await self._tell(session, device)

    async def _tell_of_bridge(self, session: Session) -> None:
        config = payload.bridge_config(self._topics, self._site_name)
        await self._bring(session, self._topic(payload.bridge_key(self._site_name)), config)

    async def _tell(self, session: Session, device: Device) -> None:
        self._devices[device.name] = device
        config = payload.device_config(
            device, self._topics, self._site_name, commands=self._commands, expires=self._expires
        )
        await self._bring(session, self._topic(device.key), config)
        self._told.set()

    async def _bring(self, session: Session, topic: str, config: payload.Config) -> None:
        async with self._turn:
            for step in removal.steps(self._known.get(topic, {}), config):
                await self._publish(session, topic, payload.encoded(step))
            self._known[topic] = removal.published(config)

    async def _remove(self, session: Session, device: Device) -> None:
        topic = self._topic(device.key)
        # It may live on under another name.
        if topic not in self._wanted():
            await self._clear(session, topic)

    async def _clear(self, session: Session, topic: str) -> None:
        async with self._turn:
            await self._publish(session, topic, GONE)
            self._known.pop(topic, None)

    def _wanted(self) -> set[str]:
        keys = [payload.bridge_key(self._site_name), *(device.key for device in self._site.devices)]
        return {self._topic(key) for key in keys}

    def _topic(self, key: str) -> str:
        return payload.config_topic(self._prefix, key)

    async def _publish(self, session: Session, topic: str, message: bytes) -> None:
        try:
            await session.publish(topic, message, qos=1, retain=True)
        except PublishRefusedError as error:
            self._complain(topic, error)
        else:
            self._refused.discard(topic)

    def _complain(self, topic: str, error: PublishRefusedError) -> None:
        if topic not in self._refused:
            self._refused.add(topic)
            log.warning("Home Assistant's discovery: the broker refuses %s: %s", topic, error)


async def _first_failure(*works: Coroutine[Any, Any, None]) -> None:
    """Run all of them together, and raise what the first one raises that fails."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
