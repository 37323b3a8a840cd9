"""`heliobus profile`: the charge settings stored in a charger: look, compare, back up, apply, restore."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import click

from heliobus.cli import columns, logs
from heliobus.cli.commanded import Commanded, Target, check_on, choose, loaded, nearest, problem, reached
from heliobus.cli.order import Manner, Wish, carry_out
from heliobus.cli.problem import Problem, WrongUse
from heliobus.cli.settings_file import (
    PREFIX,
    Place,
    profile_document,
    read_profile,
    read_settings,
    toml_table,
    when_text,
    write_json,
)
from heliobus.config import Config
from heliobus.control.backup import Origin, backup_document
from heliobus.devices import catalog
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, Failed, Refused, StoredSetting
from heliobus.model.point import Value

Found = TypeVar("Found")
Decorated = TypeVar("Decorated", bound=Callable[..., object])

CONFIG = click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
OUTPUT = click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; else it is printed.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
YES = click.option("-y", "--yes", is_flag=True, help="Do not ask before the settings are changed.")
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
FILE = click.Path(path_type=Path, dir_okay=False)


def _device_options(function: Decorated) -> Decorated:
    for option in (
        click.option("-v", "--verbose", is_flag=True, help="Log everything."),
        CONFIG,
        click.option("-u", "--unit", type=click.IntRange(1, 247), help="Unit id, for DRIVER@LINK.  [default: 1]"),
        click.option("--control", is_flag=True, help="Allow writing to DRIVER@LINK."),
    ):
        function = option(function)
    return function


@click.group(name="profile")
def command() -> None:
    """Charge settings: what a charger has stored, and the profiles of the config.

    DEVICE is a name in the config, or DRIVER@LINK, which is written to with --control only. Values are those of the
    actual battery. A change is one transaction, for which a TriStar is disconnected and restarted; it is finished or
    undone even after a power cut.

    Exit codes: 0 done, 1 failed, 2 wrong use, 3 refused by a guard, which says what to change.
    """


@command.command(name="list")
@JSON
@CONFIG
def list_profiles(as_json: bool, path: Path | None) -> None:
    """List the profiles of the config: what they are for and when they are due."""
    config = loaded(path)
    if as_json:
        rows = [profile_document(each) for each in config.profiles]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    if not config.profiles:
        click.echo(f"{config.source} has no profiles: add a [profile.NAME] table", err=True)
        return
    table = [("profile", "when", "devices", "settings")]
    for each in config.profiles:
        settings = ", ".join(f"{name.removeprefix(PREFIX)} {value:g}" for name, value in each.settings.items())
        table.append((each.name, when_text(each.when), ", ".join(each.devices) or "all", settings))
    columns.show(table)


@command.command()
@click.argument("device")
@JSON
@_device_options
def show(device: str, as_json: bool, control: bool, unit: int | None, path: Path | None, verbose: bool) -> None:
    """Show the charge settings that DEVICE has stored, read now."""
    logs.start(verbose, quiet=True)
    settings = _visit(choose(device, unit, path, control, looks=True), lambda found: found.settings())
    if as_json:
        rows = [
            {
                "point": each.point.name,
                "value": each.value,
                "unit": each.point.unit or None,
                "place": each.place,
                "word": each.word,
            }
            for each in settings
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    table = [("setting", "value", "place", "word")]
    table += [(each.point.name, each.point.text(each.value), each.place, f"0x{each.word:04X}") for each in settings]
    columns.show(table)


@command.command()
@click.argument("device")
@click.argument("profile")
@JSON
@_device_options
def diff(
    device: str, profile: str, as_json: bool, control: bool, unit: int | None, path: Path | None, verbose: bool
) -> None:
    """Show what would change in DEVICE with PROFILE: a profile of the config, a backup, or an exported profile."""
    logs.start(verbose, quiet=True)
    chosen = choose(device, unit, path, control, looks=True)
    file = Path(profile)
    by_name = any(each.name == profile for each in chosen.config.profiles)
    if not by_name and not file.exists():
        raise _no_profile(chosen.config, profile)

    async def compare(found: Commanded) -> tuple[Commanded, tuple[Change, ...]]:
        if by_name:
            changes = await found.plan(v.APPLY_PROFILE.name, profile)
        else:
            settings = read_settings(file, await _place(chosen, found), other_device=True)
            changes = await found.plan(v.APPLY_SETTINGS.name, json.dumps(dict(settings)))
        if isinstance(changes, Refused | Failed):
            raise problem(found.name, changes)
        return found, changes

    found, changes = _visit(chosen, compare)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in changes], indent=2, ensure_ascii=False))
        return
    if not changes:
        click.echo(f"{found.name}: no difference")
        return
    table = [("setting", "old", "", "new", "place", "old word", "new word")]
    for each in changes:
        point, old = found.point(each.point), each.old_word
        before = "---" if old is None else f"0x{old:04X}"
        row = (
            point.name,
            point.text(each.old),
            "→",
            point.text(each.new),
            each.place,
            before,
            f"0x{each.new_word:04X}",
        )
        table.append(row)
    columns.show(table)


@command.command()
@click.argument("device")
@OUTPUT
@_device_options
def backup(device: str, output: Path | None, control: bool, unit: int | None, path: Path | None, verbose: bool) -> None:
    """Write all charge settings of DEVICE as JSON."""
    logs.start(verbose, quiet=True)
    chosen = choose(device, unit, path, control, looks=True)

    async def gather(found: Commanded) -> tuple[Commanded, Place, tuple[StoredSetting, ...]]:
        return found, await _place(chosen, found), await found.settings()

    found, place, settings = _visit(chosen, gather)
    unknown = [each.point.name for each in settings if each.value is None]
    if unknown or not settings:
        raise Problem(f"{found.name}: no backup, for these cannot be read now: {', '.join(unknown) or 'any settings'}")
    origin = Origin(place.serial, found.driver, place.system_voltage, time.time())
    write_json(backup_document(origin, settings), output)


@command.command()
@click.argument("device")
@click.argument("profile")
@DRY_RUN
@YES
@JSON
@_device_options
def apply(
    device: str,
    profile: str,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    control: bool,
    unit: int | None,
    path: Path | None,
    verbose: bool,
) -> None:
    """Write the settings of PROFILE, a profile of the config, into DEVICE."""
    logs.start(verbose, quiet=True)
    chosen = choose(device, unit, path, control)
    if all(each.name != profile for each in chosen.config.profiles):
        raise _no_profile(chosen.config, profile)

    async def prepare(_: Commanded) -> Wish:
        return Wish(v.APPLY_PROFILE.name, profile, f"profile {profile} is applied")

    carry_out(chosen, prepare, Manner(dry_run, yes, as_json))


@command.command()
@click.argument("device")
@click.argument("file", type=FILE)
@DRY_RUN
@YES
@click.option("--other-device", is_flag=True, help="Take the backup of a charger with another serial number.")
@JSON
@_device_options
def restore(
    device: str,
    file: Path,
    dry_run: bool,
    yes: bool,
    other_device: bool,
    as_json: bool,
    control: bool,
    unit: int | None,
    path: Path | None,
    verbose: bool,
) -> None:
    """Write the settings of FILE, a backup or an exported profile, into DEVICE. What is the same is not written."""
    logs.start(verbose, quiet=True)
    chosen = choose(device, unit, path, control)

    async def prepare(found: Commanded) -> Wish:
        settings = read_settings(file, await _place(chosen, found), other_device=other_device)
        return Wish(v.APPLY_SETTINGS.name, json.dumps(dict(settings)), f"the settings of {file} are stored")

    carry_out(chosen, prepare, Manner(dry_run, yes, as_json))


@command.command()
@click.argument("profile")
@OUTPUT
@CONFIG
def export(profile: str, output: Path | None, path: Path | None) -> None:
    """Write PROFILE of the config as JSON."""
    config = loaded(path)
    found = next((each for each in config.profiles if each.name == profile), None)
    if found is None:
        raise _no_profile(config, profile)
    write_json(profile_document(found), output)


@command.command(name="import")
@click.argument("file", type=FILE)
@click.option("--name", help="The profile's name, in place of that in the file.")
def import_profile(file: Path, name: str | None) -> None:
    """Print FILE, a backup or an exported profile, as a [profile.NAME] table to paste into the config."""
    click.echo(toml_table(read_profile(file, name)))


def _visit(chosen: Target, question: Callable[[Commanded], Awaitable[Found]]) -> Found:
    async def visit() -> Found:
        async with reached(chosen) as found:
            check_on(found)
            return await question(found)

    try:
        return asyncio.run(visit())
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None


async def _place(chosen: Target, found: Commanded) -> Place:
    """Whose settings they are. The voltage that the owner confirmed goes before the one that was found."""
    volts: Value = None if chosen.device is None else chosen.device.options.system_voltage
    writes = catalog.driver(found.driver).writes
    if writes is not None and not writes.depends_on_battery:
        volts = 0
    if volts is None:
        volts = (await found.reading()).get(v.NOMINAL_VOLTAGE.name)
    if not isinstance(volts, int | float):
        raise Problem(f"{found.name}: has not yet said its nominal voltage")
    # Where there is no serial number the address tells devices apart.
    return Place(found.serial or found.address, int(volts))


def _no_profile(config: Config, name: str) -> WrongUse:
    names = [each.name for each in config.profiles]
    return WrongUse(f"no profile {name!r}; {config.source} has {', '.join(names) or 'none'}{nearest(name, names)}")
