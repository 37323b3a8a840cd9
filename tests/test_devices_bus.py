"""Devices that refuse blocks, and several devices on one bus."""

import asyncio
import logging
from collections.abc import Iterable
from contextlib import AsyncExitStack
from itertools import pairwise

import pytest

from devices_stage import (
    PRODUCT,
    SERIAL,
    TRISTAR,
    Ear,
    alone,
    capture_c,
    memory,
    now,
    points,
    polling,
    reads,
    running,
    tristar,
)
from heliobus.devices.driver import Poll
from heliobus.devices.plan import rtu_cost
from heliobus.model.reading import Health, Reading, Reason
from heliobus.sim.capture import SimCapture
from heliobus.sim.device import RefusalError
from heliobus.sim.faults import Framing
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import run_virtual

PERIOD = 5.0
HOUR = 3600.0


class Moody(SimCapture):
    """Refuses what begins at `refused` with `code`, as often as `times`."""

    refused: Iterable[tuple[int, int]] = ()
    """Function and first address."""
    code = 2
    times = 10**9

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        if self.times and (pdu[0], int.from_bytes(pdu[1:3], "big")) in self.refused:
            self.times -= 1
            return bytes((pdu[0] | 0x80, self.code))
        return super().answer(pdu, bridged, serial)


def moody(*refused: tuple[int, int], code: int = 2, times: int = 10**9) -> Moody:
    device = Moody(capture_c(), objects=PRODUCT, coils={})
    device.refused, device.code, device.times = refused, code, times
    return device


@pytest.mark.parametrize("framing", list(Framing))
@pytest.mark.parametrize("code", [2, 3])
def test_a_device_that_refuses_92_registers_gets_two_halves_and_is_asked_once(framing: Framing, code: int) -> None:
    async def run() -> None:
        link = memory(tristar(max_registers=60, too_long_code=code), framing)
        async with alone(link, framing) as ear:
            reading = await ear.first()
            assert reading.values["battery_voltage"] == 13.43
            assert Reason.NOT_SUPPORTED not in reading.reasons.values()
            await asyncio.sleep(600)
            whole = [count for count in reads(link, 0) if count == 92]
            low = [count for count in reads(link, 0) if 5 < count <= 60]
            assert len(whole) == 1 and len(set(low)) == 1
            assert len(low) in (120, 121, 122)
            [high] = {pdu[1:5] for _, pdu in link.requests if pdu[:2] == b"\x04\x00" and pdu[2] not in (0,)}
            assert int.from_bytes(high[:2], "big") + int.from_bytes(high[2:], "big") == 92
            assert int.from_bytes(high[:2], "big") == next(iter(low)) or high[1] > low[0]
            assert all(each.values["fixed_array_percent"] == 0.0 for _, each in ear.readings)

    run_virtual(run())


