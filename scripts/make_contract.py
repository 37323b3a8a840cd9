"""Writes docs/contract.md from the code; with --check only says whether it is up to date."""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from generated import keep

from heliobus.control.controls import controls_of, points_of
from heliobus.devices import catalog
from heliobus.devices.driver import ADDED_POINTS, Driver, Poll, Register
from heliobus.devices.poll import NORMAL_PERIOD, ONCE_PERIOD, SLOW_PERIOD
from heliobus.model import vocabulary as v
from heliobus.model.command import ControlKind
from heliobus.model.control_options import ControlOptions
from heliobus.model.device import Device, Identity
from heliobus.model.point import Point
from heliobus.model.quantity import Kind
from heliobus.model.reading import Reason
from heliobus.model.role import ROLES, Role
from heliobus.outputs.influx.native import MEASUREMENTS, text_field
from heliobus.outputs.mqtt.homeassistant.components import components
from heliobus.outputs.mqtt.homeassistant.payload import config_topic
from heliobus.outputs.mqtt.state import REPEAT
from heliobus.outputs.mqtt.topics import Topics
from heliobus.outputs.prometheus.names import metric
from heliobus.totals import POINTS as TOTAL_POINTS

TARGET = Path(__file__).resolve().parent.parent / "docs" / "contract.md"
PREFIX, DISCOVERY, SITE = "heliobus", "homeassistant", "cabin"
ADDED = {point.name: source for source, points in ADDED_POINTS.items() for point in points}
CONTROLLED = {point.name for point in v.CONTROL_POINTS}
NEVER = "never while the device answers"
PERIODS = {Poll.NORMAL: NORMAL_PERIOD, Poll.SLOW: SLOW_PERIOD, Poll.ONCE: ONCE_PERIOD}
BEGINNING = Path(__file__).with_name("contract.md")
"""What is no table, with gaps for what the code says."""
TOPICS = (
    ("state", "out", "no", f"all points, one JSON object; on change, at the latest after {REPEAT:.0f} s"),
    ("device_availability", "out", "yes", "`online`, `offline`: whether the device answers"),
    ("sample", "out, QoS 1", "no", "`time` and all points, through the outbox; only with `record_every`"),
)
COLUMNS = (
    "| Point = MQTT key | Unit | Meaning | Home Assistant | Influx field | Prometheus |\n|---|---|---|---|---|---|"
)
REASONS = {
    Reason.NOT_SUPPORTED: "this model or firmware does not have it; it refused the register",
    Reason.INVALID: "the device itself says that there is none (no sensor), or what it says makes no sense",
    Reason.OUT_OF_RANGE: "it is outside what is physically plausible, or contradicts other values",
    Reason.STALE: "it was not read again in two of its periods",
    Reason.OFFLINE: "the device does not answer",
}


def main() -> int:
    """0 when the file is as it should be, after writing it or without need."""
    return keep(TARGET, contract())


def contract() -> str:
    """The whole page."""
    topics = Topics(PREFIX, SITE)
    parts = [
        BEGINNING.read_text(encoding="utf-8").format(
            site=SITE,
            reasons="\n".join(f"| {reason.value} | {text} |" for reason, text in REASONS.items()),
            topics="\n".join(_topics(topics)),
            measurements=", ".join(f"`{name}`" for name in MEASUREMENTS.values()),
            roles=", ".join(f"`{role.value}`" for role in Role),
        ),
        "## The vocabulary\n",
        "Shared by all drivers. What a device has of it stands with its [driver](#drivers).\n",
        COLUMNS,
        *_rows(_device(catalog.drivers()[0], v.VOCABULARY, controlled=False), v.VOCABULARY.values(), topics),
        "\n## Roles\n",
        "| Role | Influx measurement | Always there | May be there |\n|---|---|---|---|",
        *(_role(role) for role in Role),
        "\n## Drivers\n",
        "While control is on, what can be commanded is a control in Home Assistant: the second word of its column.\n",
        *(_driver(driver, topics) for driver in catalog.drivers()),
        _total(topics),
        "\n## Words\n",
        "| Point | Words |\n|---|---|",
        *_words(),
    ]
    return "\n".join(parts) + "\n"


def _topics(topics: Topics) -> Iterable[str]:
    device = _device(catalog.drivers()[0], {}, controlled=False)
    yield _topic(topics.availability, "out, Last Will", "yes", "`online`, `offline`: Heliobus itself")
    for kind, direction, retained, content in TOPICS:
        yield _topic(getattr(topics, kind)(device), direction, retained, content)
    limit = v.CHARGE_CURRENT_LIMIT.name
    yield _topic(topics.command(device, limit), "in", "never", 'a command: `20`, or `{"value": 20, "id": "mine"}`')
    yield _topic(topics.result(device, limit), "out", "no", "what became of it")
    yield _topic(config_topic(DISCOVERY, "KEY"), "out", "yes", "discovery by Home Assistant, one for each device")
    yield _topic(f"{DISCOVERY}/status", "in", "", "Home Assistant's birth: everything is sent again")


def _topic(topic: str, direction: str, retained: str, content: str) -> str:
    return f"| `{topic}` | {direction} | {retained} | {content} |"


