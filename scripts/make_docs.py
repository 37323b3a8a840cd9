"""Writes docs/devices.md from the drivers; with --check only says whether it is up to date."""

import sys
from pathlib import Path

from heliobus.devices import catalog
from heliobus.devices.driver import Driver
from heliobus.model.quantity import Kind
from heliobus.model.vocabulary import HEALTH_POINTS, LEDGER_POINTS

TARGET = Path(__file__).resolve().parent.parent / "docs" / "devices.md"


def main() -> int:
    """0 when the file is as it should be, after writing it or without need."""
    text = _devices()
    if "--check" in sys.argv:
        if TARGET.exists() and TARGET.read_text(encoding="utf-8") == text:
            return 0
        print(f"{TARGET.name} is out of date: run make docs", file=sys.stderr)
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


def _devices() -> str:
    parts = [
        "# Supported devices\n",
        "Made by `make docs` from the drivers; do not edit.\n",
        "| Driver | Devices | Role | Remarks |",
        "|---|---|---|---|",
    ]
    parts += [
        f"| `{driver.name}` | {driver.vendor} {driver.family} | {driver.role} | {driver.notes} |"
        for driver in catalog.drivers()
    ]
    parts += [_points(driver) for driver in catalog.drivers()]
    return "\n".join(parts) + "\n"


def _points(driver: Driver) -> str:
    places = {
        register.point.name: f"{register.table.name.lower()} 0x{register.address:04X}" for register in driver.registers
    }
    places |= {point.name: "ledger" for point in LEDGER_POINTS} | {point.name: "bus" for point in HEALTH_POINTS}
    lines = [f"\n## {driver.name}\n", "| Point | Unit | Where | About |", "|---|---|---|---|"]
    for point in driver.points().values():
        unit = point.unit or ("" if point.kind is Kind.NUMBER else str(point.kind))
        lines.append(f"| `{point.name}` | {unit} | {places.get(point.name, 'derived')} | {point.doc} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
