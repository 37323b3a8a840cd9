"""Brings what waits in an outbox to its sink: what is new first, what has waited in order behind it."""

import asyncio
import logging
import random

from heliobus.outputs.outbox.losses import Seldom
from heliobus.outputs.outbox.outbox import Outbox
from heliobus.outputs.outbox.pace import Backoff, Pace, Uniform
from heliobus.outputs.outbox.record import Entry
from heliobus.outputs.outbox.sink import Sink, SinkAwayError, SinkRefusedError

log = logging.getLogger("heliobus.outbox")

UNREADABLE = 5.0
"""Seconds until a backlog that could not be read is tried again."""
MOST_REASONS = 10
"""That are told of one absence; a server may put something new into each of its answers."""
QUICK = 6
"""An answer in this part of the time that is allowed lets batches grow again."""

_PACE = Pace()


class Forwarder:
    """The one reader of `outbox`. It never has more than one batch under way."""

    def __init__(
        self, outbox: Outbox, sink: Sink, *, name: str, pace: Pace = _PACE, uniform: Uniform = random.uniform
    ) -> None:
        self._outbox = outbox
        self._status = outbox.status
        self._sink = sink
        self._name = name
        self._pace = pace
        self._backoff = Backoff(pace, uniform)
        self._most = pace.records
        self._there: bool | None = None
        self._told: set[str] = set()
        self._attempt = 0.0
        self._stopping = False
        self._woken = outbox.arrived
        # Numbers from here on are the live lane; what is left of a batch that was refused in part goes first.
        self._live_from = 0
        self._live: list[list[Entry]] = []
        self._backlog: list[list[Entry]] = []
        self._backlog_due = 0.0
        self._reading: asyncio.Task[list[Entry]] | None = None
        self._seldom = Seldom()
        self._refused = 0

    async def run(self) -> None:
        """Forward until cancelled; then what is new is sent as far as that takes no longer than `pace.farewell`."""
        serving = asyncio.create_task(self._serve())
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._stopping = True
            self._woken.set()
            await asyncio.wait((serving,), timeout=self._pace.farewell)
            raise
        finally:
            tasks = [task for task in (serving, self._reading) if task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def retry_now(self) -> None:
        """The sink may be there again: try at once. May be called at any time."""
        self._attempt = 0.0
        self._backoff.reset()
        self._woken.set()

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        self._aim()
        while True:
            self._woken.clear()
            away = self._there is False and loop.time() < self._attempt
            if not away:
                if self._there is False:
                    self._aim()
                batch = self._next_live()
                if batch is not None:
                    await self._send(batch, self._live)
                    continue
                if not self._stopping and (batch := self._next_backlog()) is not None:
                    await self._send_backlog(batch)
                    continue
            if self._stopping:
                return
            await self._rest(self._attempt if away else self._backlog_due)

    async def _rest(self, until: float) -> None:
        """Until something is put, the backlog is read, or it is time."""
        left = until - asyncio.get_running_loop().time()
        woken = asyncio.create_task(self._woken.wait())
        try:
            reading = (self._reading,) if self._reading is not None and not self._reading.done() else ()
            # Never so short that the clock of the loop does not move.
            timeout = max(left, 0.001) if left > 0 else None
            await asyncio.wait((woken, *reading), timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()

    def _aim(self) -> None:
        """Where the live lane begins: at all that waits if it is little, else at what is new."""
        self._live.clear()
        self._backlog.clear()
        everything = self._outbox.recent(0, self._most, self._pace.size)
        self._live_from = 0 if len(everything) == self._outbox.waiting else self._outbox.newest()

    def _next_live(self) -> list[Entry] | None:
        self._live_from = max(self._live_from, self._outbox.unsealed)
        return self._left_of(self._live) or self._outbox.recent(self._live_from, self._most, self._pace.size) or None

    def _next_backlog(self) -> list[Entry] | None:
        """What is to be sent now of what has waited; None while it is read, rests or is not there."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._backlog_due:
            return None
        if (left := self._left_of(self._backlog)) is not None:
            return left
        if self._reading is None:
            if self._outbox.begins < self._live_from:
                self._reading = asyncio.create_task(self._outbox.oldest(self._live_from, self._most, self._pace.size))
            return None
        if not self._reading.done():
            return None
        found, self._reading = self._reading.result(), None
        found = [entry for entry in found if entry.sequence < self._live_from and self._outbox.waits(entry)]
        if not found:
            self._backlog_due = loop.time() + UNREADABLE
        return found or None

    def _left_of(self, parts: list[list[Entry]]) -> list[Entry] | None:
        while parts:
            left = [entry for entry in parts.pop() if self._outbox.waits(entry)]
            if left:
                return left
        return None

    async def _send_backlog(self, batch: list[Entry]) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._send(batch, self._backlog)
        now = loop.time()
        self._backlog_due = now + self._pace.pause(len(batch), now - began)

    async def _send(self, batch: list[Entry], parts: list[list[Entry]]) -> None:
        """Offer `batch`; what is to be offered again in smaller parts is put on `parts`."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(self._pace.timeout):
                await self._sink.send([entry.record for entry in batch])
        except SinkRefusedError as refusal:
            self._is_there()
            if len(batch) > 1:
                middle = len(batch) // 2
                parts += [batch[middle:], batch[:middle]]
            else:
                await self._give_up(batch, refusal)
        except SinkAwayError as error:
            self._is_away(str(error))
        except TimeoutError:
            # A link may be too slow for so much.
            self._most = max(1, len(batch) // 2)
            self._is_away(f"no answer within {self._pace.timeout:g} s")
        else:
            self._is_there()
            self._status.last_success = self._outbox.clock.time()
            if len(batch) >= self._most and loop.time() - began < self._pace.timeout / QUICK:
                self._most = min(self._pace.records, 2 * self._most)
            await self._outbox.acknowledge(batch)

    async def _give_up(self, batch: list[Entry], refusal: SinkRefusedError) -> None:
        self._refused += 1
        self._status.errors += 1
        self._status.last_error = str(refusal)
        if self._seldom.due():
            log.warning("%s refused %d records, which are given up: %s", self._name, self._refused, refusal)
            self._refused = 0
        await self._outbox.acknowledge(batch, refused=True)

    def _is_there(self) -> None:
        self._backoff.reset()
        self._status.connected = True
        if self._there is False:
            log.info("%s takes records again; %s", self._name, self._outbox.waiting_text())
            self._status.last_error = ""
            self._told.clear()
        self._there = True

    def _is_away(self, why: str) -> None:
        self._attempt = asyncio.get_running_loop().time() + self._backoff.next()
        self._status.connected = False
        self._status.errors += 1
        self._status.last_error = why
        self._there = False
        # A database that has come up may still not know us: each reason is one line.
        if why not in self._told and len(self._told) < MOST_REASONS:
            self._told.add(why)
            log.warning("%s does not take records (%s); they wait in the outbox", self._name, why)
