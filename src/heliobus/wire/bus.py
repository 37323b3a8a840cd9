"""The one owner of a link: all requests to one TCP endpoint or tty go through its queue, one after the other."""

import asyncio
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Any, TypeVar

from heliobus.model.clock import Clock, SystemClock
from heliobus.wire.backoff import Backoff
from heliobus.wire.framer import Framer, Request
from heliobus.wire.line import Line
from heliobus.wire.link import Link
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.outcome import DEFAULT, BadFrame, BusError, LinkDown, NoAnswer, Timing
from heliobus.wire.statistics import BusStatistics
from heliobus.wire.trace import Trace

__all__ = ["DEFAULT", "BadFrame", "Bus", "BusError", "LinkDown", "ModbusException", "NoAnswer", "Timing"]

R = TypeVar("R")


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
    `wall_clock` only stamps the trace.
    """

    def __init__(
        self,
        link: Link,
        framer: Framer,
        *,
        trace: Trace | None = None,
        wall_clock: Clock | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.statistics = BusStatistics()
        self.trace = Trace() if trace is None else trace
        self._link = link
        self._silence = framer.silence
        self._line = Line(
            link,
            framer,
            trace=self.trace,
            clock=SystemClock() if wall_clock is None else wall_clock,
            # Devices back off for longer themselves; this keeps many on a dead link from waiting for each other.
            backoff=Backoff(ceiling=4.0) if backoff is None else backoff,
            statistics=self.statistics,
        )
        self._queue: list[_Job] = []
        self._number = 0
        self._wake: asyncio.Future[None] | None = None
        self._stopped = False
        self._ended_at = float("-inf")
        self._gap = 0.0

    @property
    def name(self) -> str:
        """The link's name: `tcp://192.0.2.4:502`."""
        return self._link.name

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
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        return await result

    async def run(self) -> None:
        """Own the link until cancelled; then close it and fail what still waits."""
        self._stopped = False
        try:
            while True:
                await self._serve(await self._next())
        finally:
            self._stopped = True
            self._line.close()
            while self._queue:
                self._refuse(heappop(self._queue))

    async def _next(self) -> _Job:
        """The job that goes first, once the line may be used again."""
        loop = asyncio.get_running_loop()
        while True:
            if not self._queue:
                self._wake = loop.create_future()
                await self._wake
                self._wake = None
                continue
            first = self._queue[0]
            if first.result.done():
                heappop(self._queue)
                continue
            wait = self._ended_at + max(self._gap, first.timing.gap) - loop.time()
            if wait <= 0:
                return heappop(self._queue)
            # A more urgent job may come meanwhile, so the queue is looked at again afterwards.
            await asyncio.sleep(wait)

    async def _serve(self, job: _Job) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        try:
            answer = await self._line.transact(job.unit, job.request, job.timing)
        except (BusError, ModbusException, ValueError) as failure:
            if not job.result.done():
                job.result.set_exception(failure)
        else:
            if not job.result.done():
                job.result.set_result(answer)
        finally:
            self._refuse(job)
        await self._line.resync()
        self._ended_at = loop.time()
        self._gap = max(self._silence, job.timing.gap)
        self.statistics.busy(start, self._ended_at)

    def _refuse(self, job: _Job) -> None:
        """Fail a job that the bus was stopped before or under."""
        if not job.result.done():
            job.result.set_exception(LinkDown(f"{self.name}: the bus has been stopped"))
