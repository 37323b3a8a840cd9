"""A leaf of a service's tree: one value of one D-Bus type, with its text. Source: venus.md §1.1 and §1.2.

Nothing here needs a D-Bus: the same leaves go to MQTT and to databases.
"""

import math
from collections.abc import Callable
from typing import Literal

from heliobus.model.point import Value

Kind = Literal["d", "i", "s", "as"]
"""What a path carries all its life: a number, an integer, text, or words, held here as one text with commas."""

Write = Callable[[object], int]
"""Takes what somebody wrote on the bus, of any type. Returns ACCEPTED or REFUSED."""

ACCEPTED = 0
NOT_WRITEABLE = 1
REFUSED = 2

INVALID_TEXT = "---"
_LARGEST = 1e300


class Item:
    """One leaf. `value` is None while it is invalid; `kind` never changes.

    `write` does not see what equals `value`, unless `every_write` is set.
    """

    __slots__ = ("doc", "every_write", "kind", "path", "shown", "text", "value", "write")

    def __init__(
        self, path: str, kind: Kind, shown: Callable[[Value], str] = str, doc: str = "", write: Write | None = None
    ) -> None:
        self.path = path
        self.kind = kind
        self.shown = shown
        self.doc = doc
        self.write = write
        self.every_write = False
        self.value: Value = None
        self.text = INVALID_TEXT

    def take(self, value: Value) -> bool:
        """Carry `value` from now on, as far as its kind allows. True when that is a change."""
        value = fitting(self.kind, value)
        if value == self.value:
            return False
        self.value = value
        self.text = INVALID_TEXT if value is None else clean(self.shown(value))
        return True

    def written(self, value: object) -> int:
        """Somebody wrote `value`. Returns ACCEPTED, NOT_WRITEABLE or REFUSED."""
        if self.write is None:
            return NOT_WRITEABLE
        # A bool equals 1 in Python, but not on the bus.
        if not self.every_write and type(value) is type(self.value) and value == self.value:
            return ACCEPTED
        return self.write(value)


def fitting(kind: Kind, value: Value) -> Value:
    """`value` as a path of `kind` may carry it, None where it may not: never text for a number, NaN or infinity."""
    if value is None:
        return None
    # The usual case first; the comparison also refuses NaN and infinity.
    if kind == "d" and type(value) is float:
        return value if -_LARGEST < value < _LARGEST else None
    if kind in ("s", "as"):
        return clean(value) if isinstance(value, str) else None
    if isinstance(value, str):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if kind == "d":
        return float(value) if abs(value) < _LARGEST else None
    whole = round(value)
    return whole if -(2**63) <= whole < 2**63 else None


def clean(text: str) -> str:
    """`text` without what D-Bus cannot carry: NUL and lone surrogates."""
    if text.isprintable():
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
