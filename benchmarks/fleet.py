"""200 chargers at 1 Hz in one process on one core: is every slot of every charger kept?"""

import asyncio
import os
from collections.abc import Sequence
from itertools import pairwise

from figure import Figure, Plan
from gx import gx
from side_process import cpu_seconds, memory

CHARGERS = 200
PERIOD = 1.0


async def measure(plan: Plan) -> list[Figure]:
    cores = sorted(os.sched_getaffinity(0))
    # All else runs on the other cores; children inherit this.
    os.sched_setaffinity(0, cores[1:] or cores)
    try:
        return await _measure(plan, cores[0])
    finally:
        os.sched_setaffinity(0, cores)


async def _measure(plan: Plan, core: int) -> list[Figure]:
    async with gx(plan, CHARGERS) as bench:
        pid = bench.daemon.pid
        # At once, while it has one thread: the others inherit it.
        os.sched_setaffinity(pid, {core})
        await bench.served(CHARGERS)
        before = await bench.chargers.ask("polls")
        seen, cpu = await bench.consumer.ask("count"), cpu_seconds(pid)
        await asyncio.sleep(plan.fleet)
        cpu = cpu_seconds(pid) - cpu
        told = await bench.consumer.ask("count")
        after = await bench.chargers.ask("polls")
        resident = memory(pid)["VmRSS"]
    # The last poll before the window is where the first interval in it begins.
    intervals = [
        interval for old, new in zip(before, after, strict=True) for interval in _intervals(new[max(len(old) - 1, 0) :])
    ]
    missed = sum(max(0, round(interval / PERIOD) - 1) for interval in intervals)
    method = f"{CHARGERS} chargers, {plan.fleet:g} s, {len(intervals)} polls, one core, all on the D-Bus"
    name = f"{CHARGERS} chargers at 1 Hz"
    intervals.sort()
    return [
        Figure(f"{name}: missed slots", missed, "", method, 0.0, 0),
        Figure(f"{name}: longest interval", 1000 * intervals[-1], "ms", "between two polls of a charger", None, 0),
        Figure(f"{name}: interval, p99", 1000 * intervals[len(intervals) * 99 // 100], "ms", "as before", None, 0),
        Figure(f"{name}: CPU", 100 * cpu / plan.fleet, "% of a core", "user and system time", None, 1),
        Figure(f"{name}: CPU per poll cycle", 1000 * cpu / len(intervals), "ms", "all chargers in one burst a second"),
        Figure(
            f"{name}: signals per poll",
            (told["signals"] - seen["signals"]) / len(intervals),
            "",
            f"{told['items'] - seen['items']} items",
        ),
        Figure(f"{name}: VmRSS", resident, "MiB", "at the end", None, 1),
    ]


def _intervals(moments: Sequence[float]) -> list[float]:
    return [later - earlier for earlier, later in pairwise(moments)]
