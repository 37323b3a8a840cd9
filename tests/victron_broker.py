"""A broker in memory with the Victron part on it, and a tool made for a GX."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

from hypothesis import strategies as st

from heliobus.config.outputs import MqttConfig
from heliobus.model.command import Command
from heliobus.model.device import Device
from heliobus.outputs.mqtt.session import ConnectionLostError, Message, PublishRefusedError
from heliobus.outputs.mqtt.victron.part import VictronPart
from heliobus.sim.virtual_time import VirtualClock
from heliobus.site import Site
from venus_site import ChargerDouble, controlled, reading

PORTAL = "c0619ab2cd34"
NOW = 1_780_000_000.0
CONFIG = MqttConfig("127.0.0.1", 1883, victron=True, portal=PORTAL)

Value = object

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=5,
)


class Charger(ChargerDouble):
    """Takes commands that came by MQTT."""

    def __init__(self, site: Site, device: Device) -> None:
        super().__init__(site, device)
        self.origins: set[str] = set()

    def refusal(self, command: Command) -> str | None:
        self.origins.add(command.origin)
        return self.why


def commanded_site() -> tuple[Site, Charger]:
    site, device = Site(), controlled()
    double = Charger(site, device)
    site.introduce(device, double)
    site.put(reading(device))
    return site, double


class Broker:
    """Implements `Session`. Keeps every message, and what was retained."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.retained: dict[str, bytes] = {}
        self.times: list[float] = []
        self.filters: tuple[str, ...] = ()
        self.lost = False
        self.closed_topics: frozenset[str] = frozenset()
        self.refuses_subscription = False
        self._inbox: asyncio.Queue[Message] = asyncio.Queue(100)
        self._ended = asyncio.Event()

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        assert qos == 0
        await asyncio.sleep(0)
        if self.lost:
            raise ConnectionLostError("it is gone")
        if topic in self.closed_topics:
            raise PublishRefusedError("Not authorized")
        self.messages.append((topic, payload))
        self.times.append(asyncio.get_running_loop().time())
        if retain:
            self.retained[topic] = payload

    async def subscribe(self, *filters: str) -> asyncio.Queue[Message]:
        await asyncio.sleep(0)
        if self.refuses_subscription:
            raise PublishRefusedError("no subscription: Not authorized")
        self.filters = filters
        return self._inbox

    def send(self, topic: str, payload: str | bytes = b"", *, retain: bool = False) -> None:
        """Somebody publishes."""
        content = payload.encode() if isinstance(payload, str) else payload
        if any(topic.startswith(each.removesuffix("#")) for each in self.filters):
            self._inbox.put_nowait(Message(topic, content, retain))


class Tool:
    """Remembers what it was told, as clients of a GX do: null is unknown, empty takes a topic away."""

    def __init__(self, broker: Broker, portal: str = PORTAL) -> None:
        self.broker = broker
        self.portal = portal
        self.values: dict[str, Value] = {}
        self.counts: dict[str, int] = {}
        self._read = 0

    def look(self) -> dict[str, Value]:
        """Take what came since the last look; returns that."""
        news: dict[str, Value] = {}
        for topic, payload in self.broker.messages[self._read :]:
            assert topic.startswith(f"N/{self.portal}/")
            name = topic.removeprefix(f"N/{self.portal}/")
            self.counts[name] = self.counts.get(name, 0) + 1
            if not payload:
                self.values.pop(name, None)
                news[name] = "gone"
                continue
            document = json.loads(payload)
            news[name] = self.values[name] = document["value"]
            if "full-publish-completed-echo" in document:
                news["echo"] = document["full-publish-completed-echo"]
        self._read = len(self.broker.messages)
        return news

    def keep_alive(self, payload: str = "") -> None:
        self.broker.send(f"R/{self.portal}/keepalive", payload)

    def read(self, topic: str) -> None:
        self.broker.send(f"R/{self.portal}/{topic}")

    def write(self, topic: str, value: Value) -> None:
        self.broker.send(f"W/{self.portal}/{topic}", json.dumps({"value": value}))


SUPPRESS = '{"keepalive-options":["suppress-republish"]}'


def echo(text: str) -> str:
    return json.dumps({"keepalive-options": [{"full-publish-completed-echo": text}]})


@asynccontextmanager
async def serving(site: Site, state: Path, broker: Broker | None = None, **config: object) -> AsyncIterator[Tool]:
    """The part at work, and a tool that sees what it publishes. In virtual time."""
    broker = broker or Broker()
    part = VictronPart(replace(CONFIG, **config), site, state, VirtualClock(NOW), "Cabin")  # type: ignore[arg-type]
    task = asyncio.create_task(part.run(broker))
    await asyncio.sleep(0.01)
    try:
        yield Tool(broker, part.portal)
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await part.close()


async def alive(tool: Tool) -> dict[str, Value]:
    """Keep the part alive and wait until everything was published."""
    tool.keep_alive()
    await asyncio.sleep(0.5)
    return tool.look()
