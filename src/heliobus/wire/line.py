"""One transaction on a link: connect, send, read, and get back into step after a fault."""

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from heliobus.model.clock import Clock
from heliobus.wire.backoff import Backoff
from heliobus.wire.framer import Answer, Event, Fault, Foreign, Framer, Late, Request
from heliobus.wire.link import Link, LinkClosed, LinkError
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.outcome import BadFrame, BusError, LinkDown, NoAnswer, Timing
from heliobus.wire.statistics import BusStatistics, UnitStatistics
from heliobus.wire.trace import Trace

log = logging.getLogger("heliobus.bus")

# A line that is never quiet is taken as it is after this many times the quiet it should have had.
_DRAIN_LIMIT = 3
_MAYBE = "; it may have been executed"


class _HungUp(Exception):  # noqa: N818 - expected of some devices
    """The peer ended a connection that had been used before, without a byte of the answer."""


@dataclass(frozen=True, slots=True)
class _Debt:
    """What must pass before the next request: `quiet` seconds of silence, and the time `until` an answer may come."""

    quiet: float
    until: float


class Line:
    """A link with its framer. Only one `transact` or `resync` at a time; after each `transact` comes a `resync`."""

    def __init__(
        self,
        link: Link,
        framer: Framer,
        *,
        trace: Trace,
        clock: Clock,
        backoff: Backoff,
        statistics: BusStatistics,
    ) -> None:
        self._link = link
        self._framer = framer
        self._trace = trace
        self._clock = clock
        self._backoff = backoff
        self._statistics = statistics
        self._used = False
        self._was_open = False
        self._lost = False
        self._debt: _Debt | None = None
        self._down: str | None = None
        self._retry_at = 0.0
        self._foreign_named = False
        self._chattering = False

    async def transact(self, unit: int, request: Request[Any], timing: Timing) -> Any:
        """The answer to `request`, sent once, and once more only if that can do no harm. BusError, ModbusException."""
        await self._connect(timing, fresh=not request.idempotent and self._link.hangs_up)
        statistics = self._statistics.unit(unit)
        statistics.requests += 1
        try:
            return await self._exchange(unit, request, timing, statistics)
        except _HungUp:
            self._link.close()
        await asyncio.sleep(timing.gap)
        await self._connect(timing, fresh=True)
        return await self._exchange(unit, request, timing, statistics)

    async def resync(self) -> None:
        """After a fault: make sure that nothing still under way can be taken for the next answer."""
        debt, self._debt = self._debt, None
        if debt is None:
            return
        if not self._framer.drains:
            self._lose()
            return
        try:
            chattering = await self._drain(debt)
        except LinkClosed:
            self._lose()
            return
        if chattering:
            self._statistics.chatter += 1
        if chattering is not self._chattering:
            self._chattering = chattering
            words = (
                "the line is never quiet, something talks on it all the time"
                if chattering
                else "the line is quiet again"
            )
            log.log(logging.WARNING if chattering else logging.INFO, "%s: %s", self._link.name, words)

    def close(self) -> None:
        """Give the link back."""
        self._link.close()

    async def _connect(self, timing: Timing, *, fresh: bool) -> None:
        """Have a connection that is in step, an unused one if `fresh`. LinkDown."""
        link = self._link
        self._take_strays()
        if link.is_open:
            if not (fresh and self._used):
                return
            link.close()
            await asyncio.sleep(timing.gap)
        loop = asyncio.get_running_loop()
        if self._down is not None and loop.time() < self._retry_at:
            raise LinkDown(self._down)
        try:
            await link.open(timing.connect)
        except LinkError as error:
            self._break(str(error))
            raise LinkDown(str(error)) from None
        if self._down is not None:
            log.debug("%s: connected again", link.name)
        if self._lost:
            self._statistics.reconnects += 1
        self._down = None
        self._lost = False
        self._was_open = True
        self._used = False
        self._backoff.reset()
        self._framer.reset()

    def _break(self, why: str) -> None:
        """The link is down: no further try for a while. Its devices say so in the log."""
        if self._down is None:
            log.debug("%s", why)
        self._down = why
        self._lost = self._was_open
        self._retry_at = asyncio.get_running_loop().time() + self._backoff.next()

    def _lose(self) -> None:
        self._link.close()
        self._lost = True

    def _take_strays(self) -> None:
        """What came unasked must not be read as an answer; a stream out of step is not used again."""
        strays = self._link.discard()
        events: list[Event] = []
        if strays:
            self._trace.add(self._clock.time(), "rx", strays)
            events = self._framer.feed(strays)
        events += self._framer.flush()
        if events and self._count(events) is not None:
            self._lose()

    def _count(self, events: Iterable[Event]) -> Answer | Fault | None:
        """The outcome among `events`; what else they say goes to the counters."""
        outcome = None
        for event in events:
            if isinstance(event, Answer | Fault):
                outcome = event
            elif isinstance(event, Late):
                self._statistics.late_answers += 1
            else:
                self._note_foreign(event)
        return outcome

    def _note_foreign(self, frame: Foreign) -> None:
        self._statistics.foreign_frames += 1
        if not self._foreign_named:
            self._foreign_named = True
            log.warning(
                "%s: another master is talking on this line: unit %d function %d",
                self._link.name,
                frame.unit,
                frame.function,
            )

    async def _exchange(self, unit: int, request: Request[Any], timing: Timing, statistics: UnitStatistics) -> Any:
        loop = asyncio.get_running_loop()
        framer, link = self._framer, self._link
        frame = framer.encode(unit, request)
        reused, self._used = self._used, True
        timeout = statistics.timeout(timing.floor, timing.ceiling)
        self._trace.add(self._clock.time(), "tx", frame)
        link.write(frame)
        sent = now = loop.time()
        deadline = sent + timeout
        outcome = None
        while outcome is None:
            try:
                chunk = await link.read(deadline - now)
            except TimeoutError:
                break
            except LinkClosed:
                raise self._closed(unit, request, statistics, reused=reused, part=framer.abandon()) from None
            self._trace.add(self._clock.time(), "rx", chunk)
            outcome = self._count(framer.feed(chunk))
            now = loop.time()
            # An answer that trickles in is still coming; noise must not hold the line for ever.
            deadline = min(now + timeout, sent + timing.ceiling)
            if now >= deadline:
                break
        if isinstance(outcome, Answer):
            statistics.answered(now - sent)
            if isinstance(outcome.result, ModbusException):
                statistics.refusals += 1
                raise outcome.result
            return outcome.result
        corrupted = isinstance(outcome, Fault) and outcome.kind == "crc"
        self._debt = _Debt(timeout, now if corrupted else sent + timing.ceiling)
        raise self._missed(unit, request, statistics, timeout, outcome)

    def _missed(
        self, unit: int, request: Request[Any], statistics: UnitStatistics, timeout: float, fault: Fault | None
    ) -> BusError:
        statistics.missed(timeout)
        suffix = "" if request.idempotent else _MAYBE
        where = f"{self._link.name} unit {unit}"
        if fault is not None:
            statistics.bad_frames += 1
            return BadFrame(f"{where}: {fault.why}{suffix}")
        part = self._framer.abandon()
        if part:
            statistics.bad_frames += 1
            return BadFrame(f"{where}: {part} bytes came, but no whole answer{suffix}")
        statistics.timeouts += 1
        return NoAnswer(f"{where}: no answer within {timeout:.2f} s{suffix}")

    def _closed(
        self, unit: int, request: Request[Any], statistics: UnitStatistics, *, reused: bool, part: int
    ) -> Exception:
        """The connection ended while an answer was due: what to raise."""
        link = self._link
        if link.hangs_up and reused and request.idempotent and not part:
            return _HungUp()
        self._lose()
        where = f"{link.name} unit {unit}"
        if part and request.idempotent:
            statistics.bad_frames += 1
            return BadFrame(f"{where}: the connection ended in the middle of the answer")
        statistics.timeouts += 1
        if not link.hangs_up:
            self._break(f"{link.name}: the tty has gone")
        if not request.idempotent:
            return NoAnswer(f"{where}: the connection ended before the answer{_MAYBE}")
        return LinkDown(f"{where}: the connection ended before the answer")

    async def _drain(self, debt: _Debt) -> bool:
        """Read until nothing more can come of the request that failed; whether the line was never quiet. LinkClosed.

        An answer can come until the driver's ceiling has passed, or has come late already; then the line must have been
        quiet for one timeout.
        """
        loop = asyncio.get_running_loop()
        late = self._statistics.late_answers
        quiet_at = loop.time() + debt.quiet
        limit = max(quiet_at, debt.until) + (_DRAIN_LIMIT - 1) * debt.quiet
        while (now := loop.time()) < limit:
            if now >= quiet_at:
                self._count(self._framer.flush())
                if now >= debt.until or self._statistics.late_answers > late:
                    return False
            try:
                chunk = await self._link.read(min(limit, quiet_at if now < quiet_at else debt.until) - now)
            except TimeoutError:
                continue
            self._trace.add(self._clock.time(), "rx", chunk)
            self._count(self._framer.feed(chunk))
            quiet_at = loop.time() + debt.quiet
        self._count(self._framer.flush())
        return True
