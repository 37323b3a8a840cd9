"""What each output costs: `heliobus run` with chargers at 1 Hz, alone and with the output, and the difference.

Every output takes each reading (a sample a second), which is ten times as often as it would by itself.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from figure import Figure, Plan
from fleet_store import victoria_metrics
from gx import DEVICE, around
from heliobus.cli.private_broker import free_port
from side_process import cpu_seconds, memory, running, script

CHARGERS = 20
MOSQUITTO = shutil.which("mosquitto") or "/usr/sbin/mosquitto"


async def measure(plan: Plan) -> list[Figure]:
    alone, resident = await _cost(plan, "")
    figures = [Figure("outputs: none but D-Bus, per reading", alone, "µs", _method(plan), None, 0)]
    for name in TABLES:
        async with _tables(plan, name) as table:
            cost, grown = await _cost(plan, table)
        figures.append(Figure(f"outputs: {name} adds per reading", cost - alone, "µs", _method(plan), None, 0))
        figures.append(Figure(f"outputs: {name} adds VmRSS", grown - resident, "MiB", "after the run", None, 1))
    return figures


def _method(plan: Plan) -> str:
    return f"CPU, {CHARGERS} chargers at 1 Hz, {plan.cpu:g} s"


async def _cost(plan: Plan, table: str) -> tuple[float, float]:
    """CPU per reading (µs), resident memory (MiB)."""

    def tables(ports: list[int]) -> str:
        return "".join(DEVICE.format(number=number, port=each) for number, each in enumerate(ports)) + table

    async with around(plan, script("charger_server.py", CHARGERS, "keep-open"), tables) as bench:
        await bench.served(CHARGERS)
        before, cpu = await bench.chargers.ask("count"), cpu_seconds(bench.daemon.pid)
        await asyncio.sleep(plan.cpu)
        polls, cpu = await bench.chargers.ask("count") - before, cpu_seconds(bench.daemon.pid) - cpu
        return 1e6 * cpu / polls, memory(bench.daemon.pid)["VmRSS"]


TABLES = ("MQTT", "MQTT with samples", "Influx", "history", "files", "web")


@asynccontextmanager
async def _tables(plan: Plan, name: str) -> AsyncIterator[str]:
    """The config of the output, with the server that it needs."""
    port, folder = free_port(), plan.folder / f"output-{name.replace(' ', '-')}"
    folder.mkdir()
    if name.startswith("MQTT"):
        samples = 'record_every = "1s"\n' if name != "MQTT" else ""
        async with running(MOSQUITTO, "-p", str(port), log=folder / "log"):
            await _listening(port)
            yield f'\n[output.mqtt]\nbroker = "mqtt://127.0.0.1:{port}"\n{samples}'
    elif name == "Influx":
        async with victoria_metrics(folder) as (url, _):
            yield f'\n[output.influx]\nurl = "{url}"\nevery = "1s"\n'
    elif name == "history":
        yield f'\n[output.history]\npath = "{folder}/history.db"\nevery = "1s"\n'
    elif name == "files":
        yield f'\n[output.files]\nfolder = "{folder}"\nevery = "1s"\n'
    else:
        yield f'\n[output.web]\nlisten = "127.0.0.1:{port}"\n'


async def _listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
