"""The bus on fake links in virtual time: order, pacing, timeouts, resynchronisation, hang-ups, back-off."""

import asyncio
import itertools
import logging

import pytest

from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import BadFrame, LinkDown, ModbusException, NoAnswer, Timing
from heliobus.wire.modbus.crc import with_crc
from heliobus.wire.modbus.pdu import ReadRegisters, WriteCoil, WriteRegister, WriteRegisters
from wire_fakes import rtu_answer, rtu_bus, running, tcp_answer, tcp_bus, values_at

FAST = Timing(floor=0.1, ceiling=1.0)
READ = ReadRegisters(10, 2)


def prompt(frame):
    return [(0.01, rtu_answer(frame))]


def silent(frame):
    return []


def now():
    return asyncio.get_running_loop().time()


def first_registers(link):
    """The addresses asked for on an RTU link, in the order they were sent."""
    return [int.from_bytes(frame[2:4], "big") for frame in link.written]


def test_urgent_first_then_the_most_overdue():
    async def main():
        bus, link = rtu_bus(prompt)
        await asyncio.sleep(100)
        asks = [
            bus.ask(1, ReadRegisters(1, 1), due=30.0),
            bus.ask(1, ReadRegisters(2, 1), due=10.0),
            bus.ask(1, ReadRegisters(3, 1), due=20.0),
            bus.ask(1, ReadRegisters(4, 1), due=10.0),
            bus.ask(1, ReadRegisters(5, 1), urgent=True),
            bus.ask(1, ReadRegisters(6, 1), urgent=True, due=5.0),
        ]
        tasks = [asyncio.ensure_future(ask) for ask in asks]
        await asyncio.sleep(0)
        async with running(bus):
            await asyncio.gather(*tasks)
        assert first_registers(link) == [6, 5, 2, 4, 3, 1]

    run_virtual(main())


def test_an_urgent_request_overtakes_during_the_gap():
    async def main():
        bus, link = rtu_bus(prompt)
        async with running(bus):
            slow = Timing(gap=0.5)
            await bus.ask(1, ReadRegisters(1, 1), timing=slow)
            waiting = asyncio.ensure_future(bus.ask(1, ReadRegisters(2, 1), timing=slow))
            await asyncio.sleep(0.1)
            await bus.ask(1, ReadRegisters(3, 1), urgent=True)
            await waiting
        assert first_registers(link) == [1, 3, 2]

    run_virtual(main())


