"""Several speeds on one tty: each unit is spoken to as it listens, without opening the tty anew."""

import asyncio
import os

import pytest

from heliobus.sim.capture import SimCapture
from heliobus.sim.faults import Faults, Framing
from heliobus.sim.line import RtuLine, Station
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.pty_server import serve_pty
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.address import make_bus, parse_link
from heliobus.wire.bus import Bus, BusError, LinkDown, NoAnswer, Timing
from heliobus.wire.line_settings import LineSettings, frame_silence
from heliobus.wire.link import LinkError
from heliobus.wire.modbus.pdu import ReadRegisters
from heliobus.wire.modbus.rtu import RtuFramer
from heliobus.wire.serial_link import SerialLink
from wire_fakes import rtu_answer, rtu_bus, running, values_at

TRACER = LineSettings(115200)
PZEM = LineSettings(9600, stop=2)
TIMING = Timing(floor=0.2, ceiling=0.5)


def device(value):
    return SimCapture(dict.fromkeys(range(64), value))


def now():
    return asyncio.get_running_loop().time()


def test_silence_follows_the_settings():
    assert TRACER.silence == 0.00175
    assert PZEM.silence == pytest.approx(3.5 * 11 / 9600)
    assert LineSettings(9600, 8, "E", 1).silence == frame_silence(9600, 8, "E", 1) == pytest.approx(3.5 * 11 / 9600)
    assert LineSettings(1200, 7, "N", 1).silence == pytest.approx(3.5 * 9 / 1200)


def test_a_link_says_its_settings():
    assert parse_link("serial:/dev/ttyUSB0?baud=115200").settings == TRACER
    assert parse_link("serial:/dev/ttyUSB0?stop=2").settings == PZEM
    assert parse_link("serial:/dev/ttyUSB0?parity=e&bits=7").settings == LineSettings(9600, 7, "E", 1)
    assert parse_link("tcp://h").settings is parse_link("rtu+tcp://h:1").settings is None


def test_the_line_is_set_before_a_unit_with_other_settings_and_only_then():
    async def main():
        bus, link = rtu_bus(lambda frame: [(0.01, rtu_answer(frame))], silence=0.00175)
        bus.tune(1, TRACER)
        bus.tune(2, TRACER)
        bus.tune(10, PZEM)
        async with running(bus):
            for unit in (1, 2, 1, 10, 10, 2, 1):
                assert await bus.ask(unit, ReadRegisters(5, 2), timing=TIMING) == values_at(5, 2)
        assert [settings for _, settings in link.settings] == [TRACER, PZEM, TRACER]
        assert [time for time, _ in link.settings] == [link.times[0], link.times[3], link.times[5]]
        assert link.opened == 1
        quiet = [later - earlier - 0.01 for earlier, later in zip(link.times, link.times[1:], strict=False)]
        fast, slow = TRACER.silence, PZEM.silence
        assert quiet == pytest.approx([fast, fast, slow, slow, slow, fast])

    run_virtual(main())


def test_who_is_not_tuned_is_spoken_to_as_the_line_was_opened():
    async def main():
        link = MemoryLink({1: device(7), 10: device(8)}, Framing.RTU, speeds={1: 115200, 10: 9600})
        async with running(Bus(link, RtuFramer(), settings=PZEM)) as bus:
            bus.tune(1, TRACER)
            assert await bus.ask(10, ReadRegisters(0, 1), timing=TIMING) == (8,)
            assert await bus.ask(1, ReadRegisters(0, 1), timing=TIMING) == (7,)
            assert await bus.ask(10, ReadRegisters(0, 1), timing=TIMING) == (8,)

    run_virtual(main())


def test_six_chargers_and_four_meters_on_one_line():
    chargers, meters = range(1, 7), range(10, 14)

    async def main():
        devices = {unit: device(unit) for unit in (*chargers, *meters)}
        speeds = dict.fromkeys(chargers, 115200) | dict.fromkeys(meters, 9600)
        link = MemoryLink(devices, Framing.RTU, speeds=speeds, faults=Faults(flipped=0.02, cut=0.02, lost=0.02))
        bus = Bus(link, RtuFramer())
        for unit, baud in speeds.items():
            bus.tune(unit, LineSettings(baud))
        right, wrong = 0, 0
        async with running(bus):

            async def ask(unit):
                nonlocal right, wrong
                for _ in range(300):
                    try:
                        assert await bus.ask(unit, ReadRegisters(3, 20), timing=TIMING) == (unit,) * 20
                        right += 1
                    except BusError:
                        wrong += 1

            await asyncio.gather(*map(ask, speeds))
        assert link.opened == 1
        assert right > 0.92 * 3000

    run_virtual(main())


