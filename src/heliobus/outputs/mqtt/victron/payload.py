"""What stands in a message of the Victron topics. Source: venus.md §6."""

import json
from dataclasses import dataclass

from heliobus.model.point import Value
from heliobus.outputs.venus.item import Item

GONE = b""
"""A service is gone."""
LONGEST = 65_536
"""Bytes of a message that is looked at."""
LONGEST_ECHO = 200


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """What a keep-alive asks for: `everything` to be published again, and `echo` to be said when it was."""

    everything: bool = True
    echo: str | None = None


class NotAWriteError(ValueError):
    """The payload is not a JSON object with a plain `value`."""


def of_item(item: Item) -> bytes:
    """`{"value":27.5}`; null while the item is invalid."""
    value = item.value
    return of_value(str(value).split(",") if item.kind == "as" and value is not None else value)


def of_value(value: Value | list[str], **more: str) -> bytes:
    """`{"value":…}` with what stands beside it."""
    text = json.dumps({**more, "value": value}, ensure_ascii=False, separators=(",", ":"))
    # An echo may have half of a surrogate pair, which JSON can write and UTF-8 cannot.
    return text.encode("utf-8", "replace")


def completed(time: float, echo: str | None) -> bytes:
    """What is said when everything was published, at `time`."""
    return of_value(int(time)) if echo is None else of_value(int(time), **{"full-publish-completed-echo": echo})


def keep_alive(payload: bytes) -> KeepAlive:
    """What `payload` asks for; an empty one asks for everything. A GX looks for the word in any place, too."""
    document = _json(payload)
    options = document.get("keepalive-options") if isinstance(document, dict) else None
    echoes = [
        echo[:LONGEST_ECHO]
        for option in (options if isinstance(options, list) else ())
        if isinstance(option, dict) and isinstance(echo := option.get("full-publish-completed-echo"), str)
    ]
    return KeepAlive(b"suppress-republish" not in payload, echoes[-1] if echoes else None)


def written(payload: bytes) -> object:
    """The value somebody writes: null comes as an empty list, as on the D-Bus. Raises NotAWriteError."""
    document = _json(payload)
    if not isinstance(document, dict) or "value" not in document:
        raise NotAWriteError("it takes a JSON object with a value")
    value = document["value"]
    if isinstance(value, dict):
        raise NotAWriteError("it takes no objects in objects")
    return [] if value is None else value


def _json(payload: bytes) -> object:
    """None for what is not JSON; NaN and infinity are none."""
    if len(payload) > LONGEST:
        return None
    try:
        return json.loads(payload, parse_constant=_no_number)
    except (ValueError, RecursionError):
        return None


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is no number")