def _device(driver: Driver, points: Mapping[str, Point], *, controlled: bool) -> Device:
    """A device of `driver` with `points`, for asking the outputs about it."""
    options = ControlOptions(on=True)
    controls = controls_of(driver, options, ("a profile",), network=True) if controlled else {}
    return Device(
        name="roof",
        label="",
        driver=driver.name,
        short=driver.short,
        role=driver.role,
        address="",
        identity=Identity(driver.vendor, driver.family),
        points=points,
        key="KEY",
        number=0,
        # What the owner has to unlock is a control all the same.
        controls={name: replace(each, locked="") for name, each in controls.items()},
    )


def _rows(device: Device, points: Iterable[Point], topics: Topics) -> Iterable[str]:
    shown = components(device, topics, commands=False)
    commanded = components(device, topics, commands=True)
    for point in points:
        platforms = dict.fromkeys(str(each[point.name]["p"]) for each in (shown, commanded) if point.name in each)
        yield (
            f"| `{point.name}` | {_unit(point)} | {point.doc} | {', '.join(platforms)} "
            f"| {_fields(point)} | {_metric(point)} |"
        )


def _unit(point: Point) -> str:
    return point.unit or ("" if point.kind is Kind.NUMBER else str(point.kind))


def _fields(point: Point) -> str:
    fields = [] if point.kind is Kind.TEXT else [point.name]
    if point.kind in (Kind.TEXT, Kind.ENUM, Kind.FLAGS):
        fields.append(text_field(point.name))
    return ", ".join(f"`{field}`" for field in fields)


def _metric(point: Point) -> str:
    if point.kind is Kind.TEXT:
        return ""
    found = metric(point)
    times = "" if found.factor == 1 else f" (× {found.factor:g})"
    return f"`{found.name}`{times}{', counter' if found.counter else ''}"


def _role(role: Role) -> str:
    points = ROLES[role]
    always, perhaps = (", ".join(f"`{name}`" for name in sorted(each)) for each in (points.required, points.optional))
    return f"| `{role.value}` | `{MEASUREMENTS[role]}` | {always} | {perhaps} |"


def _driver(driver: Driver, topics: Topics) -> str:
    said = {point.name: point for point in points_of(driver)}
    points = {**driver.points(), **said}
    device = _device(driver, points, controlled=True)
    points |= {name: control.point for name, control in device.controls.items()}
    own = [point for point in points.values() if point.name not in v.VOCABULARY]
    lines = [f"\n### {driver.name}\n", f"{driver.vendor} {driver.family}. Roles: {', '.join(driver.roles)}.\n"]
    if own:
        lines += ["Points that only it has:\n", COLUMNS, *_rows(device, own, topics), ""]
    lines += [
        "When each point is absent, beside a device that does not answer:\n",
        "| Point | Read | Absent |\n|---|---|---|",
    ]
    registers = {register.point.name: register for register in driver.registers}
    for point in points.values():
        read, absent = _absent(driver, point, registers.get(point.name), device)
        lines.append(f"| `{point.name}` | {read} | {absent} |")
    return "\n".join(lines)


def _absent(driver: Driver, point: Point, register: Register | None, device: Device) -> tuple[str, str]:
    """How often it is read, and when it has no value."""
    if register is not None:
        why = ["when refused"] if register.poll is not Poll.FAST else []
        if register.invalid:
            why.append("if the register is " + " or ".join(f"0x{word:04X}" for word in sorted(register.invalid)))
        if register.scale.factors:
            why.append("without " + " or ".join(f"`{name}`" for name in register.scale.factors))
        return _period(driver, register.poll), "; ".join([*why, *_range(point)]) or NEVER
    control = device.controls.get(point.name)
    if control is not None and control.kind is ControlKind.BUTTON:
        return "", "always: a button has no value"
    if point.name in CONTROLLED or control is not None:
        return "said by control", "while control is off, and where it has nothing to say"
    if point in v.HEALTH_POINTS:
        return "counted by the bus", NEVER
    if point.name in ADDED:
        return "said by the site", f"until `{ADDED[point.name]}` has been read"
    return "derived", "; ".join(["when what it comes from is absent", *_range(point)])


def _period(driver: Driver, poll: Poll) -> str:
    if poll is Poll.FAST:
        return f"`poll`, {driver.poll_period:g} s by default"
    seconds = PERIODS[poll]
    return {NORMAL_PERIOD: "30 s", SLOW_PERIOD: "hourly", ONCE_PERIOD: "daily"}[seconds]


def _range(point: Point) -> list[str]:
    if point.low is None or point.high is None:
        return []
    return [f"outside {point.low:g} to {point.high:g} {point.unit}".rstrip()]


def _total(topics: Topics) -> str:
    device = replace(_device(catalog.drivers()[0], TOTAL_POINTS, controlled=False), driver="total", role=Role.TOTAL)
    lines = [
        "\n### total\n",
        "Several chargers as one (`[[total]]`). Powers and currents are those of the members that have one now; yields",
        "are absent until every member has one, for a sum must not fall when a member goes.\n",
        COLUMNS,
        *_rows(device, TOTAL_POINTS.values(), topics),
    ]
    return "\n".join(lines)


def _words() -> Iterable[str]:
    points = dict(v.VOCABULARY)
    for driver in catalog.drivers():
        points |= driver.points()
    for point in points.values():
        if point.words:
            kind = "bits: " if point.kind is Kind.FLAGS else ""
            yield f"| `{point.name}` | {kind}{', '.join(f'{number} {word}' for number, word in point.words.items())} |"


if __name__ == "__main__":
    sys.exit(main())
