"""`heliobus log`: the commands that were given, and how they ended."""

import json
import re
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from heliobus import config
from heliobus.cli.problem import Problem, WrongUse
from heliobus.config.table import line
from heliobus.control.audit import Record, read
from heliobus.devices import catalog
from heliobus.model.localtime import LocalTime, local_time
from heliobus.model.point import Point, Value
from heliobus.model.vocabulary import VOCABULARY

AGES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
LONGEST_VALUE = 40

Fits = Callable[[Record], bool]


@click.command(name="log")
@click.argument("device", required=False)
@click.option("-n", "--number", type=click.IntRange(1), default=20, show_default=True, help="How many, the newest.")
@click.option("--since", metavar="TIME", help='Only from a local time on ("2026-11-20") or an age ("2d", "6h").')
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
def command(device: str | None, number: int, since: str | None, as_json: bool, path: Path | None) -> None:
    """Print the last commands, to all devices or to DEVICE (its name or its key): when, from where, what, and how it
    ended. Times are those of the site."""
    try:
        settings = config.load(path)
    except config.ConfigError as error:
        raise WrongUse(str(error)) from None
    local = local_time(settings.site.timezone)
    folder = settings.site.state / "control"
    fits = _after(since, local)
    try:
        records = tuple(
            deque(
                (each for each in read(folder) if (device is None or device in (each.device, each.key)) and fits(each)),
                number,
            )
        )
    except OSError as error:
        raise Problem(f"{error.filename or folder}: cannot be read: {error.strerror}") from None
    if as_json:
        click.echo(json.dumps([_document(record) for record in records], indent=2))
    elif records:
        _print(records, local)
    else:
        click.echo(_nothing(settings, device, since))


def _after(since: str | None, local: LocalTime) -> Fits:
    """Whether a record is not older than `since`. Raises WrongUse."""
    if since is None:
        return lambda record: True
    age = re.fullmatch(r"([0-9]{1,9})\s*([smhdw])", since.strip())
    if age:
        first = time.time() - int(age[1]) * AGES[age[2]]
        return lambda record: record.time >= first
    try:
        moment = datetime.fromisoformat(since.strip())
    except ValueError:
        raise WrongUse(f"--since {line(since)!r} is neither a date such as 2026-11-20 nor an age such as 2d") from None
    if moment.tzinfo is not None:
        return lambda record: record.time >= moment.timestamp()
    return lambda record: local(record.time).replace(tzinfo=None) >= moment


def _nothing(settings: config.Config, device: str | None, since: str | None) -> str:
    asked = "".join((f" to {device}" if device else "", f" since {since}" if since else ""))
    names = [each.name for each in settings.devices]
    hint = f"; devices are {', '.join(names)}" if device and names and device not in names else ""
    if settings.devices and not any(each.control for each in settings.devices):
        hint += f'; control is off: set control = "on" for a device in {settings.source}'
    return f"no command{asked} has been recorded{hint}"


def _document(record: Record) -> dict[str, object]:
    moment = datetime.fromtimestamp(record.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {**asdict(record), "time": moment}


def _print(records: Iterable[Record], local: LocalTime) -> None:
    points = {**VOCABULARY}
    for driver in catalog.drivers():
        points.update(driver.points())
    rows: list[tuple[str, ...]] = [("time", "origin", "device", "point", "old → new", "result")]
    rows += [_row(record, local, points) for record in records]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(record: Record, local: LocalTime, points: Mapping[str, Point]) -> tuple[str, ...]:
    point = points.get(record.point)
    old, new, value = (_text(point, each) for each in (record.old, record.new, record.value))
    result = f"{record.result}: {record.why}" if record.why else record.result
    if record.value is not None and value != new:
        result += f" (now {value})"
    moment = f"{local(record.time):%Y-%m-%d %H:%M:%S}"
    cells = (moment, record.origin, record.device, record.point, f"{old} → {new}", result)
    return tuple(line(cell) for cell in cells)


def _text(point: Point | None, value: Value) -> str:
    if value is None:
        return "---"
    text = str(value) if point is None else point.text(value)
    return text if len(text) <= LONGEST_VALUE else text[: LONGEST_VALUE - 1] + "…"
