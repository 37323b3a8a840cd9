"""What entities are called for people, and the ids that Home Assistant is offered for them. Pure."""

import re
from collections.abc import Mapping

from heliobus.model import vocabulary as v
from heliobus.model.command import Control, ControlKind
from heliobus.model.device import Device
from heliobus.model.naming import slug
from heliobus.model.point import Category, Point
from heliobus.model.role import Role

ACRONYMS = {
    **dict.fromkeys(("ac", "ac-dc"), "AC"),
    **{word: word.upper() for word in ("dc", "pv", "mpp", "rts", "led", "ip", "dns", "mac", "hvd", "lvd", "eeprom")},
    **{word: word.upper() for word in ("bms", "fpga", "id", "co2", "soc", "soh")},
    "ids": "IDs",
    "netbios": "NetBIOS",
    "modbus": "Modbus",
    "meterbus": "MeterBus",
    "vmp": "at maximum power",
    "voc": "open circuit voltage",
    "comm": "network",
}
NAMES: Mapping[str, str] = {
    v.SOC.name: "State of charge",
    v.SOH.name: "State of health",
    v.MPP_MODE.name: "Tracker mode",
    v.CYCLES.name: "Charge cycles",
    v.APPLY_PROFILE.name: "Charge profile",
    v.ERROR_IDS.name: "Error IDs",
}
"""Where the words of a point's name are not what its owner would say."""
PRODUCERS = frozenset({Role.PV_INVERTER, Role.GENSET, Role.DC_SOURCE, Role.ALTERNATOR})
VOLTS = re.compile(r"(\d+)v(\d*)")
"""`12v` and `1v8`, as in names of supplies."""


def entity_name(device: Device, point: Point) -> str | None:
    """The name of the point's entity, None where the device's own name says it all.

    It never starts with the device's name, which Home Assistant puts before it.
    """
    name, prefix = _words(device, point), device_name(device)
    while prefix and name.lower().startswith(prefix.lower()):
        name = name[len(prefix) :].strip()
        name = name[:1].upper() + name[1:]
    return name or None


def device_name(device: Device) -> str:
    """What the device is called: by its owner, else its model."""
    return device.label.strip() or device.identity.model.strip() or device.name


def entity_id(platform: str, device: Device, point: Point) -> str:
    """The id to start with; its owner may choose another one in Home Assistant."""
    words = re.sub(r"[^a-z0-9]+", "_", slug(f"{device.name}_{point.name}")).strip("_")
    return f"{platform}.{words}"


def _words(device: Device, point: Point) -> str:
    if point.name in NAMES:
        return NAMES[point.name]
    if point.name == v.ENERGY_FORWARD.name:
        return _forward(device.role)
    words = point.name.split("_")
    control = device.controls.get(point.name)
    if point.category is Category.SETTING and words[0] == "set" and not _pushed(control):
        # `System voltage` and the setting of it are two things.
        words = [*words[1:], "setting"]
    text = " ".join(_spelled(word) for word in words)
    return text[:1].upper() + text[1:]


def _spelled(word: str) -> str:
    volts = VOLTS.fullmatch(word)
    if volts is not None:
        return f"{'.'.join(filter(None, volts.groups()))} V"
    return ACRONYMS.get(word, word)


def _pushed(control: Control | None) -> bool:
    return control is not None and control.kind is ControlKind.BUTTON


def _forward(role: Role) -> str:
    if role is Role.GRID_METER:
        return "Energy from grid"
    return "Energy produced" if role in PRODUCERS else "Energy consumed"
