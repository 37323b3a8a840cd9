"""One transaction on a link: connect, send, read, and get back into step after a fault."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from math import inf
from typing import Any

from heliobus.model.clock import Clock
from heliobus.wire.backoff import Backoff
from heliobus.wire.connection import Connection
from heliobus.wire.contention import PATIENCE, Contention
from heliobus.wire.debt import Debt, debt
from heliobus.wire.framer import Answer, Event, Fault, Framer, Late, Request
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.link import Link, LinkClosed
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.outcome import BadFrame, BusError, LinkDown, NoAnswer, Timing
from heliobus.wire.statistics import BusStatistics, UnitStatistics
from heliobus.wire.trace import Trace

log = logging.getLogger("heliobus.bus")

# Where others may use the line it is looked for them this often, and not before stray bytes are so long ago.
_SLICE = 0.005
_SETTLED = 0.05
# Adapters and gateways have handed over answers this long after their request (s); no driver waits for that.
_LATEST = 3.0
_MAYBE = "; it may have been executed"


class _HungUp(Exception):  # noqa: N818 - expected of some devices
    """The peer ended a connection that had been used before, without a byte of the answer."""


class _Left(Exception):  # noqa: N818 - no error
    """The line was left to others before the time was over."""


class Line:
    """A link, its `connection`, with its framer; used by one coroutine at a time.

    A unit that `owes` something is not asked again before `drain` has returned True. `contested` tells whether another
    unit than this one could be asked now: for it, what can wait is left.
    """

    def __init__(
        self,
        link: Link,
        framer: Framer,
        *,
        trace: Trace,
        clock: Clock,
        backoff: Backoff,
        statistics: BusStatistics,
        contention: Contention,
        contested: Callable[[int], bool],
        settings: LineSettings | None,
    ) -> None:
        self._link = link
        self._framer = framer
        self._trace = trace
        self._clock = clock
        self._statistics = statistics
        self._contention = contention
        self._contested = contested
        self.connection = Connection(link, backoff, statistics, settings, self._start_over)
        self._debts: dict[int, Debt] = {}
        self._lost: dict[int, list[tuple[Request[Any], float]]] = {}
        self._heard = -inf
        self._settled = -inf
        self._chattering = False

    async def listen(self) -> None:
        """On a line that another master or noise was heard on lately: wait for a quiet moment of random length."""
        if not (self._framer.drains and self._link.is_open):
            return
        self._take_strays()
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._contention.lately(now):
            return
        limit = now + PATIENCE
        while now < limit and (pause := self._contention.pause(now - self._heard)) > 0:
            try:
                await self._hear(min(pause, limit - now))
            except TimeoutError:
                break
            except LinkClosed:
                return
            now = self._heard
            self._disturb()
            self._contention.noise(now)
        self._count(self._framer.flush())

    async def transact(
        self,
        unit: int,
        request: Request[Any],
        timing: Timing,
        *,
        settings: LineSettings | None = None,
        hasty: bool = False,
    ) -> Any:
        """The answer to `request`, sent once, and once more only if that can do no harm. BusError, ModbusException.

        `settings` is how the unit is spoken to, None for as before. `hasty`: a unit that has been silent lately may be
        given up for others before its timeout.
        """
        self.connection.tune(settings)
        await self._connect(timing, fresh=not request.idempotent and self._link.hangs_up)
        statistics = self._statistics.unit(unit)
        statistics.requests += 1
        grace = statistics.grace() if hasty and self._framer.drains else inf
        try:
            return await self._exchange(unit, request, timing, statistics, grace)
        except _HungUp:
            self._link.close()
        await asyncio.sleep(timing.gap)
        await self._connect(timing, fresh=True)
        return await self._exchange(unit, request, timing, statistics, grace)

    @property
    def owing(self) -> bool:
        """Whether any unit owes something, or may."""
        return bool(self._debts or self._lost)

    def confused_until(self, unit: int, request: Request[Any]) -> float:
        """Until when (loop time) a lost answer of the unit could still come and be taken for that to `request`."""
        if (lost := self._lost.get(unit)) is None:
            return -inf
        now = asyncio.get_running_loop().time()
        lost[:] = [each for each in lost if each[1] > now]
        if not lost:
            del self._lost[unit]
        return max((until for each, until in lost if self._framer.alike(each, request)), default=-inf)

    def owes(self, unit: int) -> float | None:
        """When the unit may be asked again at the earliest (loop time), None if at once."""
        owed = self._debts.get(unit)
        return None if owed is None else owed.due

    async def drain(self, unit: int) -> bool:
        """After a fault: make sure that nothing still under way can be taken for the unit's next answer.

        Read until nothing more can come of the request that failed. True when that is so, False when the line was left
        to others before.
        """
        loop = asyncio.get_running_loop()
        waiting = self._link.discard()
        if waiting:
            self._take(waiting)
            self._disturb()
        began = loop.time()
        while (owed := self._debts.get(unit)) is not None:
            now = loop.time()
            if now >= min(owed.quiet_at, owed.limit):
                self._count(self._framer.flush())
                if now >= owed.due:
                    del self._debts[unit]
                    self._note_chatter(now < owed.quiet_at, now - began >= owed.quiet)
                    return True
            until = min(owed.quiet_at, owed.limit) if now < owed.quiet_at else owed.due
            try:
                await self._hear(until - now, unit, self._settled)
            except TimeoutError:
                continue
            except _Left:
                return False
            except LinkClosed:
                self._lose()
            else:
                self._disturb()
        return True

    async def _connect(self, timing: Timing, *, fresh: bool) -> None:
        """Have a connection that is in step, an unused one if `fresh`. LinkDown."""
        self._take_strays()
        await self.connection.connect(timing, fresh=fresh)

    def _start_over(self) -> None:
        """The connection is new: nothing of the one before can come."""
        self._framer.reset()
        self._debts.clear()
        self._lost.clear()

    def _lose(self) -> None:
        self.connection.lose()
        self._debts.clear()

    def _take_strays(self) -> None:
        """What came unasked must not be read as an answer; a stream out of step is not used again."""
        strays = self._link.discard()
        late = self._statistics.late_answers
        outcome = self._take(strays) if strays else None
        if (self._count(self._framer.flush()) or outcome) is not None:
            self._lose()
        elif strays:
            self._disturb()
            if self._statistics.late_answers == late:
                self._contention.noise(self._heard)

    def _disturb(self) -> None:
        """Bytes came unasked, perhaps of an answer that somebody owes."""
        self._settled = self._heard + _SETTLED
        for owed in self._debts.values():
            owed.disturb(self._heard)

    def _take(self, chunk: bytes) -> Answer | Fault | None:
        """Bytes came: the outcome they complete."""
        self._heard = asyncio.get_running_loop().time()
        self._trace.add(self._clock.time(), "rx", chunk)
        return self._count(self._framer.feed(chunk))

    async def _hear(self, timeout: float, unit: int = 0, yield_at: float = inf) -> Answer | Fault | None:
        """Wait for bytes and take them. TimeoutError, LinkClosed; _Left, from `yield_at` on, when others wait."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        until = now + timeout
        # Where nobody else is asked nobody is looked for: that would wake an idle core 200 times a second.
        pause = _SLICE if len(self._statistics.units) > 1 or self._contested(unit) else inf
        while True:
            if now >= yield_at and self._contested(unit):
                raise _Left
            step = min(until, max(yield_at, now + pause))
            try:
                return self._take(await self._link.read(step - now))
            except TimeoutError:
                if step >= until:
                    raise
            now = loop.time()

    def _count(self, events: Iterable[Event]) -> Answer | Fault | None:
        """The outcome among `events`; what else they say goes to the counters."""
        outcome = None
        for event in events:
            if isinstance(event, Answer | Fault):
                outcome = event
            elif isinstance(event, Late):
                self._statistics.late_answers += 1
                self._note_late(event.unit)
            else:
                self._statistics.foreign_frames += 1
                self._contention.foreign(asyncio.get_running_loop().time(), event)
        return outcome

    def _note_late(self, unit: int) -> None:
        if (owed := self._debts.get(unit)) is not None:
            owed.came = True
            owed.disturb(self._heard)
        if (known := self._statistics.units.get(unit)) is not None:
            known.late()

    def _note_chatter(self, chattering: bool, listened: bool) -> None:
        """Say when the line begins or ceases to be never quiet; only who `listened` long enough can tell."""
        if chattering and not listened:
            return
        self._statistics.chatter += chattering
        if chattering is not self._chattering:
            self._chattering = chattering
            words = (
                "the line is never quiet, something talks on it all the time"
                if chattering
                else "the line is quiet again"
            )
            log.log(logging.WARNING if chattering else logging.INFO, "%s: %s", self._link.name, words)

    async def _exchange(
        self, unit: int, request: Request[Any], timing: Timing, statistics: UnitStatistics, grace: float
    ) -> Any:
        loop = asyncio.get_running_loop()
        framer = self._framer
        frame = framer.encode(unit, request)
        reused, self.connection.used = self.connection.used, True
        timeout = statistics.timeout(timing.floor, timing.ceiling)
        self._trace.add(self._clock.time(), "tx", frame)
        self._link.write(frame)
        sent = now = loop.time()
        deadline = sent + timeout
        outcome = None
        left = False
        while outcome is None and now < deadline:
            try:
                outcome = await self._hear(deadline - now, unit, now + grace)
            except _Left:
                left = True
                break
            except TimeoutError:
                break
            except LinkClosed:
                raise self._closed(unit, request, statistics, reused=reused, part=framer.abandon()) from None
            now = loop.time()
            # An answer that trickles in is still coming; noise must not hold the line for ever.
            deadline = min(now + timeout, sent + timing.ceiling)
        if isinstance(outcome, Answer):
            if isinstance(outcome.result, ModbusException) and self._may_be_late(unit, request):
                raise self._unclear(unit, request, statistics, sent, timeout)
            statistics.answered(now - sent)
            if isinstance(outcome.result, ModbusException):
                statistics.refusals += 1
                raise outcome.result
            return outcome.result
        statistics.missed(None if left else timeout)
        if framer.drains:
            corrupted = outcome is not None and outcome.kind == "crc"
            self._lost.setdefault(unit, []).append((request, sent + _LATEST))
            self._debts[unit] = debt(loop.time(), timeout, now if corrupted else sent + timing.ceiling)
        raise self._missed(unit, request, statistics, loop.time() - sent if left else timeout, outcome)

    def _may_be_late(self, unit: int, request: Request[Any]) -> bool:
        """Whether a refusal that has just come may be that of an earlier request whose answer was lost."""
        now = asyncio.get_running_loop().time()
        lost = self._lost.get(unit, ())
        return any(until > now and self._framer.refused_alike(each, request) for each, until in lost)

    def _unclear(
        self, unit: int, request: Request[Any], statistics: UnitStatistics, sent: float, timeout: float
    ) -> BadFrame:
        """A refusal came, nobody can say of what: what to raise. The unit is left alone until nothing more can come."""
        statistics.missed(None)
        statistics.bad_frames += 1
        self._lost[unit].append((request, sent + _LATEST))
        self._debts[unit] = debt(asyncio.get_running_loop().time(), timeout, sent + _LATEST)
        suffix = "" if request.idempotent else _MAYBE
        return BadFrame(f"{self._link.name} unit {unit}: a refusal came that may be of an earlier request{suffix}")

    def _missed(
        self, unit: int, request: Request[Any], statistics: UnitStatistics, waited: float, fault: Fault | None
    ) -> BusError:
        """No answer came: what to raise."""
        suffix = "" if request.idempotent else _MAYBE
        where = f"{self._link.name} unit {unit}"
        part = self._framer.abandon()
        if not self._framer.drains:
            self._lose()
        if fault is None and not part:
            statistics.timeouts += 1
            return NoAnswer(f"{where}: no answer within {waited:.2f} s{suffix}")
        statistics.bad_frames += 1
        self._settled = self._heard + _SETTLED
        self._contention.noise(self._heard)
        why = fault.why if fault is not None else f"{part} bytes came, but no whole answer"
        return BadFrame(f"{where}: {why}{suffix}")

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
            self.connection.fail(f"{link.name}: the tty has gone")
        if not request.idempotent:
            return NoAnswer(f"{where}: the connection ended before the answer{_MAYBE}")
        return LinkDown(f"{where}: the connection ended before the answer")
