"""The entities of a device: one component per point, made from what the point says of itself. Pure."""

import math

from heliobus.model import vocabulary as v
from heliobus.model.command import Control, ControlKind
from heliobus.model.device import Device
from heliobus.model.point import Category, Point
from heliobus.model.quantity import Kind
from heliobus.outputs.mqtt.homeassistant import classes, templates, wording
from heliobus.outputs.mqtt.topics import Topics

Component = dict[str, object]
"""One entity as Home Assistant's discovery describes it; `p` is its platform."""

EXPIRES = 180
"""Seconds after which a state holds no longer, where states come often enough: several in a row were lost."""
FINEST_STEP = 0.001
"""Home Assistant refuses a number with a smaller one."""
UNBOUNDED = 1e6
FOR_PROGRAMS = frozenset({v.APPLY_SETTINGS.name})
"""Controls that take more than a text field of Home Assistant holds."""
RESTARTS = frozenset({v.RESET_CONTROLLER.name, v.RESET_COMM_SERVER.name})
SHOWN_BY = {v.APPLY_PROFILE.name: v.PROFILE_APPLIED.name}
"""The point that tells what a control without a value of its own has last done."""


def expiry(every: float) -> int:
    """Seconds after which a state holds no longer, if the next may come only `every` seconds after it."""
    return max(EXPIRES, math.ceil(3 * every))


def components(device: Device, topics: Topics, *, commands: bool, expires: int = EXPIRES) -> dict[str, Component]:
    """All components of `device` by point name. Without `commands` whatever could be commanded is only shown.

    What is only shown is unknown `expires` seconds after its last state.
    """
    controls = {name: each for name, each in device.controls.items() if commands and _offered(each)}
    found: dict[str, Component] = {}
    for point in device.points.values():
        control = controls.get(point.name)
        found[point.name] = (
            _shown(device, point, topics) | {"expire_after": expires}
            if control is None
            else _commanded(device, control, topics)
        )
    for name, control in controls.items():
        if name not in device.points:
            found[name] = _commanded(device, control, topics)
    return found


def _offered(control: Control) -> bool:
    # A locked one would refuse, and a dynamic one holds only while a program renews it.
    return not control.locked and not control.dynamic and control.point.name not in FOR_PROGRAMS


def _shown(device: Device, point: Point, topics: Topics) -> Component:
    meaning = classes.binary(point)
    if meaning is not None:
        component = _entity("binary_sensor", device, point) | {"value_template": templates.mapped(point.name, meaning)}
        if classes.binary_class(point) == "problem":
            component["json_attributes_topic"] = topics.state(device)
            component["json_attributes_template"] = templates.attribute("level", point.name)
        component |= _given(device_class=classes.binary_class(point))
    else:
        component = _entity("sensor", device, point) | _sensor(point)
    # Only controls may be of the category `config`.
    if point.category is not Category.MEASUREMENT:
        component["entity_category"] = "diagnostic"
    return component


def _sensor(point: Point) -> Component:
    icon = classes.icon(point)
    if point.kind is Kind.ENUM:
        options = list(dict.fromkeys(point.words.values()))
        return {"device_class": "enum", "options": options, "value_template": templates.plain(point.name)} | _given(
            icon=icon
        )
    if point.kind in (Kind.FLAGS, Kind.TEXT):
        return {"value_template": templates.text(point.name)} | _given(icon=icon)
    state_class = classes.state_class(point)
    return {"value_template": templates.plain(point.name)} | _given(
        device_class=classes.device_class(point),
        state_class=state_class,
        unit_of_measurement=point.unit or None,
        suggested_display_precision=point.decimals if point.unit or state_class else None,
        icon=icon,
    )


def _commanded(device: Device, control: Control, topics: Topics) -> Component:
    point = control.point
    component: Component = {"command_topic": topics.command(device, point.name)}
    if control.kind is ControlKind.SWITCH:
        component |= _entity("switch", device, point) | _switch(device, point)
    elif control.kind is ControlKind.BUTTON:
        component |= _entity("button", device, point) | _given(
            device_class="restart" if point.name in RESTARTS else None, payload_press="PRESS"
        )
    elif control.kind is ControlKind.TEXT:
        component |= _entity("text", device, point) | _text(device, point)
    elif point.words:
        options = list(
            dict.fromkeys(word for number, word in point.words.items() if control.low <= number <= control.high)
        )
        component |= _entity("select", device, point) | {
            "options": options,
            "value_template": templates.one_of(point.name, options),
        }
    else:
        component |= _entity("number", device, point) | _number(control)
    if point.category is not Category.MEASUREMENT:
        component["entity_category"] = "config"
    return component


def _switch(device: Device, point: Point) -> Component:
    return {
        "payload_on": "ON",
        "payload_off": "OFF",
        "value_template": templates.mapped(point.name, classes.ON_OFF),
    } | _given(optimistic=None if point.name in device.points else True)


def _text(device: Device, point: Point) -> Component:
    shown = SHOWN_BY.get(point.name, point.name)
    # A text entity knows no `unknown`, it would show the word None.
    return {"max": templates.LONGEST} | _given(
        value_template=templates.text(shown, "''") if shown in device.points else None
    )


def _number(control: Control) -> Component:
    point = control.point
    low = control.low if math.isfinite(control.low) else -UNBOUNDED
    high = control.high if math.isfinite(control.high) else UNBOUNDED
    return {
        "min": low,
        "max": high,
        "step": max(10.0**-point.decimals, FINEST_STEP),
        "mode": "box",
        "value_template": templates.between(point.name, low, high),
    } | _given(
        device_class=classes.device_class(point),
        unit_of_measurement=point.unit or None,
        icon=classes.icon(point),
    )


def _entity(platform: str, device: Device, point: Point) -> Component:
    entity: Component = {
        "p": platform,
        "unique_id": f"{device.key}_{point.name}",
        "name": wording.entity_name(device, point),
        "default_entity_id": wording.entity_id(platform, device, point),
    }
    return entity if classes.enabled(point) else entity | {"enabled_by_default": False}


def _given(**options: object) -> Component:
    return {name: value for name, value in options.items() if value is not None}
