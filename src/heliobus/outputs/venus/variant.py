"""Items as they travel on the D-Bus. Source: venus.md §1.2."""

from dbus_fast import Variant
from dbus_fast.signature import get_signature_tree

from heliobus.outputs.venus.item import Item

INVALID = Variant("ai", [])

_DOUBLE = get_signature_tree("d")
_INT32 = get_signature_tree("i")
_INT64 = get_signature_tree("x")
_STRING = get_signature_tree("s")
_WORDS = get_signature_tree("as")


def variant(item: Item) -> Variant:
    """The value of `item`."""
    value = item.value
    if value is None:
        return INVALID
    if item.kind == "d":
        return Variant(_DOUBLE, value, False)
    if item.kind == "s":
        return Variant(_STRING, value, False)
    if item.kind == "as":
        return Variant(_WORDS, str(value).split(","), False)
    narrow = -(2**31) <= value < 2**31  # type: ignore[operator]
    return Variant(_INT32 if narrow else _INT64, value, False)


def entry(item: Item) -> dict[str, Variant]:
    """Value and text as `GetItems` and `ItemsChanged` carry them."""
    return {"Value": variant(item), "Text": Variant(_STRING, item.text, False)}
