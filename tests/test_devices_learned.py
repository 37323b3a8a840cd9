"""What a device refuses is asked for once, whatever happens to the line, and what it fails at is asked for rarely."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices_stage import TRISTAR, Ear, alone, memory, now, polling, reads, running, tristar
from heliobus.devices.driver import Ask, BlockLimits, Driver, NotOurs, Poll, Recognised, Recognition, Register, Table
from heliobus.devices.plan import TCP_COST, halves, plan
from heliobus.model.device import Identity
from heliobus.model.point import Point
from heliobus.model.quantity import NUMBER
from heliobus.model.reading import Health, Reason
from heliobus.model.role import Role
from heliobus.sim.capture import SimCapture
from heliobus.sim.device import RefusalError
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.modbus.coding import u16
from heliobus.wire.modbus.pdu import ReadRegisters

COUNT = 20
SERIAL = 0x100


def registers() -> Iterable[Register]:
    for address in range(COUNT):
        yield Register(address, Point(f"fast{address}", NUMBER, ""), u16)
        yield Register(0x40 + address, Point(f"once{address}", NUMBER, ""), u16, poll=Poll.ONCE)


def recognise() -> Recognition:
    """By its serial number, and by a block that it may refuse."""
    serial = yield Ask(ReadRegisters(SERIAL, 1, 4))
    yield Ask(ReadRegisters(0x40, COUNT, 4))
    if serial is None:
        return NotOurs("no serial number")
    assert isinstance(serial, tuple)
    return Recognised(Identity("a test", "a model", str(serial[0])), DRIVER)


DRIVER = Driver("test", "test", "a test", "tests", Role.SOLAR_CHARGER, tuple(registers()), recognise)


class Choosy(SimCapture):
    """Serves only some addresses, and counts what it refuses."""

    def __init__(self, served: Iterable[int], code: int = 2) -> None:
        super().__init__({address: address + 1 for address in range(0x200)})
        self.served = {SERIAL, *served}
        self.code = code
        self.refused: Counter[tuple[int, int]] = Counter()

    def read_words(self, function: int, address: int, count: int) -> tuple[int, ...]:
        if not self.served.issuperset(range(address, address + count)):
            self.refused[address, count] += 1
            raise RefusalError(self.code)
        return tuple(super().read_words(function, address, count))


@asynccontextmanager
async def polled(device: Choosy) -> AsyncIterator[tuple[MemoryLink, Ear]]:
    link = memory(device)
    async with running(link) as bus, polling(bus, driver=DRIVER) as ear:
        yield link, ear


async def outage(link: MemoryLink, ear: Ear) -> None:
    link.paused = True
    await ear.reading(lambda reading: reading.health is Health.OFFLINE)
    link.paused = False
    await ear.reading(lambda reading: reading.health is Health.OK)
    await asyncio.sleep(60)


SERVED = (*range(3, 9), 12, 15, *range(0x43, 0x49), 0x4C)


def test_no_register_is_asked_for_twice_in_vain() -> None:
    async def run() -> None:
        device = Choosy(SERVED)
        async with polled(device) as (link, ear):
            reading = await ear.first()
            for address in range(COUNT):
                for kind, at in (("fast", address), ("once", 0x40 + address)):
                    served = at in SERVED
                    assert reading.values[f"{kind}{address}"] == (at + 1 if served else None)
                    assert (reading.reasons.get(f"{kind}{address}") is Reason.NOT_SUPPORTED) is not served
            await asyncio.sleep(2 * 3600)
            # Also what the identification asked for in vain is not asked for again.
            assert set(device.refused.values()) == {1}
            once = dict(device.refused)
            for _ in range(3):
                await outage(link, ear)
            # Only who it is is asked each time, or nobody would know that it still is the same one.
            assert dict(device.refused) == once | {(0x40, COUNT): 4}
            assert ear.last.values["once3"] == 0x44
            assert ear.last.reasons["once0"] is Reason.NOT_SUPPORTED

    run_virtual(run())


def test_another_device_is_asked_for_everything() -> None:
    async def run() -> None:
        device = Choosy(SERVED)
        async with polled(device) as (link, ear):
            await ear.first()
            device.words[SERIAL] = 7
            device.served |= {0, 1}
            await outage(link, ear)
            assert ear.last.values["fast0"] == 1
            assert max(device.refused.values()) == 2

    run_virtual(run())


def test_a_restart_of_the_program_asks_again() -> None:
    async def run() -> None:
        device = Choosy(SERVED)
        async with polled(device) as (_, ear):
            await ear.first()
        device.served |= {0, 1}
        async with polled(device) as (_, ear):
            assert (await ear.first()).values["fast0"] == 1

    run_virtual(run())


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_block_that_was_served_before_an_outage_is_not_lost_to_a_passing_refusal(code: int) -> None:
    async def run() -> None:
        device = Choosy(range(0x60), code)
        async with polled(device) as (link, ear):
            await ear.first()
            link.paused = True
            await ear.reading(lambda reading: reading.health is Health.OFFLINE)
            device.served = {SERIAL}
            link.paused = False
            await asyncio.sleep(100)
            device.served |= set(range(0x60))
            reading = await ear.reading(lambda reading: reading.values["fast0"] == 1 and reading.values["once0"] == 65)
            assert Reason.NOT_SUPPORTED not in reading.reasons.values()

    run_virtual(run())


def test_a_block_without_an_answer_is_not_absent() -> None:
    async def run() -> None:
        device = tristar(coils={})
        link = memory(device)
        async with alone(link) as ear:
            await ear.first()
            assert device.coils is not None
            link.station.faults.lost = 1.0
            await asyncio.sleep(20)
            link.station.faults.lost = 0.0
            reading = await ear.reading(lambda reading: reading.values["battery_voltage"] == 13.43)
            assert Reason.NOT_SUPPORTED not in reading.reasons.values()

    run_virtual(run())


def test_a_failure_at_what_was_never_read_is_tried_ever_less() -> None:
    async def run() -> None:
        device = Choosy(range(COUNT), 4)
        async with polled(device) as (link, ear):
            reading = await ear.first()
            assert reading.values["fast0"] == 1 and reading.values["once0"] is None
            began = now()
            await asyncio.sleep(3600)
            assert len(reads(link, 0x40)) - 1 in range(6, 12), "one of them is the identification's"
            assert ear.last.health is Health.OK and not ear.silences
            await asyncio.sleep(began + 86400 - now())
            assert len(reads(link, 0x40)) < 40
            assert Reason.NOT_SUPPORTED not in ear.last.reasons.values()
            device.served |= set(range(0x40, 0x60))
            await ear.reading(lambda reading: reading.values["once0"] == 0x41, 3601)

    run_virtual(run())


@pytest.mark.parametrize("code", [5, 6])
def test_a_busy_device_is_asked_again_soon(code: int) -> None:
    async def run() -> None:
        device = Choosy((), code)
        device.served = set(range(0x200))
        async with polled(device) as (link, ear):
            await ear.first()
            device.served = set()
            await asyncio.sleep(60)
            assert len(reads(link, 0)) > 10

    run_virtual(run())


def test_a_device_that_refuses_everything_is_asked_anew_each_time() -> None:
    async def run() -> None:
        device = Choosy(())
        async with polled(device) as (_, ear):
            await ear.wait(lambda: bool(ear.strangers))
            assert "refuses every register" in ear.strangers[0]
            device.served |= set(range(0x60))
            assert (await ear.first()).values["fast0"] == 1

    run_virtual(run())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 3))
def test_halving_what_is_all_refused_takes_less_than_two_requests_a_register(count: int, words: int) -> None:
    members = [
        Register(words * index, Point(f"p{index}", NUMBER, ""), u16, table=Table.INPUT) for index in range(count)
    ]
    [block] = plan(members, BlockLimits(max_count=200), TCP_COST)
    waiting, asked = [block], 0
    while waiting:
        asked += 1
        waiting += halves(waiting.pop()) or ()
    assert asked == 2 * count - 1


def test_the_tristar_keeps_its_parted_blocks_over_an_outage() -> None:
    async def run() -> None:
        device = tristar(max_registers=60)
        link = memory(device)
        async with alone(link) as ear:
            await ear.first()
            assert reads(link, 0x0000).count(92) == 1
            await outage(link, ear)
            assert reads(link, 0x0000).count(92) == 1
            assert {each.driver for each in ear.recognised_as} == {TRISTAR}

    run_virtual(run())