def test_cancelled_before_it_is_sent_is_dropped():
    async def main():
        bus, link = rtu_bus(prompt)
        tasks = [asyncio.ensure_future(bus.ask(1, ReadRegisters(at, 1))) for at in (1, 2, 3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        async with running(bus):
            await asyncio.gather(tasks[0], tasks[2])
        assert first_registers(link) == [1, 3]

    run_virtual(main())


def test_cancelled_under_way_keeps_the_line_in_step():
    async def main():
        bus, _ = rtu_bus(lambda frame: [(0.2, rtu_answer(frame))])
        async with running(bus):
            task = asyncio.ensure_future(bus.ask(1, READ))
            await asyncio.sleep(0.1)
            task.cancel()
            assert await bus.ask(1, ReadRegisters(20, 2)) == values_at(20, 2)
        assert bus.statistics.units[1].answers == 2

    run_virtual(main())


def test_gaps_between_transactions():
    async def main():
        bus, link = rtu_bus(prompt, silence=0.004)
        async with running(bus):
            for timing in (FAST, FAST, Timing(gap=0.05), FAST):
                await bus.ask(1, READ, timing=timing)
        return [later - earlier - 0.01 for earlier, later in zip(link.times, link.times[1:], strict=False)]

    # The driver's gap counts before its own request and after it.
    assert run_virtual(main()) == pytest.approx([0.004, 0.05, 0.05])


def test_first_contact_waits_for_the_ceiling_then_adapts():
    async def main():
        delays = iter([0.9] + [0.05] * 100)
        bus, _ = rtu_bus(lambda frame: [(next(delays), rtu_answer(frame))])
        async with running(bus):
            await bus.ask(1, READ, timing=FAST)
            statistics = bus.statistics.units[1]
            assert statistics.timeout(0.1, 1.0) == 1.0
            for _ in range(100):
                await bus.ask(1, READ, timing=FAST)
            assert statistics.timeout(0.1, 1.0) == pytest.approx(0.2, abs=0.03)
            assert statistics.timeout(0.5, 1.0) == 0.5

    run_virtual(main())


def test_a_unit_that_becomes_slow_gets_more_time_after_each_miss():
    async def main():
        delay = 0.02
        bus, _ = rtu_bus(lambda frame: [(delay, rtu_answer(frame))])
        async with running(bus):
            await bus.ask(1, READ, timing=FAST)
            delay = 0.7
            misses = 0
            while True:
                try:
                    await bus.ask(1, READ, timing=FAST)
                    break
                except NoAnswer:
                    misses += 1
            assert misses == 3, "0.1, 0.2 and 0.4 s are too short, 0.8 s is enough"
            assert bus.statistics.late_answers == 3
            await bus.ask(1, READ, timing=FAST)

    run_virtual(main())


def test_an_answer_that_trickles_in_is_waited_for_up_to_the_ceiling():
    def trickle(frame):
        answer = rtu_answer(frame)
        return [(0.08 * (at + 1), answer[at : at + 1]) for at in range(len(answer))]

    async def main():
        bus, link = rtu_bus(prompt)
        async with running(bus):
            await bus.ask(1, READ, timing=FAST)
            link._device = trickle
            assert await bus.ask(1, READ, timing=FAST) == values_at(10, 2)
            start = now()
            with pytest.raises(BadFrame, match="no whole answer"):
                await bus.ask(1, ReadRegisters(10, 10), timing=FAST)
            assert now() - start <= 1.1

    run_virtual(main())


def test_a_refusal_is_an_answer():
    async def main():
        bus, _ = rtu_bus(prompt)
        async with running(bus):
            with pytest.raises(ModbusException, match=r"illegal function \(exception 1\)"):
                await bus.ask(1, WriteRegisters(1, (1, 2)))
            await bus.ask(1, READ)
        unit = bus.statistics.units[1]
        assert (unit.requests, unit.answers, unit.refusals, unit.timeouts) == (2, 2, 1, 0)

    run_virtual(main())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda answer: answer[:-1] + bytes((answer[-1] ^ 1,)), "bad CRC"),
        (lambda answer: with_crc(b"\x09" + answer[1:-2]), "unit 9 function 3 came instead"),
        (lambda answer: with_crc(b"\x01\x03\x02\x00\x01"), "2 bytes of values"),
    ],
)
def test_a_bad_frame_is_followed_by_a_quiet_timeout(wrong, words):
    async def main():
        answers = 0

        def device(frame):
            nonlocal answers
            answers += 1
            answer = rtu_answer(frame)
            return [(0.01, wrong(answer))] if answers == 1 else [(0.01, answer)]

        bus, link = rtu_bus(device)
        async with running(bus):
            with pytest.raises(BadFrame, match=words):
                await bus.ask(1, READ, timing=FAST)
            assert await bus.ask(1, READ, timing=FAST) == values_at(10, 2)
        assert link.times[1] - link.times[0] == pytest.approx(0.01 + 1.0)
        assert bus.statistics.units[1].bad_frames == 1

    run_virtual(main())


def test_a_chattering_line_does_not_hang_the_bus(caplog):
    async def main():
        bus, link = rtu_bus(silent)

        async def chatter():
            while True:
                await asyncio.sleep(0.02)
                link.later(0, b"\x55\xaa")

        async with running(bus):
            with pytest.raises(NoAnswer):
                await bus.ask(1, READ, timing=FAST)
            noise = asyncio.ensure_future(chatter())
            start = now()
            for _ in range(4):
                with pytest.raises(BadFrame, match="bytes came, but no whole answer"):
                    await bus.ask(1, READ, timing=FAST)
            assert now() - start <= 4 * (1 + 3 + 0.2)
            noise.cancel()
            await asyncio.sleep(5)
            link._device = prompt
            for _ in range(2):
                assert await bus.ask(1, READ, timing=FAST) == values_at(10, 2)
            link._device = silent
            with pytest.raises(NoAnswer):
                await bus.ask(1, READ, timing=FAST)
            await asyncio.sleep(5)
        assert bus.statistics.chatter >= 3

    with caplog.at_level(logging.INFO, "heliobus"):
        run_virtual(main())
    assert [record.getMessage() for record in caplog.records] == [
        "fake: the line is never quiet, something talks on it all the time",
        "fake: the line is quiet again",
    ]


def test_a_second_master_is_counted_and_named_once(caplog):
    theirs = with_crc(b"\x03" + ReadRegisters(0, 2, function=4).encode())

    async def main():
        bus, link = rtu_bus(prompt)
        async with running(bus):
            await bus.ask(1, READ)
            for _ in range(3):
                link.later(0.1, theirs)
                link.later(0.2, rtu_answer(theirs))
                await asyncio.sleep(1)
                assert await bus.ask(1, READ) == values_at(10, 2)
        assert bus.statistics.foreign_frames == 6

    with caplog.at_level(logging.INFO, "heliobus"):
        run_virtual(main())
    assert [record.getMessage() for record in caplog.records] == [
        "fake: another master is talking on this line: unit 3 function 4"
    ]


