"""Resident memory of `heliobus run` with one charger and only the Venus output."""

import asyncio
import time

from figure import Figure, Plan
from gx import Bench, gx
from side_process import cpu_seconds, memory

TARGET = 32.0
GROWTH_TARGET = 0.25


async def measure(plan: Plan) -> list[Figure]:
    compiled, pure = await asyncio.gather(_measure(plan, False), _measure(plan, True))
    return [*compiled, *pure]


async def _measure(plan: Plan, pure: bool) -> list[Figure]:
    early, late = plan.memory
    async with gx(plan, 1, pure=pure) as bench:
        await _until(bench, early)
        before, cpu, cycles = memory(bench.daemon.pid), cpu_seconds(bench.daemon.pid), await bench.chargers.ask("count")
        await _until(bench, late)
        after = memory(bench.daemon.pid)
        cpu = cpu_seconds(bench.daemon.pid) - cpu
        cycles = await bench.chargers.ask("count") - cycles
    variant = "pure" if pure else "compiled"
    method = f"heliobus run, one charger at 1 Hz, after {late:g} s"
    return [
        Figure(f"VmRSS, {variant}", after["VmRSS"], "MiB", method, TARGET, 1),
        Figure(f"VmHWM, {variant}", after["VmHWM"], "MiB", method, TARGET, 1),
        Figure(
            f"growth of VmRSS, {variant}",
            after["VmRSS"] - before["VmRSS"],
            "MiB",
            f"from {early:g} s to {late:g} s",
            GROWTH_TARGET,
            2,
        ),
        Figure(
            f"CPU per poll cycle, one charger alone, {variant}",
            1000 * cpu / cycles,
            "ms",
            f"{cycles} cycles, one a second: each begins with cold caches",
        ),
    ]


async def _until(bench: Bench, age: float) -> None:
    await asyncio.sleep(bench.started_at + age - time.monotonic())
