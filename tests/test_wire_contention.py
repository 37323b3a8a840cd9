"""Another master on the line: who speaks waits for a quiet moment, and nothing that was garbled is ever believed."""

import asyncio
import logging
import random

import pytest

from devices_stage import PRODUCT, SERIAL, TRISTAR, capture_c, polling
from heliobus.devices.plan import rtu_cost
from heliobus.model.reading import Reason
from heliobus.sim.capture import SimCapture
from heliobus.sim.faults import Faults, Framing
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.backoff import Backoff
from heliobus.wire.bus import BadFrame, Bus, BusError, NoAnswer, Timing
from heliobus.wire.modbus.crc import with_crc
from heliobus.wire.modbus.pdu import ReadRegisters
from heliobus.wire.modbus.rtu import RtuFramer, frame_silence
from wire_fakes import FakeLink, rtu_answer, running, tcp_answer, tcp_bus, values_at

READ = ReadRegisters(10, 2)
TIMING = Timing(floor=0.1, ceiling=0.5)
THEIRS = with_crc(b"\x09" + ReadRegisters(0, 2, function=4).encode())
HOUR = 3600.0


def prompt(frame):
    return [(0.01, rtu_answer(frame))]


def now():
    return asyncio.get_running_loop().time()


class Draws:
    """Instead of chance: what is asked for, and always the same share of it."""

    def __init__(self, share):
        self.share = share
        self.asked = []

    def __call__(self, low, high):
        self.asked.append((low, high))
        return low + self.share * (high - low)


def make(device=prompt, share=0.5):
    link, draws = FakeLink(device), Draws(share)
    return Bus(link, RtuFramer(0.00175), backoff=Backoff(jitter=0), uniform=draws), link, draws


async def delay(bus, link):
    """How long a request waits for its turn on a line that is quiet."""
    began = now()
    assert await bus.ask(1, READ, timing=TIMING) == values_at(10, 2)
    return link.times[-1] - began


def test_on_a_clean_line_nothing_is_added():
    async def main():
        bus, link, draws = make()
        async with running(bus):
            for _ in range(100):
                assert await delay(bus, link) <= 0.00176
        assert not draws.asked
        return bus

    run_virtual(main())


@pytest.mark.parametrize("what", [THEIRS, b"\x00", b"\xff\xfe\x81"])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_after_strange_bytes_it_waits_a_random_time_for_some_minutes(what, share):
    async def main():
        bus, link, draws = make(share=share)
        async with running(bus):
            await delay(bus, link)
            link.later(0.5, what)
            await asyncio.sleep(1)
            # It is not known when the bytes came, so the line is listened to.
            assert await delay(bus, link) == pytest.approx(0.005 + share * 0.03)
            await asyncio.sleep(60)
            assert await delay(bus, link) == pytest.approx(share * 0.03)
            assert set(draws.asked) == {(0.0, 0.03)}
            await asyncio.sleep(301)
            assert await delay(bus, link) == 0

    run_virtual(main())


def test_it_does_not_speak_into_what_others_say():
    async def main():
        bus, link, _ = make(share=0.5)
        async with running(bus):
            await delay(bus, link)
            link.later(0.9, THEIRS)
            await asyncio.sleep(1)
            for at in range(8):
                link.later(0.004 * at, rtu_answer(THEIRS)[at : at + 1])
            began = now()
            assert await bus.ask(1, READ, timing=TIMING) == values_at(10, 2)
            assert link.times[-1] - began >= 0.028 + 0.005
            assert link.times[-1] - began <= 0.028 + 0.005 + 0.03

    run_virtual(main())


def test_a_line_that_is_never_quiet_is_spoken_on_all_the_same():
    async def main():
        bus, link, _ = make()
        async with running(bus):
            await delay(bus, link)
            babble = asyncio.create_task(chatter(link))
            await asyncio.sleep(1)
            began = now()
            assert await bus.ask(1, READ, timing=TIMING) == values_at(10, 2)
            assert now() - began < 0.3
            babble.cancel()

    async def chatter(link):
        while True:
            link.later(0, b"\xaa")
            await asyncio.sleep(0.003)

    run_virtual(main())


def test_a_garbled_answer_makes_the_line_a_shared_one_and_a_late_or_lost_one_does_not():
    async def main():
        script = []
        bus, link, draws = make(lambda frame: script.pop(0)(frame) if script else prompt(frame))
        async with running(bus):
            await delay(bus, link)
            script.append(lambda frame: [])
            with pytest.raises(NoAnswer):
                await bus.ask(1, READ, timing=TIMING)
            script.append(lambda frame: [(0.3, rtu_answer(frame))])
            with pytest.raises(NoAnswer):
                await bus.ask(1, READ, timing=TIMING)
            await asyncio.sleep(5)
            await delay(bus, link)
            assert bus.statistics.late_answers == 1
            assert not draws.asked
            script.append(lambda frame: [(0.01, rtu_answer(frame)[:-1] + b"\x55")])
            with pytest.raises(BadFrame):
                await bus.ask(1, READ, timing=TIMING)
            await asyncio.sleep(5)
            assert await delay(bus, link) == pytest.approx(0.015)

    run_virtual(main())


