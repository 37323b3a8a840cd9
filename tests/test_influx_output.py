"""The whole output, site to database: what arrives, what never does, and what its log says."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from databases import InfluxDatabase, influxdb, victoria_metrics
from heliobus.app.outputs import Surroundings, make
from heliobus.config.outputs import InfluxConfig, OutputsConfig
from heliobus.config.secret import Secret
from heliobus.model.localtime import local_time
from heliobus.outputs.influx.output import InfluxOutput
from heliobus.outputs.outbox import Pace
from heliobus.outputs.status import OutputStatus, Statuses
from heliobus.site import Site
from influx_site import CHARGER_VALUES, fed, introduced, unplugged

START = 1_736_121_600
PATIENCE = 10.0
PACE = Pace(first=0.05, longest=0.1)


@dataclass
class HandClock:
    """Wall-clock time by hand."""

    now: float = START

    def time(self) -> float:
        return self.now


class UnsetClock(HandClock):
    """The clock of a machine that starts in 1970; `right` is what it should have said."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.right: list[float] = []
        self._began = asyncio.get_running_loop().time()

    def time(self) -> float:
        return self.now + asyncio.get_running_loop().time() - self._began


@dataclass
class Stage:
    site: Site
    clock: HandClock
    status: OutputStatus


@asynccontextmanager
async def running(config: InfluxConfig, state: Path, clock: HandClock | None = None) -> AsyncIterator[Stage]:
    statuses, site, clock = Statuses(), Site(), clock or HandClock()
    output = InfluxOutput(replace(config, every=0.02), "Hut 7", state, clock, statuses, pace=PACE)
    task = asyncio.create_task(output.run(site))
    try:
        yield Stage(site, clock, statuses.open(config.name))
    finally:
        task.cancel()
        assert isinstance((await asyncio.gather(task, return_exceptions=True))[0], asyncio.CancelledError)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not happened():
            await asyncio.sleep(0.01)


async def until_stored(stage: Stage, count: int) -> None:
    await until(lambda: stage.status.sent >= count and stage.status.waiting == 0)


def config_of(influx: InfluxDatabase, **options: object) -> InfluxConfig:
    return replace(InfluxConfig("influx", influx.url), **options)  # type: ignore[arg-type]


async def test_a_number_that_was_whole_may_have_decimals_later(tmp_path: Path) -> None:
    async with influxdb(tmp_path / "i") as influx, running(config_of(influx), tmp_path) as stage:
        device = introduced(stage.site, "roof")
        for count, (power, state) in enumerate([(412, 3), (412.5, 5), (0, 0), (-0.25, 7)], 1):
            fed(stage.site, device, START + count, {**CHARGER_VALUES, "pv_power": power, "charger_state": state})
            await until_stored(stage, count)
        rows = await influx.rows("solar_charger")
        assert [row["pv_power"] for row in rows] == [412, 412.5, 0, -0.25]
        assert [row["charger_state_text"] for row in rows] == ["bulk", "float", "off", "equalize"]
        assert [row["time"] for row in rows] == [1000 * (START + count) for count in range(1, 5)]
        assert (stage.status.refused, stage.status.dropped, stage.status.errors) == (0, 0, 0)


async def test_what_is_not_measured_is_not_written(tmp_path: Path) -> None:
    async with influxdb(tmp_path / "i") as influx, running(config_of(influx), tmp_path) as stage:
        device = introduced(stage.site, "roof")
        fed(stage.site, device, START, {"battery_voltage": 27.31})
        await until_stored(stage, 1)
        (row,) = await influx.rows("solar_charger")
        tags = {"device": "tracer_0", "model": "Tracer 4215BN", "name": "roof", "site": "Hut 7"}
        assert row == {"time": 1000 * START, "battery_voltage": 27.31, **tags}
        # Nothing but its own health.
        fed(stage.site, device, START + 1, {})
        fed(stage.site, device, START + 2)
        await until_stored(stage, 2)
        assert [row["time"] for row in await influx.rows("solar_charger")] == [1000 * START, 1000 * (START + 2)]


