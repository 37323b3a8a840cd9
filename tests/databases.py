"""Real databases from Debian's packages `influxdb` and `victoria-metrics`, on loopback, gone when the block ends."""

import asyncio
import base64
import contextlib
import json
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from heliobus.cli.private_broker import free_port

STARTING = 20.0
INFLUX_CONFIG = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{folder}/meta"
[data]
  dir = "{folder}/data"
  wal-dir = "{folder}/wal"
[monitor]
  store-enabled = false
[subscriber]
  enabled = false
[continuous_queries]
  enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  auth-enabled = {auth}
  log-enabled = false
  max-body-size = {body}
"""


@dataclass
class Database:
    """One database; `url` stays the same when it is started again."""

    url: str
    command: Sequence[str]
    folder: Path
    ready: str
    credentials: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Returns when it answers."""
        # A file, for nobody would empty a pipe.
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder)
        async with asyncio.timeout(STARTING), aiohttp.ClientSession() as session:
            while True:
                assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(self.url + self.ready) as answer:
                        if answer.status < 500:
                            return
                await asyncio.sleep(0.02)

    def stop(self) -> None:
        """End it in order, so that it has all on disk. Blocks."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None

    def kill(self) -> None:
        """As a crash would. Blocks."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    async def get(self, path: str, **parameters: str) -> bytes:
        async with (
            aiohttp.ClientSession(headers=self.credentials) as session,
            session.get(self.url + path, params=parameters) as answer,
        ):
            body = await answer.read()
            assert answer.status < 300, body
            return body


class InfluxDatabase(Database):
    """InfluxDB 1."""

    async def query(self, text: str, database: str = "") -> list[dict[str, Any]]:
        """The series of an InfluxQL query: `name`, `tags`, `columns`, `values`; times in ms."""
        async with (
            aiohttp.ClientSession(headers=self.credentials) as session,
            session.post(self.url + "/query", params={"q": text, "db": database, "epoch": "ms"}) as answer,
        ):
            result = (await answer.json())["results"][0]
            assert answer.status == 200 and "error" not in result, result
            series: list[dict[str, Any]] = result.get("series", [])
            return series

    async def rows(self, measurement: str, database: str = "heliobus") -> list[dict[str, Any]]:
        """All points of `measurement`, each as a dict with its time, tags and fields; what it has not is left out."""
        series = await self.query(f'SELECT * FROM "{measurement}"', database)
        return [
            {column: value for column, value in zip(each["columns"], row, strict=True) if value is not None}
            for each in series
            for row in each["values"]
        ]


class VictoriaMetrics(Database):
    """VictoriaMetrics, single node."""

    async def flush(self) -> None:
        """Make visible what was written just now."""
        await self.get("/internal/force_flush")

    async def export(self, match: str) -> list[tuple[Mapping[str, str], list[tuple[int, float]]]]:
        """Labels and samples (ms, value) of every series that `match` names."""
        await self.flush()
        body = await self.get("/api/v1/export", **{"match[]": match})
        series = [json.loads(each) for each in body.decode().splitlines()]
        return [(each["metric"], list(zip(each["timestamps"], each["values"], strict=True))) for each in series]


async def _started(make: Callable[[], Database]) -> Database:
    """What `make` describes, at work. A port that was free may be taken by another before it is used."""
    for _ in range(2):
        database = make()
        try:
            await database.start()
            return database
        except AssertionError:
            continue
    database = make()
    await database.start()
    return database


def program(name: str, package: str) -> str:
    found = shutil.which(name)
    assert found is not None, f"{name} is missing: apt-get install {package}"
    return found


@asynccontextmanager
async def influxdb(
    folder: Path, *, user: str = "", password: str = "", body: int = 25_000_000, create: str = "heliobus"
) -> AsyncIterator[InfluxDatabase]:
    """An InfluxDB 1 with the database `create`; with `user` nobody else gets in."""
    folder.mkdir(parents=True, exist_ok=True)
    influxd = program("influxd", "influxdb")

    def make() -> InfluxDatabase:
        port = free_port()
        config = folder / "influxdb.conf"
        auth = "true" if user else "false"
        config.write_text(INFLUX_CONFIG.format(rpc=free_port(), http=port, folder=folder, auth=auth, body=body))
        command = [influxd, "-config", str(config)]
        return InfluxDatabase(f"http://127.0.0.1:{port}", command, folder, "/ping")

    database = await _started(make)
    assert isinstance(database, InfluxDatabase)
    try:
        if user:
            await database.query(f"CREATE USER {user} WITH PASSWORD '{password}' WITH ALL PRIVILEGES")
            known = base64.b64encode(f"{user}:{password}".encode()).decode()
            database.credentials = {"Authorization": f"Basic {known}"}
        if create:
            await database.query(f'CREATE DATABASE "{create}"')
        yield database
    finally:
        database.stop()


@asynccontextmanager
async def victoria_metrics(folder: Path, *options: str) -> AsyncIterator[VictoriaMetrics]:
    """A VictoriaMetrics that keeps everything and takes the same sample twice for one."""
    folder.mkdir(parents=True, exist_ok=True)
    victoria = program("victoria-metrics", "victoria-metrics")

    def make() -> VictoriaMetrics:
        port = free_port()
        command = [
            victoria,
            f"-httpListenAddr=127.0.0.1:{port}",
            f"-storageDataPath={folder / 'storage'}",
            "-retentionPeriod=100y",
            "-dedup.minScrapeInterval=1ms",
            "-memory.allowedBytes=256MiB",
            *options,
        ]
        return VictoriaMetrics(f"http://127.0.0.1:{port}", command, folder, "/health")

    database = await _started(make)
    assert isinstance(database, VictoriaMetrics)
    try:
        yield database
    finally:
        database.stop()
