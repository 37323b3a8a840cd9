"""`heliobus doctor`: what is wrong with this machine, config, cables and devices, in plain words."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import click

from heliobus import config
from heliobus.cli import doctor_machine, doctor_served, logs, target
from heliobus.cli.doctor_finding import Finding, Level, ok, problem
from heliobus.config import Config, ConfigError, DeviceConfig


@click.command(name="doctor")
@click.argument("device", required=False)
@click.option("-u", "--unit", type=click.IntRange(1, 247), help="Unit id, for DRIVER@LINK.  [default: 1]")
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
@click.option("-v", "--verbose", is_flag=True, help="Log everything.")
def command(device: str | None, unit: int | None, path: Path | None, verbose: bool) -> None:
    """Look at the config, this machine, the outputs and all devices, or DEVICE: a name in the config, or DRIVER@LINK.

    Each line says ok, warning or problem, what was seen and what to do. Nothing is written. While the daemon runs it
    is asked in place of its devices. The exit code is 0 if there is no problem, else 1.
    """
    logs.start(verbose, quiet=True)
    # A wrong name is wrong use, not an illness.
    if device is not None and "@" in device:
        target.find(device, unit, path)
    try:
        sick = asyncio.run(_examine(device, unit, path))
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(1 if sick else 0)


async def _examine(device: str | None, unit: int | None, path: Path | None) -> bool:
    """Print the findings; whether there was a problem."""
    sick = False
    async for finding in _findings(device, unit, path):
        click.echo(finding.line)
        sick |= finding.level is Level.PROBLEM
    return sick


async def _findings(device: str | None, unit: int | None, path: Path | None) -> AsyncIterator[Finding]:
    free = device is not None and "@" in device
    try:
        settings = config.load(path)
    except ConfigError as error:
        if not free or path is not None:
            yield problem(f"config: {error}", "correct it; heliobus config check tells if it is good")
        if free and device is not None:
            async for finding in _device(target.find(device, unit, path)):
                yield finding
        return
    yield ok(f"config: {settings.source} is good")
    chosen = settings.devices if device is None else (target.find(device, unit, path),)
    yield doctor_machine.state_directory(settings.site.state)
    finding, served = await doctor_machine.daemon(settings.site.state)
    yield finding
    if settings.venus is not None:
        yield await doctor_machine.d_bus(settings.venus, served=served)
    if device is None and settings.outputs:
        from heliobus.cli import doctor_outputs  # noqa: PLC0415  brings brokers and databases

        async for finding in doctor_outputs.outputs(settings, served=served):
            yield finding
    for each in chosen:
        if served and _is_served(each, settings):
            async for finding in doctor_served.device(each, path):
                yield finding
            continue
        async for finding in _device(each):
            yield finding
    if not chosen:
        yield ok("the charger is set up in the settings of the GX: heliobus doctor DRIVER@tcp://ADDRESS looks at it")


def _is_served(device: DeviceConfig, settings: Config) -> bool:
    """Whether the daemon holds the link; where a charger is set up in the settings of a GX, nobody can tell."""
    links = {each.link.endpoint for each in settings.devices}
    set_up = settings.venus is not None and settings.venus.settings_charger
    return set_up or device.link.endpoint in links


async def _device(device: DeviceConfig) -> AsyncIterator[Finding]:
    from heliobus.cli import doctor_link  # noqa: PLC0415  brings the bus and the ledger

    async for finding in doctor_link.device(device):
        yield finding
