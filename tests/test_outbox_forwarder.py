"""The forwarder in virtual time: order, what goes first, patience, refusals, the end."""

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import pytest

from heliobus.outputs.outbox import Forwarder, Outbox, Pace, Record, SinkAwayError
from heliobus.outputs.outbox.pace import Backoff
from heliobus.outputs.status import OutputStatus
from heliobus.sim.virtual_time import VirtualClock, run_virtual
from outbox_stage import START, FakeSink, an_outbox, forwarding, number_of, record, until, waiting_numbers

HOUR = 3600


def virtually(main: Coroutine[Any, Any, None]) -> None:
    run_virtual(main)


async def feed(outbox: Outbox, first: int, last: int, every: float = 10.0) -> None:
    for number in range(first, last):
        await outbox.put([record(number)])
        await asyncio.sleep(every)


def test_in_order_and_at_once_while_the_sink_is_there(tmp_path: Path) -> None:
    async def main() -> None:
        sink, status = FakeSink(), OutputStatus("influx")
        clock = VirtualClock(START)
        async with an_outbox(tmp_path, status=status, clock=clock) as outbox, forwarding(outbox, sink):
            await feed(outbox, 0, 30)
        assert sink.numbers == list(range(30))
        assert sink.times == [10.0 * number for number in range(30)]
        assert (status.sent, status.waiting, status.connected, status.last_success) == (30, 0, True, START + 290)

    virtually(main())


def test_a_short_absence_is_made_up_for_in_one_batch_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        sink = FakeSink()
        async with an_outbox(tmp_path) as outbox, forwarding(outbox, sink) as forwarder:
            sink.away = True
            await feed(outbox, 0, 20)
            sink.away = False
            forwarder.retry_now()
            await feed(outbox, 20, 22)
        assert sink.numbers == list(range(22))
        assert len(sink.batches) <= 3

    virtually(main())


