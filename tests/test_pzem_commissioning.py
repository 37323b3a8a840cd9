"""Setting up a meter: the exact frames, and every reason not to send them (pzem.md §3, §7)."""

from collections.abc import Awaitable, Callable

import pytest

from heliobus.devices import pzem_dc
from heliobus.devices.pzem import commissioning, meter
from heliobus.devices.pzem.meter import Meter, MeterError, RefusedError
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.crc import with_crc
from pzem_line import GENERAL, FakeLine, FakeMeter
from wire_fakes import FakeLink, Script, rtu_bus, running

Work = Callable[[Bus, Meter], Awaitable[None]]


def done(line: Callable[[bytes], Script], work: Work | None = None, unit: int = GENERAL) -> tuple[Meter, FakeLink]:
    """Find the meter of a line and do something with it."""

    async def run() -> tuple[Meter, FakeLink]:
        bus, link = rtu_bus(line)
        async with running(bus):
            found = await meter.find(bus, unit)
            if work is not None:
                await work(bus, found)
            return found, link

    return run_virtual(run())


def refusal(line: Callable[[bytes], Script], work: Work | None = None, unit: int = GENERAL) -> str:
    with pytest.raises(MeterError) as caught:
        done(line, work, unit)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def renumber(address: int) -> Work:
    return lambda bus, found: commissioning.renumber(bus, found, address)


def shunt(amperes: int) -> Work:
    return lambda bus, found: commissioning.set_shunt(bus, found, amperes)


def alarm(watts: int) -> Work:
    return lambda bus, found: commissioning.set_alarm_power(bus, found, watts)


def test_the_only_meter_is_found_by_the_general_address() -> None:
    found, _ = done(FakeLine(FakeMeter(10)))
    assert (found.unit, found.address, found.is_ac) == (GENERAL, 10, True)
    assert (found.values["ac_power"], found.values["set_alarm_power"]) == (24.4, 2300)
    found, _ = done(FakeLine(FakeMeter(20, ac=False)), unit=20)
    assert (found.address, found.is_ac, found.driver) == (20, False, pzem_dc.DRIVER)
    assert (found.values["dc_voltage"], found.values["current_range"]) == (13.44, 0)


def test_a_lost_answer_is_asked_for_again() -> None:
    line = FakeLine(FakeMeter())
    lost = iter((0, 3, 4))
    dropped = {next(lost), next(lost), next(lost)}

    def lossy(frame: bytes) -> Script:
        answer = line(frame)
        return [] if len(line.frames) - 1 in dropped else answer

    assert done(lossy)[0].address == 1


def test_nobody_answers() -> None:
    assert "no meter answers: an AC meter needs mains" in refusal(FakeLine())
    assert "no meter of address 7 answers" in refusal(FakeLine(FakeMeter()), unit=7)


def test_what_claims_another_address_is_not_it() -> None:
    line = FakeLine(FakeMeter(10))

    def gateway(frame: bytes) -> Script:
        """Sends every request on to its only meter."""
        return [
            (at, with_crc(frame[:1] + bytes(chunk or b"")[1:-2])) for at, chunk in line(with_crc(b"\x0a" + frame[1:-2]))
        ]

    assert refusal(gateway, unit=1) == "what answers at address 1 says that its address is 10"


def test_several_meters_are_a_crowd() -> None:
    other = FakeMeter(2)
    other.inputs[0] = 0x08D2
    assert "more than one meter is on this line" in refusal(FakeLine(FakeMeter(1), other))
    # Each of them is still found by its own address, and may be looked at, not changed.
    line = FakeLine(FakeMeter(1), other)
    assert done(line, unit=2)[0].address == 2
    for work in (renumber(9), alarm(100), commissioning.reset_energy):
        assert "more than one meter" in refusal(line, work, unit=2)
    assert not line.written(0x06, 0x42)


def test_two_new_meters_of_the_same_address_are_a_crowd() -> None:
    other = FakeMeter(1)
    other.inputs[0], other.inputs[5] = 0x08E5, 7
    line = FakeLine(FakeMeter(1), other)
    refusal(line, renumber(9))
    refusal(line, renumber(9), unit=1)
    assert not line.written(0x06)


def test_a_meter_behind_the_one_that_was_named() -> None:
    silent = FakeMeter(1)
    line = FakeLine(silent, FakeMeter(2))

    def heard(frame: bytes) -> Script:
        """The first does not know the general address."""
        if frame[0] != GENERAL:
            return line(frame)
        line.meters.remove(silent)
        answer = line(frame)
        line.meters.insert(0, silent)
        return answer

    assert refusal(heard, renumber(9), unit=1) == "a meter of address 2 answers too: connect one meter alone"
    assert not line.written(0x06)


@pytest.mark.parametrize("unit", [1, GENERAL])
@pytest.mark.parametrize("ac", [True, False])
def test_the_address_is_changed_and_read_back(unit: int, ac: bool) -> None:
    line = FakeLine(FakeMeter(1, ac=ac))
    done(line, renumber(5), unit)
    assert line.written(0x06) == ["01 06 00 02 00 05 E8 09" if unit == 1 else "F8 06 00 02 00 05 FC 60"]
    assert line.meters[0].address == 5
    after = line.frames[line.frames.index(next(each for each in line.frames if each[1] == 6)) + 1 :]
    # It is asked at the new address, and the old one until it can be called silent.
    assert [frame[0] for frame in after] == [5, 1, 1]


