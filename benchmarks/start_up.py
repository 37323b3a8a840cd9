"""How long `heliobus run` takes from its start to a charger's reading on the D-Bus, and what it imports."""

from figure import Figure, Plan
from gx import gx
from side_process import cpu_seconds


async def measure(plan: Plan) -> list[Figure]:
    return [*await _times(plan, False), *await _times(plan, True), *await _imports(plan)]


async def _times(plan: Plan, pure: bool) -> list[Figure]:
    runs: list[tuple[float, float, float]] = []
    for _ in range(plan.starts):
        async with gx(plan, 1, pure=pure) as bench:
            seen = await bench.measured()
            cpu = cpu_seconds(bench.daemon.pid)
            runs.append((seen["measured_at"] - bench.started_at, seen["named_at"] - bench.started_at, cpu))
    variant = "pure" if pure else "compiled"
    reading, name, cpu = (sorted(column)[len(runs) // 2] for column in zip(*runs, strict=True))
    method = f"from exec, median of {len(runs)}"
    return [
        Figure(f"start to the service on the D-Bus, {variant}", name, "s", method, None, 2),
        Figure(f"start to the first reading on the D-Bus, {variant}", reading, "s", method, None, 2),
        Figure(f"CPU until then, {variant}", cpu, "s", method, None, 2),
    ]


async def _imports(plan: Plan) -> list[Figure]:
    async with gx(plan, 1, profile_imports=True) as bench:
        await bench.measured()
        lines = bench.log.read_text(encoding="utf-8").splitlines()
    # "import time:      self [us] | cumulative | imported package", a heading first.
    rows = [line.removeprefix("import time:").split("|") for line in lines if line.startswith("import time:")][1:]
    microseconds = sum(int(row[0]) for row in rows)
    own = sum(row[2].strip().startswith("heliobus") for row in rows)
    return [
        Figure("modules imported", len(rows), "", f"by heliobus run until its first reading, {own} its own", None, 0),
        Figure("time in imports", microseconds / 1e6, "s", "sum of -X importtime, which itself slows them", None, 2),
    ]
