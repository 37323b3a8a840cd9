"""The late-answer table: an answer that comes after its timeout is never taken for the next request's answer."""

import asyncio

import pytest

from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import NoAnswer, Timing
from heliobus.wire.modbus.pdu import ReadRegisters, WriteRegister
from wire_fakes import rtu_answer, rtu_bus, running, tcp_answer, tcp_bus, values_at

TIMING = Timing(floor=0.5, ceiling=0.5)
LATE = 0.65

LINES = {
    "tcp": (tcp_bus, tcp_answer, {}),
    "rtu+tcp": (rtu_bus, rtu_answer, {"hangs_up": True}),
    "rtu": (rtu_bus, rtu_answer, {"silence": 0.004}),
}


def device(answer, late_frames, late=LATE, normal=0.02):
    """Answers the frames numbered `late_frames` late, all others in time."""
    seen = []

    def reply(frame):
        seen.append(frame)
        return [(late if len(seen) in late_frames else normal, answer(frame))]

    return reply


@pytest.mark.parametrize("line", LINES)
def test_late_answer_table(line):
    make, answer, options = LINES[line]

    async def main():
        bus, link = make(device(answer, {1}), **options)
        async with running(bus):
            with pytest.raises(NoAnswer, match=r"no answer within 0\.50 s"):
                await bus.ask(1, ReadRegisters(10, 4), timing=TIMING)
            assert await bus.ask(1, ReadRegisters(20, 4), timing=TIMING) == values_at(20, 4)
            assert await bus.ask(1, ReadRegisters(30, 4), timing=TIMING) == values_at(30, 4)
            assert len(link.written) == 3
        return bus.statistics

    statistics = run_virtual(main())
    unit = statistics.units[1]
    assert (unit.requests, unit.answers, unit.timeouts) == (3, 2, 1)
    assert statistics.foreign_frames == 0
    assert statistics.late_answers == (0 if line == "tcp" else 1)
    assert statistics.reconnects == (1 if line == "tcp" else 0)


@pytest.mark.parametrize("line", LINES)
def test_queued_behind_a_late_answer(line):
    """The next requests wait in the queue already when the first one times out."""
    make, answer, options = LINES[line]

    async def main():
        bus, _ = make(device(answer, {1, 3}), **options)
        async with running(bus):
            asks = [bus.ask(1, ReadRegisters(at, 2), timing=TIMING) for at in (10, 20, 30, 40)]
            return await asyncio.gather(*asks, return_exceptions=True)

    first, second, third, fourth = run_virtual(main())
    assert isinstance(first, NoAnswer)
    assert second == values_at(20, 2)
    assert isinstance(third, NoAnswer)
    assert fourth == values_at(40, 2)


@pytest.mark.parametrize("line", LINES)
def test_late_confirmation_of_a_write(line):
    make, answer, options = LINES[line]

    async def main():
        bus, _ = make(device(answer, {1}), **options)
        async with running(bus):
            with pytest.raises(NoAnswer):
                await bus.ask(1, WriteRegister(10, 1), timing=TIMING)
            assert await bus.ask(1, WriteRegister(10, 2), timing=TIMING) == 2
            assert await bus.ask(1, ReadRegisters(10, 2), timing=TIMING) == values_at(10, 2)

    run_virtual(main())


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("late", [0.51, 0.75, 0.99])
def test_however_late_within_one_quiet_timeout(line, late):
    make, answer, options = LINES[line]

    async def main():
        bus, _ = make(device(answer, {1}, late=late), **options)
        async with running(bus):
            with pytest.raises(NoAnswer):
                await bus.ask(1, ReadRegisters(10, 4), timing=TIMING)
            for at in (20, 30):
                assert await bus.ask(1, ReadRegisters(at, 4), timing=TIMING) == values_at(at, 4)

    run_virtual(main())


@pytest.mark.parametrize("line", LINES)
def test_far_later_than_an_adapted_timeout(line):
    """A quick device becomes slow: the timeout has adapted to 0.1 s, its answer comes after 0.7 s."""
    make, answer, options = LINES[line]
    timing = Timing(floor=0.1, ceiling=1.0)

    async def main():
        bus, link = make(device(answer, {2, 3, 4}, late=0.7), **options)
        async with running(bus):
            await bus.ask(1, ReadRegisters(10, 4), timing=timing)
            for at in (20, 30, 40):
                with pytest.raises(NoAnswer):
                    await bus.ask(1, ReadRegisters(at, 4), timing=timing)
            assert await bus.ask(1, ReadRegisters(50, 4), timing=timing) == values_at(50, 4)
            assert len(link.written) == 5

    run_virtual(main())


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("late", [1.2, 1.9, 2.6])
def test_an_answer_beyond_the_ceiling_is_not_taken_for_that_of_a_like_request(line, late):
    """Reads of as many registers wait until it cannot come any more; others, and the same one again, need not."""
    make, answer, options = LINES[line]

    async def main():
        bus, link = make(device(answer, {1}, late=late), **options)
        async with running(bus):
            with pytest.raises(NoAnswer):
                await bus.ask(1, ReadRegisters(10, 4), timing=TIMING)
            like = asyncio.create_task(bus.ask(1, ReadRegisters(20, 4), timing=TIMING))
            assert await bus.ask(1, ReadRegisters(30, 5), timing=TIMING) == values_at(30, 5)
            assert await bus.ask(1, ReadRegisters(10, 4), timing=TIMING) == values_at(10, 4)
            assert await like == values_at(20, 4)
            if line != "tcp":
                assert link.times[1] < 1.1 and link.times[-1] > late

    run_virtual(main())


def test_an_answer_in_two_parts_round_the_timeout():
    """The second half of a late frame belongs to the past as well."""

    def torn(frame):
        whole = rtu_answer(frame)
        if frame[3] == 10:
            return [(0.4, whole[:5]), (0.95, whole[5:])]
        return [(0.02, whole)]

    async def main():
        bus, _ = rtu_bus(torn)
        async with running(bus):
            (first,) = await asyncio.gather(bus.ask(1, ReadRegisters(10, 4), timing=TIMING), return_exceptions=True)
            assert "5 bytes came, but no whole answer" in str(first)
            assert await bus.ask(1, ReadRegisters(20, 4), timing=TIMING) == values_at(20, 4)

    run_virtual(main())


@pytest.mark.parametrize("others", [False, True])
def test_what_is_owed_on_a_line_of_ones_own_wakes_nobody(others):
    """Only where somebody else may want the line is it looked for him all the time that a lost answer is waited for."""
    reads = 0

    async def main():
        nonlocal reads
        bus, link = rtu_bus(lambda frame: [] if frame[0] == 1 else [(0.02, rtu_answer(frame))], silence=0.004)
        read = link.read

        async def counted(timeout):
            nonlocal reads
            reads += 1
            return await read(timeout)

        link.read = counted
        async with running(bus):
            if others:
                await bus.ask(2, ReadRegisters(10, 4), timing=TIMING)
            for _ in range(2):
                with pytest.raises(NoAnswer):
                    await bus.ask(1, ReadRegisters(10, 4), timing=TIMING)

    run_virtual(main())
    assert (reads > 20) is others
