"""Values that contradict each other are out of range, and what comes right after silence is not believed."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from devices_stage import Ear, memory, now, polling, running
from heliobus.devices.driver import Ask, Driver, NotOurs, Poll, Recognised, Recognition, Register
from heliobus.devices.image import Image, Slot
from heliobus.devices.plan import TCP_COST, plan
from heliobus.model.device import Identity
from heliobus.model.point import Point, Value
from heliobus.model.quantity import NUMBER
from heliobus.model.reading import Health, Reason
from heliobus.model.role import Role
from heliobus.sim.capture import SimCapture
from heliobus.sim.device import RefusalError
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.modbus.coding import u16
from heliobus.wire.modbus.pdu import ReadRegisters

PERIOD = 1.0
SETTLING = 5.0
VOLT, CURRENT, POWER, PRODUCT = (Point(name, NUMBER, "") for name in ("volt", "current", "power", "product"))


def recognise() -> Recognition:
    answer = yield Ask(ReadRegisters(0, 1, 4))
    return NotOurs("nothing") if answer is None else Recognised(Identity("a test", "a meter"), DRIVER)


def doubt(values: Mapping[str, Value]) -> Collection[str]:
    """Power is voltage times current."""
    volt, current, power = (values[point.name] for point in (VOLT, CURRENT, POWER))
    if not (isinstance(volt, int) and isinstance(current, int) and isinstance(power, int)):
        return ()
    return () if power == volt * current else (CURRENT.name, POWER.name)


def derive(values: Mapping[str, Value]) -> Mapping[str, Value]:
    volt, current = values[VOLT.name], values[CURRENT.name]
    return {PRODUCT.name: volt * current if isinstance(volt, int) and isinstance(current, int) else None}


DRIVER = Driver(
    "test",
    "test",
    "a test",
    "tests",
    Role.AC_LOAD,
    (Register(0, VOLT, u16), Register(1, CURRENT, u16), Register(0x500, POWER, u16, poll=Poll.NORMAL)),
    recognise,
    derived=(PRODUCT,),
    derive=derive,
    settling=SETTLING,
)
DOUBTING = replace(DRIVER, doubt=doubt)


class Stage:
    """An image of the driver, block by block."""

    def __init__(self, driver: Driver = DOUBTING) -> None:
        self.image = Image(driver)
        self.image.add(Slot(block, 5.0, 0.0) for block in plan(driver.registers, driver.limits, TCP_COST))
        self.fast, self.slow = self.image.slots

    def shown(self) -> tuple[Value, ...]:
        values, reasons = self.image.snapshot()
        for name, value in values.items():
            assert (value is None) == (name in reasons)
        return tuple(values[point.name] for point in (VOLT, CURRENT, POWER, PRODUCT))


def test_what_contradicts_is_out_of_range_until_it_agrees() -> None:
    stage = Stage()
    stage.image.answer(stage.fast, (230, 2), 0.0)
    stage.image.answer(stage.slow, (460,), 0.0)
    assert stage.shown() == (230, 2, 460, 460)
    stage.image.answer(stage.slow, (9999,), 5.0)
    assert stage.shown() == (230, None, None, None)
    _, reasons = stage.image.snapshot()
    assert reasons[CURRENT.name] is reasons[POWER.name] is Reason.OUT_OF_RANGE
    # Another block makes it agree: also what was not read again is back.
    stage.image.answer(stage.slow, (460,), 10.0)
    assert stage.shown() == (230, 2, 460, 460)


def test_the_other_block_may_be_the_wrong_one() -> None:
    stage = Stage()
    stage.image.answer(stage.slow, (460,), 0.0)
    for words in ((230, 7), (231, 7), (0, 0)):
        stage.image.answer(stage.fast, words, 1.0)
        assert stage.shown() == (words[0], None, None, None)
    stage.image.answer(stage.fast, (230, 2), 2.0)
    assert stage.shown() == (230, 2, 460, 460)


def test_what_is_withheld_does_not_outlive_its_answer() -> None:
    stage = Stage()
    stage.image.answer(stage.slow, (9999,), 0.0)
    stage.image.answer(stage.fast, (230, 2), 8.0)
    assert stage.shown() == (230, None, None, None)
    assert stage.image.expire(10.0)
    # The power has gone stale: nothing speaks against the current any more.
    assert stage.shown() == (230, 2, None, 460)
    _, reasons = stage.image.snapshot()
    assert reasons[POWER.name] is Reason.STALE
    assert stage.image.expire(18.0)
    assert stage.shown() == (None, None, None, None)


def test_a_driver_without_doubts_shows_what_it_read() -> None:
    stage = Stage(DRIVER)
    stage.image.answer(stage.fast, (230, 2), 0.0)
    stage.image.answer(stage.slow, (9999,), 0.0)
    assert stage.shown() == (230, 2, 9999, 460)


def test_all_is_void_once_it_is_forgotten() -> None:
    stage = Stage()
    stage.image.answer(stage.fast, (230, 2), 0.0)
    assert stage.image.forget()
    assert stage.shown() == (None, None, None, None)
    assert not stage.image.forget()
    stage.image.answer(stage.fast, (230, 2), 1.0)
    assert stage.shown() == (230, 2, None, 460)


GARBAGE, TRUTH = 9999, 230


class Waking(SimCapture):
    """Says garbage with a good checksum for four seconds after each power-up, and the truth from then on."""

    def __init__(self) -> None:
        super().__init__({1: 2, 0x500: 460})
        self.age = 0.0
        self.deaf = 0

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        if self.deaf and pdu[1:3] == b"\0\0":
            self.deaf -= 1
            return None
        return super().answer(pdu, bridged, serial)

    def advance(self, seconds: float) -> None:
        self.age += seconds

    def read_words(self, function: int, address: int, count: int) -> tuple[int, ...]:
        self.words[0] = GARBAGE if self.age < 4.0 else TRUTH
        return tuple(super().read_words(function, address, count))


@asynccontextmanager
async def woken(driver: Driver = DRIVER, period: float = PERIOD) -> AsyncIterator[tuple[Waking, MemoryLink, Ear]]:
    meter = Waking()
    link = memory(meter)
    async with running(link) as bus, polling(bus, driver=driver, period=period) as ear:
        yield meter, link, ear


def volts(ear: Ear) -> set[Value]:
    return {reading.values["volt"] for _, reading in ear.readings}


@pytest.mark.parametrize("period", [1.0, 5.0, 60.0])
def test_nothing_is_shown_before_it_has_settled(period: float) -> None:
    async def run() -> None:
        async with woken(period=period) as (_, link, ear):
            reading = await ear.first()
            assert SETTLING <= now() <= SETTLING + 0.5
            assert reading.values["volt"] == TRUTH and reading.values["power"] == 460
            link.requests.clear()
            await asyncio.sleep(10 * period)
            assert volts(ear) == {TRUTH}
            # The rhythm is that of every other driver from then on.
            assert len([pdu for _, pdu in link.requests if pdu[1:3] == b"\0\0"]) in (10, 11)

    run_virtual(run())


def test_after_an_outage_it_settles_again() -> None:
    async def run() -> None:
        async with woken() as (meter, link, ear):
            await ear.first()
            for _ in range(5):
                link.paused = True
                await ear.reading(lambda reading: reading.health is Health.OFFLINE)
                meter.age, link.paused, heard = 0.0, False, len(ear.readings)
                reading = await ear.reading(lambda reading: reading.health is Health.OK)
                assert reading.values["volt"] == TRUTH
                assert all(each.values["volt"] in (TRUTH, None) for _, each in ear.readings[heard:])
            assert volts(ear) == {TRUTH, None}

    run_virtual(run())


@pytest.mark.parametrize("misses", [1, 2])
def test_two_misses_in_a_row_are_silence_and_one_is_not(misses: int) -> None:
    async def run() -> None:
        async with woken() as (meter, _, ear):
            await ear.first()
            heard, meter.deaf = len(ear.readings), misses
            await ear.wait(lambda: not meter.deaf)
            meter.age = 0.0 if misses == 2 else meter.age
            await asyncio.sleep(SETTLING + 5)
            void = any(reading.values["volt"] is None for _, reading in ear.readings[heard:])
            assert void is (misses == 2)
            assert volts(ear) <= {TRUTH, None}
            assert not ear.silences and len(ear.recognised_as) == 1
            assert ear.last.values["volt"] == TRUTH and ear.last.health is Health.OK

    run_virtual(run())


class Refusing(Waking):
    """Refuses its slow register while it wakes."""

    def read_words(self, function: int, address: int, count: int) -> tuple[int, ...]:
        if address == 0x500 and self.age < 4.0:
            raise RefusalError(2)
        return super().read_words(function, address, count)


def test_a_refusal_while_it_settles_is_not_believed_either() -> None:
    def asked_too() -> Recognition:
        yield Ask(ReadRegisters(0x500, 1, 4))
        return Recognised(Identity("a test", "a meter"), DRIVER)

    async def run() -> None:
        driver = replace(DRIVER, recognise=asked_too)
        async with running(memory(Refusing())) as bus, polling(bus, driver=driver, period=PERIOD) as ear:
            assert (await ear.first()).values["power"] == 460
            assert Reason.NOT_SUPPORTED not in ear.last.reasons.values()

    run_virtual(run())


def test_silence_within_the_settling_starts_it_anew() -> None:
    async def run() -> None:
        async with woken() as (meter, link, ear):
            await asyncio.sleep(3.0)
            link.paused = True
            await asyncio.sleep(30.0)
            meter.age, link.paused = 0.0, False
            await ear.reading(lambda reading: reading.values["volt"] is not None, 120)
            assert volts(ear) <= {TRUTH, None}

    run_virtual(run())


def test_a_driver_that_need_not_settle_shows_its_first_answer() -> None:
    async def run() -> None:
        async with woken(replace(DRIVER, settling=0.0, recognise=_as_is)) as (_, _link, ear):
            assert (await ear.first()).values["volt"] == GARBAGE
            assert now() < 1

    run_virtual(run())


def _as_is() -> Recognition:
    yield Ask(ReadRegisters(0, 1, 4))
    return Recognised(Identity("a test", "a meter"), replace(DRIVER, settling=0.0))