@pytest.mark.parametrize("layout", ["native", "venus", "seed"])
async def test_an_unplugged_device_gives_no_further_points(tmp_path: Path, layout: str) -> None:
    async with influxdb(tmp_path / "i") as influx, running(config_of(influx, layout=layout), tmp_path) as stage:
        first, second = introduced(stage.site, "first", 0), introduced(stage.site, "second", 1)
        fed(stage.site, first, START)
        await until_stored(stage, 1)
        unplugged(stage.site, first)
        fed(stage.site, second, START + 10)
        await until_stored(stage, 2)
        unplugged(stage.site, second)
        fed(stage.site, first, START + 20)
        await until_stored(stage, 3)
        names = [each["name"] for each in await influx.query("SHOW MEASUREMENTS", "heliobus")]
        assert names == ["measurements"]
        if layout == "native":
            rows = await influx.rows("solar_charger")
            assert [(row["time"] // 1000 - START, row["device"]) for row in rows] == [
                (0, "tracer_0"),
                (10, "tracer_1"),
                (20, "tracer_0"),
            ]
        elif layout == "venus":
            rows = await influx.rows("solarcharger/Yield/Power")
            assert [row["time"] // 1000 - START for row in rows] == [0, 10, 20]
            assert len({row["instanceNumber"] for row in rows}) == 2 and len({row["portalId"] for row in rows}) == 1
        else:
            rows = await influx.rows("solar")
            assert [("PVvolt" in row, row["PVwatt"]) for row in rows] == [(True, 412), (False, 412), (True, 412)]


async def test_a_wrong_password_is_said_once_and_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    secret = "s3cret-of-the-hut"
    async with influxdb(tmp_path / "i", user="admin", password="right") as influx:
        file = tmp_path / "password"
        file.write_text(secret)
        config = config_of(influx, user="admin", password=Secret(file=str(file)))
        async with running(config, tmp_path) as stage:
            device = introduced(stage.site, "roof")
            for number in range(3):
                fed(stage.site, device, START + number)
                await until(lambda number=number: stage.status.waiting == number + 1)  # type: ignore[misc]
            await until(lambda: stage.status.errors >= 3)
            assert stage.status.connected is False
            assert "does not accept user and password" in stage.status.last_error
            said = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
            assert len([each for each in said if "does not accept user and password" in each]) == 1
            # As soon as it is right, nothing is missing.
            file.write_text("right")
            await until_stored(stage, 3)
        assert len(await influx.rows("solar_charger")) == 3
        assert secret not in caplog.text and "czNjcmV0" not in caplog.text and secret not in repr(config)


async def test_a_missing_database_is_said_once_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with influxdb(tmp_path / "i", create="") as influx, running(config_of(influx), tmp_path) as stage:
        fed(stage.site, introduced(stage.site, "roof"), START)
        await until(lambda: stage.status.errors >= 3)
        said = [each.getMessage() for each in caplog.records if 'CREATE DATABASE "heliobus"' in each.getMessage()]
        assert len(said) == 1
        await influx.query('CREATE DATABASE "heliobus"')
        await until_stored(stage, 1)


async def test_what_a_database_refuses_does_not_stop_the_rest(tmp_path: Path) -> None:
    async with influxdb(tmp_path / "i") as influx:
        # Another program has made this field a text, in the same week: InfluxDB 1 asks no further.
        async with running(config_of(influx), tmp_path) as stage:
            device = introduced(stage.site, "roof")
            await _written(influx, f'solar_charger pv_power="much" {1000 * START + 99_000}')
            influx.stop()
            for number in range(4):
                power = 412.0 if number == 2 else None
                fed(stage.site, device, START + number, {"battery_voltage": 27.0, "pv_power": power})
                await until(lambda number=number: stage.status.waiting == number + 1)  # type: ignore[misc]
            await influx.start()
            await until(lambda: stage.status.waiting == 0)
            assert (stage.status.sent, stage.status.refused) == (3, 1)
            assert "field type conflict" in stage.status.last_error
        rows = await influx.rows("solar_charger")
        assert [row["time"] // 1000 - START for row in rows if "battery_voltage" in row] == [0, 1, 3]


async def _written(influx: InfluxDatabase, line: str) -> None:
    import aiohttp

    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{influx.url}/write?db=heliobus&precision=ms", data=line) as answer,
    ):
        assert answer.status == 204


async def test_a_crash_of_the_database_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with victoria_metrics(tmp_path / "v") as victoria:
        config = InfluxConfig("vm", victoria.url, database="")
        async with running(config, tmp_path) as stage:
            device = introduced(stage.site, "roof")
            fed(stage.site, device, START)
            await until_stored(stage, 1)
            await victoria.flush()
            # A database that says yes before it has it on disk would lose this in a crash, and that is its own.
            victoria.stop()
            fed(stage.site, device, START + 1)
            await until(lambda: stage.status.connected is False)
            await victoria.start()
            await until_stored(stage, 2)
            victoria.kill()
            fed(stage.site, device, START + 2)
            await until(lambda: stage.status.connected is False)
            await victoria.start()
            await until_stored(stage, 3)
        series = await victoria.export('{__name__="solar_charger_pv_power"}')
        (samples,) = [found for _, found in series]
        times = [time // 1000 - START for time, _ in samples]
        assert len(times) == len(set(times)) and {0, 2} <= set(times) <= {0, 1, 2}


async def test_what_waited_at_the_end_goes_out_at_the_next_start(tmp_path: Path) -> None:
    async with influxdb(tmp_path / "i") as influx:
        influx.stop()
        async with running(config_of(influx), tmp_path) as stage:
            fed(stage.site, introduced(stage.site, "roof"), START)
            await until(lambda: stage.status.waiting == 1)
        assert (tmp_path / "outbox" / "influx").is_dir()
        await influx.start()
        async with running(config_of(influx), tmp_path) as stage:
            await until_stored(stage, 1)
        assert len(await influx.rows("solar_charger")) == 1


async def test_samples_wait_for_the_clock(tmp_path: Path) -> None:
    async with influxdb(tmp_path / "i") as influx:
        clock = UnsetClock()
        async with running(config_of(influx), tmp_path, clock) as stage:
            device = introduced(stage.site, "roof")
            for number in range(5):
                fed(stage.site, device, clock.time(), {"pv_power": float(number)})
                clock.right.append(clock.time() + START)
                await asyncio.sleep(0.05)
            assert stage.status.waiting == stage.status.sent == 0
            clock.now = START
            fed(stage.site, device, clock.time(), {"pv_power": 5.0})
            clock.right.append(clock.time())
            await until(lambda: stage.status.sent >= 6 and stage.status.waiting == 0)
        rows = await influx.rows("solar_charger")
        assert [row["pv_power"] for row in rows] == [0, 1, 2, 3, 4, 5]
        assert all(abs(row["time"] / 1000 - right) < 0.01 for row, right in zip(rows, clock.right, strict=True))


def test_it_is_made_of_its_config(tmp_path: Path) -> None:
    config = OutputsConfig(influx=(InfluxConfig("one", "http://h"), InfluxConfig("two", "http://h")))
    statuses = Statuses()
    around = Surroundings("Hut 7", tmp_path, HandClock(), lambda: local_time("UTC"), statuses)
    assert [output.name for output in make(config, around)] == ["one", "two"]
    assert [status.name for status in statuses] == ["one", "two"]
    assert not list(tmp_path.iterdir())
