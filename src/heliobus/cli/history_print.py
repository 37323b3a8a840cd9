"""The history as a table, as CSV and as JSON."""

import csv as csv_format
import json as json_format
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence

import click

from heliobus.cli import columns
from heliobus.cli.moments import iso
from heliobus.config.table import line
from heliobus.model.localtime import LocalTime
from heliobus.model.point import Point
from heliobus.model.quantity import Kind, Quantity
from heliobus.outputs.history.query import DeviceEntry, Row, Selection, SeriesEntry

Shape = Callable[[Selection, str, LocalTime], None]
NONE = "---"
Texts = dict[str, list[tuple[int, str | None]]]


def devices(found: Sequence[DeviceEntry], local: LocalTime) -> None:
    """A line a device, with the first and the last time of any of its points."""
    rows = [("device", "key", "points", "first", "last")]
    for device in found:
        firsts = [series.first for series in device.series.values() if series.first is not None]
        lasts = [series.last for series in device.series.values() if series.last is not None]
        if firsts and lasts:
            first, last = _time(min(firsts), local), _time(max(lasts), local)
            rows.append((line(device.name), device.key, str(len(device.series)), first, last))
    if len(rows) == 1:
        click.echo("nothing has been recorded yet")
    else:
        columns.show(rows)


def overview(devices: Sequence[DeviceEntry], local: LocalTime, shape: str) -> None:
    """What there is, with its first and its last time."""
    entries = [(device, series) for device in devices for series in device.series.values()]
    if shape == "json":
        documents = [
            {**_device(device), "points": [_series(each, local) for each in device.series.values()]}
            for device in devices
        ]
        click.echo(json_format.dumps(documents, indent=2, ensure_ascii=False))
        return
    rows = [
        (
            line(device.name),
            device.key,
            series.point,
            series.unit,
            _time(series.first, local),
            _time(series.last, local),
        )
        for device, series in entries
    ]
    heads = ("device", "key", "point", "unit", "first", "last")
    if shape == "csv":
        _write_csv(heads, rows)
    elif rows:
        columns.show([heads, *rows])
    else:
        click.echo("nothing has been recorded yet")


def table(selection: Selection, every: str, local: LocalTime) -> None:
    """Columns with units: minimum, mean and maximum of a single point, one column each of several."""
    points = [selection.device.series[name] for name in selection.rows]
    if not any(selection.rows.values()):
        click.echo("nothing was measured then")
        return
    if len(points) == 1 and every != "raw":
        (series,) = points
        middle = "mean" if series.summed else "last"
        heads = ("time", *(f"{each} {series.unit}".rstrip() for each in ("min", middle, "max")), "count")
        rows = [
            (
                _time(row.time, local),
                *(_text(series, each) for each in (row.minimum, row.value, row.maximum)),
                str(row.samples),
            )
            for row in selection.rows[series.point]
        ]
        columns.show([heads, *rows])
        return
    heads = ("time", *(f"{each.point} {each.unit}".rstrip() for each in points))
    lines = [
        (
            _time(time, local),
            *(_text(series, row.value if row else None) for series, row in zip(points, found, strict=True)),
        )
        for time, found in _side_by_side(selection)
    ]
    columns.show([heads, *lines])


def csv(selection: Selection, every: str, local: LocalTime) -> None:
    """A row for each time; a gap is an empty cell."""
    raw = every == "raw"
    points = [selection.device.series[name] for name in selection.rows]
    names = [
        name for point in selection.rows for name in ((point,) if raw else (point, f"{point}_min", f"{point}_max"))
    ]
    _write_csv(
        ("time", *names),
        (
            (
                iso(time, local),
                *(cell for series, row in zip(points, found, strict=True) for cell in _cells(series, row, raw)),
            )
            for time, found in _side_by_side(selection)
        ),
    )


def json(selection: Selection, every: str, local: LocalTime) -> None:
    """One object; a gap has null for its values and the count 0."""
    points = {
        name: {
            **_series(selection.device.series[name], local),
            "rows": [
                {
                    "time": iso(row.time, local),
                    "value": _rounded(selection.device.series[name], row.value),
                    "min": row.minimum,
                    "mean": _rounded(selection.device.series[name], row.mean),
                    "max": row.maximum,
                    "last": row.last,
                    "count": row.samples,
                }
                for row in rows
            ],
        }
        for name, rows in selection.rows.items()
    }
    document = {"device": _device(selection.device), "every": every, "points": points}
    click.echo(json_format.dumps(document, indent=2, ensure_ascii=False))


def texts(device: DeviceEntry, said: Texts, local: LocalTime, shape: str) -> None:
    """What was said, and when it changed."""
    rows = sorted(
        ((time, point, text) for point, found in said.items() for time, text in found), key=lambda row: row[0]
    )
    if shape == "json":
        listed = {
            point: [{"time": iso(time, local), "text": text} for time, text in found] for point, found in said.items()
        }
        document = {"device": _device(device), "points": listed}
        click.echo(json_format.dumps(document, indent=2, ensure_ascii=False))
    elif shape == "csv":
        _write_csv(("time", "point", "text"), ((iso(time, local), point, text) for time, point, text in rows))
    elif rows:
        shown = [
            (_time(time, local), point, NONE if text is None else line(text) or "(empty)") for time, point, text in rows
        ]
        columns.show([("time", "point", "text"), *shown])
    else:
        click.echo("nothing was said then")


def _side_by_side(selection: Selection) -> Iterator[tuple[int, list[Row | None]]]:
    """All times of all points, and the row each point has there."""
    by_time = [{row.time: row for row in rows} for rows in selection.rows.values()]
    for time in sorted({time for rows in by_time for time in rows}):
        yield time, [rows.get(time) for rows in by_time]


def _cells(series: SeriesEntry, row: Row | None, raw: bool) -> tuple[object, ...]:
    if row is None:
        return (None,) if raw else (None, None, None)
    value = _rounded(series, row.value)
    return (value,) if raw else (value, row.minimum, row.maximum)


def _rounded(series: SeriesEntry, value: float | int | None) -> float | int | None:
    """A mean with two decimals more than what it is of."""
    return round(value, series.decimals + 2) if isinstance(value, float) else value


def _write_csv(heads: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    writer = csv_format.writer(sys.stdout, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)


def _device(device: DeviceEntry) -> dict[str, str]:
    return {"key": device.key, "name": device.name, "label": device.label, "role": device.role, "model": device.model}


def _series(series: SeriesEntry, local: LocalTime) -> dict[str, object]:
    return {
        "point": series.point,
        "unit": series.unit or None,
        "kind": series.kind,
        "first": None if series.first is None else iso(series.first, local),
        "last": None if series.last is None else iso(series.last, local),
    }


def _text(series: SeriesEntry, value: float | int | None) -> str:
    """Without the unit, which stands at the head."""
    quantity = Quantity("", Kind(series.kind), "", series.decimals)
    if value is not None and series.kind in (Kind.NUMBER, Kind.INTEGER):
        # A sum with 0 has no sign where it is 0.
        value = round(value, series.decimals) + 0
    return Point(series.point, quantity, "", words=series.words).text(value)


def _time(milliseconds: int | None, local: LocalTime) -> str:
    return NONE if milliseconds is None else f"{local(milliseconds / 1000):%Y-%m-%d %H:%M:%S}"
