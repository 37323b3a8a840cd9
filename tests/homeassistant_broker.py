"""A broker in memory with one client, Heliobus, as a `Session`; and what a Home Assistant behind it would know."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from heliobus.outputs.mqtt.session import ConnectionLostError, Message, PublishRefusedError


def matches(topic_filter: str, topic: str) -> bool:
    """Whether `topic` is meant by a filter with `+`."""
    wanted, levels = topic_filter.split("/"), topic.split("/")
    return len(wanted) == len(levels) and all(each in ("+", level) for each, level in zip(wanted, levels, strict=True))


class Broker:
    """What is retained, and what was published, in its order. `forgets`: kept messages do not match wildcards."""

    def __init__(self, *, forgets: bool = False) -> None:
        self.retained: dict[str, bytes] = {}
        self.log: list[tuple[str, bytes]] = []
        self.forgets = forgets
        self.news = asyncio.Event()

    def configs(self) -> list[tuple[str, dict[str, Any]]]:
        """All discovery messages that were published, decoded; {} is an empty one."""
        return [(topic, json.loads(message or b"{}")) for topic, message in self.log if topic.endswith("/config")]

    async def until(self, what: Callable[[], bool]) -> None:
        """Wait until it is so."""
        async with asyncio.timeout(5):
            while not what():
                self.news.clear()
                await self.news.wait()


class FakeSession:
    """Implements `Session`. Topics in `refused` are not allowed; `lose` ends the connection."""

    def __init__(self, broker: Broker, refused: tuple[str, ...] = ()) -> None:
        self.broker = broker
        self.refused = refused
        self.lost = False
        self._queues: list[tuple[str, asyncio.Queue[Message]]] = []

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        await asyncio.sleep(0)
        if self.lost:
            raise ConnectionLostError("gone")
        if topic in self.refused:
            raise PublishRefusedError("Not authorized")
        assert qos == 1 and retain
        self.broker.log.append((topic, payload))
        self.broker.retained[topic] = payload
        if not payload:
            del self.broker.retained[topic]
        self.say(topic, payload)
        self.broker.news.set()

    async def subscribe(self, *filters: str) -> asyncio.Queue[Message]:
        await asyncio.sleep(0)
        if self.lost:
            raise ConnectionLostError("gone")
        queue: asyncio.Queue[Message] = asyncio.Queue()
        for each in filters:
            if each in self.refused:
                raise PublishRefusedError("Not authorized")
            self._queues.append((each, queue))
            for topic, payload in self.broker.retained.items():
                if matches(each, topic) and not (self.broker.forgets and "+" in each):
                    queue.put_nowait(Message(topic, payload, retain=True))
        return queue

    def say(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Deliver what somebody has published."""
        for topic_filter, queue in self._queues:
            if matches(topic_filter, topic):
                queue.put_nowait(Message(topic, payload, retain=retain))
