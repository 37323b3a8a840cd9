"""One line of the InfluxDB line protocol (InfluxDB 1.8, 2 and 3: "Line protocol reference")."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from heliobus.model.point import Value

RESERVED = frozenset({"", "time", "_measurement", "_field", "_time"})
"""Keys that no tag and no field may have."""
# A control character would end the line or the field for some server or other, whatever stands around it.
_CONTROLS = dict.fromkeys((*range(32), *range(127, 160), 8232, 8233), " ")
# A backslash has no escape that all servers read alike, and at the end of a tag it swallows what follows.
_NAME = _CONTROLS | {ord("\\"): "/", ord(","): "\\,", ord(" "): "\\ "}
_KEY = _NAME | {ord("="): "\\="}
_TEXT = _CONTROLS | {ord("\\"): "\\\\", ord('"'): '\\"'}


class Row(NamedTuple):
    """What becomes one line: `time` is in UTC milliseconds since 1970."""

    measurement: str
    tags: Mapping[str, str]
    fields: Mapping[str, Value]
    time: int


def line(measurement: str, tags: Mapping[str, str], fields: Mapping[str, Value], time_ms: int) -> str | None:
    """The line of these fields at `time_ms`; None if nothing was measured.

    Every number is written as a float, for a first `412i` makes every later `412.5` a refusal. None, NaN and infinite
    values, empty tags and reserved keys are left out; control characters become spaces.
    """
    written = [f"{name}={value}" for name, value in _escaped(fields, _field)]
    if not written:
        return None
    name = _plain(measurement).lstrip("#").strip() or "unnamed"
    keys = [f"{key}={value}" for key, value in sorted(_escaped(tags, _tag))]
    return f"{','.join([name.translate(_NAME), *keys])} {','.join(written)} {time_ms}"


def lines(rows: Iterable[Row]) -> bytes:
    """`rows` as they are sent, one a line; empty if nothing was measured."""
    written = (line(*row) for row in rows)
    return "\n".join(each for each in written if each is not None).encode("utf-8", "replace")


def _escaped(pairs: Mapping[str, Value], write: Callable[[Value], str]) -> Iterator[tuple[str, str]]:
    """Key and value as they are written; of keys that become the same only the first."""
    seen = set(RESERVED)
    for key, value in pairs.items():
        name, text = _key(key), write(value)
        if text and name not in seen:
            seen.add(name)
            yield name, text


def _field(value: Value) -> str:
    if isinstance(value, str):
        return f'"{value.translate(_TEXT)}"'
    number = _number(value)
    return "" if number is None else repr(number)


def _number(value: float | int | None) -> float | None:
    try:
        number = None if value is None else float(value)
    except OverflowError:
        return None
    return number if number is None or math.isfinite(number) else None


def _tag(value: Value) -> str:
    return _key(str(value))


# The same few hundred names stand in every line, and their escaping was most of its price.
@lru_cache(maxsize=1024)
def _key(text: str) -> str:
    return _plain(text).translate(_KEY)


def _plain(text: str) -> str:
    return text.translate(_CONTROLS).strip()
