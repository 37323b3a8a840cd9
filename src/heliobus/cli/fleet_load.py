"""The load of many sites: each has its own moment in every period, as sites switched on at different times have."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from heliobus.outputs.sampler import Sample
from heliobus.sim.fleet import FleetSite

KEPT = 100_000
"""Latencies that are kept for the percentiles; later ones take the place of the oldest."""

PATIENCE = 30.0
"""Seconds until a store that does not answer is given up."""


class StoreError(Exception):
    """The other side did not take it; the text says why."""


class Store(Protocol):
    """Where the samples of a site go."""

    async def send(self, site: FleetSite, samples: Sequence[Sample]) -> int:
        """Returns when the other side has them, with the bytes it took. Raises StoreError."""


@dataclass(slots=True)
class Account:
    """What was done so far. `missed` are slots that were left out because the one before came a whole period late."""

    sites: int = 0
    samples: int = 0
    values: int = 0
    bytes: int = 0
    missed: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    _latencies: list[float] = field(default_factory=list)

    def took(self, samples: Sequence[Sample], size: int, seconds: float) -> None:
        """One site's samples were taken."""
        if len(self._latencies) < KEPT:
            self._latencies.append(seconds)
        else:
            self._latencies[self.sites % KEPT] = seconds
        self.sites += 1
        self.samples += len(samples)
        self.values += sum(len(sample.values) for sample in samples)
        self.bytes += size

    def latency(self, share: float) -> float | None:
        """The time in seconds within which this share of the requests was answered; None without any."""
        ordered = sorted(self._latencies)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None


class Load:
    """`sites`, each every `period` seconds of real time, over at most `connections` requests at once.

    `stamp` gives the time of a sample (UTC seconds) from the seconds since the start at which it was due.
    """

    def __init__(
        self, sites: Sequence[FleetSite], period: float, connections: int, stamp: Callable[[float], float]
    ) -> None:
        self._sites = sites
        self._period = period
        self._connections = connections
        self._stamp = stamp
        self.account = Account()

    async def run(self, store: Store, duration: float | None) -> None:
        """Until `duration` has passed, for ever if it is None, or until cancelled."""
        start = asyncio.get_running_loop().time()
        slots = itertools.count()
        async with asyncio.TaskGroup() as group:
            for _ in range(self._connections):
                group.create_task(self._work(store, start, slots, duration))

    async def _work(self, store: Store, start: float, slots: Iterator[int], duration: float | None) -> None:
        loop = asyncio.get_running_loop()
        step = self._period / len(self._sites)
        for slot in slots:
            due = slot * step
            if duration is not None and due >= duration:
                return
            late = loop.time() - start - due
            if late > self._period:
                self.account.missed += 1
                continue
            if late < 0:
                await asyncio.sleep(-late)
            await self._one(store, self._sites[slot % len(self._sites)], self._stamp(due))

    async def _one(self, store: Store, site: FleetSite, moment: float) -> None:
        stamped = round(1000 * moment)
        samples = [Sample(device, stamped, values) for device, values in site.sample(moment)]
        begun = time.perf_counter()
        try:
            size = await store.send(site, samples)
        except StoreError as error:
            self.account.errors[str(error)] += 1
        else:
            self.account.took(samples, size, time.perf_counter() - begun)


async def until(stop: asyncio.Event, load: Load, store: Store, duration: float | None) -> None:
    """Run `load` until it is done or `stop` is set, whichever is first. Raises what the load raises."""
    work = asyncio.create_task(load.run(store, duration))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait((work, stopped), return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            await work
    finally:
        for task in (work, stopped):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
                await task
