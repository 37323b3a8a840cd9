"""1,000 simulated sites of 140 values each 10 s, into a real VictoriaMetrics on this machine."""

import asyncio
import json
import os
import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from figure import Figure, Plan
from heliobus.cli.private_broker import free_port
from side_process import cpu_seconds, memory, running

SITES, EVERY, VALUES = 1000, 10, 140
STARTING = 20.0


async def measure(plan: Plan) -> list[Figure]:
    async with victoria_metrics(plan.folder / "victoria-metrics") as (url, pid):
        server = cpu_seconds(pid)
        summary = await fleet(url, plan.fleet)
        server = cpu_seconds(pid) - server
        resident = memory(pid)["VmRSS"]
        taken = inserted(url)
    values = summary["values"]
    if taken < values:
        raise SystemExit(f"{values} values were sent, but the database says {taken}")
    method = f"{SITES} sites, {VALUES} values each {EVERY} s, {plan.fleet:g} s, one request a site"
    name = "fleet into VictoriaMetrics"
    return [
        Figure(f"{name}: values/s", summary["values_per_second"], "", method, None, 0),
        Figure(f"{name}: missed slots", summary["missed"], "", method, 0.0, 0),
        Figure(f"{name}: errors", sum(summary["errors"].values()), "", method, 0.0, 0),
        Figure(f"{name}: our CPU per value", 1e6 * summary["cpu_seconds"] / values, "µs", "simulated, packed, sent"),
        Figure(f"{name}: server's CPU per value", 1e6 * server / values, "µs", "user and system time"),
        Figure(f"{name}: server's CPU", 100 * server / summary["seconds"], "% of a core", "as before", None, 1),
        Figure(f"{name}: server's VmRSS", resident, "MiB", "at the end", None, 1),
        Figure(
            f"{name}: bytes per value", summary["bytes"] / values, "", "gzipped, one site's lines a request", None, 2
        ),
        Figure(f"{name}: answer, median", 1000 * summary["latency_p50"], "ms", "of a request", None, 1),
        Figure(f"{name}: answer, p99", 1000 * summary["latency_p99"], "ms", "of a request", None, 1),
    ]


async def fleet(url: str, seconds: float) -> dict[str, Any]:
    """The summary of `heliobus sim fleet`, which runs in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "heliobus", "sim", "fleet", "--json", "--to", url),
        *("--sites", str(SITES), "--every", f"{EVERY}s", "--duration", f"{seconds:g}s"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"heliobus sim fleet ended with {process.returncode}")
    summary: dict[str, Any] = json.loads(said)
    return summary


@asynccontextmanager
async def victoria_metrics(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """The URL and the process of a VictoriaMetrics that has nothing yet."""
    program = shutil.which("victoria-metrics")
    if program is None:
        raise SystemExit("victoria-metrics is missing: apt-get install victoria-metrics")
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", folder.with_suffix(".log")
    options = (f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={folder}/storage", "-retentionPeriod=100y")
    async with running(program, *options, environment=dict(os.environ), log=log) as side:
        await asyncio.to_thread(started, url)
        yield url, side.pid


def started(url: str) -> None:
    """Returns when it answers. Raises SystemExit if it never does."""
    end = time.monotonic() + STARTING
    while time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{url}/health", timeout=STARTING).close()
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def inserted(url: str) -> int:
    """How many values the database says it was given."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=STARTING) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        int(float(line.split()[-1])) for line in lines if line.startswith('vm_rows_inserted_total{type="influx"')
    )
