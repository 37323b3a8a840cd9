"""The outbox and its forwarder against a model: put, send, refuse, stop, kill at any byte, disk full."""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from heliobus.outputs.outbox import Forwarder, Outbox, Pace, Record, Sink
from heliobus.outputs.status import OutputStatus
from heliobus.sim.virtual_time import VirtualTimeLoop
from outbox_stage import CutFiles, FakeSink, SetClock, make_outbox, number_of, record

ENDLESS = 1 << 60
LIMIT = 100_000_000


class OutboxMachine(RuleBasedStateMachine):
    """`put` are numbers that were put and are safe, `unsure` those that were under way when the process was killed."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.root = Path(tempfile.mkdtemp(prefix="heliobus-outbox-"))
        self.lives = 0
        self.next = 0
        self.safe: set[int] = set()
        self.unsure: set[int] = set()
        self.bad: set[int] = set()
        self.repeatable: set[int] = set()
        self.sink = FakeSink()
        (self.root / "0").mkdir()
        self._open(self.root / "0")

    def _open(self, folder: Path) -> None:
        self.folder = folder
        self.files, self.status = CutFiles(ENDLESS), OutputStatus("influx")
        self.outbox: Outbox = make_outbox(
            folder, files=self.files, limit_bytes=LIMIT, status=self.status, clock=SetClock()
        )
        self.outbox.open()
        self.sink.away, self.sink.poison = False, lambda each: number_of(each) in self.bad

    @rule(counts=st.lists(st.integers(1, 30), min_size=1, max_size=12), size=st.sampled_from([0, 900, 6000]))
    def put(self, counts: list[int], size: int) -> None:
        for count in counts:
            numbers = range(self.next, self.next + count)
            self.next += count
            self.loop.run_until_complete(self.outbox.put([record(number, size) for number in numbers]))
            self.safe |= set(numbers)

    @rule(share=st.integers(1, 10))
    def spoil(self, share: int) -> None:
        """Some of what is to come will be refused."""
        self.bad |= {self.next + share * each for each in range(3)}

    @rule(seconds=st.sampled_from([0.0, 0.5, 3.0, 100.0]), records=st.sampled_from([1, 7, 100, 5000]))
    def forward(self, seconds: float, records: int) -> None:
        self._forward(seconds, records)

    @rule(seconds=st.sampled_from([5.0, 200.0]))
    def fail(self, seconds: float) -> None:
        self.sink.away = True
        self._forward(seconds, 5000)
        self.sink.away = False

    def _forward(self, seconds: float, records: int, sink: Sink | None = None) -> None:
        forwarder = Forwarder(
            self.outbox, sink or self.sink, name="influx", pace=Pace(records=records), uniform=lambda _, high: high
        )

        async def work() -> None:
            task = asyncio.create_task(forwarder.run())
            await asyncio.sleep(seconds)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        before = len(self.sink.batches)
        self.loop.run_until_complete(work())
        self._check_order(before)

    @rule(count=st.integers(1, 40), size=st.sampled_from([0, 900]), after=st.integers(0, 60_000))
    def killed_while_it_writes(self, count: int, size: int, after: int) -> None:
        numbers = range(self.next, self.next + count)
        self.next += count
        self.files.left = after
        self.loop.run_until_complete(self.outbox.put([record(number, size) for number in numbers]))
        (self.unsure if self.files.dead else self.safe).update(numbers)
        self._live_on()

    @rule(after=st.integers(0, 3000), records=st.sampled_from([7, 100]))
    def killed_while_it_forwards(self, after: int, records: int) -> None:
        self.files.left = after
        before = len(self.sink.batches)
        files, sink = self.files, self.sink

        class MortalSink:
            async def send(self, batch: Sequence[Record]) -> None:
                if files.dead:
                    await asyncio.Event().wait()
                await sink.send(batch)

        self._forward(2.0, records, MortalSink())
        # What was taken when it died may not have been noted: that batch comes again, and with it those refused then.
        self.repeatable |= {number_of(each) for batch in sink.batches[before:][-1:] for each in batch}
        self._live_on()

    @rule(room=st.integers(0, 30_000), count=st.integers(1, 40), takes=st.booleans())
    def disk_full(self, room: int, count: int, takes: bool) -> None:
        """For a minute there is no more than this; the sink may take what comes, or not."""
        self.files.room = room
        for _ in range(3):
            self.put([count], 300)
        self.sink.away = not takes
        self._forward(30.0, 100)
        self.sink.away = False
        self.files.room = None
        # The next attempt to write comes within seconds.
        self.loop.run_until_complete(asyncio.sleep(6))

    @rule()
    def stopped_and_started(self) -> None:
        self._live_on(clean=True)

    def _live_on(self, *, clean: bool = False) -> None:
        """What is on disk now is all that a new process has."""
        if clean:
            self.loop.run_until_complete(self.outbox.close())
        self.lives += 1
        copy = self.root / str(self.lives)
        shutil.copytree(self.folder, copy)
        if not clean:
            self.files.left = -1
            self.loop.run_until_complete(self.outbox.close())
        self._open(copy)

    def _check_order(self, before: int) -> None:
        newest = backlog = -1
        for batch in self.sink.batches[before:]:
            numbers = [number_of(each) for each in batch]
            assert numbers == sorted(set(numbers))
            if numbers[0] > newest:
                newest = numbers[-1]
            else:
                assert numbers[0] > backlog
                backlog, newest = numbers[-1], max(newest, numbers[-1])

    @invariant()
    def nothing_comes_twice(self) -> None:
        numbers = self.sink.numbers
        twice = {number for number, count in Counter(numbers).items() if count > 1}
        assert twice <= self.repeatable
        assert not set(numbers) & self.bad
        assert set(numbers) <= self.safe | self.unsure
        assert self.status.dropped == 0

    def teardown(self) -> None:
        try:
            self._forward(100_000.0, 5000)
            assert (self.status.waiting, self.status.waiting_bytes, self.status.oldest) == (0, 0, None)
            self.nothing_comes_twice()
            assert self.safe - self.bad <= set(self.sink.numbers)
            self.loop.run_until_complete(self.outbox.close())
            assert sum(path.stat().st_size for path in self.folder.iterdir()) == 0
        finally:
            self.loop.close()
            shutil.rmtree(self.root)


OutboxMachine.TestCase.settings = settings(
    max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck)
)
TestOutboxModel = OutboxMachine.TestCase
