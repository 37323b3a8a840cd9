"""A device's tree on the bus: every leaf from the start, then reading by reading what changed."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from heliobus.model.command import Control
from heliobus.model.device import Device
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind as PointKind
from heliobus.model.reading import Reading
from heliobus.outputs.venus.control_items import RESTING, ControlItems, Wanted, wanted
from heliobus.outputs.venus.face import connected
from heliobus.outputs.venus.history import History
from heliobus.outputs.venus.item import Item, Kind, fitting
from heliobus.outputs.venus.items import Items
from heliobus.outputs.venus.leaf import Leaf
from heliobus.outputs.venus.paths import ROLE_PATHS, STATISTICS, camel_case, own_path
from heliobus.outputs.venus.paths_identity import IDENTITY

KINDS: dict[PointKind, Kind] = {
    PointKind.NUMBER: "d",
    PointKind.INTEGER: "i",
    PointKind.ENUM: "i",
    PointKind.FLAGS: "i",
    PointKind.TEXT: "s",
}
LOAD_TODAY = "load_energy_today"
# What the device itself remembers goes before the extremes of the days we saw.
OVERALL = (
    Leaf("/History/Overall/MaxBatteryVoltage", "overall_battery_voltage_max", "d"),
    Leaf("/History/Overall/MinBatteryVoltage", "overall_battery_voltage_min", "d"),
)


Convert = Callable[[Mapping[str, Value]], Value]
"""From the reading's values to what an item shows."""


@dataclass(frozen=True, slots=True)
class _Feed:
    """An item fed by a point, and how its value comes of the reading's values, where it is not that of the point."""

    item: Item
    convert: Convert | None = None


class DeviceTree:
    """All leaves of one device in `service`, but for its instance and its custom name.

    The `hidden` paths of its identity stay invalid. Without `controls` nothing commands the device.
    """

    def __init__(
        self,
        service: Items,
        device: Device,
        hidden: frozenset[str] = frozenset(),
        controls: ControlItems | None = None,
    ) -> None:
        self._service = service
        self._device = device
        self._controls = controls
        self._values: Mapping[str, Value] = {}
        self._feeds: dict[str, list[_Feed]] = {}
        paths = ROLE_PATHS[device.role]
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
            if LOAD_TODAY in device.points:
                self._feeds.setdefault(LOAD_TODAY, []).append(_Feed(self._history.consumption_today))
        self._add_own_points()

    def show(self, reading: Reading, changed: Iterable[str]) -> None:
        """Carry `reading`, of which the points `changed` are news."""
        values = self._values = reading.values
        for name in changed:
            for feed in self._feeds.get(name, ()):
                self._service.set(feed.item, values.get(name) if feed.convert is None else feed.convert(values))
        self._service.set(self._connected, connected(reading))
        if self._history is not None:
            self._history.show(reading.days)

    def close(self) -> None:
        """There is no setting it follows."""

    def _add_leaves(self, leaves: Iterable[Leaf]) -> None:
        for leaf in leaves:
            control = self._control(leaf.command)
            if leaf.needs and self._control(leaf.needs) is None:
                continue
            point = self._device.points.get(leaf.point)
            if point is None and control is not None and control.point.name == leaf.point:
                point = control.point
            path = leaf.path.format(phase=self._device.placement.phase)
            if point is not None:
                item = self._add(point, path, leaf.kind, leaf.words)
                self._feed(item, leaf, control)
                if control is not None:
                    self._open(item, leaf, control)
            elif not leaf.if_known:
                self._service.add(Item(path, leaf.kind))

    def _control(self, name: str) -> Control | None:
        return None if self._controls is None else self._device.controls.get(name)

    def _feed(self, item: Item, leaf: Leaf, control: Control | None) -> None:
        feeds = self._feeds.setdefault(leaf.point, [])
        if control is not None and control.kind in RESTING:
            return
        feed = _Feed(item, _conversion(leaf))
        feeds.append(feed)
        for other in filter(None, (leaf.ceiling, leaf.along)):
            self._feeds.setdefault(other, []).append(feed)
        self._service.set(item, leaf.otherwise)

    def _open(self, item: Item, leaf: Leaf, control: Control) -> None:
        def understand(written: object) -> Wanted:
            if not leaf.ceiling:
                return wanted(control, leaf.kind, written, leaf.numbers)
            ceiling = self._values.get(leaf.ceiling)
            if not isinstance(ceiling, int | float):
                raise ValueError(f"{leaf.ceiling} is not known yet")
            return wanted(control, leaf.kind, written, leaf.numbers, ceiling)

        assert self._controls is not None
        self._controls.open(item, control, understand)

    def _add_own_points(self) -> None:
        firmware = self._service.add(Item(f"/{camel_case(self._device.short)}/Firmware", "s"))
        self._service.set(firmware, self._device.identity.firmware)
        own = [point for name, point in self._device.points.items() if name not in self._feeds]
        own = [point for point in own if own_path(self._device.short, point) not in self._service]
        for point in own:
            item = self._add(point, own_path(self._device.short, point), KINDS[point.kind])
            self._feeds[point.name] = [_Feed(item)]
        for point in own:
            path = own_path(self._device.short, point) + "Text"
            if point.kind in (PointKind.ENUM, PointKind.FLAGS) and path not in self._service:
                item = self._service.add(Item(path, "s", doc=point.doc))
                self._feeds[point.name].append(_Feed(item, _in_words(point)))

    def _add(self, point: Point, path: str, kind: Kind, words: Mapping[int, str] | None = None) -> Item:
        shown = _shown(point) if words is None else _words(words)
        return self._service.add(Item(path, kind, shown, point.doc))


def _words(words: Mapping[int, str]) -> Callable[[Value], str]:
    return lambda value: words.get(value, str(value)) if isinstance(value, int) else str(value)


def _conversion(leaf: Leaf) -> Convert | None:
    point, numbers, otherwise, of = leaf.point, leaf.numbers, leaf.otherwise, leaf.of
    ceiling, along = leaf.ceiling, leaf.along
    if numbers is None and otherwise is None and of is None and not ceiling and not along:
        return None

    def convert(values: Mapping[str, Value]) -> Value:
        value = values.get(point)
        if value is None or (along and values.get(along) is None):
            return otherwise
        if of is not None:
            return of(value)
        if numbers is not None:
            return numbers.get(value) if isinstance(value, int | float) else None  # type: ignore[arg-type]
        return values.get(ceiling) if ceiling and value == 0 else value

    return convert


def _in_words(point: Point) -> Convert:
    def convert(values: Mapping[str, Value]) -> Value:
        value = fitting("i", values.get(point.name))
        return None if value is None else point.text(value)

    return convert


def _shown(point: Point) -> Callable[[Value], str]:
    """`point.text`, made ready for what changes at every poll."""
    if point.kind is not PointKind.NUMBER:
        return point.text
    unit = point.unit.replace("%", "%%")
    layout = f"%.{point.decimals}f {unit}" if unit else f"%.{point.decimals}f"
    return layout.__mod__
