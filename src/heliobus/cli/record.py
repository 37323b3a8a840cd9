"""`heliobus record`: the frames on a device's wire, for bug reports and for tests that replay them."""

import asyncio
import json
from pathlib import Path

import click

from heliobus import __version__
from heliobus.cli import logs, target
from heliobus.cli.problem import Problem
from heliobus.cli.read import document
from heliobus.cli.served import keep_off
from heliobus.cli.session import session
from heliobus.config import DeviceConfig
from heliobus.wire.trace import Frame


@click.command(name="record")
@click.argument("device")
@click.option("-u", "--unit", type=click.IntRange(1, 247), help="Unit id, for DRIVER@LINK.  [default: 1]")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; else the output of the command.")
@click.option("-n", "--readings", type=click.IntRange(1), default=3, show_default=True, help="How many readings.")
@click.option("--anonymous", is_flag=True, help="Leave the decoded reading out; frames still hold the serial number.")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def command(
    device: str,
    unit: int | None,
    output: Path | None,
    readings: int,
    anonymous: bool,
    path: Path | None,
    verbose: bool,
) -> None:
    """Read DEVICE (a name in the config, or DRIVER@LINK) a few times and write every frame with its time as JSON.

    The daemon has its buses for itself: stop it before you record.
    """
    logs.start(verbose, quiet=True)
    config = target.find(device, unit, path)
    frames: list[Frame] = []
    try:
        reading = asyncio.run(_record(config, path, readings, frames))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    start = frames[0].time
    content: dict[str, object] = {
        "driver": config.driver,
        "link": config.link.kind,
        "unit": config.unit,
        "recorded_by": f"heliobus {__version__}",
        "frames": [[round(frame.time - start, 4), frame.direction, frame.data.hex()] for frame in frames],
    }
    if not anonymous:
        content["reading"] = reading
    text = json.dumps(content, indent=1, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Problem(f"{output}: cannot be written: {error.strerror}") from None
    click.echo(f"{output}: {len(frames)} frames", err=True)


async def _record(config: DeviceConfig, path: Path | None, readings: int, frames: list[Frame]) -> dict[str, object]:
    await keep_off(config, path, "record its frames")
    async with session(config) as one:
        one.trace.subscribe(frames.append)
        for number in range(1, readings + 1):
            said = await one.next()
            click.echo(f"\rreading {number} of {readings}, {len(frames)} frames", nl=number == readings, err=True)
        return document(said)