def test_an_echo_that_is_lost_changes_nothing() -> None:
    line = FakeLine(FakeMeter())
    line.meters[0].mute.add(6)
    done(line, renumber(5))
    assert line.meters[0].address == 5 and len(line.written(0x06)) == 1


def test_an_address_that_is_taken() -> None:
    tracer = with_crc(bytes((5, 0x83, 2)))
    for answer in (tracer, with_crc(bytes((5, 3, 2, 0, 5))), b"\x05\x03\x00"):
        line = FakeLine(FakeMeter())

        def beside(frame: bytes, line: FakeLine = line, answer: bytes = answer) -> Script:
            return [(0.02, answer)] if frame[0] == 5 else line(frame)

        assert refusal(beside, renumber(5)) == "address 5 is taken: something answers there"
        assert not line.written(0x06)


def test_a_meter_that_does_not_take_its_address() -> None:
    line = FakeLine(FakeMeter())
    line.meters[0].stubborn = True
    assert "no meter answers at address 5" in refusal(line, renumber(5))


def test_something_else_at_the_old_address_is_told() -> None:
    line = FakeLine(FakeMeter())

    def beside(frame: bytes) -> Script:
        """A charge controller of address 1, which refuses what it is asked."""
        return [(0.02, with_crc(bytes((1, frame[1] | 0x80, 2))))] if frame[0] == 1 else line(frame)

    assert refusal(beside, renumber(5)) == "the meter has address 5 now, but something else still answers at 1"
    assert line.meters[0].address == 5


@pytest.mark.parametrize(
    ("amperes", "frame"),
    [
        (100, "01 06 00 03 00 00 79 CA"),
        (50, "01 06 00 03 00 01 B8 0A"),
        (200, "01 06 00 03 00 02 F8 0B"),
        (300, "01 06 00 03 00 03 39 CB"),
    ],
)
def test_the_shunt_is_set_and_read_back(amperes: int, frame: str) -> None:
    line = FakeLine(FakeMeter(ac=False))
    done(line, shunt(amperes), unit=1)
    assert line.written(0x06) == [frame]
    assert line.frames[-1].hex(" ").upper().startswith("01 03 00 03 00 01")


def test_a_meter_without_a_shunt_to_choose() -> None:
    for one in (FakeMeter(), FakeMeter(ac=False, shunt=False)):
        line = FakeLine(one)
        assert "no shunt to choose; only a PZEM-017 has" in refusal(line, shunt(50))
        assert not line.written(0x06)


def test_the_alarm_is_set() -> None:
    line = FakeLine(FakeMeter())
    done(line, alarm(2300), unit=1)
    assert line.written(0x06) == ["01 06 00 01 08 FC DF 8B"]
    assert "only alarms of voltage" in refusal(FakeLine(FakeMeter(ac=False)), alarm(2300))


def test_a_setting_that_does_not_stay_is_told() -> None:
    line = FakeLine(FakeMeter())
    line.meters[0].stubborn = True
    assert refusal(line, alarm(500)) == "the meter kept 2300 in place of 500"


@pytest.mark.parametrize("ac", [True, False])
def test_the_counter_is_set_back(ac: bool) -> None:
    line = FakeLine(FakeMeter(ac=ac))
    line.meters[0].inputs[6 if ac else 5] = 1
    done(line, commissioning.reset_energy, unit=1)
    assert line.written(0x42) == ["01 42 80 11"]


def test_a_reset_whose_echo_is_lost_is_not_repeated() -> None:
    line = FakeLine(FakeMeter())
    line.meters[0].mute.add(0x42)
    done(line, commissioning.reset_energy)
    assert line.written(0x42) == ["F8 42 C2 41"]


def test_a_counter_that_stays_is_told() -> None:
    line = FakeLine(FakeMeter())
    line.meters[0].stubborn = True
    assert refusal(line, commissioning.reset_energy) == "the energy counter was not set back: it reads 38 Wh"


def test_a_refused_command_is_told() -> None:
    line = FakeLine(FakeMeter())

    def refusing(frame: bytes) -> Script:
        return [(0.02, with_crc(bytes((frame[0], 0xC2, 1))))] if frame[1] == 0x42 else line(frame)

    assert refusal(refusing, commissioning.reset_energy) == "the meter refused: illegal function (exception 1)"


def test_a_link_that_cannot_be_opened() -> None:
    async def run() -> str:
        bus, link = rtu_bus(FakeLine())
        link.failure = "serial:/dev/ttyUSB0: in use by another program"
        async with running(bus):
            with pytest.raises(MeterError) as caught:
                await meter.find(bus, GENERAL)
            return str(caught.value)

    assert run_virtual(run()) == "serial:/dev/ttyUSB0: in use by another program"


def test_calibration_exists_nowhere() -> None:
    line = FakeLine(FakeMeter(ac=False))
    for work in (renumber(5), shunt(50), commissioning.reset_energy):
        done(line, work)
    assert {frame[1] for frame in line.frames} == {3, 4, 6, 0x42}


def test_refusals_are_told_from_failures() -> None:
    with pytest.raises(RefusedError):
        done(FakeLine(FakeMeter()), shunt(50))
