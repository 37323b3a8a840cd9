"""The real daemon with every output but Venus on: values everywhere, and nowhere once the cable is pulled."""

import asyncio
import csv
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from daemon import Daemon, heliobus, heliobus_run
from databases import InfluxDatabase, VictoriaMetrics, influxdb, victoria_metrics
from heliobus.cli.private_broker import free_port
from heliobus.sim.server import TcpServer, serve_tcp
from heliobus.sim.tristar import SimTriStar
from servers import Broker, Probe, Seen, certificates, mosquitto, probe

PATIENCE = 30.0
KEY = "tristar_10170296"
BASE = "heliobus/cabin"
STATE, AVAILABILITY = f"{BASE}/roof/state", f"{BASE}/roof/availability"
SERIES = "solar_charger_battery_voltage"
GAUGE = "heliobus_battery_voltage_volts"


@dataclass
class Stage:
    folder: Path
    charger: TcpServer
    broker: Broker
    victoria: VictoriaMetrics
    influx: InfluxDatabase
    web: int

    @property
    def config(self) -> Path:
        return self.folder / "heliobus.toml"

    def write(self) -> None:
        self.config.write_text(
            f"""
            [site]
            name = "Cabin"
            state = "{self.folder}/state"
            timezone = "Europe/Oslo"
            [[device]]
            name = "roof"
            driver = "morningstar-tristar-mppt"
            link = "tcp://127.0.0.1:{self.charger.port}"
            poll = "500ms"
            [output.mqtt]
            broker = "mqtt://127.0.0.1:{self.broker.port}"
            [[output.influx]]
            name = "victoria"
            url = "{self.victoria.url}"
            every = "500ms"
            [[output.influx]]
            name = "influx"
            url = "{self.influx.url}"
            every = "500ms"
            [output.history]
            every = "500ms"
            commit = "1s"
            [output.files]
            folder = "{self.folder}/days"
            formats = ["csv", "jsonl"]
            every = "1s"
            snapshots = "{self.folder}/now"
            [output.web]
            listen = "127.0.0.1:{self.web}"
            """
        )

    async def metrics(self) -> str:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.web}/metrics") as answer:
            assert answer.status == 200
            return await answer.text()

    async def gauge(self) -> bool:
        """Whether Prometheus would see a battery voltage now."""
        with suppress(aiohttp.ClientError):
            return f"\n{GAUGE}{{" in await self.metrics()
        return False

    async def stored(self) -> int:
        """How many battery voltages VictoriaMetrics has."""
        return sum(len(samples) for _, samples in await self.victoria.export(SERIES))

    async def rows(self) -> int:
        """How many samples InfluxDB has."""
        return len([each for each in await self.influx.rows("solar_charger") if "battery_voltage" in each])

    def snapshot(self) -> Any:
        file = self.folder / "now" / "roof.json"
        return json.loads(file.read_text()) if file.exists() else None

    async def history(self) -> list[dict[str, Any]]:
        result = await heliobus(
            *("history", "roof", "battery_voltage", "--every", "raw", "--json", "-c", str(self.config))
        )
        assert result.code == 0, result.err
        found: list[dict[str, Any]] = json.loads(result.out)["points"]["battery_voltage"]["rows"]
        return found


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with (
        serve_tcp({1: SimTriStar(hour=12.0)}) as charger,
        mosquitto(persistence=True) as broker,
        victoria_metrics(tmp_path / "victoria") as victoria,
        influxdb(tmp_path / "influx") as influx,
    ):
        stage = Stage(tmp_path, charger, broker, victoria, influx, free_port())
        stage.write()
        yield stage


@asynccontextmanager
async def running(stage: Stage) -> AsyncIterator[Daemon]:
    async with heliobus_run(stage.config, None, cwd=stage.folder) as daemon:
        yield daemon


async def until(found: Callable[[], Any], *, what: str) -> Any:
    """Ask again and again until the answer is true; for servers that tell nobody."""
    try:
        async with asyncio.timeout(PATIENCE):
            while not (answer := await found()):
                await asyncio.sleep(0.1)
            return answer
    except TimeoutError:
        raise AssertionError(f"{what} did not come") from None


def has_value(seen: Seen) -> bool:
    return seen.topic == STATE and json.loads(seen.payload)["battery_voltage"] is not None


def has_none(seen: Seen) -> bool:
    return seen.topic == STATE and set(json.loads(seen.payload).values()) == {None}


def is_offline(seen: Seen) -> bool:
    return (seen.topic, seen.payload) == (AVAILABILITY, b"offline")


