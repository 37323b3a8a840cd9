"""The tree of a service where there is no D-Bus: for MQTT and for databases."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.outputs.venus.commands import Commands
from heliobus.outputs.venus.face import Face, Tree
from heliobus.outputs.venus.faces import companion_face, role_face
from heliobus.outputs.venus.item import Item, Kind
from heliobus.outputs.venus.paths import ROLE_PATHS
from heliobus.outputs.venus.role_choice import RoleChoice
from heliobus.outputs.venus.setting import Keeping


class Shown(NamedTuple):
    """What a path shows: its value, None while it is invalid, its text, and what it carries all its life."""

    value: Value
    text: str
    kind: Kind


class PlainItems:
    """The items of one service by path, and which of them are news. Implements `Items`."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._news: dict[str, Item] = {}

    def add(self, item: Item) -> Item:
        """Put `item` into the tree. Raises ValueError for a path that is there already."""
        if item.path in self._items:
            raise ValueError(f"there is {item.path} already")
        self._items[item.path] = self._news[item.path] = item
        return item

    def __contains__(self, path: str) -> bool:
        return path in self._items

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items.values())

    def get(self, path: str) -> Item | None:
        """The item of this path."""
        return self._items.get(path)

    def set(self, item: Item, value: Value) -> None:
        """Let `item` carry `value`; if that is a change, it is news."""
        if item.take(value):
            self._news[item.path] = item

    def repeat(self, item: Item) -> None:
        """Have the value of `item` be news once more."""
        self._news[item.path] = item

    def news(self) -> list[Item]:
        """The items that changed since the last time; at first all."""
        news, self._news = self._news, {}
        return list(news.values())


class PlainTree:
    """The tree of one service, fed with readings."""

    def __init__(self, face: Face, settings: Keeping, wake: Callable[[], None]) -> None:
        self.items = PlainItems()
        self._tree: Tree = face.make_tree(self.items, settings, wake)

    def carry(self, reading: Reading, changed: Iterable[str]) -> None:
        """Carry `reading`, of which the points `changed` are news."""
        self._tree.show(reading, changed)

    def show(self, reading: Reading, changed: Iterable[str]) -> dict[str, Shown]:
        """Carry `reading`, and return what is new since the last time, by path; at first all."""
        self.carry(reading, changed)
        return {item.path: Shown(item.value, item.text, item.kind) for item in self.items.news()}

    def close(self) -> None:
        """Follow no setting any more."""
        self._tree.close()


def plain_faces(device: Device, commands: Commands, roles: RoleChoice | None = None) -> Iterator[Face]:
    """The services of `device`: that of its role, and a companion if it has switches; none if a GX has no such role."""
    if device.role not in ROLE_PATHS:
        return
    yield role_face(device, frozenset(), commands, roles)
    companion = companion_face(device, commands)
    if companion is not None:
        yield companion
