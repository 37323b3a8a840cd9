"""What Home Assistant (core 2026.2) takes as MQTT discovery: a list of what it would refuse, or what would not work.

Facts from runs against it. A message that it takes as a whole though a single component is dropped is wrong here too.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

TOPIC = re.compile(r"homeassistant/device/([a-zA-Z0-9_-]+/)?[a-zA-Z0-9_-]+/config")
ROOT_KEYS = {
    *("dev", "o", "cmps", "state_topic", "command_topic", "availability", "availability_mode", "qos", "encoding"),
    *("payload_available", "payload_not_available"),
}
DEVICE_KEYS = {"ids", "name", "mf", "mdl", "sn", "sw", "hw", "cu", "via_device"}
VOLUME_OF_ENERGY = {"Wh", "kWh", "MWh"}
UNITS: Mapping[str, set[str | None]] = {
    "voltage": {"V", "mV"},
    "current": {"A", "mA"},
    "power": {"W", "kW"},
    "apparent_power": {"VA", "kVA"},
    "energy": set(VOLUME_OF_ENERGY),
    "energy_storage": set(VOLUME_OF_ENERGY),
    "battery": {"%"},
    "temperature": {"°C"},
    "frequency": {"Hz"},
    "power_factor": {None, "%"},
    "duration": {"ms", "s", "min", "h", "d"},
    "signal_strength": {"dBm"},
    "weight": {"kg"},
    "enum": {None},
    "timestamp": {None},
}
TOTALS = {"total", "total_increasing"}
MEASURED = {"measurement"}
STATE_CLASSES: Mapping[str, set[str]] = {
    **dict.fromkeys(("voltage", "current", "power", "apparent_power", "battery", "temperature"), MEASURED),
    **dict.fromkeys(("frequency", "power_factor", "energy_storage", "signal_strength"), MEASURED),
    "energy": TOTALS,
    "duration": MEASURED | TOTALS,
    "weight": MEASURED | TOTALS,
    "enum": set(),
    "timestamp": set(),
}
BINARY_CLASSES = {"problem", "connectivity", "battery_charging", "running", "heat", "cold", "safety", "power"}
COMMON = {
    *("p", "unique_id", "name", "default_entity_id", "entity_category", "enabled_by_default", "icon", "value_template"),
    *("state_topic", "json_attributes_topic", "json_attributes_template"),
}
PLATFORMS: Mapping[str, set[str]] = {
    "sensor": {"device_class", "state_class", "unit_of_measurement", "suggested_display_precision", "options"}
    | {"expire_after"},
    "binary_sensor": {"device_class", "payload_on", "payload_off", "expire_after"},
    "switch": {"command_topic", "payload_on", "payload_off", "device_class", "optimistic"},
    "number": {"command_topic", "min", "max", "step", "mode", "device_class", "unit_of_measurement"},
    "select": {"command_topic", "options"},
    "button": {"command_topic", "payload_press", "device_class"},
    "text": {"command_topic", "min", "max", "pattern", "mode"},
}
COMMANDED = {"switch", "number", "select", "button", "text"}
DAILY = re.compile(r"_(today|month|year|day_counter|month_counter|year_counter)$")


def violations(topic: str, payload: bytes) -> list[str]:
    """Everything that is wrong with a discovery message; an empty payload removes a device and is right."""
    wrong = [] if TOPIC.fullmatch(topic) else [f"illegal topic {topic}"]
    if not payload:
        return wrong
    try:
        config = json.loads(payload, parse_constant=_no_constant)
    except ValueError as error:
        return [*wrong, f"not JSON: {error}"]
    return [*wrong, *_root(config)]


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _root(config: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"whole payload rejected: extra key {key}" for key in sorted(config.keys() - ROOT_KEYS))
    yield from _device(config.get("dev", {}))
    if not config.get("o", {}).get("name"):
        yield "whole payload rejected: no origin"
    availability = config.get("availability", [])
    if not all(set(each) <= {"topic", "value_template"} and each.get("topic") for each in availability):
        yield "whole payload rejected: availability without topic"
    if len(availability) > 1 and config.get("availability_mode") != "all":
        yield "one availability would be enough: availability_mode is not all"
    components: Mapping[str, Mapping[str, Any]] = config.get("cmps", {})
    if not components:
        yield "whole payload rejected: no components"
    seen: set[tuple[str, str]] = set()
    for name, component in components.items():
        yield from (f"{name}: {why}" for why in _component(component, config))
        identity = (component.get("p", ""), component.get("unique_id", name))
        if identity in seen:
            yield f"{name}: unique_id is not unique"
        seen.add(identity)


def _device(device: Mapping[str, Any]) -> Iterator[str]:
    if not device.get("ids"):
        yield "whole payload rejected: device without ids"
    if not device.get("name"):
        yield "device without name"
    yield from (f"whole payload rejected: extra key {key} of the device" for key in sorted(device.keys() - DEVICE_KEYS))
    yield from (f"{key} of the device is empty" for key, value in device.items() if not value)


def _component(component: Mapping[str, Any], config: Mapping[str, Any]) -> Iterator[str]:
    platform = component.get("p")
    if platform not in PLATFORMS:
        yield f"whole payload rejected: platform {platform}"
        return
    if set(component) == {"p"}:
        return
    if not component.get("unique_id"):
        yield "whole payload rejected: no unique_id"
    yield from (f"{key} is nothing to a {platform}" for key in sorted(component.keys() - COMMON - PLATFORMS[platform]))
    yield from _names(component, config.get("dev", {}).get("name", ""))
    yield from _category(component)
    if platform in COMMANDED and not component.get("command_topic"):
        yield "no command_topic"
    if platform not in ("button", "text") and not (config.get("state_topic") or component.get("state_topic")):
        yield "no state_topic"
    if "json_attributes_template" in component and not component.get("json_attributes_topic"):
        yield "json_attributes_template without its topic"
    if platform == "sensor":
        yield from _sensor(component)
    elif platform == "binary_sensor":
        yield from _binary(component)
    elif platform == "number":
        yield from _number(component)
    elif platform == "select" and not component.get("options"):
        yield "no options"
    elif platform == "text" and component.get("max", 255) > 255:
        yield "a text is at most 255 long"


def _names(component: Mapping[str, Any], device: str) -> Iterator[str]:
    name = component.get("name", "")
    if name is not None and (not name or (device and name.lower().startswith(device.lower()))):
        yield f"name {name!r} starts with the device name or is empty"
    if "object_id" in component:
        yield "object_id is deprecated"
    entity = component.get("default_entity_id", "")
    if not re.fullmatch(rf"{component['p']}\.(?!_)(?!.*__)[a-z0-9_]+(?<!_)", entity):
        yield f"default_entity_id {entity!r}"


def _category(component: Mapping[str, Any]) -> Iterator[str]:
    allowed = ("diagnostic", None) if component["p"] in ("sensor", "binary_sensor") else ("config", "diagnostic", None)
    if component.get("entity_category") not in allowed:
        yield f"entity_category {component['entity_category']} of a {component['p']}"


def _expiry(component: Mapping[str, Any]) -> Iterator[str]:
    expire = component.get("expire_after")
    if expire is not None and (not isinstance(expire, int) or expire <= 0):
        yield f"expire_after {expire!r}"


def _sensor(component: Mapping[str, Any]) -> Iterator[str]:
    yield from _expiry(component)
    device_class, unit = component.get("device_class"), component.get("unit_of_measurement")
    state_class, options = component.get("state_class"), component.get("options")
    yield from _unit(device_class, unit)
    if unit == "Ah" and (device_class or state_class in TOTALS):
        yield "Ah has no device class and is no total"
    if device_class in STATE_CLASSES and state_class is not None and state_class not in STATE_CLASSES[device_class]:
        yield f"state_class {state_class} of {device_class}"
    if state_class not in (None, "measurement", *TOTALS):
        yield f"state_class {state_class}"
    if (device_class == "enum") != (options is not None) or options == []:
        yield "options and enum belong together"
    if options is not None and (unit or state_class):
        yield "options with a unit or a state_class"
    if options is not None and len(set(options)) < len(options):
        yield "an option twice"
    if state_class in TOTALS and device_class == "energy" and DAILY.search(component.get("unique_id", "")):
        yield "a daily energy as a lifetime counter"


def _unit(device_class: str | None, unit: str | None) -> Iterator[str]:
    if device_class is not None and device_class not in UNITS:
        yield f"device_class {device_class}"
    elif device_class is not None and unit not in UNITS[device_class]:
        yield f"unit {unit} of {device_class}"


def _binary(component: Mapping[str, Any]) -> Iterator[str]:
    yield from _expiry(component)
    if component.get("device_class") not in (None, *BINARY_CLASSES):
        yield f"device_class {component['device_class']} of a binary sensor"


def _number(component: Mapping[str, Any]) -> Iterator[str]:
    yield from _unit(component.get("device_class"), component.get("unit_of_measurement"))
    if component.get("min", 1) > component.get("max", 100):
        yield "min above max"
    if component.get("step", 1) < 0.001:
        yield "step below 0.001"
    if component.get("mode", "auto") not in ("auto", "box", "slider"):
        yield f"mode {component['mode']}"


def rendered(template: str, state: Mapping[str, object]) -> str | None:
    """What a template of ours makes of `state`; None for unknown. Understands the few forms that we use."""
    expression = template.removeprefix("{{").removesuffix("}}").replace("| tojson", "").strip()
    expression = re.sub(r"value_json\.(\w+)", r"V['\1']", expression)
    expression = re.sub(r"(V\['\w+'\]) is (number|string)", r"isinstance(\1, \2)", expression)
    names: Iterable[tuple[str, object]] = [("V", state), ("none", None), ("string", str), ("number", (int, float))]
    # The expression is one that Heliobus has made.
    result = eval(expression, {"__builtins__": {"isinstance": isinstance}}, dict(names))
    return None if result is None else str(result)
