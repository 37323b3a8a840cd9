"""The services of all devices, as a GX would have them, and what of them is to be published."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from heliobus import __version__
from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.outputs.mqtt.victron import payload
from heliobus.outputs.venus.commands import Commands
from heliobus.outputs.venus.face import Face
from heliobus.outputs.venus.item import NOT_WRITEABLE, Item, Kind
from heliobus.outputs.venus.kept import Kept, KeptSettings
from heliobus.outputs.venus.plain_tree import PlainItems, PlainTree, plain_faces
from heliobus.outputs.venus.role_choice import RoleChoice, allowed_roles
from heliobus.outputs.venus.setting import Setting
from heliobus.outputs.venus.stored_item import StoredItem, acceptable_name
from heliobus.site import Update

Publication = tuple[str, bytes]
"""Class, instance and path (`solarcharger/278/Dc/0/Voltage`), and the payload."""

SYSTEM, SETTINGS = "system/0", "settings/0"
SERIAL = f"{SYSTEM}/Serial"


@dataclass(frozen=True, slots=True)
class _Service:
    """`root` is class and instance."""

    root: str
    items: PlainItems
    tree: PlainTree | None = None
    custom_name: StoredItem | None = None

    def close(self) -> None:
        if self.tree is not None:
            self.tree.close()
        if self.custom_name is not None:
            self.custom_name.close()


@dataclass(frozen=True, slots=True)
class _Served:
    """A device in the role its owner chose, and its services."""

    device: Device
    reading: Reading
    choice: RoleChoice | None
    in_role: Device
    services: tuple[_Service, ...]


class Services:
    """All services of a site called `name`. `wake` is called when there is something to publish."""

    def __init__(self, kept: Kept, commands: Commands, portal: str, name: str, wake: Callable[[], None]) -> None:
        self._kept = kept
        self._settings = KeptSettings(kept)
        self._commands = commands
        self._wake = wake
        self._served: dict[str, _Served] = {}
        self._gone: dict[str, None] = {}
        self._own = _own_services(portal, name)
        self._roots = {service.root: service.items for service in self._own}

    def show(self, update: Update) -> None:
        """Carry `update`: a new reading, a device that is new or another one, or one that left."""
        device, reading = update.device, update.reading
        served = self._served.get(device.name)
        if served is not None and reading is not None and served.device == device:
            for service in served.services:
                assert service.tree is not None
                service.tree.carry(reading, update.changed)
            self._served[device.name] = _Served(served.device, reading, served.choice, served.in_role, served.services)
        else:
            self._take_away(device.name)
            if reading is not None:
                self._serve(device, reading)
        self._wake()

    def write(self, topic: str, value: object) -> int:
        """Somebody writes `value` to class/instance/path. Returns what a D-Bus service would answer."""
        root, path = _split(topic)
        items = self._roots.get(root)
        item = None if items is None else items.get(path)
        if item is None:
            return NOT_WRITEABLE
        answer = item.written(value)
        self._follow_choices()
        return answer

    def all(self) -> Iterator[Publication]:
        """Everything, as it is now."""
        for root, items in tuple(self._roots.items()):
            for item in items:
                yield f"{root}{item.path}", payload.of_item(item)

    def below(self, topic: str) -> Iterator[Publication]:
        """The leaf of class/instance/path, or all leaves below."""
        root, path = _split(topic)
        for item in self._roots.get(root, ()):
            if item.path == path or item.path.startswith(f"{path.rstrip('/')}/"):
                yield f"{root}{item.path}", payload.of_item(item)

    def skip_news(self) -> None:
        """Nobody looks at what has changed."""
        self._gone.clear()
        for items in self._roots.values():
            items.news()

    def news(self) -> list[Publication]:
        """What is gone, then what has changed, since the last time."""
        gone, self._gone = self._gone, {}
        news = [(topic, payload.GONE) for topic in gone]
        for root, items in self._roots.items():
            news.extend((f"{root}{item.path}", payload.of_item(item)) for item in items.news())
        return news

    def close(self) -> Iterable[Publication]:
        """Serve nothing any more. Returns how the devices are taken away."""
        for name in tuple(self._served):
            self._take_away(name)
        return [(topic, payload.GONE) for topic in self._gone]

    def _serve(self, device: Device, reading: Reading) -> None:
        choice = RoleChoice(device, self._settings) if len(allowed_roles(device)) > 1 else None
        in_role = device if choice is None else choice.device()
        services = tuple(self._service(face) for face in plain_faces(in_role, self._commands, choice))
        for service in services:
            assert service.tree is not None
            service.tree.carry(reading, reading.values)
            self._roots[service.root] = service.items
            for item in service.items:
                # What comes back at once was never gone.
                self._gone.pop(f"{service.root}{item.path}", None)
        self._served[device.name] = _Served(device, reading, choice, in_role, services)

    def _service(self, face: Face) -> _Service:
        tree = PlainTree(face, self._settings, self._wake)
        items = tree.items
        number = self._kept.instance(face.service_class, face.key, face.fallback_instance)
        items.set(items.add(Item("/DeviceInstance", "i")), number)
        name = items.add(Item("/CustomName", "s"))
        setting = Setting(f"/Settings/Devices/{face.key}/CustomName", face.label)
        custom_name = StoredItem(items, name, setting, self._settings, acceptable_name, self._wake)
        return _Service(f"{face.service_class}/{number}", items, tree, custom_name)

    def _take_away(self, name: str) -> None:
        served = self._served.pop(name, None)
        if served is None:
            return
        for service in served.services:
            service.close()
            del self._roots[service.root]
            self._gone.update(dict.fromkeys(f"{service.root}{item.path}" for item in service.items))
        if served.choice is not None:
            served.choice.close()

    def _follow_choices(self) -> None:
        for name, served in tuple(self._served.items()):
            if served.choice is not None and served.choice.value != served.in_role.role.value:
                self._take_away(name)
                self._serve(served.device, served.reading)
                self._wake()


def _own_services(portal: str, name: str) -> tuple[_Service, ...]:
    """What tools look for before all else: the portal id, and what the installation is called."""
    system: tuple[tuple[str, Kind, Value], ...] = (
        ("/Serial", "s", portal),
        ("/DeviceInstance", "i", 0),
        ("/Mgmt/ProcessName", "s", "heliobus"),
        ("/Mgmt/ProcessVersion", "s", __version__),
        ("/ProductName", "s", "Heliobus"),
    )
    settings: tuple[tuple[str, Kind, Value], ...] = (("/Settings/SystemSetup/SystemName", "s", name),)
    return _Service(SYSTEM, _fixed(system)), _Service(SETTINGS, _fixed(settings))


def _fixed(leaves: Iterable[tuple[str, Kind, Value]]) -> PlainItems:
    items = PlainItems()
    for path, kind, value in leaves:
        items.set(items.add(Item(path, kind)), value)
    return items


def _split(topic: str) -> tuple[str, str]:
    """`solarcharger/278` and `/Dc/0/Voltage`."""
    service_class, _, rest = topic.partition("/")
    number, _, path = rest.partition("/")
    return f"{service_class}/{number}", f"/{path}"
