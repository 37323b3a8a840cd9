"""What of a device can be commanded, from what its driver declares and what its owner allows. Pure."""

from collections.abc import Collection, Iterable

from heliobus.devices.driver import Driver
from heliobus.devices.writes import Coil, Slave, Writes
from heliobus.model import vocabulary as v
from heliobus.model.command import Control, ControlKind
from heliobus.model.control_options import ControlOptions
from heliobus.model.point import Point
from heliobus.model.quantity import AMPERE, CELSIUS, DAY, SECOND, VOLT, VOLT_PER_CELSIUS

HIGHEST_SYSTEM = 60
RANGES = {
    VOLT: (0.0, 90.0),
    VOLT_PER_CELSIUS: (-1.0, 0.0),
    AMPERE: (0.0, 80.0),
    SECOND: (0.0, 65535.0),
    DAY: (0.0, 255.0),
    CELSIUS: (-60.0, 120.0),
}
"""What a stored setting may be at all; checks against each other and the battery come on top."""
NO_TOP_CHARGE = (
    "no top-charge voltage is set: give one under [device.top_charge] in the config, or as TopChargeVoltage on a GX"
)
NO_PROFILES = "there are no profiles: add a [profile.NAME] table to the config"

CHANGE_POINTS = (
    v.PROFILE_STATUS,
    v.PROFILE_PROGRESS,
    v.PROFILE_ERROR,
    v.PROFILE_APPLIED,
    v.PROFILE_APPLIED_AT,
    v.EEPROM_WRITES,
)
"""What a change of stored settings says of itself."""

LIMITS = (v.CHARGE_VOLTAGE_LIMIT, v.CHARGE_CURRENT_LIMIT)
REMOTE = (v.REMOTE_NETWORK_MODE, v.REMOTE_CHARGE_VOLTAGE, v.REMOTE_CHARGE_CURRENT)


def controls_of(
    driver: Driver, options: ControlOptions, profiles: Collection[str], *, network: bool
) -> dict[str, Control]:
    """All controls by point name, empty while control is off. `network`: the device's own network server is there."""
    writes = driver.writes
    if writes is None or not options.on:
        return {}
    controls: list[Control] = []
    for coil in writes.coils:
        if coil is not writes.server_reset or network:
            controls.append(_coil(coil, equalize_lock(options) if coil is writes.equalize else ""))
    if writes.slave is not None:
        controls += _limits(writes.slave, options)
    controls += [Control(request.point, ControlKind.BUTTON) for request in writes.requests]
    if writes.clock is not None:
        controls.append(Control(writes.clock.point, ControlKind.BUTTON))
    if writes.stored:
        controls += _settings(writes, profiles)
    return {control.point.name: control for control in controls}


def points_of(driver: Driver) -> tuple[Point, ...]:
    """What control says of itself and of such a device."""
    writes = driver.writes
    if writes is None:
        return ()
    if writes.slave is not None:
        return v.CONTROL_POINTS
    return (v.COMMAND_RESULT, *(CHANGE_POINTS if writes.settings is not None else ()))


def equalize_lock(options: ControlOptions) -> str:
    """Why an equalize is never started, empty if the owner allows it."""
    chemistry = options.chemistry
    if not chemistry.equalize:
        return f'an equalize would harm the battery: its chemistry is "{chemistry.name}", not "flooded"'
    if not options.equalize.allowed:
        return (
            "equalize is locked: unlock it with allowed = true under [device.equalize] in the config, "
            "or EqualizeAllowed on a GX"
        )
    return ""


def highest_voltage(options: ControlOptions) -> float:
    """No limit is ever above this, in volts of the actual battery."""
    ceiling = options.chemistry.highest * (options.system_voltage or HIGHEST_SYSTEM) / 12
    return min(ceiling, options.highest_voltage or ceiling)


def _coil(coil: Coil, locked: str) -> Control:
    return Control(coil.point, ControlKind.BUTTON if coil.momentary else ControlKind.SWITCH, locked=locked)


def _limits(slave: Slave, options: ControlOptions) -> Iterable[Control]:
    volts = highest_voltage(options)
    amps = options.highest_current or slave.highest_amps
    yield Control(v.CHARGE_VOLTAGE_LIMIT, ControlKind.NUMBER, 0.0, volts)
    yield Control(v.CHARGE_CURRENT_LIMIT, ControlKind.NUMBER, 0.0, amps)
    yield Control(v.TOP_CHARGE, ControlKind.SWITCH, locked="" if options.top_charge else NO_TOP_CHARGE)
    yield Control(v.BMS_REQUIRED, ControlKind.SWITCH)
    yield Control(v.REMOTE_NETWORK_MODE, ControlKind.NUMBER, 0, 255, dynamic=True)
    yield _remote(v.REMOTE_CHARGE_VOLTAGE)
    yield _remote(v.REMOTE_CHARGE_CURRENT)


def _remote(point: Point) -> Control:
    return Control(point, ControlKind.NUMBER, 0.0, float(point.high or 0), dynamic=True)


def _settings(writes: Writes, profiles: Collection[str]) -> Iterable[Control]:
    yield Control(v.APPLY_PROFILE, ControlKind.TEXT, locked="" if profiles else NO_PROFILES)
    yield Control(v.APPLY_SETTINGS, ControlKind.TEXT)
    ranges = {} if writes.settings is None else writes.settings.ranges
    for register in writes.stored:
        point = register.point
        low, high = ranges[point.name] if point.name in ranges else RANGES[point.quantity]
        yield Control(point, ControlKind.NUMBER, low, high)
