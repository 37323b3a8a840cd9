"""`heliobus decode`: what a captured frame says."""

import json
from collections.abc import Mapping

import click

from heliobus.cli.captured import FrameRefusedError, HexError, NeedsRequestError, Said, parse_hex, understand
from heliobus.cli.problem import WrongUse
from heliobus.devices import catalog
from heliobus.devices.decode import Decoder
from heliobus.devices.driver import Driver, Poll, Register, Table
from heliobus.devices.plan import Block
from heliobus.model.point import Point, Value
from heliobus.model.reading import Reason

TABLES: Mapping[int, Table] = {
    1: Table.COILS,
    2: Table.DISCRETE,
    3: Table.HOLDING,
    4: Table.INPUT,
    5: Table.COILS,
    6: Table.HOLDING,
    16: Table.HOLDING,
}
"""The table that a function reads or writes."""


@click.command(name="decode")
@click.argument("driver")
@click.argument("answer", metavar="HEX", nargs=-1, required=True)
@click.option("--request", metavar="HEX", help="What was asked, where the answer alone does not tell the addresses.")
def command(driver: str, answer: tuple[str, ...], request: str | None) -> None:
    """Print as JSON what the answer HEX of a device of DRIVER says, or why it says nothing.

    HEX is a whole frame, Modbus RTU with its checksum or Modbus TCP with its header: 01 04 02 3A 98 AA 3A, with or
    without spaces, colons or 0x. The exit code is 0 when it was decoded, 1 when it was refused.
    """
    try:
        device = catalog.driver(driver)
        asked = parse_hex(request) if request is not None else None
        answered = parse_hex(" ".join(answer))
    except catalog.UnknownDriverError as error:
        raise WrongUse(str(error.args[0])) from None
    except HexError as error:
        raise WrongUse(str(error)) from None
    try:
        said = understand(asked, answered)
    except NeedsRequestError as error:
        raise WrongUse(str(error)) from None
    except FrameRefusedError as error:
        click.echo(json.dumps({"refused": str(error)}, ensure_ascii=False))
        raise SystemExit(1) from None
    click.echo(json.dumps(document(device, said), indent=2, ensure_ascii=False))


def document(driver: Driver, said: Said) -> dict[str, object]:
    """A decoded frame as JSON: points with value, unit and text, raw registers by address, or the texts it holds."""
    head: dict[str, object] = {
        "driver": driver.name,
        "frame": said.wire,
        "unit": said.unit,
        "function": said.function,
    }
    if said.objects is not None:
        texts = {str(number): raw.decode("latin-1").rstrip("\0 ") for number, raw in said.objects.items()}
        return head | {"objects": texts}
    points = {name: _entry(point, value, reason) for name, (point, value, reason) in _points(driver, said).items()}
    registers = {f"0x{said.address + offset:04X}": word for offset, word in enumerate(said.words)}
    return head | {"points": points, "registers": registers}


def _points(driver: Driver, said: Said) -> dict[str, tuple[Point, Value, str | None]]:
    """Each point that lies in the answer, with its value or the reason why it has none."""
    table, count = TABLES[said.function], len(said.words)
    end = said.address + count
    inside = tuple(
        each for each in driver.registers if each.table is table and said.address <= each.address and each.end <= end
    )
    if not inside:
        return {}
    block = Block(table, said.address, count, Poll.ONCE, inside)
    values, reasons = Decoder(block).decode(said.words, {})
    for name in driver.doubt(values):
        if values.get(name) is not None:
            values[name], reasons[name] = None, Reason.OUT_OF_RANGE
    points = {each.point.name: each.point for each in inside}
    known = {name: (points[name], values[name], _reason(name, inside, values, reasons)) for name in points}
    derived = driver.derive(values)
    for point in driver.derived:
        value = derived.get(point.name)
        if value is not None:
            known[point.name] = (point, value, None)
    return known


def _reason(
    name: str, inside: tuple[Register, ...], values: Mapping[str, Value], reasons: Mapping[str, Reason]
) -> str | None:
    if values[name] is not None:
        return None
    missing = {
        factor
        for each in inside
        if each.point.name == name
        for factor in each.scale.factors
        if values.get(factor) is None
    }
    if missing:
        return f"is scaled by {', '.join(sorted(missing))}, which this frame does not hold"
    return str(reasons[name])


def _entry(point: Point, value: Value, reason: str | None) -> dict[str, object]:
    entry: dict[str, object] = {"value": value, "unit": point.unit or None, "text": None}
    if value is not None:
        entry["text"] = point.text(value)
    else:
        entry["reason"] = reason
    return entry
