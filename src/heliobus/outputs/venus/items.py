"""Where the leaves of a service are put, whoever then shows them: a D-Bus, a broker, a database."""

from typing import Protocol

from heliobus.model.point import Value
from heliobus.outputs.venus.item import Item


class Items(Protocol):
    """The items of one service."""

    def add(self, item: Item) -> Item:
        """Put `item` into the tree. Raises ValueError for a path that is there already."""

    def __contains__(self, path: str) -> bool: ...

    def set(self, item: Item, value: Value) -> None:
        """Let `item` carry `value`, and tell it if that is a change."""

    def repeat(self, item: Item) -> None:
        """Tell the value of `item` once more, for who believes another one."""
