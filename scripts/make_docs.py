"""Writes docs/devices.md from the drivers; with --check only says whether it is up to date."""

import sys
from pathlib import Path

from generated import keep

from heliobus.control.controls import controls_of, points_of
from heliobus.devices import catalog
from heliobus.devices.driver import Driver
from heliobus.devices.writes import Writes
from heliobus.model.command import ControlKind
from heliobus.model.control_options import ControlOptions
from heliobus.model.point import Point
from heliobus.model.quantity import Kind
from heliobus.model.vocabulary import HEALTH_POINTS, SITE_POINTS

TARGET = Path(__file__).resolve().parent.parent / "docs" / "devices.md"

IN_RAM, IN_EEPROM, STORED = "RAM", "EEPROM", "stored"


def main() -> int:
    """0 when the file is as it should be, after writing it or without need."""
    return keep(TARGET, _devices())


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
    places |= {point.name: "ledger" for point in SITE_POINTS} | {point.name: "bus" for point in HEALTH_POINTS}
    lines = [f"\n## {driver.name}\n", "| Point | Unit | Where | About |", "|---|---|---|---|"]
    lines += [
        f"| `{point.name}` | {_unit(point)} | {places.get(point.name, 'derived')} | {point.doc} |"
        for point in driver.points().values()
    ]
    return "\n".join([*lines, *_commands(driver)])


def _commands(driver: Driver) -> list[str]:
    """What can be commanded, and what control says of itself; nothing for a driver that is only read."""
    if driver.writes is None:
        return ["\nIt is only read."]
    places = _places(driver.writes)
    controls = controls_of(driver, ControlOptions(on=True), ("a profile",), network=True)
    lines = [
        f"\n### Commands of {driver.name}\n",
        'With `control = "on"` ([control.md](control.md)). Nothing else is ever written.\n',
        "| Point | Takes | Writes | About |",
        "|---|---|---|---|",
    ]
    for control in controls.values():
        point = control.point
        takes = point.unit if control.kind is ControlKind.NUMBER and point.unit else control.kind.value
        by = places.get(point.name, "by a GX, renewed" if control.dynamic else "")
        lines.append(f"| `{point.name}` | {takes} | {by} | {point.doc} |")
    lines += ["\nWhat control says of itself beside these:\n", "| Point | Unit | About |", "|---|---|---|"]
    lines += [
        f"| `{point.name}` | {_unit(point)} | {point.doc} |"
        for point in points_of(driver)
        if point.name not in controls
    ]
    return lines


def _places(writes: Writes) -> dict[str, str]:
    """Where each command goes, by point name."""
    places = {coil.point.name: f"coil 0x{coil.address:04X}" for coil in writes.coils}
    if writes.slave is not None:
        amps, volts = (f"register 0x{each.address:04X}, {IN_RAM}" for each in (writes.slave.amps, writes.slave.volts))
        places |= {"charge_voltage_limit": volts, "charge_current_limit": amps, "top_charge": volts}
    if writes.eeprom is not None:
        places |= {each.point.name: f"register 0x{each.address:04X}, {IN_EEPROM}" for each in writes.eeprom.registers}
        places |= dict.fromkeys(("apply_profile", "apply_settings"), f"registers of settings, {IN_EEPROM}")
    if writes.settings is not None:
        places |= {each.point.name: f"register 0x{each.address:04X}, {STORED}" for each in writes.stored}
        places |= dict.fromkeys(("apply_profile", "apply_settings"), f"registers of settings, {STORED}")
    if writes.clock is not None:
        first, last = writes.clock.register.address, writes.clock.register.end - 1
        places[writes.clock.point.name] = f"registers 0x{first:04X} to 0x{last:04X}"
    places |= {request.point.name: f"request 0x{request.function:02X}" for request in writes.requests}
    return places


def _unit(point: Point) -> str:
    return point.unit or ("" if point.kind is Kind.NUMBER else str(point.kind))


if __name__ == "__main__":
    sys.exit(main())
