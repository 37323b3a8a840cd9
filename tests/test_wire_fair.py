"""A slow, missing or noisy unit costs the others on its line no more than its share. In virtual time."""

import asyncio
import random
from collections import defaultdict
from itertools import pairwise

import pytest

from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import BusError, NoAnswer, Timing
from heliobus.wire.modbus.pdu import ReadRegisters
from wire_fakes import rtu_answer, rtu_bus, running, values_at

PERIOD = 2.0
UNITS = range(1, 7)
DEAD = 4
TRACER = Timing(floor=0.3, ceiling=0.5)
OTHERS = [unit for unit in UNITS if unit != DEAD]


def now():
    return asyncio.get_running_loop().time()


class Line:
    """Six units that answer after 25 ms each, but for what `odd` makes of an answer of DEAD."""

    def __init__(self):
        self.odd = None
        self.random = random.Random(4)

    def __call__(self, frame):
        if frame[0] == DEAD and self.odd is not None:
            return self.odd(frame)
        return [(0.015 + self.random.uniform(0, 0.01), rtu_answer(frame))]


class Site:
    """Each unit polled as a Poller does it: in its rhythm, and after three misses looked for ever more rarely."""

    def __init__(self, bus):
        self.bus = bus
        self.times = defaultdict(list)
        self.misses = defaultdict(list)
        self.waits = []

    async def poll(self, unit, blocks=(10, 40, 70)):
        due = now()
        pause = 5.0
        missed = 0
        while True:
            await asyncio.sleep(max(0.0, due - now()))
            try:
                for at in blocks:
                    assert await self.bus.ask(unit, ReadRegisters(at, 4), timing=TRACER, due=due) == values_at(at, 4)
            except BusError:
                self.misses[unit].append(now())
                missed += 1
                if missed < 3:
                    due = now() + PERIOD / 4
                else:
                    due = now() + pause
                    pause = min(60.0, 2 * pause)
                continue
            self.times[unit].append(now())
            missed, pause = 0, 5.0
            due += PERIOD * (1 + max(0.0, now() - due) // PERIOD)

    def intervals(self, unit, since, until):
        times = [time for time in self.times[unit] if since <= time <= until]
        return [later - earlier for earlier, later in pairwise(times)]


def check(site, since, until, units=OTHERS):
    for unit in units:
        intervals = sorted(site.intervals(unit, since, until))
        assert len(intervals) >= 0.9 * (until - since) / PERIOD
        mean = sum(intervals) / len(intervals)
        p95 = intervals[int(0.95 * len(intervals))]
        assert mean == pytest.approx(PERIOD, rel=0.1), f"unit {unit}"
        assert PERIOD * 0.9 <= p95 <= PERIOD * 1.1, f"unit {unit}: {intervals}"


def staged(scene, spread):
    """Run `scene` with all units polled, beginning together or spread over the period."""

    async def main():
        line = Line()
        bus, link = rtu_bus(line, silence=0.00175)
        async with running(bus):
            site = Site(bus)
            tasks = []
            for unit in UNITS:
                tasks.append(asyncio.create_task(site.poll(unit)))
                await asyncio.sleep(PERIOD / len(UNITS) if spread else 0)
            try:
                await scene(line, link, site)
            finally:
                for task in tasks:
                    task.cancel()
                for ended in await asyncio.gather(*tasks, return_exceptions=True):
                    assert isinstance(ended, asyncio.CancelledError), ended
        return bus.statistics

    return run_virtual(main())


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("moment", [0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8])
def test_unplugging_one_unit_changes_the_rhythm_of_no_other(spread, moment):
    async def scene(line, link, site):
        await asyncio.sleep(60 + moment)
        line.odd = lambda frame: []
        began = now()
        await asyncio.sleep(60)
        check(site, began, now())
        assert len(site.misses[DEAD]) >= 5
        await asyncio.sleep(120)
        check(site, began + 120, now())
        line.odd = None
        await asyncio.sleep(70)
        assert site.times[DEAD][-1] > now() - PERIOD, "it is back"
        assert not any(site.misses[unit] for unit in OTHERS)

    staged(scene, spread)


@pytest.mark.parametrize("spread", [False, True])
def test_a_unit_that_never_was_there(spread):
    async def scene(line, link, site):
        line.odd = lambda frame: []
        await asyncio.sleep(300)
        check(site, 120, 300)
        assert not any(site.misses[unit] for unit in OTHERS)

    staged(scene, spread)


@pytest.mark.parametrize("spread", [False, True])
def test_a_unit_whose_answers_are_all_garbled(spread):
    async def scene(line, link, site):
        await asyncio.sleep(60)
        line.odd = lambda frame: [(0.02, rtu_answer(frame)[:-1] + b"\x00")]
        began = now()
        await asyncio.sleep(60)
        check(site, began, now())
        assert not any(site.misses[unit] for unit in OTHERS)

    staged(scene, spread)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("cut", [1, 5, 12])
def test_a_unit_whose_answers_all_end_too_early(spread, cut):
    async def scene(line, link, site):
        await asyncio.sleep(60)
        line.odd = lambda frame: [(0.02, rtu_answer(frame)[:cut])]
        began = now()
        await asyncio.sleep(60)
        check(site, began, now())

    staged(scene, spread)


def test_a_unit_that_becomes_slow_is_learned_and_never_mixed_up():
    """0.4 s is more than the line waits while others want it, so its answers come late, into others' exchanges."""

    async def scene(line, link, site):
        await asyncio.sleep(60)
        line.odd = lambda frame: [(0.4, rtu_answer(frame))]
        await asyncio.sleep(300)
        recent = [time for time in site.times[DEAD] if time > now() - 120]
        assert len(recent) >= 0.8 * 120 / PERIOD, "once known as slow it gets its time"
        assert not any(site.misses[unit] for unit in OTHERS), "a late answer of another unit is no fault"

    statistics = staged(scene, spread=True)
    assert statistics.late_answers > 0
    assert statistics.foreign_frames == 0


def test_what_is_gone_takes_no_more_than_its_share_of_the_line():
    """Nobody but the bus holds back who asks for a missing unit all the time."""

    async def main():
        line = Line()
        bus, link = rtu_bus(line, silence=0.00175)
        line.odd = lambda frame: []
        async with running(bus):
            site = Site(bus)

            async def insist():
                while True:
                    with pytest.raises(NoAnswer):
                        await bus.ask(DEAD, ReadRegisters(10, 4), timing=TRACER)

            tasks = [
                asyncio.create_task(insist()),
                asyncio.create_task(site.poll(1)),
                asyncio.create_task(site.poll(2)),
            ]
            await asyncio.sleep(600)
            asked = sum(1 for frame in link.written if frame[0] == DEAD)
            assert asked * TRACER.ceiling <= 0.1 * 600 + 3 * TRACER.ceiling
            assert asked > 60
            assert len(site.times[1]) >= 0.95 * 600 / PERIOD
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run_virtual(main())


def test_an_urgent_request_to_what_is_gone_is_sent_at_once():
    async def main():
        line = Line()
        bus, _ = rtu_bus(line)
        line.odd = lambda frame: []
        async with running(bus):
            await bus.ask(1, ReadRegisters(10, 4), timing=TRACER)
            for _ in range(4):
                with pytest.raises(NoAnswer):
                    await bus.ask(DEAD, ReadRegisters(10, 4), timing=TRACER, urgent=True)
            assert now() < 4 * 2 * TRACER.ceiling + 0.1
            began = now()
            line.odd = None
            assert await bus.ask(DEAD, ReadRegisters(10, 4), timing=TRACER, urgent=True) == values_at(10, 4)
            assert now() - began < 1.1
            assert await bus.ask(DEAD, ReadRegisters(10, 4), timing=TRACER) == values_at(10, 4)
            assert now() - began < 1.2, "an answer ends the hold"

    run_virtual(main())


@pytest.mark.parametrize("late", [0.31, 0.45, 0.55, 0.75, 0.95])
def test_a_late_answer_is_its_own_units_only(late):
    """While the late one is awaited, others are asked: none of them gets it, and neither does the next request."""
    seen = []

    def device(frame):
        if frame[0] != 1:
            return [(0.02, rtu_answer(frame))]
        seen.append(frame)
        return [(late if len(seen) == 3 else 0.02, rtu_answer(frame))]

    async def main():
        bus, link = rtu_bus(device)
        told = []

        async def others():
            for at in range(200):
                told.append((at, await bus.ask(2 + at % 2, ReadRegisters(at, 2), timing=TRACER)))

        async with running(bus):
            for at in (10, 20):
                assert await bus.ask(1, ReadRegisters(at, 2), timing=TRACER) == values_at(at, 2)
            crowd = asyncio.create_task(others())
            with pytest.raises(NoAnswer):
                await bus.ask(1, ReadRegisters(30, 2), timing=TRACER)
            gone = now()
            assert await bus.ask(1, ReadRegisters(40, 2), timing=TRACER) == values_at(40, 2)
            assert now() - gone >= min(TRACER.ceiling, late) - TRACER.floor
            await crowd
            assert all(values == values_at(at, 2) for at, values in told)
            between = [frame for frame, time in zip(link.written, link.times, strict=True) if gone < time < gone + 0.1]
            assert all(frame[0] != 1 for frame in between) and len(between) >= 3, "the others went on at once"
        return bus.statistics

    statistics = run_virtual(main())
    assert statistics.late_answers == 1
    assert statistics.units[2].bad_frames == statistics.units[3].bad_frames == 0


def test_alone_on_its_line_a_unit_gets_all_the_time_it_may_take():
    async def main():
        delay = 0.02
        bus, _ = rtu_bus(lambda frame: [(delay, rtu_answer(frame))])
        async with running(bus):
            await bus.ask(1, ReadRegisters(1, 2), timing=TRACER)
            delay = 0.45
            with pytest.raises(NoAnswer):
                await bus.ask(1, ReadRegisters(1, 2), timing=TRACER)
            assert await bus.ask(1, ReadRegisters(1, 2), timing=TRACER) == values_at(1, 2)

    run_virtual(main())
