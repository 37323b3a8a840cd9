"""The poller in virtual time: its rhythm, what it says when a device goes and comes back, and what it does not say."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest

from devices_stage import TRISTAR, Ear, alone, memory, now, points, polling, reads, running, stop, tristar
from heliobus.devices.driver import Poll, Table
from heliobus.devices.plan import TCP_COST
from heliobus.devices.poll import Poller
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reason
from heliobus.model.vocabulary import HEALTH_POINTS
from heliobus.sim.capture import SimCapture
from heliobus.sim.faults import Framing
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.virtual_time import VirtualClock, run_virtual

PERIOD = 5.0
FAST = points(TRISTAR, Poll.FAST)
BOTH = pytest.mark.parametrize("framing", list(Framing))


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "heliobus.devices"]


@BOTH
def test_the_first_reading_is_complete(framing: Framing) -> None:
    async def run() -> None:
        async with alone(memory(tristar(), framing), framing) as ear:
            reading = await ear.first()
            none = {name for name, value in reading.values.items() if value is None}
            # The capture holds no network block and no sticky history of one.
            assert none == {"controller_id", "netbios_name"}
            assert reading.values["battery_voltage"] == 13.43
            assert reading.health is Health.OK
            assert now() < 3
            assert not ear.silences and not ear.strangers

    run_virtual(run())


@BOTH
def test_the_rhythm_is_kept_for_an_hour(framing: Framing) -> None:
    async def run() -> None:
        link = memory(tristar(), framing)
        async with alone(link, framing) as ear:
            await ear.first()
            link.requests.clear()
            began = now()
            await asyncio.sleep(3600)
            assert len(reads(link, 0x0000)) in (719, 720, 721)
            assert len([pdu for _, pdu in link.requests if pdu[0] == 1]) in (119, 120, 121)
            assert len(reads(link, 0xE080, 3)) == 1
            assert len(reads(link, 0xE000, 3)) == len(reads(link, 0x1000)) == 0
            times = [time for time, _ in ear.readings if time > began]
            assert max(b - a for a, b in pairwise(times)) < PERIOD + 0.5
            assert not ear.silences
            assert {reading.health for _, reading in ear.readings} == {Health.OK}

    run_virtual(run())


def test_the_time_of_a_reading_is_when_its_newest_answer_came() -> None:
    async def run() -> None:
        link = memory(tristar())
        clock = VirtualClock(1_700_000_000)
        async with running(link) as bus, polling(bus, clock=clock) as ear:
            await ear.first()
            for _ in range(5):
                reading = await ear.reading(lambda _: True)
                assert reading.time == pytest.approx(clock.time(), abs=0.001)
            link.paused = True
            reading = await ear.reading(lambda reading: reading.health is Health.OFFLINE)
            assert reading.time == pytest.approx(clock.time() - PERIOD, abs=2 * PERIOD)
            assert reading.time < clock.time() - PERIOD

    run_virtual(run())


@BOTH
def test_an_unplugged_device_is_stale_then_offline_and_comes_back_by_itself(
    framing: Framing, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        link = memory(tristar(), framing)
        async with alone(link, framing) as ear:
            await ear.first()
            await asyncio.sleep(600)
            assert lines(caplog) == []
            link.paused, asked = True, len(link.requests)
            unplugged, heard = now(), len(ear.readings)
            await ear.reading(lambda reading: reading.health is Health.OFFLINE, 60)
            assert now() - unplugged < 4 * PERIOD
            later = ear.readings[heard:]
            stale = next(time for time, each in later if each.values["battery_voltage"] is None)
            assert stale - unplugged <= 2 * PERIOD
            for time, reading in later:
                shown = {name for name in FAST if reading.values[name] is not None}
                assert not shown or time - unplugged < 2 * PERIOD
                assert all(reading.values[name] is not None or name in reading.reasons for name in reading.values)
            stale_reading = next(each for _, each in later if each.values["battery_voltage"] is None)
            assert {stale_reading.reasons[name] for name in FAST} <= {Reason.STALE, Reason.OFFLINE}
            assert set(ear.last.values.values()) == {None}
            assert set(ear.last.reasons.values()) == {Reason.OFFLINE}
            assert set(ear.last.values) == set(TRISTAR.points())
            assert len(ear.silences) == 1 and len(link.requests) == asked
            # Hours later nothing more has been said.
            heard = len(ear.readings)
            await asyncio.sleep(3 * 3600)
            assert len(ear.readings) == heard and len(ear.silences) == 1
            assert len(lines(caplog)) == 1 and "no answer" in lines(caplog)[0]
            link.paused, plugged = False, now()
            reading = await ear.reading(lambda reading: reading.health is Health.OK)
            assert now() - plugged < 60 + 10
            assert reading.values["battery_voltage"] == 13.43
            assert sum(value is None for value in reading.values.values()) == 2
            assert len(lines(caplog)) == 2 and "answers again" in lines(caplog)[1]
            assert len(ear.recognised_as) == 2

    with caplog.at_level(logging.INFO, "heliobus.devices"):
        run_virtual(run())


def test_a_device_that_was_away_for_a_moment_is_found_within_the_first_probe() -> None:
    async def run() -> None:
        link = memory(tristar())
        async with alone(link) as ear:
            await ear.first()
            link.paused = True
            await ear.reading(lambda reading: reading.health is Health.OFFLINE)
            link.paused, plugged = False, now()
            await ear.reading(lambda reading: reading.health is Health.OK)
            assert now() - plugged < 5 + 2

    run_virtual(run())


def test_a_device_that_is_not_there_at_the_start_is_found_later(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        link = memory(tristar())
        link.refusing = True
        async with alone(link) as ear:
            await asyncio.sleep(3600)
            assert not ear.readings and len(ear.silences) == 1
            assert len(lines(caplog)) == 1
            link.refusing, plugged = False, now()
            await ear.first()
            assert now() - plugged < 130

    run_virtual(run())


@BOTH
def test_a_single_lost_answer_blanks_nothing(framing: Framing, caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        link = memory(tristar(), framing)
        async with alone(link, framing) as ear:
            first = await ear.first()
            for _ in range(20):
                await ear.reading(lambda _: True)
                await asyncio.sleep(PERIOD - 0.4)
                link.paused = True
                await asyncio.sleep(0.6)
                link.paused = False
            assert ear.last.values["bus_timeouts"] != 0
            for _, reading in ear.readings:
                assert {name: value for name, value in reading.values.items() if value is None} == {
                    name: value for name, value in first.values.items() if value is None
                }
            assert not ear.silences and lines(caplog) == []

    run_virtual(run())


class Deaf(SimCapture):
    """Says nothing to requests for coils, from the start or from the moment `deaf` is set."""

    deaf = True

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        return None if self.deaf and pdu[0] == 1 else super().answer(pdu, bridged, serial)


@BOTH
@pytest.mark.parametrize("from_the_start", [True, False])
def test_a_block_that_is_never_answered_does_not_stop_the_readings(
    framing: Framing, from_the_start: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        device = Deaf(tristar().words, objects=tristar().identification(), coils={})
        device.deaf = from_the_start
        async with alone(memory(device, framing), framing) as ear:
            await ear.first()
            assert now() < 10
            device.deaf = True
            await asyncio.sleep(3600)
            silent_since = now()
            await asyncio.sleep(1800)
            later = [(time, reading) for time, reading in ear.readings if time > silent_since]
            assert len(later) > 300
            for _, reading in later:
                assert reading.values["battery_voltage"] == 13.43
                assert (reading.values["charger_enabled"], reading.values["equalize_requested"]) == (None, None)
                assert reading.reasons["equalize_requested"] is Reason.STALE
                assert reading.health is Health.OK
            assert not ear.silences and lines(caplog) == []
            assert len(ear.recognised_as) == 1

    run_virtual(run())


def test_another_serial_number_after_an_outage_is_another_device() -> None:
    async def run() -> None:
        device = tristar()
        link = memory(device)
        async with alone(link) as ear:
            await ear.first()
            link.paused = True
            await ear.reading(lambda reading: reading.health is Health.OFFLINE)
            device.words |= {0xE0C0: 0x3130, 0xE0C1: 0x3332, 0xE0C2: 0x3534, 0xE0C3: 0x3736}
            link.paused = False
            await ear.reading(lambda reading: reading.health is Health.OK)
            assert [each.identity.serial for each in ear.recognised_as] == ["10170296", "01234567"]

    run_virtual(run())


def test_statistics_change_at_most_once_a_minute() -> None:
    async def run() -> None:
        async with alone(memory(tristar())) as ear:
            await ear.first()
            await asyncio.sleep(1800)
            names = [point.name for point in HEALTH_POINTS]
            seen = [(time, [reading.values[name] for name in names]) for time, reading in ear.readings]
            changes = [time for (_, a), (time, b) in pairwise(seen) if a != b]
            assert 20 <= len(changes) <= 31
            assert min(b - a for a, b in pairwise(changes)) >= 60 - 1e-6
            assert ear.last.values["bus_requests"] > 300  # type: ignore[operator]

    run_virtual(run())


@pytest.mark.parametrize("period", [0.2, 1.0, 60.0, 3600.0])
def test_other_periods(period: float) -> None:
    async def run() -> None:
        link = memory(tristar())
        async with alone(link, period=period) as ear:
            await ear.first()
            link.requests.clear()
            await asyncio.sleep(100 * period)
            assert len(reads(link, 0x0000)) in range(96, 102)
            link.paused, unplugged = True, now()
            await ear.reading(lambda reading: reading.values["battery_voltage"] is None, 3 * period + 60)
            assert now() - unplugged <= 2 * period + 1e-6
            if ear.last.health is not Health.OFFLINE:
                await ear.reading(lambda reading: reading.health is Health.OFFLINE, 3 * period + 60)

    run_virtual(run())


def test_values_cease_to_hold_even_when_the_poller_has_failed() -> None:
    async def run() -> None:
        broken = False

        def derive(values: Mapping[str, Value]) -> Mapping[str, Value]:
            if broken:
                raise ZeroDivisionError
            return TRISTAR.derive(values)

        driver = replace(TRISTAR, derive=derive)
        link = memory(tristar())
        ear = Ear()
        async with running(link) as bus:
            faulty = replace(driver, recognise=lambda: _always(driver))
            poller = Poller(bus, 1, faulty, TCP_COST, ear, name="x", period=PERIOD)
            task = asyncio.create_task(poller.run())
            await ear.first()
            broken = True
            with pytest.raises(ZeroDivisionError):
                await task
            failed = now()
            broken = False
            reading = await ear.reading(lambda reading: reading.values["battery_voltage"] is None, 60)
            assert now() - failed <= 2 * PERIOD
            assert reading.reasons["battery_voltage"] is Reason.STALE
            # Its supervisor starts it again, and it goes on.
            again = asyncio.create_task(poller.run())
            await ear.reading(lambda reading: reading.values["battery_voltage"] == 13.43, 60)
            await stop([again])

    run_virtual(run())


def _always(driver: object) -> object:
    from heliobus.devices.driver import Recognised

    recognition = TRISTAR.recognise()
    answer: object = None
    while True:
        try:
            answer = yield recognition.send(answer)
        except StopIteration as end:
            assert isinstance(end.value, Recognised)
            return replace(end.value, driver=driver)


def test_nothing_is_said_after_the_poller_was_cancelled() -> None:
    async def run() -> None:
        link = memory(tristar())
        async with running(link) as bus:
            async with polling(bus) as ear:
                await ear.first()
            heard = len(ear.readings)
            await asyncio.sleep(100)
            assert len(ear.readings) == heard

    run_virtual(run())


COIL_POINTS = frozenset({"equalize_requested", "charger_enabled"})
WATCHED = frozenset(register.point.name for register in TRISTAR.registers if register.table is Table.COILS)


@asynccontextmanager
async def watching(link: MemoryLink, period: float = PERIOD) -> AsyncIterator[tuple[Poller, Ear]]:
    """A poller whose coils are watched, as those of a device under control are."""
    ear = Ear()
    async with running(link) as bus:
        poller = Poller(bus, 1, TRISTAR, TCP_COST, ear, name="x", period=period, watched=WATCHED)
        task = asyncio.create_task(poller.run())
        try:
            yield poller, ear
        finally:
            await stop([task])


def coil_reads(link: MemoryLink) -> int:
    return sum(pdu[0] == 1 for _, pdu in link.requests)


async def until(condition: Callable[[], bool], seconds: float) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("period", [1.0, PERIOD, 60.0])
def test_what_is_watched_is_read_every_five_seconds(period: float) -> None:
    async def run() -> None:
        link = memory(tristar())
        async with watching(link, period) as (_, ear):
            await ear.first()
            link.requests.clear()
            await asyncio.sleep(600)
            assert coil_reads(link) in (119, 120, 121)
            assert len(reads(link, 0x0000)) in range(int(600 / period) - 1, int(600 / period) + 2)
            link.paused = True
            await ear.reading(lambda reading: reading.values["equalize_requested"] is None, 2 * 5.0 + 1)

    run_virtual(run())


def test_a_refresh_reads_at_once_and_keeps_the_rhythm() -> None:
    async def run() -> None:
        link = memory(tristar())
        async with watching(link) as (poller, ear):
            await ear.first()
            await asyncio.sleep(2.5)
            coils, fast, asked = coil_reads(link), len(reads(link, 0x0000)), now()
            poller.refresh(COIL_POINTS)
            await until(lambda: coil_reads(link) == coils + 1, 0.1)
            # Only what was named, and from then on every five seconds again.
            assert len(reads(link, 0x0000)) == fast
            await asyncio.sleep(asked + 4.9 - now())
            assert coil_reads(link) == coils + 1
            await asyncio.sleep(asked + 5.1 - now())
            assert coil_reads(link) == coils + 2
            await asyncio.sleep(600)
            assert coil_reads(link) in (coils + 121, coils + 122, coils + 123)
            assert len(reads(link, 0x0000)) in (fast + 120, fast + 121, fast + 122)

    run_virtual(run())


def test_what_a_refresh_reads_is_published() -> None:
    async def run() -> None:
        device = tristar()
        link = memory(device)
        async with watching(link) as (poller, ear):
            await ear.first()
            await asyncio.sleep(2.5)
            assert ear.last.values["equalize_requested"] == 0
            assert device.coils is not None
            device.coils[0] = True
            refreshed = now()
            poller.refresh(COIL_POINTS)
            await ear.reading(lambda reading: reading.values["equalize_requested"] == 1, 1)
            assert now() - refreshed < 0.2

    run_virtual(run())


def test_a_refresh_during_a_request_comes_right_after_it() -> None:
    async def run() -> None:
        link = memory(tristar())
        async with watching(link) as (poller, ear):
            await ear.first()
            for under_way in (0x0000, None):
                link.requests.clear()
                # The line is taken at the moment of the refresh, by another block and by the coils themselves.
                await until(lambda at=under_way: bool(coil_reads(link) if at is None else reads(link, at)), 10)  # type: ignore[misc]
                await asyncio.sleep(0.005)
                before = coil_reads(link)
                poller.refresh(COIL_POINTS)
                await asyncio.sleep(1)
                assert coil_reads(link) == (before + 1 if under_way == 0x0000 else before)
            # Neither is lost: the rhythm goes on.
            before = coil_reads(link)
            await asyncio.sleep(60)
            assert coil_reads(link) - before in (11, 12, 13)
            assert ear.last.health is Health.OK

    run_virtual(run())


def test_a_refresh_of_many_blocks_before_the_others_turn() -> None:
    async def run() -> None:
        link = memory(tristar())
        async with watching(link) as (poller, ear):
            await ear.first()
            await asyncio.sleep(2.5)
            link.requests.clear()
            for _ in range(50):
                poller.refresh({"equalize_requested", "set_float_voltage"})
            await asyncio.sleep(1)
            # However often it was wished for, each block is read once.
            assert coil_reads(link) == 1 and len(reads(link, 0xE000, 3)) == 1
            assert not reads(link, 0x0000)

    run_virtual(run())


def test_a_refresh_of_unknown_names_does_nothing() -> None:
    async def run() -> None:
        link = memory(tristar())
        async with watching(link) as (poller, ear):
            poller.refresh(COIL_POINTS)
            await ear.first()
            await asyncio.sleep(2.5)
            asked = len(link.requests)
            poller.refresh({"no_such_point", "bus_load", ""})
            poller.refresh(())
            await asyncio.sleep(1)
            assert len(link.requests) == asked

    run_virtual(run())


def test_a_refresh_while_the_device_is_offline_does_no_harm() -> None:
    async def run() -> None:
        link = memory(tristar())
        async with watching(link) as (poller, ear):
            await ear.first()
            link.paused = True
            await ear.reading(lambda reading: reading.health is Health.OFFLINE, 60)
            poller.refresh(COIL_POINTS)
            link.paused = False
            await ear.reading(lambda reading: reading.health is Health.OK, 120)

    run_virtual(run())


@pytest.mark.parametrize("period", [1.0, PERIOD, 60.0])
def test_watched_coils_that_never_answer_do_not_take_the_device_offline(period: float) -> None:
    async def run() -> None:
        device = Deaf(tristar().words, objects=tristar().identification(), coils={})
        async with watching(memory(device), period) as (_, ear):
            await ear.first()
            await asyncio.sleep(1800)
            assert not ear.silences
            assert {reading.health for _, reading in ear.readings} == {Health.OK}

    run_virtual(run())
