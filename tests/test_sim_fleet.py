"""`heliobus sim fleet`: its values, its rhythm, and what arrives in real stores."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from databases import VictoriaMetrics, influxdb, victoria_metrics
from heliobus.cli.fleet_load import Load, StoreError
from heliobus.cli.main import main
from heliobus.model.point import Value
from heliobus.outputs.sampler import Sample
from heliobus.sim.fleet import DAY, FleetSite
from heliobus.sim.virtual_time import run_virtual
from servers import mosquitto, probe

VALUES = 140
PATIENCE = 20.0
MIDNIGHT = 20_700 * DAY


def values(site: FleetSite, moment: float) -> dict[str, Value]:
    return {f"{device.key} {name}": each for device, said in site.sample(moment) for name, each in said.items()}


def test_a_site_has_140_values_and_every_one_is_plausible() -> None:
    for number in (1, 7, 999):
        site = FleetSite(number)
        for moment in range(0, int(DAY), 1800):
            told = site.sample(MIDNIGHT + moment)
            assert sum(len(said) for _, said in told) == VALUES
            for device, said in told:
                assert set(said) == set(device.points)
                for name, value in said.items():
                    point = device.points[name]
                    assert isinstance(value, int | float)
                    assert point.low is None or value >= point.low, (name, value)
                    assert point.high is None or value <= point.high, (name, value)
                    assert not point.words or value in point.words


def test_energy_adds_up_and_never_shrinks() -> None:
    site = FleetSite(3)
    moments = [MIDNIGHT + each for each in range(0, int(2 * DAY), 60)]
    told = [site.sample(each)[0][1] for each in moments]
    totals = [float(said["yield_total"] or 0) for said in told]
    assert all(earlier <= later for earlier, later in pairwise(totals))
    won = sum(float(said["pv_power"] or 0) for said in told) / 60 / 1000
    assert totals[-1] - totals[0] == pytest.approx(won, rel=0.03)


def test_sites_and_devices_are_their_own() -> None:
    sites = [FleetSite(number, 6) for number in range(1, 101)]
    keys = [device.key for site in sites for device in site.devices]
    assert len(set(keys)) == len(keys) == 600
    assert len({site.name for site in sites}) == 100
    assert values(sites[0], MIDNIGHT) == values(FleetSite(1, 6), MIDNIGHT)


class Asked:
    """A store that takes `seconds` for each request; the first `failing` it does not take."""

    def __init__(self, seconds: float = 0.0, failing: int = 0) -> None:
        self.told: list[tuple[float, str, int]] = []
        self._seconds = seconds
        self._failing = failing

    async def send(self, site: FleetSite, samples: Sequence[Sample]) -> int:
        await asyncio.sleep(self._seconds)
        if self._failing:
            self._failing -= 1
            raise StoreError("full")
        self.told.append((asyncio.get_running_loop().time(), site.name, samples[0].time))
        return 100


def loaded(store: Asked, duration: float, connections: int = 4, speed: float = 1.0) -> Load:
    load = Load([FleetSite(number) for number in range(10)], 10.0, connections, lambda seconds: 1e9 + speed * seconds)
    run_virtual(load.run(store, duration))
    return load


def test_each_site_has_its_own_moment_in_every_period() -> None:
    store = Asked()
    load = loaded(store, 30.0)
    assert [round(at, 3) for at, _, _ in store.told] == [float(second) for second in range(30)]
    assert [name for _, name, _ in store.told] == [f"site-{number:04d}" for number in range(10)] * 3
    assert [stamped for _, _, stamped in store.told] == [1000 * (10**9 + second) for second in range(30)]
    account = load.account
    assert (account.sites, account.samples, account.values, account.bytes) == (30, 120, 30 * VALUES, 3000)
    assert account.missed == 0


def test_what_a_slow_store_cannot_take_is_missed_and_not_caught_up() -> None:
    store = Asked(seconds=30.0)
    load = loaded(store, 100.0, connections=2)
    assert load.account.missed > 70
    assert load.account.missed + load.account.sites == 100
    assert load.account.latency(0.5) is not None


def test_refusals_are_counted_with_their_reason() -> None:
    load = loaded(Asked(failing=3), 10.0)
    assert load.account.errors == {"full": 3}
    assert load.account.sites == 7


async def fleet(*arguments: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, summary and standard error."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "heliobus", "sim", "fleet", "--json", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await process.communicate()
    return process.returncode or 0, json.loads(said) if said else {}, errors.decode()


async def exported(database: VictoriaMetrics, count: int) -> list[tuple[Mapping[str, str], list[tuple[int, float]]]]:
    """All series but those of zeros that it makes of texts; it shows samples a moment after it took them."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await database.export('{__name__!~".*_text"}')
            if sum(len(samples) for _, samples in found) >= count:
                return found
            await asyncio.sleep(0.05)


async def test_everything_arrives_in_victoriametrics(tmp_path: Path) -> None:
    async with victoria_metrics(tmp_path) as database:
        code, summary, _ = await fleet("--to", database.url, "--sites", "10", "--every", "1s", "--duration", "2s")
        assert code == 0
        assert (summary["values"], summary["missed"], summary["errors"]) == (2 * 10 * VALUES, 0, {})
        found = await exported(database, summary["values"])
        assert len(found) == 10 * VALUES
        assert sum(len(samples) for _, samples in found) == summary["values"]
        assert {labels["site"] for labels, _ in found} == {f"site-{number:04d}" for number in range(1, 11)}


