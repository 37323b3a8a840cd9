"""CPU of a whole poll cycle: 92 registers over TCP, decode, ledger, site, and one D-Bus signal of about 30 items.

Back to back, without the pauses of driver and output: the targets are for this. And of the real command with 50
chargers at 1 Hz, where cycles also pay for waking an idle core; each has its signal, since a second lies between two.
"""

import asyncio
import itertools

from figure import Figure, Plan
from gx import Bench, gx
from heliobus.cli.private_bus import private_bus
from side_process import cpu_seconds, running, script

CHARGERS = 50
PARTS = 3
RUNS = 5
ITEMS = (28.0, 32.0)
SIGNALS_PER_CYCLE = (0.95, 1.05)
COMPILED_TARGET, PURE_TARGET = 0.6, 0.9


async def measure(plan: Plan) -> list[Figure]:
    variants = [(keep_open, pure) for keep_open in (True, False) for pure in (False, True)]
    figures = [await _back_to_back(plan, keep_open, pure) for keep_open, pure in variants]
    return figures + [await _at_one_hertz(plan, keep_open, pure) for keep_open, pure in variants]


async def _back_to_back(plan: Plan, keep_open: bool, pure: bool) -> Figure:
    async with private_bus() as address:
        assert address is not None
        mode = "keep-open" if keep_open else "close"
        environment = {"PYTHONPATH": str(plan.pure)} if pure else {}
        runs = []
        for _ in range(RUNS):
            async with (
                running(*script("charger_server.py", 1, mode)) as chargers,
                running(*script("bus_consumer.py", address)) as consumer,
            ):
                (port,) = await chargers.next_line()
                await consumer.next_line()
                cycles = script("cycles.py", address, port, plan.cpu / RUNS / 4)
                async with running(*cycles, environment=environment) as chain:
                    await chain.next_line()
                    before = await consumer.ask("count")
                    used = await chain.next_line()
                    after = await consumer.ask("count")
            signals = after["signals"] - before["signals"]
            items = (after["items"] - before["items"]) / signals
            _check(used["cycles"], signals, items)
            runs.append(1000 * used["cpu"] / used["cycles"])
    runs.sort()
    method = f"median of {RUNS} runs, {runs[0]:.2f} to {runs[-1]:.2f}; one signal of {items:.1f} items each cycle"
    # Connecting anew in each cycle is the charger's habit, not part of the cycle that the target names.
    target = (PURE_TARGET if pure else COMPILED_TARGET) if keep_open else None
    return Figure(f"CPU per cycle back to back, {_variant(keep_open, pure)}", runs[RUNS // 2], "ms", method, target)


def _variant(keep_open: bool, pure: bool) -> str:
    return f"{'pure' if pure else 'compiled'} dbus-fast, server {'keeps open' if keep_open else 'closes'}"


def _check(cycles: float, signals: float, items: float) -> None:
    if not SIGNALS_PER_CYCLE[0] <= signals / cycles <= SIGNALS_PER_CYCLE[1] or not ITEMS[0] <= items <= ITEMS[1]:
        raise RuntimeError(f"{signals} signals of {items:.1f} items in {cycles} cycles: not what is to be measured")


async def _at_one_hertz(plan: Plan, keep_open: bool, pure: bool) -> Figure:
    async with gx(plan, CHARGERS, keep_open=keep_open, pure=pure) as bench:
        await bench.served(CHARGERS)
        marks = [await _mark(bench)]
        for _ in range(PARTS):
            await asyncio.sleep(plan.cpu / PARTS)
            marks.append(await _mark(bench))
    cycles, signals, items, cpu = (last - first for first, last in zip(marks[0], marks[-1], strict=True))
    per_signal = items / signals
    _check(cycles, signals, per_signal)
    parts = sorted(
        1000 * (after[3] - before[3]) / (after[0] - before[0]) for before, after in itertools.pairwise(marks)
    )
    method = (
        f"{cycles:.0f} cycles of {CHARGERS} chargers, {signals:.0f} signals of {per_signal:.1f} items; "
        f"{parts[0]:.2f} to {parts[-1]:.2f} in thirds"
    )
    return Figure(f"CPU per cycle of 50 at 1 Hz, {_variant(keep_open, pure)}", 1000 * cpu / cycles, "ms", method)


async def _mark(bench: Bench) -> tuple[float, float, float, float]:
    """Cycles, signals and items so far, and the daemon's CPU in seconds."""
    cycles, seen = await bench.chargers.ask("count"), await bench.consumer.ask("count")
    return cycles, seen["signals"], seen["items"], cpu_seconds(bench.daemon.pid)