def test_a_second_master_in_the_middle_of_a_transaction():
    theirs = with_crc(b"\x01" + ReadRegisters(90, 2).encode())

    async def main():
        bus, link = rtu_bus(lambda frame: [(0.01, theirs), (0.02, rtu_answer(theirs)), (0.03, rtu_answer(frame))])
        async with running(bus):
            with pytest.raises(BadFrame, match="unit 1 function 3 came instead"):
                await bus.ask(1, READ, timing=FAST)
            link._device = prompt
            assert await bus.ask(1, READ, timing=FAST) == values_at(10, 2)

    run_virtual(main())


def test_link_down_backs_off():
    async def main():
        bus, link = rtu_bus(prompt)
        link.failure = "fake: no such tty"
        async with running(bus):
            for _ in range(3):
                with pytest.raises(LinkDown, match=r"^fake: no such tty$"):
                    await bus.ask(1, READ)
            assert link.opened == 1, "within the back-off nothing is tried"
            opened_at = []
            for _ in range(600):
                await asyncio.sleep(0.5)
                before = link.opened
                with pytest.raises(LinkDown, match=r"^fake: no such tty$"):
                    await bus.ask(1, READ)
                if link.opened > before:
                    opened_at.append(now())
            waits = [later - earlier for earlier, later in itertools.pairwise(opened_at)]
            assert waits[:4] == pytest.approx([1, 2, 4, 8])
            assert max(waits) == pytest.approx(60)
            link.failure = None
            await asyncio.sleep(60)
            assert await bus.ask(1, READ) == values_at(10, 2)

    run_virtual(main())


def test_tty_pulled_out_and_put_back(caplog):
    async def main():
        bus, link = rtu_bus(prompt)
        async with running(bus):
            await bus.ask(1, READ)
            link._device = lambda frame: [(0.01, None)]
            with pytest.raises(LinkDown, match="the connection ended"):
                await bus.ask(1, READ)
            link._device = prompt
            await asyncio.sleep(1)
            assert await bus.ask(1, READ) == values_at(10, 2)
        assert bus.statistics.reconnects == 1

    with caplog.at_level(logging.DEBUG, "heliobus"):
        run_virtual(main())
    assert [record.getMessage() for record in caplog.records] == ["fake: the tty has gone", "fake: connected again"]


def test_stopping_fails_what_waits_and_what_is_under_way():
    async def main():
        bus, link = rtu_bus(silent)
        async with running(bus):
            tasks = [asyncio.ensure_future(bus.ask(1, READ)) for _ in range(3)]
            await asyncio.sleep(0.1)
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            assert isinstance(result, LinkDown)
            assert "stopped" in str(result)
        assert not link.is_open
        with pytest.raises(LinkDown, match="stopped"):
            await bus.ask(1, READ)

    run_virtual(main())


def test_a_stopped_bus_can_run_again():
    async def main():
        bus, _ = rtu_bus(prompt)
        for _ in range(2):
            async with running(bus):
                await asyncio.sleep(0)
                assert await bus.ask(1, READ) == values_at(10, 2)

    run_virtual(main())


def test_an_impossible_unit_fails_its_own_request_only():
    async def main():
        bus, _ = rtu_bus(prompt)
        async with running(bus):
            with pytest.raises(ValueError, match="unit 300"):
                await bus.ask(300, READ)
            assert await bus.ask(1, READ) == values_at(10, 2)

    run_virtual(main())


class HangingUp:
    """A TCP device that ends the connection `at` "answer" (after each), or before frame number `at`."""

    def __init__(self, at, part=b""):
        self.at = at
        self.part = part
        self.frames = 0

    def __call__(self, frame):
        self.frames += 1
        if self.at == "answer":
            return [(0.01, tcp_answer(frame)), (0.01, None)]
        if self.frames == self.at:
            return [(0.01, self.part), (0.02, None)] if self.part else [(0.01, None)]
        return [(0.01, tcp_answer(frame))]


def test_hang_up_after_each_answer_is_normal(caplog):
    async def main():
        bus, link = tcp_bus(HangingUp("answer"))
        async with running(bus):
            for at in range(5):
                assert await bus.ask(1, ReadRegisters(at, 2)) == values_at(at, 2)
        assert link.opened == 5
        assert len(link.written) == 5
        assert bus.statistics.reconnects == 0
        assert bus.statistics.units[1].timeouts == 0

    with caplog.at_level(logging.INFO, "heliobus"):
        run_virtual(main())
    assert not caplog.records


