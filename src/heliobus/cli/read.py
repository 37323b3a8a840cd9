"""`heliobus read`: one reading of a device, as a table or as JSON."""

import asyncio
import json
import math
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from heliobus import totals
from heliobus.cli import logs, target
from heliobus.cli.problem import Problem, WrongUse
from heliobus.cli.served import Served, served, served_total
from heliobus.cli.session import Said, session
from heliobus.config import DeviceConfig, TotalConfig
from heliobus.devices import catalog
from heliobus.devices.driver import Alias
from heliobus.model.device import Device
from heliobus.model.point import Point
from heliobus.model.quantity import Kind
from heliobus.model.vocabulary import CONTROL_POINTS, VOCABULARY

Show = Callable[[Said], None]
SHORTEST_PAUSE = 1.0
"""Seconds between two questions to the daemon; a shorter poll period is its own matter."""


@click.command(name="read")
@click.argument("device")
@click.argument("points", nargs=-1)
@click.option("-u", "--unit", type=click.IntRange(1, 247), help="Unit id, for DRIVER@LINK.  [default: 1]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--value", "bare", is_flag=True, help="Print nothing but the values of POINTS, a line each.")
@click.option("--watch", is_flag=True, help="Go on, a reading each period, until interrupted.")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def command(
    device: str,
    points: tuple[str, ...],
    unit: int | None,
    as_json: bool,
    bare: bool,
    watch: bool,
    path: Path | None,
    verbose: bool,
) -> None:
    """Read DEVICE: a name in the config, or DRIVER@LINK such as

    \b
        morningstar-tristar-mppt@tcp://192.168.1.100
        morningstar-tristar-mppt@serial:/dev/ttyUSB0

    and print all its POINTS, or those that are named, also by a name that an older program had for them. While the
    daemon runs, it is asked in place of the device: a bus has one master.

    --value prints the number of an enum, and nothing where a value is missing: that is an error, exit code 1.
    """
    logs.start(verbose, quiet=True)
    if bare and (as_json or not points):
        raise WrongUse("--value goes with the names of points" + (" and without --json" if as_json else ""))
    total = target.total(device, path)
    if total is not None:
        chosen = _resolved(points, totals.DRIVER, totals.POINTS, {})
        read = partial(_read_total, total)
    else:
        config = target.find(device, unit, path)
        chosen = _of_driver(points, config)
        read = partial(_read, config)
    names = tuple(dict.fromkeys(alias.point for alias in chosen))
    show = _show_values(chosen) if bare else _show_json(names, watch) if as_json else _show_table(names, watch)
    try:
        asyncio.run(read(path, show, watch))
    except KeyboardInterrupt:
        raise SystemExit(130) from None


async def _read(config: DeviceConfig, path: Path | None, show: Show, watch: bool) -> None:
    async with served(config, path) as known:
        if known is not None:
            await _follow(known, show, watch, max(config.poll, SHORTEST_PAUSE))
            return
    async with session(config) as one:
        show(await one.next())
        while watch:
            try:
                show(await one.next())
            except Problem as problem:
                problem.show()


async def _read_total(total: TotalConfig, path: Path | None, show: Show, watch: bool) -> None:
    async with served_total(total, path) as known:
        await _follow(known, show, watch, SHORTEST_PAUSE)


async def _follow(known: Served, show: Show, watch: bool, pause: float) -> None:
    said = await known.next()
    show(said)
    while watch:
        await asyncio.sleep(pause)
        try:
            said = await known.next(said.reading.time)
            show(said)
        except Problem as problem:
            problem.show()


def _of_driver(names: tuple[str, ...], config: DeviceConfig) -> tuple[Alias, ...]:
    """The points of the device that `names` mean. Raises WrongUse."""
    driver = catalog.driver(config.driver)
    known = set(driver.points())
    if config.options.on:
        known |= {point.name for point in CONTROL_POINTS}
    return _resolved(names, driver.name, known, driver.aliases)


def _resolved(
    names: tuple[str, ...], driver: str, known: Collection[str], aliases: Mapping[str, Alias]
) -> tuple[Alias, ...]:
    chosen = []
    for name in names:
        alias = Alias(name) if name in known else aliases.get(name)
        if alias is None:
            import difflib  # noqa: PLC0415  for the error only

            near = difflib.get_close_matches(name, (*known, *aliases), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise WrongUse(f"{driver} has no point {name!r}{hint}")
        chosen.append(alias)
    return tuple(chosen)


def document(said: Said, points: tuple[str, ...] = ()) -> dict[str, object]:
    """A reading as JSON: the device, the time of its newest answer, and value, unit and reason of each point."""
    device, reading = said.device, said.reading
    identity = device.identity
    chosen = points or tuple(reading.values)
    return {
        "device": {
            "name": device.name,
            "driver": device.driver,
            "role": device.role,
            "vendor": identity.vendor,
            "model": identity.model,
            "serial": identity.serial,
            "firmware": identity.firmware,
            "hardware": identity.hardware,
            "address": device.address,
            "key": device.key,
        },
        "time": datetime.fromtimestamp(reading.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "points": {name: _entry(name, said) for name in chosen},
    }


def _point(name: str, device: Device) -> Point:
    """Also of what control says of the device, which nobody says without the daemon."""
    return device.points.get(name) or VOCABULARY[name]


def _entry(name: str, said: Said) -> dict[str, object]:
    point = _point(name, said.device)
    value = said.reading.values.get(name)
    entry: dict[str, object] = {
        "value": value,
        "unit": point.unit or None,
        "reason": said.reading.reasons.get(name) if value is None else None,
    }
    if point.kind in (Kind.ENUM, Kind.FLAGS):
        entry["text"] = None if value is None else point.text(value)
    return entry


def _show_json(points: tuple[str, ...], lines: bool) -> Show:
    def show(said: Said) -> None:
        click.echo(json.dumps(document(said, points), indent=None if lines else 2, ensure_ascii=False))

    return show


def _show_values(chosen: tuple[Alias, ...]) -> Show:
    def show(said: Said) -> None:
        reading = said.reading
        missing = [
            f"{each.point} ({reading.reasons.get(each.point, 'not known')})"
            for each in chosen
            if reading.values.get(each.point) is None
        ]
        if missing:
            raise Problem(f"{said.device.name}: no value now: {', '.join(missing)}")
        click.echo("\n".join(_bare(each, said) for each in chosen))

    return show


def _bare(alias: Alias, said: Said) -> str:
    """A value without its unit, with as many decimals as its point has, and those that the factor adds."""
    point, value = _point(alias.point, said.device), said.reading.values[alias.point]
    if not isinstance(value, int | float) or (point.kind is not Kind.NUMBER and alias.times == 1):
        return str(value)
    added = max(0, -math.floor(math.log10(alias.times)))
    return f"{value * alias.times:.{point.decimals + added}f}"


def _show_table(points: tuple[str, ...], watch: bool) -> Show:
    if watch:
        from heliobus.cli.screen import live_reading  # noqa: PLC0415  brings rich

        return live_reading(points)

    def show(said: Said) -> None:
        identity = said.device.identity
        click.echo(f"{identity.vendor} {identity.model}, serial number {identity.serial or 'unknown'}, ", nl=False)
        click.echo(f"firmware {identity.firmware or 'unknown'}, {said.device.address}")
        names = points or tuple(said.reading.values)
        width = max(len(name) for name in names)
        for name in names:
            value = said.reading.values.get(name)
            reason = said.reading.reasons.get(name, "") if value is None else ""
            click.echo(f"{name:{width}}  {_point(name, said.device).text(value)}  {reason}".rstrip())

    return show