async def everywhere(stage: Stage, watcher: Probe) -> None:
    await watcher.until(has_value)
    await watcher.until(lambda seen: seen.topic.startswith("homeassistant/device/") and KEY in seen.topic)
    await until(stage.gauge, what="the gauge")
    await until(stage.stored, what="the sample in VictoriaMetrics")
    await until(stage.rows, what="the sample in InfluxDB")
    assert stage.snapshot()["battery_voltage"] is not None


@pytest.mark.slow
async def test_the_cable_is_pulled(stage: Stage) -> None:
    async with running(stage) as daemon, probe(stage.broker.port, f"{BASE}/#", "homeassistant/#") as watcher:
        await everywhere(stage, watcher)
        count = len(watcher.seen)
        await stage.charger.pause()
        await watcher.until(has_none, after=count)
        await watcher.until(is_offline, after=count)
        assert not await stage.gauge()
        assert re.search(rf'^heliobus_device_up{{.*device="{KEY}".*}} 0', await stage.metrics(), re.MULTILINE)
        assert stage.snapshot()["battery_voltage"] is None
        stored, rows = await stage.stored(), await stage.rows()
        assert await daemon.stop() == 0
        assert not daemon.matching("ERROR"), daemon.lines
    days = sorted((stage.folder / "days").iterdir())
    assert {day.suffix for day in days} == {".csv", ".jsonl"}
    [day] = [each for each in days if each.suffix == ".csv"]
    with day.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines and all(line["battery_voltage"] for line in lines)
    kept = [each for each in await stage.history() if each["value"] is not None]
    assert len(kept) > 0 and abs(len(kept) - rows) <= 2

    # Neither the next start nor a broker that starts again brings an old value back.
    async with running(stage) as daemon, probe(stage.broker.port, f"{BASE}/#") as watcher:
        await watcher.until(is_offline)
        await daemon.logged("no answer|cannot connect|refused")
        await stage.broker.restart()
    async with probe(stage.broker.port, f"{BASE}/#") as late:
        await late.settle()
        assert not [seen for seen in late.seen if has_value(seen)]
        assert late.on(f"{BASE}/availability") == [b"offline"]
        assert set(late.on(AVAILABILITY)) <= {b"offline"}
    assert not await stage.gauge()
    assert (await stage.stored(), await stage.rows()) == (stored, rows)


async def test_a_killed_daemon_is_seen_and_its_samples_are_there_once(stage: Stage) -> None:
    async with running(stage) as daemon, probe(stage.broker.port, f"{BASE}/#") as watcher:
        await watcher.until(has_value)
        await until(stage.stored, what="the sample in VictoriaMetrics")
        await asyncio.to_thread(stage.victoria.stop)
        await daemon.logged("victoria does not take records")
        count = len(watcher.seen)
        daemon.process.kill()
        await daemon.ended()
        await watcher.until(
            lambda seen: (seen.topic, seen.payload) == (f"{BASE}/availability", b"offline"), after=count
        )
    await stage.victoria.start()
    async with running(stage) as daemon, probe(stage.broker.port, f"{BASE}/#") as watcher:
        await watcher.until(has_value)
        before = await stage.rows()
        await until(lambda: _more(stage.rows, before + 2), what="more samples in InfluxDB")
        assert await daemon.stop() == 0
    times = [time for _, samples in await stage.victoria.export(SERIES) for time, _ in samples]
    expected = {row["time"] for row in await stage.influx.rows("solar_charger") if "battery_voltage" in row}
    assert len(times) == len(set(times))
    # What both databases were given is the same but for the look at the moment of each start and end.
    assert len(expected ^ set(times)) <= 4


async def _more(count: Callable[[], Any], than: int) -> bool:
    return bool(await count() > than)


async def test_tls_brings_openssl_into_the_daemon(tmp_path: Path) -> None:
    keys = certificates(tmp_path)
    async with (
        serve_tcp({1: SimTriStar(hour=12.0)}) as charger,
        mosquitto(tls=keys, client_certificates=True) as broker,
    ):
        config = tmp_path / "heliobus.toml"
        config.write_text(
            f"""
            [site]
            name = "Cabin"
            state = "{tmp_path}/state"
            [[device]]
            driver = "morningstar-tristar-mppt"
            link = "tcp://127.0.0.1:{charger.port}"
            [output.mqtt]
            broker = "mqtts://127.0.0.1:{broker.port}"
            ca = "{keys.ca}"
            certificate = "{keys.client}"
            key = "{keys.client_key}"
            """
        )
        async with heliobus_run(config, None, cwd=tmp_path) as daemon:
            await daemon.logged("connected to mqtts:.* with MQTT 5")
            assert await daemon.stop() == 0
        assert not daemon.matching("ERROR"), daemon.lines
