"""Samples: what record outputs write, each device in a rhythm, and only what was measured since the sample before."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from heliobus.model.clock import CLOCK_SET
from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.site import Site


@dataclass(frozen=True, slots=True)
class Sample:
    """One device at one moment: `time` is when its newest answer arrived, in UTC milliseconds since 1970."""

    device: Device
    time: int
    values: Mapping[str, Value]

    @property
    def timed(self) -> bool:
        """Whether `time` is one: the machine's clock had been set."""
        return self.time >= 1000 * CLOCK_SET


class Sampler:
    """Looks at the site every `every` seconds of the loop's time. A device that says nothing new gives no sample."""

    def __init__(self, site: Site, every: float) -> None:
        self._site = site
        self._every = every
        self._seen: dict[str, int] = {}

    async def samples(self) -> AsyncIterator[list[Sample]]:
        """What is new at each look, for ever; looks at which nothing is new are left out."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            found = self.look()
            if found:
                yield found
            # A look that came late is not caught up.
            due = max(due + self._every, loop.time())
            await asyncio.sleep(due - loop.time())

    def look(self) -> list[Sample]:
        """One sample of each device that was read since the last look."""
        found = []
        for device in self._site.devices:
            reading = self._site.reading(device.name)
            if reading is None or not _says_anything(reading):
                continue
            time = round(1000 * reading.time)
            # A clock that was set back must not make two samples of one moment, nor stop them for hours.
            if self._seen.get(device.key) != time:
                self._seen[device.key] = time
                found.append(Sample(device, time, reading.values))
        return found


def _says_anything(reading: Reading) -> bool:
    return reading.time > 0 and any(value is not None for value in reading.values.values())
