"""A device's tree on the bus: every leaf from the start, then reading by reading what changed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from heliobus.model.device import Device
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind as PointKind
from heliobus.model.reading import Health, Reading
from heliobus.outputs.venus.history import History
from heliobus.outputs.venus.item import Item, Kind
from heliobus.outputs.venus.leaf import Leaf
from heliobus.outputs.venus.paths import STATISTICS, camel_case, own_path, role_paths
from heliobus.outputs.venus.paths_identity import IDENTITY
from heliobus.outputs.venus.service import BusItemService

KINDS: dict[PointKind, Kind] = {
    PointKind.NUMBER: "d",
    PointKind.INTEGER: "i",
    PointKind.ENUM: "i",
    PointKind.FLAGS: "i",
    PointKind.TEXT: "s",
}
# What the device itself remembers goes before the extremes of the days we saw.
OVERALL = (
    Leaf("/History/Overall/MaxBatteryVoltage", "overall_battery_voltage_max", "d"),
    Leaf("/History/Overall/MinBatteryVoltage", "overall_battery_voltage_min", "d"),
)
_ANSWERING = (Health.OK, Health.FAILING)


@dataclass(frozen=True, slots=True)
class _Feed:
    """An item fed by a point, and how the point's value becomes the item's, where it is not the same."""

    item: Item
    convert: Callable[[Value], Value] | None = None


class DeviceTree:
    """All leaves of one device in `service`, but for its instance and its custom name.

    The `hidden` paths of its identity stay invalid.
    """

    def __init__(self, service: BusItemService, device: Device, hidden: frozenset[str] = frozenset()) -> None:
        self._service = service
        self._device = device
        self._feeds: dict[str, list[_Feed]] = {}
        paths = role_paths(device.role)
        for constant in (*IDENTITY, *paths.constants):
            item = service.add(Item(constant.path, constant.kind, constant.shown))
            service.set(item, None if constant.path in hidden else constant.value(device))
        self._connected = service.add(Item("/Connected", "i"))
        service.set(self._connected, 0)
        self._add_leaves(paths.leaves)
        self._add_leaves(STATISTICS)
        self._history: History | None = None
        if paths.history:
            known = [leaf for leaf in OVERALL if leaf.point in device.points]
            self._add_leaves(known)
            measured = frozenset(leaf.path.rpartition("/")[2] for leaf in known)
            self._history = History(service, measured)
        self._add_own_points()

    def show(self, reading: Reading, changed: Iterable[str]) -> None:
        """Carry `reading`, of which the points `changed` are news."""
        values = reading.values
        for name in changed:
            value = values.get(name)
            for feed in self._feeds.get(name, ()):
                if value is not None and feed.convert is not None:
                    self._service.set(feed.item, feed.convert(value))
                else:
                    self._service.set(feed.item, value)
        self._service.set(self._connected, 1 if reading.health in _ANSWERING else 0)
        if self._history is not None:
            self._history.show(reading.days)

    def _add_leaves(self, leaves: Iterable[Leaf]) -> None:
        for leaf in leaves:
            point = self._device.points.get(leaf.point)
            if point is not None:
                self._feed(point, leaf.path, leaf.kind, leaf.numbers, leaf.words)
            elif not leaf.if_known:
                self._service.add(Item(leaf.path, leaf.kind))

    def _add_own_points(self) -> None:
        firmware = self._service.add(Item(f"/{camel_case(self._device.short)}/Firmware", "s"))
        self._service.set(firmware, self._device.identity.firmware)
        own = [point for name, point in self._device.points.items() if name not in self._feeds]
        own = [point for point in own if own_path(self._device.short, point) not in self._service]
        for point in own:
            self._feed(point, own_path(self._device.short, point), KINDS[point.kind])
        for point in own:
            path = own_path(self._device.short, point) + "Text"
            if point.kind in (PointKind.ENUM, PointKind.FLAGS) and path not in self._service:
                item = self._service.add(Item(path, "s", doc=point.doc))
                self._feeds[point.name].append(_Feed(item, point.text))

    def _feed(
        self,
        point: Point,
        path: str,
        kind: Kind,
        numbers: Mapping[int, int] | None = None,
        words: Mapping[int, str] | None = None,
    ) -> None:
        shown = _shown(point) if words is None else _words(words)
        item = self._service.add(Item(path, kind, shown, point.doc))
        self._feeds.setdefault(point.name, []).append(_Feed(item, _conversion(numbers)))


def _words(words: Mapping[int, str]) -> Callable[[Value], str]:
    return lambda value: words.get(value, str(value)) if isinstance(value, int) else str(value)


def _conversion(numbers: Mapping[int, int] | None) -> Callable[[Value], Value] | None:
    if numbers is None:
        return None
    return lambda value: numbers.get(value) if isinstance(value, int) else None


def _shown(point: Point) -> Callable[[Value], str]:
    """`point.text`, made ready for what changes at every poll."""
    if point.kind is not PointKind.NUMBER:
        return point.text
    unit = point.unit.replace("%", "%%")
    layout = f"%.{point.decimals}f {unit}" if unit else f"%.{point.decimals}f"
    return layout.__mod__
