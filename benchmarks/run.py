"""Runs the benchmarks and prints a table; exits 1 if a target is missed. Everything stays on this machine."""

import argparse
import asyncio
import compileall
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import dbus_fast

import brokers
import controlled
import cpu_per_cycle
import fleet
import fleet_store
import history
import line
import micro
import outbox
import outputs
import resident
import start_up
from figure import Figure, Plan

Benchmark = Callable[[Plan], Awaitable[list[Figure]]]

BENCHMARKS: dict[str, Benchmark] = {
    "cpu": cpu_per_cycle.measure,
    "memory": resident.measure,
    "control": controlled.measure,
    "fleet": fleet.measure,
    "line": line.measure,
    "outputs": outputs.measure,
    "brokers": brokers.measure,
    "fleet-store": fleet_store.measure,
    "outbox": outbox.measure,
    "history": history.measure,
    "start": start_up.measure,
    "micro": micro.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, for a look; the figures are rough")
    parser.add_argument("--only", choices=BENCHMARKS, action="append", help="only this benchmark; may be repeated")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="heliobus-bench-") as name:
        folder = Path(name)
        pure = without_machine_code(folder / "pure")
        plan = Plan(folder, pure)
        if arguments.quick:
            plan = Plan(folder, pure, cpu=3.0, memory=(4.0, 8.0), fleet=8.0, starts=1, micro=0.2)
        print(machine(), flush=True)
        figures = asyncio.run(measure(plan, arguments.only or tuple(BENCHMARKS)))
    missed = [figure.name for figure in figures if figure.missed]
    print(f"load at the end {os.getloadavg()[0]:.2f}; {len(missed)} targets missed")
    return int(bool(missed))


async def measure(plan: Plan, wanted: list[str] | tuple[str, ...]) -> list[Figure]:
    figures: list[Figure] = []
    for name in wanted:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        found = await BENCHMARKS[name](plan)
        print(table(found) + "\n", flush=True)
        figures += found
    return figures


def without_machine_code(folder: Path) -> Path:
    """A folder for PYTHONPATH with dbus-fast as a GX has it: Python only."""
    source = Path(dbus_fast.__file__).parent
    shutil.copytree(source, folder / "dbus_fast", ignore=shutil.ignore_patterns("*.so", "*.pxd", "__pycache__"))
    compileall.compile_dir(folder, quiet=2)
    check = "import dbus_fast.message as m, dbus_fast._private.marshaller as n; print(m.__file__, n.__file__)"
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    found = subprocess.run([sys.executable, "-c", check], env=environment, capture_output=True, text=True, check=True)
    if not all(file.startswith(str(folder)) and file.endswith(".py") for file in found.stdout.split()):
        raise SystemExit(f"dbus-fast is not pure: {found.stdout}")
    return folder


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return (
        f"{model}, {os.cpu_count()} cores, CPython {platform.python_version()}, "
        f"dbus-fast {version('dbus-fast')}, load at the start {os.getloadavg()[0]:.2f}"
    )


def table(figures: list[Figure]) -> str:
    rows = [("figure", "measured", "target", "method"), *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row[:3], widths, strict=True)), row[3]]) for row in rows
    )


if __name__ == "__main__":
    sys.exit(main())
