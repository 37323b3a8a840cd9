"""A sample as a row of CSV and as a line of JSON. Both have the same columns; a value that is not measured is empty."""

import csv
import io
import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from heliobus.model.device import Device
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind

TIME = "time"
TEXT_SUFFIX = "_text"
_CONTROLS = dict.fromkeys((*range(32), 127, 133, 8232, 8233), " ")
"""Control characters become spaces: a row is one line, for every program."""


def columns(device: Device) -> tuple[str, ...]:
    """The names of the columns: `time`, each point, and behind an enum or flags the words for its number."""
    return (TIME, *(name for point in device.points.values() for name in _columns(point)))


def cells(device: Device, moment: str, values: Mapping[str, Value]) -> Mapping[str, Value]:
    """The values of all columns, in order."""
    found: dict[str, Value] = {TIME: moment}
    for point in device.points.values():
        found.update(_cells(point, values.get(point.name)))
    return found


def csv_line(values: Iterable[Value]) -> bytes:
    """One line of CSV as in RFC 4180, with a mere line feed at its end."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue().encode("utf-8", "replace")


def json_line(values: Mapping[str, Value]) -> bytes:
    """One JSON object and a line feed."""
    return (json.dumps(values, ensure_ascii=False, separators=(",", ":")) + "\n").encode("utf-8", "replace")


def moment(local: datetime) -> str:
    """Date and time with the offset from UTC: `2026-11-21T12:00:05.250+01:00`."""
    return local.isoformat(timespec="milliseconds")


def _columns(point: Point) -> tuple[str, ...]:
    return (point.name, point.name + TEXT_SUFFIX) if _has_words(point) else (point.name,)


def _cells(point: Point, value: Value) -> dict[str, Value]:
    if isinstance(value, str):
        value = value.translate(_CONTROLS)
    if not _has_words(point):
        return {point.name: value}
    return {point.name: value, point.name + TEXT_SUFFIX: None if value is None else point.text(value)}


def _has_words(point: Point) -> bool:
    return point.kind in (Kind.ENUM, Kind.FLAGS)
