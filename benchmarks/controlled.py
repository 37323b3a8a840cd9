"""What control costs: `heliobus run` with one charger at 1 Hz, not under control, and steered by a GX over DVCC.

Under control the coils are read every 5 s, a GX writes three values every 3 s, and slave control is renewed every 15 s.
"""

import asyncio
from dataclasses import dataclass

from figure import Figure, Plan
from gx import gx
from side_process import cpu_seconds, memory

MEMORY_TARGET = 32.0
SETTLING = 8.0
ACCEPTED_SHARE = 0.95
STEERING_WRITES = 3
STEER_PERIOD = 3.0


@dataclass(frozen=True, slots=True)
class _Run:
    """CPU per second in ms, MiB, and requests to the charger per minute: writes, and all beside its main block."""

    cpu: float
    resident: float
    writes: float
    others: float


async def measure(plan: Plan) -> list[Figure]:
    figures = []
    for pure in (False, True):
        off, on = await _run(plan, pure, False), await _run(plan, pure, True)
        variant = "pure" if pure else "compiled"
        method = f"heliobus run, one charger at 1 Hz, {plan.cpu:g} s"
        steered = f"{method}, DVCC every {STEER_PERIOD:g} s; {on.writes:.0f} writes and {on.others:.0f} more a minute"
        figures += [
            Figure(f"CPU per second, not under control, {variant}", off.cpu, "ms", method),
            Figure(f"CPU per second, steered over DVCC, {variant}", on.cpu, "ms", steered),
            Figure(f"VmRSS, not under control, {variant}", off.resident, "MiB", method, MEMORY_TARGET, 1),
            Figure(f"VmRSS, steered over DVCC, {variant}", on.resident, "MiB", method, MEMORY_TARGET, 1),
        ]
    return figures


async def _run(plan: Plan, pure: bool, control: bool) -> _Run:
    async with gx(plan, 1, pure=pure, control=control) as bench:
        await bench.measured()
        if control:
            await bench.consumer.ask("steer")
        await asyncio.sleep(SETTLING)
        writes, others = await bench.chargers.ask("others")
        accepted = (await bench.consumer.ask("count"))["accepted"]
        cpu = cpu_seconds(bench.daemon.pid)
        await asyncio.sleep(plan.cpu)
        cpu = cpu_seconds(bench.daemon.pid) - cpu
        accepted = (await bench.consumer.ask("count"))["accepted"] - accepted
        more_writes, more_others = await bench.chargers.ask("others")
        resident = memory(bench.daemon.pid)["VmRSS"]
    expected = STEERING_WRITES * (plan.cpu // STEER_PERIOD) if control else 0
    if accepted < ACCEPTED_SHARE * expected or (control and not more_writes):
        raise RuntimeError(
            f"{accepted} of {expected} writes accepted, {more_writes} sent on: not what is to be measured"
        )
    minutes = plan.cpu / 60
    written = more_writes - writes
    return _Run(1000 * cpu / plan.cpu, resident, written / minutes, (more_others - others - written) / minutes)
