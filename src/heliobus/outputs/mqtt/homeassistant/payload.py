"""The whole discovery message of a device, as Home Assistant wants it. Pure.

Source: Home Assistant's documentation of MQTT, section on device discovery; what it accepts was tried on core 2026.2.3.
"""

import json

from heliobus import __version__
from heliobus.model.device import Device
from heliobus.model.naming import slug
from heliobus.outputs.mqtt.homeassistant.components import EXPIRES, Component, components
from heliobus.outputs.mqtt.homeassistant.wording import device_name
from heliobus.outputs.mqtt.topics import OFFLINE, ONLINE, Topics

Config = dict[str, object]
"""A discovery message before it becomes JSON."""
ORIGIN = "heliobus"


def config_filter(prefix: str) -> str:
    """The filter of all discovery messages of Heliobus, and of nobody else."""
    return f"{prefix}/device/{ORIGIN}/+/config"


def config_topic(prefix: str, key: str) -> str:
    """Where the discovery message of the device with this key is kept."""
    return f"{prefix}/device/{ORIGIN}/{key}/config"


def bridge_key(site_name: str) -> str:
    """The key of Heliobus itself."""
    return f"bridge_{slug(site_name)}"


def device_config(device: Device, topics: Topics, site_name: str, *, commands: bool, expires: int = EXPIRES) -> Config:
    """The discovery message of `device`, whose states hold for `expires` seconds."""
    identity = device.identity
    about = {
        "ids": [f"{ORIGIN}_{device.key}"],
        "name": device_name(device),
        "mf": identity.vendor,
        "mdl": identity.model,
        "sn": identity.serial,
        "sw": identity.firmware,
        "hw": identity.hardware,
        "via_device": f"{ORIGIN}_{bridge_key(site_name)}",
    }
    return {
        "dev": {name: value for name, value in about.items() if value},
        "o": _origin(),
        "state_topic": topics.state(device),
        "availability": [{"topic": topics.availability}, {"topic": topics.device_availability(device)}],
        "availability_mode": "all",
        "cmps": components(device, topics, commands=commands, expires=expires),
    }


def bridge_config(topics: Topics, site_name: str) -> Config:
    """The discovery message of Heliobus itself: it always is available, and says whether it is connected."""
    key = bridge_key(site_name)
    connected: Component = {
        "p": "binary_sensor",
        "unique_id": f"{ORIGIN}_{key}_connected",
        "name": "Connected",
        "default_entity_id": f"binary_sensor.{key.replace('-', '_')}_connected",
        "device_class": "connectivity",
        "entity_category": "diagnostic",
        "payload_on": ONLINE.decode(),
        "payload_off": OFFLINE.decode(),
    }
    return {
        "dev": {"ids": [f"{ORIGIN}_{key}"], "name": f"Heliobus {site_name}", "mf": "Heliobus", "sw": __version__},
        "o": _origin(),
        "state_topic": topics.availability,
        "cmps": {"connected": connected},
    }


def encoded(config: Config) -> bytes:
    """`config` as it is published."""
    return json.dumps(config, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _origin() -> dict[str, str]:
    return {"name": ORIGIN, "sw": __version__}
