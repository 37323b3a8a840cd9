"""What `heliobus doctor` sees in a charger's reading: what keeps it from charging, or from being commanded. Pure."""

from collections.abc import Iterator, Mapping

from heliobus.cli.doctor_finding import Finding, ok, problem, warning
from heliobus.config import DeviceConfig
from heliobus.devices import catalog
from heliobus.devices.morningstar import points as ts
from heliobus.devices.writes import Writes
from heliobus.model import vocabulary as v
from heliobus.model.device import Device
from heliobus.model.point import Point, Value
from heliobus.model.reading import Reading

EXTERNAL_CONTROL = 252
"""The charger's state while somebody steers it; the daemon's own control says its source."""


def charger(config: DeviceConfig, device: Device, reading: Reading) -> Iterator[Finding]:
    """All about what it reads; one line if nothing is wrong."""
    driver, values, name = catalog.driver(device.driver), reading.values, config.name
    findings = [*_state(values, name), *_tracking(values)]
    if config.options.on and driver.writes is None:
        findings.append(warning("this model takes no commands", 'set control = "off"'))
    elif config.options.on and driver.writes is not None:
        network = config.link.kind == "tcp" and driver.writes.has_server(device.identity)
        findings += _commands(driver.writes, values, network=network)
        findings += _system(config, driver.writes, values)
    if not findings:
        words = "no fault, and control is on" if config.options.on else "no fault; control is off, it is only read"
        findings = [ok(words)]
    for finding in findings:
        yield Finding(finding.level, f"{name}: {finding.seen}", finding.remedy)


def _state(values: Mapping[str, Value], name: str) -> Iterator[Finding]:
    words = values.get(v.FAULT_TEXT.name)
    if words:
        if values.get(v.GENERAL_ALARM.name):
            yield problem(
                str(words), f"it does not charge; see its manual, then heliobus set {name} clear_faults press"
            )
        else:
            yield warning(str(words), "see its manual")
    if values.get(v.CHARGER_ENABLED.name) == 0:
        yield warning("it is told to disconnect, so it does not charge", f"heliobus set {name} charger_enabled on")
    if values.get(v.CHARGER_STATE.name) == EXTERNAL_CONTROL and not values.get(v.CONTROL_SOURCE.name):
        yield warning(
            "something steers it by slave control, or did until now",
            "find the other program; if there is none, it stops charging within a minute until heliobus run is started",
        )


def _tracking(values: Mapping[str, Value]) -> Iterator[Finding]:
    for point, register in ((ts.FIXED_ARRAY_VOLTAGE, "0x005A"), (ts.FIXED_ARRAY_PERCENT, "0x005B")):
        if values.get(point.name):
            yield warning(
                f"tracking of the maximum power point is off: register {register} fixes the array at "
                f"{point.text(values[point.name])}",
                f"unless that is meant, write 0 to register {register} with the vendor's software",
            )
    stored = [point for point in (ts.SET_FIXED_ARRAY_VOLTAGE, ts.SET_FIXED_ARRAY_PERCENT) if values.get(point.name)]
    for point in stored:
        yield warning(
            f"tracking goes off at each start of the charger: {point.name} is {point.text(values[point.name])}",
            "unless that is meant, set it to 0 with the vendor's software",
        )


def _commands(writes: Writes, values: Mapping[str, Value], *, network: bool) -> Iterator[Finding]:
    blocked = writes.network_guard(values) if network else None
    if blocked is not None:
        yield problem("control is on, but it takes no commands", blocked)
    preset = None if writes.eeprom is None else writes.eeprom.guard(values)
    if preset is not None:
        yield warning("its charge settings cannot be changed", preset)


def _system(config: DeviceConfig, writes: Writes, values: Mapping[str, Value]) -> Iterator[Finding]:
    if writes.eeprom is None:
        return
    confirmed, found = config.options.system_voltage, _number(values, v.NOMINAL_VOLTAGE)
    evidence = values.get(ts.SYSTEM_EVIDENCE.name) or "nothing says it"
    if confirmed is None:
        known = f"it is {found:g} V by {evidence}" if found is not None else f"it is not found out: {evidence}"
        number = f"{found:g}" if found is not None else "12, 24 or 48"
        yield warning(
            f"the system voltage is not confirmed ({known}), so charge settings are not changed",
            f"set system_voltage = {number} for this device in the config",
        )
    elif found is not None and found != confirmed:
        yield problem(
            f"system_voltage is {confirmed} in the config, but the charger has {found:g} V by {evidence}",
            "correct the one that is wrong before any setting is changed",
        )


def _number(values: Mapping[str, Value], point: Point) -> float | None:
    value = values.get(point.name)
    return value if isinstance(value, int | float) else None
