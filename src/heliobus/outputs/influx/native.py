"""The layout `native`: a measurement per kind of device, a field per point."""

from collections.abc import Mapping, Sequence

from heliobus.model.device import Device
from heliobus.model.point import Point, Value
from heliobus.model.quantity import Kind
from heliobus.model.role import Role
from heliobus.outputs.influx.lines import Row
from heliobus.outputs.sampler import Sample

MEASUREMENTS = {
    Role.SOLAR_CHARGER: "solar_charger",
    Role.BATTERY: "battery",
    Role.GRID_METER: "grid_meter",
    Role.AC_LOAD: "ac_load",
    Role.PV_INVERTER: "pv_inverter",
    Role.GENSET: "genset",
    Role.DC_SOURCE: "dc_source",
    Role.DC_LOAD: "dc_load",
    Role.DC_SYSTEM: "dc_system",
    Role.ALTERNATOR: "alternator",
    Role.INVERTER: "inverter",
    Role.TOTAL: "total",
}
TEXT_SUFFIX = "_text"


class NativeLayout:
    """One row per sample; `tags` are the owner's own, which never take the place of ours."""

    def __init__(self, site: str, tags: Mapping[str, str]) -> None:
        self._site = site
        self._tags = tags

    def rows(self, samples: Sequence[Sample]) -> list[Row]:
        """What is written of these samples."""
        return [self._row(sample) for sample in samples]

    def _row(self, sample: Sample) -> Row:
        device = sample.device
        fields: dict[str, Value] = {}
        for name, value in sample.values.items():
            fields |= fields_of(device.points[name], value)
        return Row(MEASUREMENTS[device.role], {**self._tags, **self._own(device)}, fields, sample.time)

    def _own(self, device: Device) -> dict[str, str]:
        return {
            "site": self._site,
            "device": device.key,
            "name": device.label or device.name,
            "model": device.identity.model,
        }


def fields_of(point: Point, value: Value) -> dict[str, Value]:
    """The fields of one point: its number under its name, its words under that of `text_field`."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {text_field(point.name): value}
    if point.kind in (Kind.ENUM, Kind.FLAGS):
        return {point.name: value, text_field(point.name): point.text(value)}
    return {point.name: value}


def text_field(point: str) -> str:
    """Where the words of a point stand, apart from numbers, so that no field ever has both."""
    return point if point.endswith(TEXT_SUFFIX) else point + TEXT_SUFFIX