async def test_a_day_in_a_moment_ends_at_the_present_in_influxdb(tmp_path: Path) -> None:
    async with influxdb(tmp_path) as database:
        code, summary, _ = await fleet(
            *("--to", database.url, "--sites", "2", "--every", "10m", "--duration", "2s", "--speed", "3600")
        )
        assert (code, summary["requests"]) == (0, 24)
        rows = await database.rows("solar_charger")
        times = sorted({row["time"] for row in rows})
        assert len(rows) == 24
        assert times[-1] - times[0] == pytest.approx(7_200_000 - 300_000, abs=1)
        assert abs(times[-1] - 1000 * time.time()) < 600_000


async def test_the_database_s_refusal_is_told(tmp_path: Path) -> None:
    async with influxdb(tmp_path, create="") as database:
        code, summary, errors = await fleet("--to", database.url, "--sites", "5", "--every", "1s", "--duration", "1s")
        assert code == 1
        assert summary["values"] == 0
        assert "CREATE DATABASE" in next(iter(summary["errors"]))
        assert "nothing was taken" in errors


async def test_every_sample_arrives_at_a_broker_on_the_topic_of_its_device() -> None:
    async with mosquitto() as broker, probe(broker.port, "fleet/#") as seen:
        code, summary, errors = await fleet(
            *("--mqtt", f"mqtt://127.0.0.1:{broker.port}", "--prefix", "fleet", "--connections", "3"),
            *("--sites", "5", "--every", "1s", "--duration", "1s"),
        )
        await seen.settle()
        assert code == 0, errors
        assert (summary["values"], summary["errors"]) == (5 * VALUES, {})
        sent = [each for each in seen.seen if each.topic.endswith("/sample")]
        assert {each.topic.split("/")[1] for each in sent} == {f"site-{number:04d}" for number in range(1, 6)}
        assert len({each.topic for each in sent}) == len(sent) == 20
        said = [json.loads(each.payload) for each in sent]
        assert sum(len(each) - len({"time"}) for each in said) == summary["values"]
        assert {each.qos for each in sent} == {1}


@asynccontextmanager
async def heard() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """The URL of a server that takes everything, and what is set when it was asked."""
    asked = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
                await reader.readexactly(int(sizes[0].split(b":")[1]))
                writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
                asked.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", asked


async def test_ctrl_c_ends_it_with_a_summary() -> None:
    async with heard() as (url, asked):
        running = asyncio.create_task(
            asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "heliobus", "sim", "fleet", "--json", "--to", url, "--sites", "50"),
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        )
        process = await running
        await asyncio.wait_for(asked.wait(), 20)
        os.kill(process.pid, signal.SIGINT)
        said, errors = await process.communicate()
        assert process.returncode == 0, errors
        assert json.loads(said)["requests"] >= 1
        assert b"Traceback" not in errors


def test_nobody_there_is_an_error() -> None:
    result = CliRunner().invoke(
        main, ["sim", "fleet", "--to", "http://127.0.0.1:9", "--sites", "2", "--every", "1s", "--duration", "1s"]
    )
    assert result.exit_code == 1
    assert "nothing was taken" in result.output


@pytest.mark.parametrize(
    ("missing", "module", "arguments"),
    [
        ("aiohttp", "fleet_database", ["--to", "http://127.0.0.1:9"]),
        ("mqtt", "fleet_broker", ["--mqtt", "mqtt://127.0.0.1:9"]),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    missing: str, module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, f"heliobus.cli.{module}", None)
    monkeypatch.delattr(f"heliobus.cli.{module}", raising=False)
    result = CliRunner().invoke(main, ["sim", "fleet", *arguments, "--duration", "1s"])
    assert result.exit_code == 1
    assert missing in result.output and "pip install 'heliobus[" in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "give --to URL"),
        (["--to", "http://127.0.0.1:1", "--mqtt", "mqtt://127.0.0.1"], "give --to URL"),
        (["--to", "http://127.0.0.1:1", "--speed", "10"], "give --duration too"),
        (["--to", "http://127.0.0.1:1", "--every", "soon"], "no time such as"),
        (["--mqtt", "tcp://127.0.0.1", "--duration", "1s"], "--mqtt takes"),
        (["--mqtt", "mqtt://127.0.0.1:9", "--duration", "1s"], "127.0.0.1:9: "),
        (["--mqtt", "mqtt://me:secret@127.0.0.1:9", "--duration", "1s"], "--token-env names the password"),
        (["--mqtt", "mqtt://127.0.0.1:9", "--token-env", "NOT_THERE", "--duration", "1s"], "no NOT_THERE"),
        (["--to", "http://127.0.0.1:1", "--token-env", "NOT_THERE", "--duration", "1s"], "no NOT_THERE"),
    ],
)
def test_wrong_use(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["sim", "fleet", *arguments])
    assert result.exit_code in (1, 2)
    assert words in result.output
