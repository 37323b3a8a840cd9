"""`heliobus set`: command a device, or list what of it can be commanded."""

import asyncio
import json
import math
import re
from pathlib import Path

import click

from heliobus.cli import columns, logs
from heliobus.cli.commanded import Commanded, Target, check_on, choose, nearest, reached
from heliobus.cli.order import Manner, Wish, carry_out
from heliobus.cli.problem import WrongUse
from heliobus.cli.value_text import allowed, parse, shown
from heliobus.control.wanted import is_stored
from heliobus.model.command import Control, ControlKind
from heliobus.model.point import Value

OPTION = re.compile(r"-[^\d.]")


@click.command(name="set", context_settings={"ignore_unknown_options": True})
@click.argument("device")
@click.argument("point", required=False)
@click.argument("value", required=False)
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before stored settings are changed.")
@click.option("--control", is_flag=True, help="Allow writing to DRIVER@LINK.")
@click.option("-u", "--unit", type=click.IntRange(1, 247), help="Unit id, for DRIVER@LINK.  [default: 1]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def command(
    device: str,
    point: str | None,
    value: str | None,
    dry_run: bool,
    yes: bool,
    control: bool,
    unit: int | None,
    as_json: bool,
    path: Path | None,
    verbose: bool,
) -> None:
    """Set POINT of DEVICE to VALUE: a number with or without its unit, on or off, or press. Without POINT, list what
    can be commanded.

    \b
        heliobus set roof charger_enabled off
        heliobus set roof set_float_voltage 27.4V --dry-run

    DEVICE is a name in the config, or DRIVER@LINK with --control. While the daemon runs, it carries the command out;
    else this command does, and keeps a daemon from starting meanwhile.

    Exit codes: 0 done, 1 failed, 2 wrong use, 3 refused by a guard, which says what to change.
    """
    logs.start(verbose, quiet=True)
    for word in (point, value):
        # Numbers may be negative, so words with a dash are not taken for options by themselves.
        if word is not None and OPTION.match(word):
            raise click.UsageError(f"No such option: {word}")
    chosen = choose(device, unit, path, control)
    if point is None:
        _list(chosen, as_json)
        return

    async def prepare(found: Commanded) -> Wish:
        wanted = _control(found, point)
        if value is None:
            raise WrongUse(f"VALUE is missing: {point} takes {allowed(wanted)}")
        try:
            return Wish(point, parse(value, wanted))
        except ValueError as error:
            raise WrongUse(str(error)) from None

    carry_out(chosen, prepare, Manner(dry_run, yes, as_json))


def _control(device: Commanded, name: str) -> Control:
    control = device.controls.get(name)
    if control is None:
        offered = {name: each for name, each in device.controls.items() if not each.dynamic}
        others = ", ".join(each for each in offered if not is_stored(each))
        raise WrongUse(
            f"{device.name} has no command {name!r}; there are {others} and its settings: heliobus set {device.name} "
            f"lists them{nearest(name, offered)}"
        )
    return control


def _list(chosen: Target, as_json: bool) -> None:
    try:
        device, values = asyncio.run(_look(chosen))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    # What a program writes again and again is not for people.
    controls = [each for each in device.controls.values() if not each.dynamic]
    if as_json:
        rows = [_row(each, values.get(each.point.name)) for each in controls]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    check_on(device)
    table = [("point", "kind", "takes", "now", "")]
    table += [_line(each, values.get(each.point.name)) for each in controls]
    click.echo(f"{device.name}: {device.model} {device.serial or ''}, {device.address}")
    columns.show(table)


async def _look(chosen: Target) -> tuple[Commanded, dict[str, Value]]:
    async with reached(chosen) as device:
        return device, await device.reading()


def _line(control: Control, value: Value) -> tuple[str, str, str, str, str]:
    point = control.point
    kind = "setting" if is_stored(point.name) else control.kind.value
    now = "" if control.kind in (ControlKind.BUTTON, ControlKind.TEXT) else shown(point, value)
    return (point.name, kind, allowed(control), now, f"locked: {control.locked}" if control.locked else "")


def _row(control: Control, value: Value) -> dict[str, object]:
    return {
        "point": control.point.name,
        "about": control.point.doc,
        "kind": control.kind.value,
        "stored": is_stored(control.point.name),
        "low": control.low if math.isfinite(control.low) else None,
        "high": control.high if math.isfinite(control.high) else None,
        "unit": control.point.unit or None,
        "value": value,
        "locked": control.locked or None,
    }