def test_after_a_long_absence_what_is_new_goes_first_and_the_backlog_in_order(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def main() -> None:
        sink, status = FakeSink(), OutputStatus("influx")
        async with (
            an_outbox(tmp_path, status=status) as outbox,
            forwarding(outbox, sink, rate=50.0, records=100) as forwarder,
        ):
            sink.away = True
            await feed(outbox, 0, 5000, every=1)
            assert status.connected is False and status.waiting == 5000
            sink.away = False
            forwarder.retry_now()
            back = asyncio.get_running_loop().time()
            await feed(outbox, 5000, 5200, every=1)
        newest = [batch for batch in sink.batches if number_of(batch[0]) >= 4990]
        assert sink.times[0] == back
        assert sink.batches[0][-1] == record(5000)
        late = [
            at - (back + number_of(batch[-1]) - 5000)
            for at, batch in zip(sink.times, sink.batches, strict=True)
            if number_of(batch[0]) >= 5000
        ]
        assert max(late) < 2
        assert len(newest) >= 200
        backlog = [number for number in sink.numbers if number < number_of(sink.batches[0][0])]
        assert backlog == list(range(len(backlog)))
        assert len(set(sink.numbers)) == len(sink.numbers) == 5200
        ended = max(at for at, batch in zip(sink.times, sink.batches, strict=True) if number_of(batch[0]) < 4990)
        assert ended - back == pytest.approx(5000 / 50, abs=5)

    virtually(main())
    said = [text for text in caplog.messages if "influx" in text]
    assert said == [
        "influx does not take records (connection refused); they wait in the outbox",
        "influx takes records again; 5001 records wait, the oldest of 2023-11-14 22:13:20 UTC",
    ]


def test_the_backlog_takes_its_share_of_the_time_only(tmp_path: Path) -> None:
    async def main() -> None:
        sink = FakeSink()
        async with an_outbox(tmp_path) as outbox:
            await outbox.put([record(number) for number in range(1000)])
            await outbox.put([record(1000)])
            sink.delay = 4.0
            async with forwarding(outbox, sink, records=100, share=0.25):
                await until(lambda: outbox.waiting == 0)
        gaps = [after - before for before, after in zip(sink.times[1:], sink.times[2:], strict=False)]
        assert gaps == pytest.approx([16.0] * 9, abs=0.01)

    virtually(main())


def test_what_was_left_of_the_last_run_is_sent(tmp_path: Path) -> None:
    async def main() -> None:
        async with an_outbox(tmp_path) as outbox:
            await feed(outbox, 0, 700)
        sink = FakeSink()
        async with an_outbox(tmp_path) as outbox, forwarding(outbox, sink):
            await until(lambda: outbox.waiting == 0)
        assert sorted(sink.numbers) == list(range(700))
        async with an_outbox(tmp_path) as outbox:
            assert outbox.waiting == 0

    virtually(main())


def test_attempts_are_spread_with_full_jitter() -> None:
    asked = []

    def uniform(low: float, high: float) -> float:
        asked.append((low, high))
        return low

    backoff = Backoff(Pace(), uniform)
    for _ in range(8):
        backoff.next()
    backoff.reset()
    backoff.next()
    assert asked == [(0, high) for high in (1, 2, 4, 8, 16, 32, 60, 60, 1)]


def test_attempts_become_rare_while_the_sink_is_away(tmp_path: Path) -> None:
    async def main() -> None:
        sink = FakeSink()
        sink.away = True
        async with an_outbox(tmp_path) as outbox, forwarding(outbox, sink):
            await feed(outbox, 0, 100)
        steps = [after - before for before, after in zip(sink.attempts, sink.attempts[1:], strict=False)]
        assert steps[:6] == [1, 2, 4, 8, 16, 32]
        assert all(59 <= step <= 61 for step in steps[6:-1])

    virtually(main())


def test_only_the_bad_records_are_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    bad = {3, 77, 78, 199}

    async def main() -> None:
        sink, status = FakeSink(), OutputStatus("influx")
        sink.poison = lambda each: number_of(each) in bad
        async with an_outbox(tmp_path, status=status) as outbox:
            await outbox.put([record(number) for number in range(200)])
            async with forwarding(outbox, sink):
                await until(lambda: outbox.waiting == 0)
        assert sink.numbers == [number for number in range(200) if number not in bad]
        assert (status.sent, status.refused, status.connected) == (196, 4, True)
        assert status.last_error == "field type conflict"

    virtually(main())
    assert [text for text in caplog.messages if "refused" in text] == [
        "influx refused 1 records, which are given up: field type conflict"
    ]


def test_a_send_that_hangs_is_ended_and_tried_with_less(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class SlowLink(FakeSink):
        async def send(self, records: Sequence[Record]) -> None:
            await asyncio.sleep(len(records))
            await super().send(records)

    async def main() -> None:
        sink, status = SlowLink(), OutputStatus("influx")
        async with an_outbox(tmp_path, status=status) as outbox:
            await outbox.put([record(number) for number in range(400)])
            async with forwarding(outbox, sink):
                await until(lambda: outbox.waiting == 0)
        assert sink.numbers == list(range(400))
        assert (status.connected, status.last_error) == (True, "")

    virtually(main())
    assert "(no answer within 30 s)" in caplog.text


def test_the_sink_may_fail_again_and_again_with_a_backlog(tmp_path: Path) -> None:
    async def main() -> None:
        sink = FakeSink()
        async with (
            an_outbox(tmp_path, limit_bytes=1_000_000) as outbox,
            forwarding(outbox, sink, rate=10.0, records=50),
        ):
            for round_ in range(6):
                sink.away = True
                await feed(outbox, 400 * round_, 400 * round_ + 380, every=1)
                sink.away = False
                await feed(outbox, 400 * round_ + 380, 400 * round_ + 400, every=1)
            await until(lambda: outbox.waiting == 0)
        assert sorted(sink.numbers) == list(range(2400))
        in_lanes(sink)

    virtually(main())


def in_lanes(sink: FakeSink) -> None:
    """Every batch ascends, and goes on with what is new or where the backlog was."""
    newest = backlog = -1
    for batch in sink.batches:
        numbers = [number_of(each) for each in batch]
        assert numbers == sorted(set(numbers))
        if numbers[0] > newest:
            newest = numbers[-1]
        else:
            assert numbers[0] > backlog
            backlog = numbers[-1]
            newest = max(newest, backlog)


def test_at_the_end_what_is_new_is_still_sent(tmp_path: Path) -> None:
    async def main() -> None:
        sink = FakeSink()
        sink.delay = 1.0
        async with an_outbox(tmp_path) as outbox:
            async with forwarding(outbox, sink):
                await outbox.put([record(0)])
                await asyncio.sleep(0.5)
                await outbox.put([record(1)])
            assert sink.numbers == [0, 1]
            assert outbox.waiting == 0
            async with forwarding(outbox, sink):
                sink.hang = asyncio.Event()
                await outbox.put([record(2)])
                began = asyncio.get_running_loop().time()
            assert asyncio.get_running_loop().time() - began == 2.0
            assert await waiting_numbers(outbox) == [2]

    virtually(main())


def test_an_error_of_the_sink_itself_ends_the_forwarder(tmp_path: Path) -> None:
    class Broken(FakeSink):
        async def send(self, records: Sequence[Record]) -> None:
            raise KeyError("a mistake")

    async def main() -> None:
        async with an_outbox(tmp_path) as outbox:
            await outbox.put([record(0)])
            with pytest.raises(KeyError):
                await Forwarder(outbox, Broken(), name="influx").run()
            assert outbox.waiting == 1

    virtually(main())


def test_records_dropped_on_the_way_are_not_sent(tmp_path: Path) -> None:
    """The clock jumps by a year while half of a batch is refused: what is too old now is not offered again."""

    async def main() -> None:
        sink, clock, status = FakeSink(), VirtualClock(START), OutputStatus("influx")
        async with an_outbox(tmp_path, clock=clock, keep_seconds=HOUR, status=status) as outbox:
            await outbox.put([record(number, time_ms=round(START * 1000)) for number in range(8)])
            sink.poison = lambda _: True
            sink.delay = 1.0
            async with forwarding(outbox, sink):
                await asyncio.sleep(1.5)
                await asyncio.sleep(HOUR)
                await outbox.put([record(8, time_ms=round((START + HOUR) * 1000))])
        assert status.sent + status.refused + status.dropped + status.waiting == 9

    virtually(main())


def test_each_reason_of_an_absence_is_one_line_and_none_is_left_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    class Waking(FakeSink):
        why = "Connection refused"

        async def send(self, records: Sequence[Record]) -> None:
            if self.why:
                raise SinkAwayError(self.why)
            await super().send(records)

    async def main() -> None:
        sink, status = Waking(), OutputStatus("influx")
        async with an_outbox(tmp_path, status=status) as outbox, forwarding(outbox, sink):
            await feed(outbox, 0, 30, every=60)
            sink.why = "it has no such database"
            await feed(outbox, 30, 60, every=60)
            assert status.last_error == sink.why
            sink.why = ""
            await feed(outbox, 60, 70, every=60)
            assert (status.connected, status.waiting, status.last_error) == (True, 0, "")
            sink.why = "Connection refused"
            await feed(outbox, 70, 80, every=60)

    virtually(main())
    said = [each.getMessage() for each in caplog.records]
    assert [each for each in said if "does not take" in each] == [
        "influx does not take records (Connection refused); they wait in the outbox",
        "influx does not take records (it has no such database); they wait in the outbox",
        "influx does not take records (Connection refused); they wait in the outbox",
    ]


def test_reasons_that_are_new_each_time_do_not_fill_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Chatty(FakeSink):
        async def send(self, records: Sequence[Record]) -> None:
            self.count = getattr(self, "count", 0) + 1
            raise SinkAwayError(f"request {self.count} failed")

    async def main() -> None:
        sink = Chatty()
        async with an_outbox(tmp_path) as outbox, forwarding(outbox, sink):
            await feed(outbox, 0, 200, every=60)
        assert sink.count > 50

    virtually(main())
    assert 1 <= len(caplog.records) <= 10


async def test_the_sink_says_why(tmp_path: Path) -> None:
    class Away:
        async def send(self, records: Sequence[Record]) -> None:
            raise SinkAwayError("404: database not found")

    status = OutputStatus("influx")
    async with an_outbox(tmp_path, status=status) as outbox:
        await outbox.put([record(0)])
        task = asyncio.create_task(Forwarder(outbox, Away(), name="influx").run())
        await until(lambda: status.errors > 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (status.connected, status.last_error) == (False, "404: database not found")
