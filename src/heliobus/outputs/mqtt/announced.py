"""Which devices a broker has kept as `online`, remembered over restarts: else one that is gone would stay so."""

import asyncio
import json
import logging
from pathlib import Path

from heliobus import atomic

log = logging.getLogger("heliobus.mqtt")

NAME = "mqtt-announced.json"
MOST = 1000


class Announced:
    """The availability topics that were published and never taken away. Written only when there is a new one."""

    def __init__(self, state: Path) -> None:
        self._path = state / NAME
        self._topics: set[str] | None = None

    async def load(self) -> frozenset[str]:
        """All of them."""
        if self._topics is None:
            self._topics = await asyncio.to_thread(_read, self._path)
        return frozenset(self._topics)

    async def add(self, topic: str) -> None:
        """`topic` will be published."""
        known = await self.load()
        if topic not in known and len(known) < MOST:
            await self._keep(known | {topic})

    async def discard(self, topic: str) -> None:
        """`topic` has been taken away."""
        known = await self.load()
        if topic in known:
            await self._keep(known - {topic})

    async def _keep(self, topics: frozenset[str]) -> None:
        self._topics = set(topics)
        try:
            await asyncio.to_thread(atomic.write, self._path, json.dumps(sorted(topics)).encode())
        except atomic.WriteFailedError as error:
            log.warning("%s; a device that goes while Heliobus is off may stay online on the broker", error)


def _read(path: Path) -> set[str]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return set()
    return {each for each in found if isinstance(each, str)} if isinstance(found, list) else set()