@pytest.mark.parametrize("code", [1, 2, 3])
def test_what_a_device_always_refuses_is_not_supported_and_asked_once(
    code: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        coils = [(1, address) for address in range(4)]
        link = memory(moody(*coils, (3, 0xE0CC), code=code))
        async with alone(link) as ear:
            reading = await ear.first()
            assert reading.health is Health.OK
            for name in ("equalize_requested", "charge_disconnect", "model_number"):
                assert (reading.values[name], reading.reasons[name]) == (None, Reason.NOT_SUPPORTED)
            assert (reading.values["charger_enabled"], reading.values["rated_current"]) == (None, None)
            await asyncio.sleep(HOUR)
            # The two coils together, then each of them.
            assert [pdu for _, pdu in link.requests if pdu[0] == 1] == [
                bytes((1, 0, 0, 0, 3)),
                bytes((1, 0, 0, 0, 1)),
                bytes((1, 0, 2, 0, 1)),
            ]
            assert reads(link, 0xE0CC, 3) == [1]
            assert ear.last.reasons["equalize_requested"] is Reason.NOT_SUPPORTED
            assert ear.last.health is Health.OK and not ear.silences

    with caplog.at_level(logging.INFO, "heliobus.devices"):
        run_virtual(run())
    said = [record.getMessage() for record in caplog.records if record.name == "heliobus.devices"]
    assert said == ["unit1: not supported: model_number, equalize_requested, charge_disconnect"]


@pytest.mark.parametrize("code", [5, 6])
@pytest.mark.parametrize("block", [(3, 0xE000), (1, 0), (4, 0x1000), (3, 0xE080)])
def test_a_device_that_is_busy_at_first_does_not_hold_back_the_reading(code: int, block: tuple[int, int]) -> None:
    """A settings block is due once a day; the reading must not wait for that, nor the block."""

    async def run() -> None:
        async with alone(memory(moody(block, code=code, times=4))) as ear:
            await ear.first()
            assert now() < 10
            await asyncio.sleep(60)
            missing = {name for name, reason in ear.last.reasons.items() if reason is Reason.STALE}
            assert missing == set()
            assert ear.last.values["set_absorption_voltage"] == 0.0

    run_virtual(run())


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_a_block_that_was_served_before_is_not_given_up(code: int) -> None:
    async def run() -> None:
        device = moody()
        async with alone(memory(device)) as ear:
            await ear.first()
            device.refused, device.code = ((4, 0),), code
            blank = await ear.reading(lambda reading: reading.values["battery_voltage"] is None)
            assert blank.reasons["battery_voltage"] is Reason.STALE
            await asyncio.sleep(120)
            device.refused = ()
            back = await ear.reading(lambda reading: reading.values["battery_voltage"] is not None, 2 * PERIOD)
            assert back.values["pv_voltage"] == 0.33
            assert not ear.silences

    run_virtual(run())


def test_a_device_that_refuses_every_register_is_a_stranger_and_said_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Closed(SimCapture):
        def read_words(self, function: int, address: int, count: int) -> list[int]:
            raise RefusalError(2)

        def read_bits(self, function: int, address: int, count: int) -> list[bool]:
            raise RefusalError(2)

    async def run() -> Ear:
        async with alone(memory(Closed({}, objects=PRODUCT))) as ear:
            await ear.wait(lambda: len(ear.strangers) >= 3)
            return ear

    ear = run_virtual(run())
    assert not ear.readings
    errors = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(errors) == 1 and "refuses every register" in errors[0].getMessage()


def device(serial: str) -> SimCapture:
    raw = serial.encode()
    words = {address: raw[2 * index] | raw[2 * index + 1] << 8 for index, address in enumerate(SERIAL)}
    return tristar({**words, 0x44: int(serial[-1])})


def of_whom(reading: Reading) -> str:
    return str(reading.device)


@pytest.mark.parametrize("framing", list(Framing))
def test_a_missing_device_does_not_disturb_the_others_on_its_bus(framing: Framing) -> None:
    units = (1, 2, 3)
    cost = rtu_cost(9600, 0.03)

    async def run() -> None:
        link = memory({unit: device(f"0000000{unit}") for unit in units}, framing)
        async with running(link, framing) as bus, AsyncExitStack() as stack:
            ears = {
                unit: await stack.enter_async_context(polling(bus, unit, cost=cost, period=PERIOD))
                for unit in (*units, 9)
            }
            for unit in units:
                await ears[unit].first()
            await asyncio.sleep(300)
            link.requests.clear()
            began = now()
            await asyncio.sleep(HOUR)
            for unit in units:
                ear = ears[unit]
                asked = [pdu for each, pdu in link.requests if each == unit and pdu[:3] == b"\x04\x00\x00"]
                assert 0.9 * HOUR / PERIOD <= len(asked) <= HOUR / PERIOD + 1
                later = [(time, reading) for time, reading in ear.readings if time > began]
                assert {of_whom(reading) for _, reading in later} == {f"unit{unit}"}
                assert {reading.values["energy_day_counter"] for _, reading in later} == {float(unit)}
                assert max(b - a for (a, _), (b, _) in pairwise(later)) <= 2 * PERIOD
                assert not ear.silences
                assert ear.recognised_as[0].identity.serial == f"0000000{unit}"
            assert len(ears[9].silences) == 1 and not ears[9].readings
            missing = [pdu for unit, pdu in link.requests if unit == 9]
            assert 50 <= len(missing) <= 62

    run_virtual(run())


def test_a_device_that_goes_blanks_no_other_on_the_same_gateway() -> None:
    async def run() -> None:
        link = memory({unit: device(f"0000000{unit}") for unit in (1, 2)})
        async with running(link) as bus, polling(bus, 1) as one, polling(bus, 2) as two:
            await one.first()
            await two.first()
            link.station.devices = {1: link.station.devices[1]}
            await two.reading(lambda reading: reading.health is Health.OFFLINE, 60)
            await asyncio.sleep(HOUR)
            assert all(reading.values["battery_voltage"] == 13.43 for _, reading in one.readings)
            assert not one.silences

    run_virtual(run())


def test_eight_chargers_on_one_line_at_9600_baud_keep_their_rhythm() -> None:
    """8 · 0.26 s for 92 registers: more than 2 s of each 5 s on the wire."""

    async def run() -> None:
        units = range(1, 9)
        link = memory({unit: device(f"0000000{unit}") for unit in units}, Framing.RTU, latency=0.0)
        async with running(link, Framing.RTU) as bus, AsyncExitStack() as stack:
            ears = [await stack.enter_async_context(polling(bus, unit, cost=rtu_cost(9600, 0.03))) for unit in units]
            for ear in ears:
                await ear.first()
            link.requests.clear()
            await asyncio.sleep(1800)
            for unit in units:
                asked = [pdu for each, pdu in link.requests if each == unit and pdu[:3] == b"\x04\x00\x00"]
                assert len(asked) in (359, 360, 361)
            assert 30 < ears[0].last.values["bus_load"] < 70  # type: ignore[operator]
            assert all(reading.values["battery_voltage"] == 13.43 for ear in ears for _, reading in ear.readings)

    run_virtual(run())


def test_more_devices_than_the_line_can_serve_share_it_fairly() -> None:
    async def run() -> None:
        units = range(1, 9)
        link = memory({unit: device(f"0000000{unit}") for unit in units}, Framing.RTU, latency=0.0)
        async with running(link, Framing.RTU) as bus, AsyncExitStack() as stack:
            pollers = [polling(bus, unit, cost=rtu_cost(9600, 0.03), period=1.0) for unit in units]
            ears = [await stack.enter_async_context(each) for each in pollers]
            for ear in ears:
                await ear.first()
            await asyncio.sleep(60)
            link.requests.clear()
            await asyncio.sleep(600)
            counts = [sum(1 for each, pdu in link.requests if each == unit and pdu[0] == 4) for unit in units]
            assert min(counts) > 0.9 * max(counts)
            assert not any(ear.silences for ear in ears)

    run_virtual(run())


def test_two_simulated_chargers_behind_one_bridge() -> None:
    async def run() -> None:
        first, second = SimTriStar(serial="11111111", hour=11.0), SimTriStar(serial="22222222", model=45, hour=11.0)
        link = memory({1: first, 2: second}, bridge_seconds=0.3)
        async with running(link) as bus, polling(bus, 1) as one, polling(bus, 2) as two:
            await one.first()
            await two.first()
            await asyncio.sleep(HOUR)
            assert one.recognised_as[0].identity.model == "TriStar MPPT 60"
            assert two.recognised_as[0].identity.model == "TriStar MPPT 45"
            for ear, charger in ((one, first), (two, second)):
                values = ear.last.values
                assert values["battery_terminal_voltage"] == pytest.approx(charger.charger.terminal_volts, abs=0.3)
                assert values["energy_day_counter"] == pytest.approx(charger.logger.wh, abs=30)
            assert one.last.values["rated_current"] == 60 and two.last.values["rated_current"] == 45

    run_virtual(run())


def test_every_point_of_the_table_has_a_poll_class_that_fits() -> None:
    assert "battery_voltage" in points(TRISTAR, Poll.FAST)
    assert "charge_disconnect" in points(TRISTAR, Poll.NORMAL)
    assert "stored_energy_total" in points(TRISTAR, Poll.SLOW)
    assert "set_absorption_voltage" in points(TRISTAR, Poll.ONCE)
