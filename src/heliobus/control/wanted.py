"""Which settings a command is about: a profile's, those of a JSON text, or the one it names. Pure."""

import json
from collections.abc import Mapping

from heliobus.model import vocabulary as v
from heliobus.model.control_options import Profile
from heliobus.model.point import Value

Wanted = Mapping[str, float]
"""Settings by point name, in actual volts, seconds, days, °C."""


STORED = "set_"
"""What the names of the points that are stored in a device begin with."""


def is_stored(name: str) -> bool:
    """Whether the point of this name is a stored setting."""
    return name.startswith(STORED) and name != v.SET_CLOCK.name


def is_setting(name: str) -> bool:
    """Whether a command of this name changes stored settings."""
    return name in (v.APPLY_PROFILE.name, v.APPLY_SETTINGS.name) or is_stored(name)


def wanted(name: str, value: Value, profiles: Mapping[str, Profile]) -> Wanted:
    """The settings that the command `name` with `value` is about. Raises ValueError."""
    if name == v.APPLY_PROFILE.name:
        profile = profiles.get(str(value))
        if profile is None:
            known = ", ".join(sorted(profiles)) or "none"
            raise ValueError(f"there is no profile {value!r} for this device; there are: {known}")
        return profile.settings
    if name == v.APPLY_SETTINGS.name:
        return _parsed(str(value))
    if isinstance(value, int | float):
        return {name: value}
    raise ValueError(f"{name} takes a number, not {value!r}")


def _parsed(text: str) -> Wanted:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict) or not document:
        raise ValueError('settings are written as JSON, such as {"set_float_voltage": 27.2}')
    for name, value in document.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}, not a number")
    return document
