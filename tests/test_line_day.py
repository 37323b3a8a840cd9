"""Six Tracers and four meters on one RS-485 line: a day of noise, what the line is used for, and a pulled plug."""

import asyncio
import logging
from itertools import pairwise

import pytest

from heliobus.devices.plan import plan
from heliobus.model.reading import Health
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import run_virtual
from line_stage import Line, cost_of, driver_of, least, line

DAY = 86400.0
HOUR = 3600.0
CALM = {"epever-tracer": 20.0, "pzem-ac": 20.0, "pzem-dc": 20.0}
BRISK = {"epever-tracer": 5.0, "pzem-ac": 2.0, "pzem-dc": 2.0}
NOISE = {"late": 0.02, "cut": 0.02, "flipped": 0.02, "second_master": 10.0}


async def watched(line: Line, periods: dict[str, float], seconds: float) -> int:
    """Hold everything the outputs are given for `seconds` against what the devices said; how many values that were."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    yields: dict[str, float] = {}
    checked = 0
    while loop.time() < end:
        try:
            async with asyncio.timeout(max(0.0, end - loop.time())):
                updates = await line.mailbox.get()
        except TimeoutError:
            break
        for update in updates:
            reading = update.reading
            assert reading is not None
            unit = int(update.device.name.removeprefix("unit"))
            driver = line.drivers[unit]
            assert line.witness.wrong(unit, reading, periods[driver.name]) == [], update.device.name
            checked += sum(value is not None for value in reading.values.values())
            for name in ("yield_total", "energy_forward"):
                value = reading.values.get(name)
                if isinstance(value, int | float):
                    key = f"{unit} {name}"
                    assert value >= yields.get(key, 0.0), key
                    yields[key] = value
    return checked


def used(line: Line, periods: dict[str, float], seconds: float) -> dict[int, tuple[float, float]]:
    """By baud, the time used and what was carried, in shares of the least that the cost model gives for this rhythm."""
    sums: dict[int, tuple[float, float, float]] = {}
    for unit, device in line.devices.items():
        driver = driver_of(device)
        served = line.drivers[unit]
        blocks = plan(served.registers, served.limits, cost_of(served))
        usage = line.meter.usage[unit]
        time, carried, ideal = sums.get(device.baud, (0.0, 0.0, 0.0))
        ideal += least(served, blocks, periods[driver.name], seconds)
        sums[device.baud] = (time + usage.seconds, carried + usage.carried, ideal)
    return {baud: (time / ideal, carried / ideal) for baud, (time, carried, ideal) in sums.items()}


@pytest.mark.slow
def test_a_day_of_noise_and_a_second_master_makes_no_wrong_value(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "heliobus")

    async def scenario() -> None:
        async with line(CALM, **NOISE) as one:
            checked = await watched(one, CALM, DAY)
            assert checked > 1_000_000
            statistics = one.bus.statistics
            accidents = one.link.station.faults.applied
            assert min(accidents[name] for name in ("late", "cut", "flipped", "second_master")) > 1000
            assert statistics.foreign_frames > 1000
            for unit in one.devices:
                reading = one.site.reading(f"unit{unit}")
                assert reading is not None
                assert reading.health in (Health.OK, Health.FAILING)
            for baud, (time, carried) in used(one, CALM, DAY).items():
                print(f"{baud} baud: noise made the line carry {carried:.3f} and wait {time:.3f} of the least possible")

    run_virtual(scenario())
    assert sum("another master is talking on this line" in record.getMessage() for record in caplog.records) >= 1


def test_the_line_is_used_little_more_than_the_cost_model_needs() -> None:
    async def scenario() -> dict[int, tuple[float, float]]:
        # The cost model knows nothing of pauses within an answer.
        async with line(BRISK, start=9.0, pause=0.0) as one:
            await watched(one, BRISK, 300.0)
            one.meter.usage.clear()
            await watched(one, BRISK, HOUR)
            return used(one, BRISK, HOUR)

    shares = run_virtual(scenario())
    for baud, (time, _) in shares.items():
        print(f"{baud} baud: the line is used {time:.3f} of the least possible")
    assert 0.9 <= shares[115200][0] <= 1.10
    assert 0.9 <= shares[9600][0] <= 1.05


@pytest.mark.parametrize("unplugged", [3, 20])
def test_a_pulled_plug_is_seen_and_leaves_the_rhythm_of_the_others(unplugged: int) -> None:
    async def scenario() -> None:
        async with line(BRISK, start=9.0) as one:
            await watched(one, BRISK, 120.0)
            one.devices[unplugged].connected = False
            period = BRISK[driver_of(one.devices[unplugged]).name]
            await watched(one, BRISK, 3 * period + 2)
            reading = one.site.reading(f"unit{unplugged}")
            assert reading is not None
            assert reading.health is Health.OFFLINE
            assert [name for name, value in reading.values.items() if value is not None] == []
            since = asyncio.get_running_loop().time()
            await watched(one, BRISK, 600.0)
            for unit, device in one.devices.items():
                if unit == unplugged:
                    continue
                wanted = BRISK[driver_of(device).name]
                times = [time for time in one.times[unit] if time >= since]
                # A Tracer is heard more often than it is due: its blocks are read in several requests.
                if not isinstance(device, SimTracer):
                    gaps = sorted(later - earlier for earlier, later in pairwise(times))
                    assert gaps[int(0.95 * len(gaps))] <= 1.1 * wanted
                assert len(times) >= 0.9 * 600 / wanted
            one.devices[unplugged].connected = True
            await watched(one, BRISK, 90.0)
            reading = one.site.reading(f"unit{unplugged}")
            assert reading is not None
            assert reading.health is Health.OK

    run_virtual(scenario())
