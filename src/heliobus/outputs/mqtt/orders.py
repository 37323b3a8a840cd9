"""What a payload on a command's topic means."""

import json
from dataclasses import dataclass

from heliobus.model.command import Control, ControlKind
from heliobus.model.point import Value

SWITCH_WORDS = {"on": 1, "true": 1, "off": 0, "false": 0}
BUTTON_WORDS = {"press": 1, "pressed": 1, "on": 1, "true": 1}
LONGEST = 16 * 1024
"""Bytes of a payload; the longest that means anything is a set of charge settings."""


class BadOrderError(ValueError):
    """The payload says no value; the text says why. `id` is the sender's own, None if there is none to be had."""

    def __init__(self, why: str, id: int | str | None = None) -> None:  # noqa: A002  the protocol's word
        super().__init__(why)
        self.id = id


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody wants: `value` as he wrote it, `id` what he wants to find in the answer."""

    value: Value
    id: int | str | None = None


def parse(payload: bytes, control: Control | None) -> Order:
    """What `payload` means to `control`: a number, a word, JSON, or {"value": …, "id": …}. Raises BadOrderError."""
    if len(payload) > LONGEST:
        raise BadOrderError(f"more than {LONGEST} bytes")
    try:
        text = payload.decode().strip()
    except UnicodeDecodeError:
        raise BadOrderError("not a text in UTF-8") from None
    if not text:
        raise BadOrderError("an empty payload")
    try:
        content: object = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError):
        content = text
    number: int | str | None = None
    if isinstance(content, dict):
        number = _identity(content.get("id"))
        if "value" not in content:
            raise BadOrderError('an object without "value"', number)
        content = content["value"]
    elif control is not None and control.kind is ControlKind.TEXT and not isinstance(content, str):
        # A bare text may look like JSON.
        content = text
    return Order(_value(content, control, number), number)


def _no_number(word: str) -> float:
    raise ValueError(word)


def _identity(found: object) -> int | str | None:
    if found is None or (isinstance(found, int | str) and not isinstance(found, bool)):
        return found
    raise BadOrderError("id is not a whole number or a text")


def _value(content: object, control: Control | None, number: int | str | None) -> Value:
    if isinstance(content, bool):
        if control is not None and control.kind is ControlKind.NUMBER and not control.point.words:
            raise BadOrderError("the value is not a number", number)
        return int(content)
    if content is None or isinstance(content, list | dict):
        raise BadOrderError("the value is not a number, a word or a text", number)
    if isinstance(content, int | float):
        return content
    text = str(content)
    return text if control is None or control.kind is ControlKind.TEXT else _number_of(text, control)


def _number_of(text: str, control: Control) -> Value:
    """The number that `text` means to `control`; `text` itself if it means none, for the control to refuse."""
    word = text.casefold()
    words = {name.casefold(): value for value, name in control.point.words.items()}
    if control.kind is ControlKind.SWITCH:
        words = SWITCH_WORDS | words
    elif control.kind is ControlKind.BUTTON:
        words = words | BUTTON_WORDS
    if word in words:
        return words[word]
    # Python would take 1_0 for 10, and the figures of any script.
    if "_" in text or not text.isascii():
        return text
    try:
        return float(text)
    except ValueError:
        return text
