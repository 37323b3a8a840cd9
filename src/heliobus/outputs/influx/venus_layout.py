"""The layout of Victron's own Grafana dashboards, as Venus Influx Loader fills them. Source: users.md §4.3.

A measurement is a service class and a D-Bus path (`solarcharger/Yield/Power`); a number is the field `value`, a text
`stringValue`; `name` is the name of the whole installation.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.outputs.sampler import Sample
from heliobus.outputs.venus.commands import Commands
from heliobus.outputs.venus.face import Face
from heliobus.outputs.venus.kept import Kept, KeptSettings
from heliobus.outputs.venus.plain_tree import PlainTree, Shown, plain_faces
from heliobus.outputs.venus.role_choice import RoleChoice, allowed_roles
from heliobus.site import Site

REPEAT = 3_600_000
"""Milliseconds after which a text and a constant are written again, so that a look at a few hours finds them."""
LEFT_OUT = ("/History/Daily/", "/History/Overall/DaysAvailable")
"""Days are no samples; the loader leaves them out, too."""

Point = tuple[str, Mapping[str, str], Mapping[str, float | str]]


@dataclass(slots=True)
class _Service:
    """A service with what was last written of its texts and constants."""

    measurement: str
    tags: Mapping[str, str]
    tree: PlainTree
    constants: Mapping[str, Shown]
    shown: dict[str, Shown] = field(default_factory=dict)
    said: dict[str, tuple[int, Value]] = field(default_factory=dict)


@dataclass(slots=True)
class _Recorded:
    device: Device
    settings: KeptSettings
    role: RoleChoice | None
    services: tuple[_Service, ...]


class VenusLayout:
    """Makes points of samples. `instances` also gives the portal id: `kept(state).portal()`."""

    def __init__(self, portal: str, instances: Kept, name: str = "") -> None:
        self._portal = portal
        self._kept = instances
        self._name = name or portal
        # Nothing is ever written to these trees.
        self._commands = Commands(Site())
        self._recorded: dict[str, _Recorded] = {}

    def points(self, sample: Sample) -> Iterable[Point]:
        """Measurement, tags and fields of what `sample` says; a value that is not measured is left out."""
        reading = Reading(sample.device.name, sample.time / 1000, sample.values)
        for service in self._services(sample.device):
            service.shown |= service.tree.show(reading, sample.values)
            yield from _points(service, sample.time)

    def _services(self, device: Device) -> tuple[_Service, ...]:
        recorded = self._recorded.get(device.key)
        if recorded is not None:
            same_role = recorded.role is None or recorded.role.device().role.value == recorded.services[0].measurement
            if recorded.device == device and same_role:
                return recorded.services
        settings = KeptSettings(self._kept)
        role = RoleChoice(device, settings) if len(allowed_roles(device)) > 1 else None
        faces = plain_faces(device if role is None else role.device(), self._commands, role)
        services = tuple(self._service(face, settings) for face in faces)
        self._recorded[device.key] = _Recorded(device, settings, role, services)
        return services

    def _service(self, face: Face, settings: KeptSettings) -> _Service:
        number = self._kept.instance(face.service_class, face.key, face.fallback_instance)
        tags = {"portalId": self._portal, "instanceNumber": str(number), "name": self._name}
        tree = PlainTree(face, settings, _nobody_waits)
        constants = {
            item.path: Shown(item.value, item.text, item.kind) for item in tree.items.news() if item.value is not None
        }
        return _Service(face.service_class, tags, tree, constants, dict(constants))


def _points(service: _Service, time: int) -> Iterator[Point]:
    for path, (value, _, kind) in service.shown.items():
        if value is None or value == "" or path.startswith(LEFT_OUT):
            continue
        if kind in ("s", "as") or path in service.constants:
            before, said = service.said.get(path, (0, None))
            if value == said and 0 <= time - before < REPEAT:
                continue
            service.said[path] = (time, value)
        fields = {"stringValue": value} if isinstance(value, str) else {"value": float(value)}
        yield f"{service.measurement}{path}", service.tags, fields


def _nobody_waits() -> None:
    """No write is ever answered."""