def test_hang_up_instead_of_an_answer_on_a_used_connection_repeats_a_read_once():
    async def main():
        bus, link = tcp_bus(HangingUp(2))
        async with running(bus):
            await bus.ask(1, READ, timing=Timing(gap=0.1))
            assert await bus.ask(1, READ, timing=Timing(gap=0.1)) == values_at(10, 2)
        assert len(link.written) == 3
        assert link.opened == 2
        assert link.times[2] - link.times[1] == pytest.approx(0.01 + 0.1), "the gap lies between connections, too"
        unit = bus.statistics.units[1]
        assert (unit.requests, unit.answers, bus.statistics.reconnects) == (2, 2, 0)

    run_virtual(main())


def test_hang_up_on_a_fresh_connection_is_not_repeated():
    async def main():
        bus, link = tcp_bus(HangingUp(1))
        async with running(bus):
            with pytest.raises(LinkDown, match="the connection ended before the answer"):
                await bus.ask(1, READ)
            assert len(link.written) == 1
            assert await bus.ask(1, READ) == values_at(10, 2)
        assert bus.statistics.reconnects == 1

    run_virtual(main())


def test_hang_up_in_the_middle_of_an_answer_is_a_bad_frame():
    async def main():
        bus, link = tcp_bus(HangingUp(2, part=b"\x00\x02\x00\x00"))
        async with running(bus):
            await bus.ask(1, READ)
            with pytest.raises(BadFrame, match="in the middle"):
                await bus.ask(1, READ)
            assert len(link.written) == 2

    run_virtual(main())


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (HangingUp(2), "the connection ended before the answer; it may have been executed"),
        (
            lambda frame: [(0.01, tcp_answer(frame))] if frame[7] == 3 else [],
            "no answer within .*may have been executed",
        ),
    ],
)
def test_a_reset_pulse_whose_answer_is_lost_is_sent_exactly_once(device, words):
    async def main():
        bus, link = tcp_bus(device)
        async with running(bus):
            await bus.ask(1, READ)
            with pytest.raises(NoAnswer, match=words):
                await bus.ask(1, WriteCoil(0xFF, True))
            assert await bus.ask(1, READ) == values_at(10, 2)
        assert [frame[7] for frame in link.written] == [3, 5, 3]

    run_virtual(main())


def test_a_reset_pulse_gets_a_connection_of_its_own_and_a_set_point_does_not():
    async def main():
        bus, link = tcp_bus(HangingUp(0))
        async with running(bus):
            await bus.ask(1, READ)
            await bus.ask(1, WriteRegister(0x58, 3))
            assert link.opened == 1
            await bus.ask(1, WriteCoil(0xFF, True))
            assert link.opened == 2
            await bus.ask(1, READ)
            assert link.opened == 2

    run_virtual(main())


def test_tcp_stray_answers_are_dropped_and_a_stream_out_of_step_is_left():
    async def main():
        bus, link = tcp_bus(HangingUp(0))
        async with running(bus):
            await bus.ask(1, READ)
            link.later(0.1, b"\x00\x63\x00\x00\x00\x03\x01\x83\x02")
            await asyncio.sleep(1)
            assert await bus.ask(1, READ) == values_at(10, 2)
            assert (bus.statistics.late_answers, link.opened) == (1, 1)
            link.later(0.1, b"HTTP/1.1 400 Bad Request\r\n")
            await asyncio.sleep(1)
            assert await bus.ask(1, READ) == values_at(10, 2)
            assert link.opened == 2

    run_virtual(main())


def test_a_line_that_talks_while_nobody_asks_fills_no_memory():
    async def main():
        bus, link = rtu_bus(prompt)
        async with running(bus):
            await bus.ask(1, READ)
            for _ in range(1000):
                link.later(0, b"\x01\x03\x04" * 40)
            await asyncio.sleep(1)
            assert await bus.ask(1, READ) == values_at(10, 2)
        assert max(len(frame.data) for frame in bus.trace.frames()) <= 4096

    run_virtual(main())


def test_trace_and_load():
    async def main():
        bus, link = rtu_bus(prompt)
        heard = []
        bus.trace.subscribe(heard.append)
        async with running(bus):
            for _ in range(100):
                await bus.ask(1, READ)
                await asyncio.sleep(0.99)
            assert bus.statistics.load(now()) == pytest.approx(0.01, rel=0.15)
        frames = bus.trace.frames()
        assert [frame.direction for frame in frames[:2]] == ["tx", "rx"]
        assert frames[0].data == link.written[0]
        assert frames[1].data == rtu_answer(link.written[0])
        assert heard == list(frames)

    run_virtual(main())
