"""One RS-485 line, six Tracers at 115200 baud and four meters at 9600, in `heliobus run`: CPU and memory.

Each device has the rhythm of its driver: a Tracer 5 s, a meter 2 s. And memory with one Tracer and two meters.
"""

import asyncio
from typing import Any

from figure import Figure, Plan
from gx import Bench, around
from side_process import cpu_seconds, memory, script

MEMORY_TARGET = 32.0
SMALL, WHOLE = (1, 2), (6, 4)
SETTLING = 10.0
DEVICE = """
[[device]]
name = "{driver}-{unit}"
driver = "{driver}"
link = "serial:{tty}"
unit = {unit}
"""


async def measure(plan: Plan) -> list[Figure]:
    figures = []
    for pure in (False, True):
        variant = "pure" if pure else "compiled"
        figures += [*await _whole(plan, pure, variant), *await _small(plan, pure, variant)]
    return figures


async def _whole(plan: Plan, pure: bool, variant: str) -> list[Figure]:
    async with around(plan, script("line_server.py", *WHOLE), _tables, pure=pure) as bench:
        await _started(bench, sum(WHOLE))
        before, asked = await bench.consumer.ask("count"), await bench.chargers.ask("count")
        cpu = cpu_seconds(bench.daemon.pid)
        await asyncio.sleep(plan.cpu)
        cpu = cpu_seconds(bench.daemon.pid) - cpu
        after, asked = await bench.consumer.ask("count"), await bench.chargers.ask("count") - asked
        resident = memory(bench.daemon.pid)["VmRSS"]
    method = f"{WHOLE[0]} Tracers, {WHOLE[1]} meters, {plan.cpu:g} s"
    told = f"{(after['signals'] - before['signals']) / plan.cpu:.1f} signals a second"
    return [
        Figure(f"line: CPU per second, {variant}", 1000 * cpu / plan.cpu, "ms", f"{method}, {told}", None, 2),
        Figure(f"line: requests per second, {variant}", asked / plan.cpu, "", method, None, 2),
        Figure(f"line: CPU per request, {variant}", 1000 * cpu / asked, "ms", "with all that follows from the answer"),
        Figure(f"line: VmRSS, {variant}", resident, "MiB", method, None, 1),
    ]


async def _small(plan: Plan, pure: bool, variant: str) -> list[Figure]:
    async with around(plan, script("line_server.py", *SMALL), _tables, pure=pure) as bench:
        await _started(bench, sum(SMALL))
        resident = memory(bench.daemon.pid)["VmRSS"]
    method = f"{SMALL[0]} Tracer and {SMALL[1]} meters"
    return [Figure(f"line: VmRSS, {variant}", resident, "MiB", method, MEMORY_TARGET, 1)]


async def _started(bench: Bench, count: int) -> None:
    """Wait until all devices are on the D-Bus, and what is read once at the start has been."""
    await bench.served(count)
    await asyncio.sleep(SETTLING)


def _tables(line: dict[str, Any]) -> str:
    return "".join(DEVICE.format(driver=driver, tty=line["tty"], unit=unit) for unit, driver in line["drivers"].items())
