"""What a bad broker does to the rhythm of the bus and to memory: nothing, or it shows here."""

import asyncio
from itertools import pairwise

from figure import Figure, Plan
from gx import DEVICE, around
from side_process import memory, running, script

CHARGERS = 10
PERIOD = 1.0
WITHIN = 0.05
"""Share of the period by which the 99th percentile of the intervals may be worse than without a broker."""
GROWTH = 1.0
CLOSES_AFTER = 10.0
KINDS = ("hangs", "garbage", "closes", "drops")


async def measure(plan: Plan) -> list[Figure]:
    alone, figures = await _rhythm(plan, None), []
    figures.append(_figure("no MQTT", alone[0], None))
    for kind in KINDS:
        async with running(*script("bad_broker.py", kind, CLOSES_AFTER)) as broker:
            worst, growth = await _rhythm(plan, await broker.next_line())
        figures.append(_figure(f"broker {kind}", worst, alone[0] + 1000 * WITHIN * PERIOD))
        method = f"in {plan.cpu:g} s, after as many before"
        figures.append(Figure(f"broker {kind}: growth of VmRSS", growth, "MiB", method, GROWTH, 2))
    return figures


def _figure(name: str, worst: float, target: float | None) -> Figure:
    return Figure(f"{name}: poll interval, p99", worst, "ms", f"{CHARGERS} chargers at 1 Hz", target, 1)


async def _rhythm(plan: Plan, port: int | None) -> tuple[float, float]:
    """The 99th percentile of the intervals between polls (ms), and by how much memory grew (MiB)."""

    def tables(ports: list[int]) -> str:
        devices = "".join(DEVICE.format(number=number, port=each) for number, each in enumerate(ports))
        if port is None:
            return devices
        return f'{devices}\n[output.mqtt]\nbroker = "mqtt://127.0.0.1:{port}"\nevery = "100ms"\nrecord_every = "1s"\n'

    async with around(plan, script("charger_server.py", CHARGERS, "keep-open"), tables) as bench:
        await bench.served(CHARGERS)
        # By then what waits for the broker in memory has reached its bound, and more of it goes to the disk.
        await asyncio.sleep(plan.cpu)
        before, resident = await bench.chargers.ask("polls"), memory(bench.daemon.pid)["VmRSS"]
        await asyncio.sleep(plan.cpu)
        after, grown = await bench.chargers.ask("polls"), memory(bench.daemon.pid)["VmRSS"] - resident
    intervals = sorted(
        later - earlier
        for old, new in zip(before, after, strict=True)
        for earlier, later in pairwise(new[max(len(old) - 1, 0) :])
    )
    return 1000 * intervals[len(intervals) * 99 // 100], grown