def test_at_another_speed_nobody_understands_and_the_time_follows_the_speed():
    async def main():
        link = MemoryLink({1: device(1)}, Framing.RTU, speeds={1: 115200})
        took = {}
        async with running(Bus(link, RtuFramer())) as bus:
            with pytest.raises(NoAnswer):
                await bus.ask(1, ReadRegisters(0, 30), timing=TIMING)
            bus.tune(1, TRACER)
            await bus.ask(1, ReadRegisters(0, 30), timing=TIMING)
            began = now()
            await bus.ask(1, ReadRegisters(0, 30), timing=TIMING)
            took[115200] = now() - began
            link.station.speeds = {1: 9600}
            bus.tune(1, LineSettings(9600))
            began = now()
            await bus.ask(1, ReadRegisters(0, 30), timing=TIMING)
            took[9600] = now() - began
        wire = (8 + 65) * 11
        assert took[9600] - took[115200] == pytest.approx(wire / 9600 - wire / 115200, abs=0.005)

    run_virtual(main())


def test_what_comes_at_another_speed_is_noise():
    """A meter's late answer reaches a line that listens for a charger by then."""

    async def main():
        link = MemoryLink({1: device(1), 10: device(2)}, Framing.RTU, speeds={1: 115200, 10: 9600})
        async with running(Bus(link, RtuFramer(), uniform=lambda low, high: low)) as bus:
            bus.tune(1, TRACER)
            bus.tune(10, PZEM)
            link.station.faults.late, link.station.faults.late_seconds = 1.0, 0.35
            lost = asyncio.create_task(bus.ask(10, ReadRegisters(0, 4), timing=Timing(0.3, 0.3)))
            await asyncio.sleep(0.001)
            link.station.faults.late = 0.0
            with pytest.raises(NoAnswer):
                await lost
            for _ in range(20):
                assert await bus.ask(1, ReadRegisters(0, 4), timing=TIMING) == (1,) * 4
            assert await bus.ask(10, ReadRegisters(0, 4), timing=TIMING) == (2,) * 4

    run_virtual(main())


def test_a_broadcast_reaches_who_listens_at_its_speed():
    class Hearing(SimCapture):
        heard = 0

        def answer(self, pdu, bridged=False, serial=False):
            self.heard += 1
            return super().answer(pdu, bridged, serial)

    charger, meter = Hearing({}), Hearing({})
    station = Station({1: charger, 10: meter}, speeds={1: 115200, 10: 9600})
    line = RtuLine(station, bits_per_second=115200)
    line.feed(b"\x00\x06\x00\x01\x00\x02\x58\x1a")
    assert (charger.heard, meter.heard) == (1, 0)


def test_the_rest_of_a_request_at_another_speed_is_not_understood():
    station = Station({1: device(3)}, speeds={1: 9600})
    line = RtuLine(station, bits_per_second=9600)
    request = bytes.fromhex("010400000001") + b"\x31\xca"
    assert line.feed(request[:4]) == []
    line.tune(115200)
    assert line.feed(request[4:]) == []
    line.tune(9600)
    assert len(line.feed(request)) == 1


async def test_a_pty_has_the_speed_its_client_sets():
    async with serve_pty({1: device(1), 10: device(2)}, speeds={1: 115200, 10: 9600}) as server:
        link = parse_link(f"serial:{server.path}?baud=115200")
        async with running(make_bus(link)) as bus:
            bus.tune(1, TRACER)
            bus.tune(10, PZEM)
            for _ in range(5):
                assert await bus.ask(1, ReadRegisters(0, 8)) == (1,) * 8
                assert await bus.ask(10, ReadRegisters(0, 8)) == (2,) * 8
            bus.tune(10, LineSettings(19200))
            with pytest.raises(NoAnswer):
                await bus.ask(10, ReadRegisters(0, 8), timing=Timing(0.1, 0.1))
            assert await bus.ask(1, ReadRegisters(0, 8)) == (1,) * 8


async def test_settings_of_a_tty_that_has_gone():
    master, slave = os.openpty()
    path = os.ttyname(slave)
    os.close(slave)
    link = SerialLink(path)
    link.configure(TRACER)
    await link.open(1)
    os.close(master)
    with pytest.raises(LinkError, match=f"^serial:{path}: cannot be set to 9600 baud") as caught:
        link.configure(PZEM)
    assert "\n" not in str(caught.value)
    link.close()
    await asyncio.sleep(0)


def test_a_tty_that_goes_while_it_is_set_is_down_and_comes_back():
    async def main():
        bus, link = rtu_bus(lambda frame: [(0.01, rtu_answer(frame))])
        bus.tune(1, TRACER)
        bus.tune(10, PZEM)
        configure = link.configure

        def gone(settings):
            raise LinkError("fake: cannot be set")

        async with running(bus):
            await bus.ask(1, ReadRegisters(0, 1), timing=TIMING)
            link.configure = gone
            with pytest.raises(LinkDown, match="cannot be set"):
                await bus.ask(10, ReadRegisters(0, 1), timing=TIMING)
            link.configure = configure
            await asyncio.sleep(5)
            assert await bus.ask(10, ReadRegisters(0, 1), timing=TIMING) == values_at(0, 1)
            assert link.settings[-1][1] == PZEM

    run_virtual(main())
