"""The one owner of a link: all requests to one TCP endpoint or tty go through its queue, one after the other."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any, TypeVar

from heliobus.model.clock import Clock, SystemClock
from heliobus.wire.backoff import Backoff
from heliobus.wire.contention import Contention
from heliobus.wire.framer import Framer, Request
from heliobus.wire.line import Line
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.link import Link
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.outcome import DEFAULT, BadFrame, BusError, LinkDown, NoAnswer, Timing
from heliobus.wire.statistics import BusStatistics
from heliobus.wire.trace import Trace

__all__ = ["DEFAULT", "BadFrame", "Bus", "BusError", "LinkDown", "ModbusException", "NoAnswer", "Timing"]

R = TypeVar("R")

PROBE_SHARE = 0.1
"""The share of a line's time that may be spent on waiting for a unit that is gone, where it is not alone."""
GONE = 3
"""So many misses in a row make a unit one that is gone."""


@dataclass(slots=True, order=True)
class _Job:
    """One request in the queue, ordered by what goes first."""

    rank: int
    due: float
    number: int
    unit: int = field(compare=False)
    request: Request[Any] = field(compare=False)
    timing: Timing = field(compare=False)
    result: "asyncio.Future[Any]" = field(compare=False)


class Bus:
    """The queue and pacing of one link, its statistics and its trace.

    `run` is its task. `ask` may be called before it runs and from any number of tasks. Durations are the loop's time;
    `wall_clock` only stamps the trace. `settings` is how a tty is opened, and how units are spoken to that are not
    tuned. `uniform` draws the random waits on a line shared with another master.
    """

    def __init__(
        self,
        link: Link,
        framer: Framer,
        *,
        trace: Trace | None = None,
        wall_clock: Clock | None = None,
        backoff: Backoff | None = None,
        settings: LineSettings | None = None,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        self.statistics = BusStatistics()
        self.trace = Trace() if trace is None else trace
        self._link = link
        self._silence = framer.silence
        self._shared = framer.drains
        self._settings = settings
        self._tuned: dict[int, LineSettings] = {}
        self._line = Line(
            link,
            framer,
            trace=self.trace,
            clock=SystemClock() if wall_clock is None else wall_clock,
            # Devices back off for longer themselves; this keeps many on a dead link from waiting for each other.
            backoff=Backoff(ceiling=4.0) if backoff is None else backoff,
            statistics=self.statistics,
            contention=Contention(link.name, uniform),
            contested=self._contested,
            settings=settings,
        )
        self._queue: list[_Job] = []
        self._number = 0
        self._wake: asyncio.Future[None] | None = None
        self._stopped = False
        self._ended_at = float("-inf")
        self._gap = 0.0
        self._held: dict[int, float] = {}

    @property
    def name(self) -> str:
        """The link's name: `tcp://192.0.2.4:502`."""
        return self._link.name

    def tune(self, unit: int, settings: LineSettings) -> None:
        """Say how `unit` is spoken to from now on: on one tty each may have a speed of its own. Nothing over TCP."""
        self._tuned[unit] = settings

    async def claim(self, timeout: float = 1.0) -> None:
        """Open the link before the first request, so that it is ours. Raises LinkBusy if another program has it.

        Any other failure shows at the first request. Must come before `run` and before all requests.
        """
        await self._line.connection.claim(timeout)

    def close(self) -> None:
        """Give back a link that was claimed and is not run."""
        self._link.close()

    async def ask(
        self,
        unit: int,
        request: Request[R],
        *,
        timing: Timing = DEFAULT,
        due: float | None = None,
        urgent: bool = False,
    ) -> R:
        """The answer of `unit` to `request`.

        Urgent requests go first, then the smallest `due` (loop time, None for now). Raises NoAnswer, BadFrame or
        LinkDown, or ModbusException if the device refused. Cancelled while it waits, the request is not sent.
        """
        if self._stopped:
            raise LinkDown(f"{self.name}: the bus has been stopped")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[R] = loop.create_future()
        self._number += 1
        when = loop.time() if due is None else due
        heappush(self._queue, _Job(0 if urgent else 1, when, self._number, unit, request, timing, result))
        if self._wake is not None:
            _settle(self._wake)
        return await result

    async def run(self) -> None:
        """Own the link until cancelled; then close it and fail what still waits."""
        self._stopped = False
        try:
            while True:
                await self._serve(await self._next())
        finally:
            self._stopped = True
            self._link.close()
            while self._queue:
                self._refuse(heappop(self._queue))

    async def _next(self) -> _Job:
        """The job that goes first, once the line may be used again."""
        loop = asyncio.get_running_loop()
        while True:
            job = self._first()
            if job is None:
                await self._rest(None)
                continue
            # The slower of two speeds says how long the line must be quiet between them.
            gap = max(self._gap, job.timing.gap, self._silence_of(job.unit))
            now = loop.time()
            when = max(self._ended_at + gap, self._barred_until(job))
            if self._line.owes(job.unit) is not None:
                await self._drain(job.unit)
            elif when <= now:
                self._queue.remove(job)
                heapify(self._queue)
                return job
            else:
                # A more urgent job may come meanwhile, so the queue is looked at again afterwards.
                await self._rest(when)

    def _first(self) -> _Job | None:
        """The job that goes first of those whose unit may be asked, else the one whose unit may be asked first."""
        while self._queue and self._queue[0].result.done():
            heappop(self._queue)
        if not self._queue:
            return None
        if not (self._held or self._line.owing):
            return self._queue[0]
        now = asyncio.get_running_loop().time()
        return min(
            (job for job in self._queue if not job.result.done()),
            key=lambda job: (max(now, self._barred_until(job)), job),
        )

    def _barred_until(self, job: _Job) -> float:
        """When the unit may be asked again (loop time): what it owes must be paid, and what is gone must not crowd."""
        owed = max(self._line.owes(job.unit) or float("-inf"), self._line.confused_until(job.unit, job.request))
        return owed if job.rank == 0 else max(owed, self._held.get(job.unit, owed))

    def _contested(self, unit: int) -> bool:
        """Whether another unit than this one could be asked now."""
        now = asyncio.get_running_loop().time()
        return any(job.unit != unit and not job.result.done() and self._barred_until(job) <= now for job in self._queue)

    def _silence_of(self, unit: int) -> float:
        settings = self._tuned.get(unit)
        return self._silence if settings is None else settings.silence

    async def _rest(self, until: float | None) -> None:
        """Wait for a new job, at most until then (loop time)."""
        loop = asyncio.get_running_loop()
        wake = self._wake = loop.create_future()
        timer = None if until is None else loop.call_at(until, _settle, wake)
        try:
            await wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    async def _serve(self, job: _Job) -> None:
        loop = asyncio.get_running_loop()
        unit, settings = job.unit, self._tuned.get(job.unit, self._settings)
        start = loop.time()
        try:
            await self._line.listen()
            start = loop.time()
            answer = await self._line.transact(
                unit, job.request, job.timing, settings=settings, hasty=job.rank > 0 and job.request.idempotent
            )
        except (BusError, ModbusException, ValueError) as failure:
            if not job.result.done():
                job.result.set_exception(failure)
        else:
            if not job.result.done():
                job.result.set_result(answer)
        finally:
            self._refuse(job)
        self._hold(unit, start)
        self._gap = max(self._silence_of(unit), job.timing.gap)
        self._ended(start)
        if self._line.owes(unit) is not None:
            await self._drain(unit)

    def _hold(self, unit: int, since: float) -> None:
        """A unit that is gone leaves the line to the others most of the time; one that answers is held no longer."""
        if self._shared and len(self.statistics.units) > 1 and self.statistics.unit(unit).misses >= GONE:
            now = asyncio.get_running_loop().time()
            self._held[unit] = now + (now - since) / PROBE_SHARE
        elif self._held:
            self._held.pop(unit, None)

    async def _drain(self, unit: int) -> None:
        start = asyncio.get_running_loop().time()
        await self._line.drain(unit)
        self._ended(start)

    def _ended(self, start: float) -> None:
        """The line was in use from `start` until now."""
        self._ended_at = asyncio.get_running_loop().time()
        self.statistics.busy(start, self._ended_at)

    def _refuse(self, job: _Job) -> None:
        """Fail a job that the bus was stopped before or under."""
        if not job.result.done():
            job.result.set_exception(LinkDown(f"{self.name}: the bus has been stopped"))


def _settle(wake: "asyncio.Future[None]") -> None:
    if not wake.done():
        wake.set_result(None)
