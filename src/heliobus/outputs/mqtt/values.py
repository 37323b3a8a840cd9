"""Values as MQTT shows them: what fits in JSON, and in the options of Home Assistant's enums."""

import json
import math
from collections.abc import Mapping

from heliobus.model.device import Device
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind

NUMBERS = (Kind.NUMBER, Kind.INTEGER)


def shown(point: Point, value: Value) -> Value:
    """`value` of `point`: a rounded number, an enum's word, the words of flags (`none` if none is set), a text.

    None where nothing is measured, and where an enum has no word for it.
    """
    if value is None or point.kind is Kind.TEXT:
        return value
    if isinstance(value, str) or not math.isfinite(value):
        return None
    if point.kind is Kind.ENUM:
        return point.words.get(int(value))
    if point.kind is Kind.FLAGS:
        return point.text(int(value))
    if point.decimals == 0 or point.kind is Kind.INTEGER:
        return round(value)
    # No number is shown as -0.0.
    return round(value, point.decimals) + 0.0


def state(device: Device, values: Mapping[str, Value]) -> bytes:
    """One JSON object with every point of `device`, null where nothing is measured."""
    return encoded({name: shown(point, values.get(name)) for name, point in device.points.items()})


def encoded(content: Mapping[str, object]) -> bytes:
    """`content` as compact JSON."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