def test_over_tcp_nothing_is_listened_for():
    async def main():
        bus, link = tcp_bus(lambda frame: [(0.01, tcp_answer(frame))])
        async with running(bus):
            await bus.ask(1, READ)
            link.later(0.1, b"\x00\x63\x00\x00\x00\x03\x01\x83\x02")
            await asyncio.sleep(1)
            began = now()
            await bus.ask(1, READ)
            assert link.times[-1] == began

    run_virtual(main())


def test_a_second_master_that_comes_back_after_an_hour_is_named_again(caplog):
    async def main():
        bus, link, _ = make()
        async with running(bus):
            await delay(bus, link)
            for pause in (1.0, 600.0, 0.9 * HOUR, 1.1 * HOUR, 60.0):
                await asyncio.sleep(pause)
                link.later(0, THEIRS)
                await asyncio.sleep(0.1)
                await delay(bus, link)
        assert bus.statistics.foreign_frames == 5

    with caplog.at_level(logging.INFO, "heliobus"):
        run_virtual(main())
    assert [record.getMessage() for record in caplog.records] == [
        "fake: another master is talking on this line: unit 9 function 4",
        "fake: another master is talking on this line again: unit 9 function 4",
    ]


FAULTS = {"flipped": 0.1, "cut": 0.1, "garbage": 0.1, "lost": 0.05, "late": 0.05, "wrong_unit": 0.05}


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_no_garbled_word_is_believed(seed):
    """Random accidents and a second master with the same requests as ours, at any moment, also in the middle."""

    async def main():
        faults = Faults(**FAULTS, late_seconds=0.4, second_master=5.0, seed=seed)
        devices = {unit: SimCapture({at: 1000 * unit + at for at in range(100)}) for unit in (1, 2, 3)}
        link = MemoryLink(devices, Framing.RTU, bits_per_second=9600, faults=faults)
        bus = Bus(link, RtuFramer(frame_silence(9600)), uniform=random.Random(seed).uniform)
        told = 0
        chance = random.Random(seed)

        async def other_master():
            while True:
                await asyncio.sleep(chance.uniform(0.1, 2.0))
                link.overhear(with_crc(b"\x02" + ReadRegisters(0, 20).encode()))
                await asyncio.sleep(0.03)
                # What it is answered gets garbled if we spoke meanwhile, so that it is never what we should hear.
                link.overhear(chance.randbytes(45))

        async def ask(unit):
            nonlocal told
            for _ in range(200):
                at = chance.randrange(60)
                try:
                    words = await bus.ask(unit, ReadRegisters(at, 20), timing=TIMING)
                except BusError:
                    continue
                assert words == tuple(1000 * unit + each for each in range(at, at + 20))
                told += 1

        async with running(bus):
            talk = asyncio.create_task(other_master())
            await asyncio.gather(ask(1), ask(2), ask(3))
            talk.cancel()
        assert told > 200
        assert bus.statistics.foreign_frames > 10
        return sum(unit.bad_frames for unit in bus.statistics.units.values())

    assert run_virtual(main()) > 50


def test_what_was_garbled_is_read_again_in_its_next_slot_and_never_published():
    async def main():
        words = capture_c() | SERIAL
        link = MemoryLink(
            {1: SimCapture(words, objects=PRODUCT, coils={})},
            Framing.RTU,
            bits_per_second=9600,
            faults=Faults(flipped=0.05, cut=0.05, garbage=0.05, seed=5),
        )
        bus = Bus(link, RtuFramer(frame_silence(9600)), uniform=random.Random(5).uniform)

        async def other_master():
            while True:
                await asyncio.sleep(9.7)
                link.overhear(THEIRS)
                await asyncio.sleep(0.03)
                link.overhear(rtu_answer(THEIRS))

        async with running(bus), polling(bus, 1, TRISTAR, cost=rtu_cost(9600, 0.03)) as ear:
            talk = asyncio.create_task(other_master())
            await asyncio.sleep(HOUR)
            talk.cancel()
            seen = {}
            for _, reading in ear.readings:
                for name, value in reading.values.items():
                    if value is not None and not name.startswith("bus_"):
                        seen.setdefault(name, set()).add(value)
            several = {name for name, values in seen.items() if len(values) > 1}
            assert not several, "a device that never changes has one value of everything"
            assert seen["battery_voltage"] == {13.43}
            shown = [reading for _, reading in ear.readings if reading.values["battery_voltage"] is not None]
            assert len(shown) > 0.9 * HOUR / 5
            assert Reason.OUT_OF_RANGE not in {why for _, each in ear.readings for why in each.reasons.values()}
        assert bus.statistics.units[1].bad_frames > 50

    run_virtual(main())
