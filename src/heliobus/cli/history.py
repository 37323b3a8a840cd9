"""`heliobus history`: what was measured, from the file of [output.history]."""

import importlib.util
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from heliobus import config
from heliobus.cli.moments import moment
from heliobus.cli.problem import Problem, WrongUse
from heliobus.config.table import line
from heliobus.model.localtime import LocalTime, local_time
from heliobus.model.quantity import Kind

if TYPE_CHECKING:
    from heliobus.cli.history_print import Shape
    from heliobus.outputs.history.every import Every
    from heliobus.outputs.history.query import DeviceEntry, History

MOST_ROWS = 100
"""How many rows `--every auto` makes at most, about."""
CONFIG_OPTION = ("-c", "--config")
CONFIG = click.option(*CONFIG_OPTION, "path", type=click.Path(path_type=Path), help="The config file.")
TIME = "TIME"


class _Group(click.Group):
    """What is no name of a subcommand is that of a device."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if len(args) > 2 and args[0] in CONFIG_OPTION and args[2] in self.commands:
            # Whoever asked for a device with -c in front writes the next command the same way.
            args = [args[2], *args[:2], *args[3:]]
        if not args or args[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(name="history", cls=_Group)
def command() -> None:
    """What was measured."""


@dataclass(frozen=True, slots=True)
class Source:
    """The file of the history, and the site's time."""

    file: Path
    local: LocalTime


@command.command()
@click.argument("device", required=False)
@click.argument("points", nargs=-1, metavar="[POINT…]")
@click.option("--from", "begin", metavar=TIME, default="-1d", show_default=True, help="From when on.")
@click.option("--to", "end", metavar=TIME, default="now", show_default=True, help="Until when; a day is included.")
@click.option("--every", metavar="STEP", default="auto", show_default=True, help="raw, 1m, 15m, 1h, 1d, 1w, 1mo, …")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@CONFIG
def show(
    device: str | None,
    points: tuple[str, ...],
    begin: str,
    end: str,
    every: str,
    as_csv: bool,
    as_json: bool,
    path: Path | None,
) -> None:
    """Print what was measured: of DEVICE (its name or key) the POINTS that are named. Without POINT print
    its points, without DEVICE the devices there are, with the first and the last time.

    TIME is local: 2026-11-20, "2026-11-20 14:30", an age such as -7d, today, yesterday, now. The mean stands for
    what was measured in a STEP; of counters and states it is the last value. --- is a gap: nothing was measured.

    \b
        heliobus history roof pv_power --from yesterday --every 15m
        heliobus history export week.csv roof --from -7d
        heliobus history check
    """
    if as_csv and as_json:
        raise WrongUse("either --csv or --json")
    where = source(path)
    from heliobus.cli import history_print  # noqa: PLC0415  brings sqlite3

    with opened(where) as history:
        if device is None and not (as_csv or as_json):
            history_print.devices(history.devices(), where.local)
            return
        if device is None or not points:
            chosen = history.devices() if device is None else [found(history, device)]
            history_print.overview(chosen, where.local, "csv" if as_csv else "json" if as_json else "table")
            return
        entry = found(history, device)
        first, last = span(begin, end, where.local)
        shape: Shape = history_print.csv if as_csv else history_print.json if as_json else history_print.table
        texts = [entry.series[point].kind == Kind.TEXT for point in points if known(entry, point)]
        if any(texts):
            if not all(texts):
                raise WrongUse("ask for texts and numbers one after the other")
            said = history.texts(entry, points, first, last)
            history_print.texts(entry, said, where.local, "csv" if as_csv else "json" if as_json else "table")
            return
        name, step = wanted(every, last - first)
        selection = history.select(entry, points, first, last, every=step)
        shape(selection, name, where.local)
        if selection.damaged:
            click.echo(f"heliobus: {selection.damaged} damaged blocks are left out", err=True)


