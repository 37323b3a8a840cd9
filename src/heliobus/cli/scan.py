"""`heliobus scan`: what is there, on ttys and in the network."""

import asyncio
import json
from pathlib import Path

import click

from heliobus.cli import logs, scan_report, scan_tables
from heliobus.cli.problem import WrongUse
from heliobus.cli.scan_progress import progress
from heliobus.cli.scan_targets import SERVED, held, targets
from heliobus.devices import catalog
from heliobus.scan import Options, Passed, Progress, Report, Target, survey, units_of


@click.command(name="scan")
@click.argument("targets_", metavar="[TARGET]...", nargs=-1)
@click.option("--units", "units", metavar="LIST", help="Unit ids to try, such as 1-6,10,20.")
@click.option("--all", "all_units", is_flag=True, help="Try every unit id, also where something was found.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--write", is_flag=True, help="Add what is new to the config file.")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def command(
    targets_: tuple[str, ...],
    units: str | None,
    all_units: bool,
    as_json: bool,
    write: bool,
    path: Path | None,
    verbose: bool,
) -> None:
    """Look for devices and print what the config needs for them. It only reads; a tty in use is left alone.

    TARGET is a tty, serial:/dev/TTY?baud=9600, tcp://HOST[:PORT], rtu+tcp://HOST:PORT, a private range such as
    192.168.1.0/24, or lan for the own network; without any, all ttys of this machine. On each line the likely speeds
    and unit ids (1 to 6, then to 20) are tried, and the search ends when something was found at the likely ones.
    """
    logs.start(verbose, quiet=True)
    options = Options(catalog.drivers(), _units(units), all_units)
    places = targets(targets_)
    report, interrupted = Report(), False
    try:
        with progress() as bar:
            asyncio.run(_survey(places, path, options, report, bar))
    except KeyboardInterrupt:
        interrupted = True
    registered = scan_tables.registered(path)
    if as_json:
        click.echo(json.dumps(scan_report.document(report, registered), indent=2, ensure_ascii=False))
    else:
        scan_report.show(report, registered, written=write)
    if not places:
        click.echo(scan_report.NO_TTY, err=True)
    if interrupted:
        click.echo("heliobus: interrupted; this is what was found until then", err=True)
    elif write:
        _write(report, path)
    raise SystemExit(130 if interrupted else 0 if report.found else 1)


def _units(text: str | None) -> tuple[int, ...]:
    try:
        return units_of(text) if text is not None else ()
    except ValueError as error:
        raise WrongUse(f"--units {text}: {error}; a list is written 1-6,10,20") from None


async def _survey(
    places: tuple[Target, ...], path: Path | None, options: Options, report: Report, bar: Progress
) -> None:
    ours = await held(path)
    report.passed += [Passed(each.place, SERVED) for each in places if ours.has(each.link)]
    await survey([each for each in places if not ours.has(each.link)], options, report, bar)


def _write(report: Report, path: Path | None) -> None:
    """Add to the config what it does not have."""
    file = scan_tables.config_path(path)
    registered = scan_tables.registered(path)
    new = [found for found in report.found if registered.name_of(found) is None]
    if not new:
        click.echo(f"{file}: nothing to add", err=True)
        return
    scan_tables.add(file, [scan_tables.table(found) for found in new])
    number = "1 device" if len(new) == 1 else f"{len(new)} devices"
    click.echo(f"{file}: {number} added; restart the daemon if it runs", err=True)
