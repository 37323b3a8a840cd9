"""How components and devices that are gone disappear from Home Assistant. Pure.

It forgets a component only when told so: one that is merely left out of a later message stays for ever.
"""

import json
from collections.abc import Mapping
from typing import cast

from heliobus.outputs.mqtt.homeassistant.payload import ORIGIN, Config

GONE = b""
"""The message that removes a device with all its components."""


Platforms = Mapping[str, str]
"""What a discovery message of ours has made known: the platform of each component."""


def published(config: Config) -> Platforms:
    """What `config` makes known."""
    components = cast(Mapping[str, Mapping[str, object]], config["cmps"])
    return {name: str(component["p"]) for name, component in components.items()}


def learned(payload: bytes, base: str) -> Platforms | None:
    """What the retained message `payload` has made known; None unless it is ours and of the site with topics `base`."""
    try:
        config = json.loads(payload)
        ours = config["o"]["name"] == ORIGIN and config["state_topic"].startswith(f"{base}/")
        found = published(config)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return found if ours else None


def steps(before: Platforms, config: Config) -> list[Config]:
    """The messages, in their order, that bring Home Assistant from `before` to `config`."""
    platforms = published(config)
    gone = {name: {"p": was} for name, was in before.items() if platforms.get(name) != was}
    if not gone:
        return [config]
    components = cast(Mapping[str, object], config["cmps"])
    return [config | {"cmps": {**components, **gone}}, config]
