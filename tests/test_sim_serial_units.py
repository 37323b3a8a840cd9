"""Devices that share a line: ids that change, the general address, collisions, bursts and slowness."""

import pytest

from heliobus.sim.faults import Framing
from heliobus.sim.line import RtuLine, Station
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.pzem import SimPzemAc, SimPzemDc
from heliobus.sim.serial_faults import SerialFaults
from heliobus.sim.serial_units import SerialDevice, SerialUnits
from heliobus.sim.tracer import SimTracer
from heliobus.wire.line_settings import LineSettings
from sim_frames import request, rtu

WHICH = bytes.fromhex("F8030002000131A3")


def line(*devices: SerialDevice, echo: bool = False) -> tuple[RtuLine, SerialFaults]:
    units = SerialUnits(devices)
    faults = SerialFaults(units, echo=echo)
    return RtuLine(Station(units, faults)), faults


def ask(wire: RtuLine, frame: bytes) -> bytes:
    return b"".join(delivery.payload for delivery in wire.feed(frame))


def test_a_changed_address_is_echoed_from_the_old_one() -> None:
    wire, _ = line(SimPzemAc(1))
    change = bytes.fromhex("010600020005E809")
    assert ask(wire, change) == change
    assert ask(wire, rtu(1, request(4, 0, 10))) == b""
    assert len(ask(wire, rtu(5, request(4, 0, 10)))) == 25


def test_the_general_address_answers_as_itself() -> None:
    wire, _ = line(SimPzemAc(7))
    assert ask(wire, WHICH) == rtu(0xF8, bytes.fromhex("03020007"))
    change = bytes.fromhex("F8060002000ABC64")
    assert ask(wire, change) == change
    assert ask(wire, WHICH) == rtu(0xF8, bytes.fromhex("0302000A"))
    assert ask(wire, bytes.fromhex("F842C241")) == bytes.fromhex("F842C241")


def test_several_meters_at_the_general_address_collide() -> None:
    wire, faults = line(SimPzemAc(1), SimPzemDc(2))
    said = ask(wire, WHICH)
    assert len(said) == 7
    assert said != rtu(0xF8, said[1:-2])
    assert faults.collisions == 1


def test_factory_new_meters_collide_at_one() -> None:
    first, second = SimPzemAc(1), SimPzemAc(1)
    wire, faults = line(first, second)
    frame = rtu(1, request(4, 0, 10))
    said = ask(wire, frame)
    assert said != rtu(1, said[1:-2])
    second.connected = False
    said = ask(wire, frame)
    assert said == rtu(1, said[1:-2])
    assert faults.collisions == 1


def test_without_such_faults_a_collision_is_silence() -> None:
    units = SerialUnits([SimPzemAc(1), SimPzemAc(1)])
    wire = RtuLine(Station(units))
    assert ask(wire, rtu(1, request(4, 0, 10))) == b""


def test_a_tracers_id_is_read_and_set_through_the_general_address() -> None:
    tracer = SimTracer(1)
    wire, _ = line(tracer, SimPzemAc(9))
    tracer_only, _ = line(tracer)
    for each in (wire, tracer_only):
        assert ask(each, bytes.fromhex("F845000101F889BE")) == bytes.fromhex("F845010361")
    assert ask(tracer_only, bytes.fromhex("F845000101608814")) == rtu(0xF8, b"\x45\x60")
    assert ask(wire, rtu(1, request(4, 0x3100, 1))) == b""
    assert len(ask(wire, rtu(0x60, request(4, 0x3100, 1)))) == 7
    assert ask(tracer_only, WHICH) == b"", "a Tracer heeds only function 45 there"


def test_long_statistics_come_in_two_bursts() -> None:
    wire, faults = line(SimTracer(1, statistics_pause=0.1))
    deliveries = wire.feed(bytes.fromhex("010433000014FF41"))
    assert [len(delivery.payload) for delivery in deliveries] == [22, 23]
    assert deliveries[1].delay - deliveries[0].delay == pytest.approx(0.1)
    whole = b"".join(delivery.payload for delivery in deliveries)
    assert whole == rtu(1, whole[1:-2])
    assert faults.bursts == 1
    assert len(wire.feed(bytes.fromhex("0104310000127EFB"))) == 1


def test_an_echo_comes_whole_and_before_the_bursts() -> None:
    wire, _ = line(SimTracer(1), echo=True)
    frame = bytes.fromhex("010433000014FF41")
    deliveries = wire.feed(frame)
    assert deliveries[0].payload == frame
    assert len(deliveries) == 3


def test_settings_are_slow() -> None:
    wire, _ = line(SimTracer(1))
    fast, slow = (wire.feed(bytes.fromhex(text)) for text in ("0104310000127EFB", "01039000000F28CE"))
    assert 0.004 <= fast[0].delay <= 0.010
    assert 0.013 <= slow[0].delay <= 0.025


def test_broadcasts_reach_all_and_are_not_answered() -> None:
    first, second = SimPzemAc(1, energy_wh=5.0), SimPzemAc(2, energy_wh=5.0)
    wire, _ = line(first, second)
    assert ask(wire, rtu(0, b"\x42")) == b""
    assert (first.energy_wh, second.energy_wh) == (0.0, 0.0)


def test_ids_and_speeds_are_those_of_now() -> None:
    meter = SimPzemAc(1)
    units = SerialUnits([SimTracer(3), meter, SimPzemDc(1)])
    speeds = units.speeds
    assert (list(units), len(units)) == ([3, 1], 2)
    meter.unit = 20
    assert dict(units) == {3: units[3], 20: meter, 1: units[1]}
    assert dict(speeds) == {3: 115200, 20: 9600, 1: 9600}
    assert 99 not in units


async def test_time_passes_once_for_each_device_on_a_link() -> None:
    first, second = SimPzemAc(1, watts=3600.0), SimPzemAc(1, watts=3600.0)
    link = MemoryLink(SerialUnits([first, second]), Framing.RTU)
    await link.open(1.0)
    link.station.devices[1].advance(10.0)
    link.close()
    assert first.energy_wh == pytest.approx(second.energy_wh)
    assert first.energy_wh >= 10.0


async def test_a_mixed_line_listens_at_the_speed_of_each() -> None:
    units = SerialUnits([SimTracer(1), SimPzemAc(10)])
    link = MemoryLink(units, Framing.RTU, speeds=units.speeds)
    await link.open(1.0)
    for baud, unit, heard in ((9600, 10, True), (9600, 1, False), (115200, 1, True), (115200, 10, False)):
        link.configure(LineSettings(baud))
        link.write(rtu(unit, request(4, 0x3100 if unit == 1 else 0, 1)))
        if heard:
            assert (await link.read(5.0))[0] == unit
        else:
            with pytest.raises(TimeoutError):
                await link.read(0.05)
    link.close()