@command.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("devices", nargs=-1, metavar="[DEVICE…]")
@click.option("--from", "begin", metavar=TIME, help="From when on.  [default: from the first value on]")
@click.option("--to", "end", metavar=TIME, default="now", show_default=True, help="Until when; a day is included.")
@click.option("--every", metavar="STEP", default="raw", show_default=True, help="raw, 1m, 15m, 1h, 1d, …")
@CONFIG
def export(file: Path, devices: tuple[str, ...], begin: str | None, end: str, every: str, path: Path | None) -> None:
    """Write all points of DEVICEs, or of all, to FILE: .parquet (with DuckDB), .csv or .jsonl.

    A row has time, device (its key), name, point, unit, value, min, max, count and text. Where raw values are kept no
    longer, the finest that is kept is written.
    """
    where = source(path)
    from heliobus.cli import history_export  # noqa: PLC0415  brings sqlite3

    with opened(where) as history:
        chosen = [found(history, each) for each in devices] or history.devices()
        last = until(end, where.local)
        times = [series.first for each in chosen for series in each.series.values() if series.first is not None]
        if not times:
            raise Problem(f"{where.file}: nothing has been recorded yet")
        first = span(begin, end, where.local)[0] if begin is not None else min(*times, 1000 * last) / 1000
        _, step = wanted(every, last - first)
        written = history_export.write(history, file, chosen, first, last, step, where.local)
    click.echo(f"{written} rows in {file}", err=True)


@command.command()
@CONFIG
def check(path: Path | None) -> None:
    """Read the whole file and say whether it is sound; also while the daemon runs."""
    where = source(path)
    from heliobus.outputs.history.sound import examined  # noqa: PLC0415  brings sqlite3
    from heliobus.outputs.history.stored import NoHistoryError  # noqa: PLC0415  SQLite may be missing

    try:
        report = examined(where.file)
    except NoHistoryError as error:
        raise Problem(str(error)) from None
    sizes = ", ".join(f"{table} {count} blocks {size / 1e6:.1f} MB" for table, (count, size) in report.tables.items())
    click.echo(f"{where.file}: {report.size / 1e6:.1f} MB: {sizes}")
    if report.problems:
        raise Problem(
            f"{where.file}: {'; '.join(report.problems)}; at its next start the daemon saves what can be read"
        )
    click.echo("sound")


def source(path: Path | None) -> Source:
    """Where the history of the config is. Raises Problem, also where there is no SQLite to read it."""
    if importlib.util.find_spec("sqlite3") is None or importlib.util.find_spec("_sqlite3") is None:
        raise Problem("this Python has no sqlite3, so there is no history")
    try:
        settings = config.load(path)
    except config.ConfigError as error:
        raise WrongUse(str(error)) from None
    wanted = settings.outputs.history
    file = (wanted.path if wanted else None) or settings.site.state / "history.db"
    if wanted is None and not file.exists():
        raise Problem(f"{settings.source}: no history is kept; add [output.history]")
    return Source(file, local_time(settings.site.timezone))


def opened(where: Source) -> "History":
    """The history, to be read. Raises Problem."""
    from heliobus.outputs.history.query import History, NoHistoryError  # noqa: PLC0415  brings sqlite3

    try:
        return History(where.file, where.local)
    except NoHistoryError as error:
        raise Problem(str(error)) from None


def found(history: "History", name: str) -> "DeviceEntry":
    """The device of this name, label or key. Raises Problem."""
    from heliobus.outputs.history.query import UnknownNameError  # noqa: PLC0415  brings sqlite3

    try:
        return history.device(name)
    except UnknownNameError as error:
        _unknown("the history has no device", error.name, error.known)


def known(device: "DeviceEntry", point: str) -> bool:
    """True if the device has this point. Raises Problem if not."""
    if point not in device.series:
        _unknown(f"the history of {device.name} has no point", point, tuple(device.series))
    return True


def span(begin: str, end: str, local: LocalTime) -> tuple[float, float]:
    """From when until when, in UTC seconds. Raises Problem."""
    try:
        first = moment(begin, time.time(), local)
    except ValueError as error:
        raise WrongUse(f"--from {error}") from None
    last = until(end, local)
    if last <= first:
        raise WrongUse(f"--from {begin} is not before --to {end}")
    return first, last


def until(end: str, local: LocalTime) -> float:
    """The end of what was asked for, in UTC seconds. Raises Problem."""
    try:
        return moment(end, time.time(), local, end=True)
    except ValueError as error:
        raise WrongUse(f"--to {error}") from None


def wanted(every: str, seconds: float) -> tuple[str, "Every"]:
    """The step that `every` means for a span of so many seconds, and what it is called. Raises Problem."""
    from heliobus.outputs.history.every import nice, parse  # noqa: PLC0415  only here

    if every == "auto":
        return nice(round(1000 * seconds), MOST_ROWS)
    try:
        return every, parse(every)
    except ValueError as error:
        raise WrongUse(f"--every {error}") from None


def _unknown(what: str, name: str, known: Sequence[str]) -> NoReturn:
    import difflib  # noqa: PLC0415  for the error only

    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known) or 'none'}"
    raise WrongUse(f"{what} {line(name)!r}; {hint}")
