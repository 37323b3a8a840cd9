"""The terminal: only what is declared is written, and an error says whether the device may have taken it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from devices_stage import TRISTAR, TRISTAR_600, memory, running
from heliobus.devices.driver import Driver, Poll, Register, Table
from heliobus.devices.morningstar import points as ts
from heliobus.devices.morningstar import writes as w
from heliobus.devices.plan import TCP_COST
from heliobus.devices.terminal import RejectedError, Terminal, TerminalError
from heliobus.devices.writes import Coil
from heliobus.model import vocabulary as v
from heliobus.sim.faults import Faults
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.coding import u16

assert TRISTAR.writes is not None and TRISTAR.writes.eeprom is not None and TRISTAR.writes.slave is not None
EEPROM, SLAVE = TRISTAR.writes.eeprom, TRISTAR.writes.slave
FLOAT = next(register for register in EEPROM.registers if register.point is ts.SET_FLOAT_VOLTAGE)
SETTINGS_24 = {ts.SYSTEM_MULTIPLIER.name: 2, ts.VOLTAGE_SCALING.name: 180.0, ts.CURRENT_SCALING.name: 80.0}


def noon(**options: object) -> SimTriStar:
    return SimTriStar(hour=12.0, cloudiness=0.0, day_of_year=152, **options)  # type: ignore[arg-type]


@asynccontextmanager
async def terminal(link: MemoryLink, driver: Driver = TRISTAR) -> AsyncIterator[tuple[Terminal, Bus]]:
    async with running(link) as bus:
        yield Terminal(bus, 1, driver, TCP_COST), bus


def sent_writes(link: MemoryLink) -> list[bytes]:
    return [pdu for _, pdu in link.requests if pdu[0] in (5, 6, 15, 16)]


def at_sea(work: Callable[[Terminal, MemoryLink], Coroutine[None, None, None]], link: MemoryLink) -> None:
    async def run() -> None:
        async with terminal(link) as (one, _):
            await work(one, link)

    run_virtual(run())


DECLARED = {register.address for register in TRISTAR.writes.registers()}
DECLARED_COILS = {coil.address for coil in TRISTAR.writes.coils}
NEVER = (
    0x005A,
    0x005B,
    0xE019,
    0xE01A,
    0xE020,
    0xE021,
    *range(0x1500, 0x1540),
    0x1517,
    0x0018,
    0xE0CC,
    0xE001 + 0x10000,
)


def test_what_is_declared_is_what_the_reference_allows() -> None:
    settings = {*range(0xE000, 0xE00C), *range(0xE00D, 0xE013), *range(0xE015, 0xE019), 0xE01D}
    assert settings | {0x0058, 0x0059} == DECLARED
    # The resettable counters may be cleared, what counts a life (0x11, 0x18) and the test mode may not.
    assert {0x00, 0x02, 0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x19, 0xFF, 0x10FF} == DECLARED_COILS


@pytest.mark.parametrize("address", NEVER)
def test_registers_that_are_not_declared_cannot_be_written(address: int) -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        for once in (True, False):
            with pytest.raises(ValueError, match="not declared"):
                await one.write_word(Register(address, ts.SET_FLOAT_VOLTAGE, u16), 0, once=once)
        assert not link.requests

    at_sea(work, memory(noon()))


def test_nor_can_any_other() -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        for address in set(range(0x10000)) - DECLARED:
            with pytest.raises(ValueError, match="not declared"):
                await one.write_word(Register(address, ts.SET_FLOAT_VOLTAGE, u16), 0, once=True)
        for address in set(range(0x10000)) - DECLARED_COILS:
            with pytest.raises(ValueError, match="not declared"):
                await one.write_coil(Coil(address, v.EQUALIZE_REQUESTED), True)
        assert not link.requests

    at_sea(work, memory(noon()))


def test_a_driver_without_writes_writes_nothing() -> None:
    async def run() -> None:
        link = memory(noon())
        for driver in (replace(TRISTAR, writes=None), TRISTAR_600):
            async with terminal(link, driver) as (one, _):
                with pytest.raises(ValueError, match="not declared"):
                    await one.write_word(FLOAT, 2500, once=True)
                with pytest.raises(ValueError, match="not declared"):
                    await one.write_coil(w.ENABLED, False)
        assert not link.requests

    run_virtual(run())


def test_a_write_is_one_request_for_one_register() -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        await one.write_word(SLAVE.volts, 0x0A33, once=False)
        await one.write_word(FLOAT, 2500, once=True)
        await one.write_coil(w.ENABLED, False)
        await one.write_coil(w.EQUALIZE, True)
        assert [pdu.hex() for pdu in sent_writes(link)] == ["0600590a33", "06e00109c4", "050002ff00", "050000ff00"]

    at_sea(work, memory(noon()))


def test_fresh_words_values_and_coils() -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        charger.charger.requests.disconnect = True
        words = await one.words(EEPROM.registers)
        assert set(words) == {register.point.name for register in EEPROM.registers}
        assert words["set_absorption_voltage"] == 2621
        values = await one.values([*EEPROM.registers, SLAVE.state], SETTINGS_24)
        assert values["set_absorption_voltage"] == pytest.approx(28.8, abs=0.01)
        assert values["charge_state"] in range(10)
        # Without a factor there is no value, and none of another time.
        assert (await one.values([FLOAT], {}))["set_float_voltage"] is None
        # The point means "may charge", the wire "is disconnected".
        assert await one.coil(w.ENABLED) is False
        charger.charger.requests.disconnect = False
        assert await one.coil(w.ENABLED) is True
        assert not sent_writes(link)

    charger = noon()
    at_sea(work, memory(charger))


def test_a_read_goes_ahead_of_polling() -> None:
    async def run() -> None:
        link = memory(noon())
        async with terminal(link) as (one, bus):
            from heliobus.wire.modbus.pdu import ReadRegisters

            polls = [asyncio.create_task(bus.ask(1, ReadRegisters(address, 1, 4))) for address in range(5)]
            await asyncio.sleep(0.001)
            await one.words([FLOAT])
            order = [int.from_bytes(pdu[1:3], "big") for _, pdu in link.requests]
            assert order.index(0xE001) <= 1
            await asyncio.gather(*polls)

    run_virtual(run())


WRITES = pytest.mark.parametrize(
    ("write", "once"),
    [
        (lambda one: one.write_word(SLAVE.volts, 0x0A33, once=False), False),
        (lambda one: one.write_word(FLOAT, 2500, once=True), True),
        (lambda one: one.write_coil(w.RESET, True), True),
    ],
    ids=["renewed", "EEPROM", "coil"],
)


@WRITES
def test_a_refused_connection_means_it_was_not_sent(write: Callable[[Terminal], Coroutine], once: bool) -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        link.refusing = True
        with pytest.raises(TerminalError) as caught:
            await write(one)
        assert not isinstance(caught.value, RejectedError)
        assert not sent_writes(link)
        # What may be sent again by itself is never called unsent: an earlier try may have got through.
        assert caught.value.sent is not once
        assert "\n" not in str(caught.value)

    at_sea(work, memory(noon()))


@WRITES
def test_a_lost_answer_means_it_may_have_taken_effect(write: Callable[[Terminal], Coroutine], once: bool) -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        with pytest.raises(TerminalError) as caught:
            await write(one)
        assert caught.value.sent and not isinstance(caught.value, RejectedError)
        if once:
            assert len(sent_writes(link)) == 1

    at_sea(work, memory(noon(), faults=Faults(lost=1.0)))


@WRITES
@pytest.mark.parametrize("code", [2, 4, 6])
def test_an_exception_means_nothing_was_changed(write: Callable[[Terminal], Coroutine], once: bool, code: int) -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        with pytest.raises(RejectedError) as caught:
            await write(one)
        assert not caught.value.sent and caught.value.code == code
        assert len(sent_writes(link)) == 1

    at_sea(work, memory(noon(), faults=Faults(exception=1.0, exception_code=code)))


def test_a_connection_that_ends_before_the_answer_is_not_sent_a_second_time() -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        async def hang_up() -> None:
            while not sent_writes(link):
                await asyncio.sleep(0.001)
            link.hang_up()

        for write in (one.write_coil(w.RESET, True), one.write_word(FLOAT, 2500, once=True)):
            link.requests.clear()
            fall = asyncio.create_task(hang_up())
            with pytest.raises(TerminalError) as caught:
                await write
            await fall
            assert caught.value.sent
            assert len(sent_writes(link)) == 1

    at_sea(work, memory(noon(), latency=0.2))


def test_reads_that_come_to_nothing() -> None:
    async def work(one: Terminal, link: MemoryLink) -> None:
        link.refusing = True
        for read in (one.words([FLOAT]), one.values([FLOAT], SETTINGS_24), one.coil(w.ENABLED)):
            with pytest.raises(TerminalError) as caught:
                await read
            assert not caught.value.sent
        link.refusing = False
        # The bus knocks again after a while.
        await asyncio.sleep(10)
        absent = Register(0x9000, ts.SET_FLOAT_VOLTAGE, u16, poll=Poll.ONCE, table=Table.HOLDING)
        with pytest.raises(RejectedError) as rejected:
            await one.words([absent])
        assert rejected.value.code == 2

    at_sea(work, memory(noon()))
