"""Brings the queue of an outbox to disk, in one pass after the other, and fsyncs now and then.

Passes run on a thread of their own and fsync on another, so a disk that hangs stops neither the loop nor what others
do on theirs. After an error the records stay in memory, and the next attempt follows in some seconds.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from heliobus.outputs.daemon_thread import DaemonThread
from heliobus.outputs.outbox.disk import Disk, sync
from heliobus.outputs.outbox.files import Files
from heliobus.outputs.outbox.intervals import Interval
from heliobus.outputs.outbox.losses import Seldom
from heliobus.outputs.outbox.queue import ENTRY, Queue
from heliobus.outputs.outbox.record import Entry
from heliobus.outputs.outbox.recovery import Recovered
from heliobus.outputs.outbox.segment import Block
from heliobus.outputs.outbox.tail import State, record_frames, state_frame, taken_frame

log = logging.getLogger("heliobus.outbox")

T = TypeVar("T")

BLOCK, SEGMENT = 192 * 1024, 1024 * 1024
"""About so many bytes of records are sealed into a block, and so many of blocks go into a file."""
PATIENCE = 5.0
"""Seconds until a disk is taken to hang: nobody waits for it any longer."""
RETRY = 5.0
OBSOLETE = 3
"""So many tails that are kept for a power cut may wait for an fsync."""
FAREWELL = 2.0


class Writer:
    """The one who writes the files of an outbox. `make_room` drops the oldest until so many bytes fit."""

    def __init__(
        self,
        queue: Queue,
        folder: Path,
        files: Files,
        *,
        name: str,
        limit: int,
        sync_every: float,
        make_room: Callable[[int], None],
    ) -> None:
        self._queue = queue
        self._folder = folder
        self._files = files
        self._name = name
        self._limit = limit
        self._sync_every = sync_every
        self._make_room = make_room
        self._block = max(1024, min(BLOCK, limit // 16))
        self._disk = Disk(folder, files, max(4096, min(SEGMENT, limit // 8)))
        self._threads = DaemonThread("heliobus-outbox"), DaemonThread("heliobus-fsync")
        self._notes: list[Interval] = []
        # None: there is no tail to append to. Then the next pass begins one.
        self._tail: int | None = None
        self._tail_size = self._tail_full = 0
        self._obsolete: dict[int, int] = {}
        self._unsynced: set[int] = set()
        self._dirty = self._durable = False
        self._asked = self._done = 0
        self._passes: asyncio.Task[None] | None = None
        self._pass_ended: asyncio.Future[None] | None = None
        self._began = 0.0
        self._retry: asyncio.TimerHandle | None = None
        self._sync_timer: asyncio.TimerHandle | None = None
        self._syncing: asyncio.Task[None] | None = None
        self._failing = ""
        self._seldom = Seldom()

    def recover(self) -> Recovered:
        """Read the folder. Blocks. Raises OSError."""
        found = self._disk.recover()
        # Who wrote this may have been killed before it was on disk, and some of it is deleted soon.
        sync(self._files, self._folder, tuple(found.tails), found.sizes, ())
        self._obsolete = dict(found.tails)
        return found

    @property
    def used(self) -> int:
        """Bytes on disk, without files that are deleted next."""
        return self._queue.live_bytes + self._tail_size + sum(self._obsolete.values())

    def note(self, intervals: Iterable[Interval]) -> None:
        """Have the next pass write down that these wait no more."""
        self._notes += intervals

    async def written(self) -> None:
        """Return when all of now is with the kernel, or when the disk is full, broken or hangs."""
        self._asked += 1
        asked = self._asked
        self._start()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE
        while self._done < asked and self._passes is not None and self._pass_ended is not None:
            left = min(deadline, self._began + PATIENCE) - loop.time()
            if left <= 0:
                return
            await asyncio.wait((self._pass_ended,), timeout=left)

    async def read(self, block: Block) -> list[Entry]:
        """The entries of a block. Raises DamagedBlockError, OSError."""
        return await self._on_disk(self._disk.read, block)

    async def close(self) -> None:
        """Have everything on disk, as far as it lets us within seconds, and end the threads."""
        if self._failing:
            self._retry_now()
        await self.written()
        for timer in (self._retry, self._sync_timer):
            if timer is not None:
                timer.cancel()
        if self._dirty and self._queue.waiting.first is not None and self._syncing is None:
            self._syncing = asyncio.create_task(self._sync())
        pending = [task for task in (self._passes, self._syncing) if task is not None]
        if pending:
            await asyncio.wait(pending, timeout=FAREWELL)
        await asyncio.wait((asyncio.ensure_future(self._on_disk(self._disk.close)),), timeout=FAREWELL)
        for thread in self._threads:
            # One that hangs is left behind.
            thread.shutdown(wait=False)
        if self._sync_timer is not None:
            self._sync_timer.cancel()

    def _start(self) -> None:
        if self._passes is None and self._retry is None:
            loop = asyncio.get_running_loop()
            self._began = loop.time()
            self._pass_ended = loop.create_future()
            self._passes = asyncio.create_task(self._work())

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while self._done < self._asked:
                asked, self._began = self._asked, loop.time()
                await self._pass()
                self._done = asked
                self._end_pass()
                self._pass_ended = loop.create_future()
            if self._failing:
                log.info("%s: the outbox is on disk again", self._name)
                self._failing = ""
        except OSError as error:
            self._fail(error)
        finally:
            self._passes = None
            self._end_pass()

    def _end_pass(self) -> None:
        if self._pass_ended is not None and not self._pass_ended.done():
            self._pass_ended.set_result(None)

    def _fail(self, error: OSError) -> None:
        self._leave_tail()
        self._failing = error.strerror or str(error)
        if self._seldom.due():
            log.warning("%s: cannot write the outbox (%s); records wait in memory", self._name, self._failing)
        self._retry = asyncio.get_running_loop().call_later(RETRY, self._retry_now)

    def _leave_tail(self) -> None:
        """Its end may be torn; what is good in it stays until it is on disk elsewhere."""
        if self._tail is not None:
            self._obsolete[self._tail] = self._tail_size
            self._tail, self._tail_size = None, 0

    def _retry_now(self) -> None:
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._asked += 1
        self._start()

    async def _pass(self) -> None:
        """Bring what is new to disk, and delete what is not needed any more."""
        empty, emptied = self._queue.waiting.first is None, self._queue.emptied()
        tails = tuple(self._obsolete) if empty else ()
        # Where nothing waits and there is no tail, deleting is note enough; it needs no room on a full disk.
        if not empty or ((emptied or tails) and self._notes and self._tail is not None):
            await self._bring()
        await self._remove(tails, emptied)
        if empty and (self._queue.waiting.first or self._queue.next) > self._queue.written:
            await self._empty(durably=self._durable or bool(emptied))

    async def _empty(self, *, durably: bool) -> None:
        """None of what is in the tail waits: it never needs to reach the flash. What did has to be undone there."""
        self._notes.clear()
        if self._tail_size:
            self._tail_size, self._tail_full = 0, self._block
            await self._on_disk(self._disk.empty)
        self._dirty, self._durable = durably, False

    async def _bring(self) -> None:
        if self._tail is None or self._tail_size >= self._tail_full:
            await self._renew()
            return
        queue, notes = self._queue, self._notes
        fresh = queue.fresh()
        # The notes are first: a record that is found shows that what was noted before it is known.
        content = (taken_frame(notes) if self._tail_size else self._state()) + record_frames(fresh)
        if self.used + len(content) > self._limit:
            await self._renew()
            return
        self._notes = []
        if not content:
            return
        await self._on_disk(self._disk.append, content)
        self._tail_size += len(content)
        if fresh:
            queue.written = fresh[-1].sequence
        self._touch()

    async def _renew(self) -> None:
        """Seal all but the newest, if that is enough for a block, and begin a tail with the rest."""
        queue = self._queue
        self._make_room(queue.recent_bytes + self._block)
        await self._remove((), queue.emptied())
        for entries in self._sealable():
            block = await self._on_disk(self._disk.seal, entries)
            queue.seal(block)
            queue.written = max(queue.written, block.last)
            self._unsynced.add(block.segment)
        last = queue.next - 1
        self._notes = []
        content = self._state() + record_frames(queue.recent.values())
        before, size = self._tail, self._tail_size
        self._tail = await self._on_disk(self._disk.renew, content)
        if before is not None:
            self._obsolete[before] = size
        self._tail_size, self._tail_full = len(content), len(content) + self._block
        queue.written = last
        self._touch()
        # Should fsync hang, tails that are kept for a power cut do not fill the disk.
        await self._remove(tuple(self._obsolete)[:-OBSOLETE], ())

    async def _remove(self, tails: Sequence[int], segments: Sequence[int]) -> None:
        if not tails and not segments:
            return
        await self._on_disk(self._disk.remove, tails, segments)
        self._queue.forget(segments)
        for tail in tails:
            self._obsolete.pop(tail, None)
        self._touch()

    def _sealable(self) -> list[list[Entry]]:
        """What is to be sealed, in blocks of consecutive numbers."""
        found: list[list[Entry]] = []
        size = total = 0
        for entry in self._queue.recents(0, self._queue.newest):
            if not found or size >= self._block or found[-1][-1].sequence != entry.sequence - 1:
                found.append([])
                size = 0
            found[-1].append(entry)
            size += ENTRY + len(entry.record.content)
            total += ENTRY + len(entry.record.content)
        return found if total >= self._block // 2 else []

    def _state(self) -> bytes:
        queue = self._queue
        return state_frame(State(queue.next, min(queue.recent, default=queue.next), tuple(queue.waiting)))

    def _touch(self) -> None:
        self._dirty = True
        if self._sync_timer is None and self._syncing is None:
            self._sync_timer = asyncio.get_running_loop().call_later(self._sync_every, self._start_sync)

    def _start_sync(self) -> None:
        self._sync_timer = None
        if self._dirty:
            self._syncing = asyncio.create_task(self._sync())

    async def _sync(self) -> None:
        segments, obsolete = tuple(self._unsynced), tuple(self._obsolete) if self._tail is not None else ()
        tails = () if self._tail is None else (self._tail,)
        self._dirty = False
        self._unsynced.clear()
        work = partial(sync, self._files, self._folder, tails, segments, obsolete)
        try:
            await asyncio.get_running_loop().run_in_executor(self._threads[1], work)
        except OSError as error:
            self._unsynced.update(segments)
            self._dirty = True
            if self._seldom.due():
                log.warning("%s: cannot have the outbox on disk (%s)", self._name, error.strerror or error)
        else:
            self._durable = True
            for tail in obsolete:
                self._obsolete.pop(tail, None)
        finally:
            self._syncing = None
            if self._dirty:
                self._touch()

    def _on_disk(self, function: Callable[..., T], *arguments: object) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._threads[0], partial(function, *arguments))
