"""`heliobus config`: look at the config file."""

from collections.abc import Iterator
from pathlib import Path

import click

from heliobus import config
from heliobus.cli.problem import WrongUse
from heliobus.cli.settings_file import when_text
from heliobus.config.warnings import warnings
from heliobus.model.control_options import ControlOptions
from heliobus.model.naming import slug


def _allowed(options: ControlOptions) -> str:
    """What the owner confirms and allows, in words."""
    volts = f"{options.system_voltage} V" if options.system_voltage else "system_voltage not confirmed"
    equalize = "allowed" if options.equalize.allowed else "locked"
    top = f"to {options.top_charge.voltage:g} V" if options.top_charge else "none"
    return f"{volts}, chemistry {options.chemistry.name}, equalize {equalize}, top charge {top}"


def _outputs(settings: config.Config) -> Iterator[str]:
    """A line about each output but Venus. No secret is read."""
    outputs = settings.outputs
    if outputs.mqtt is not None:
        mqtt = outputs.mqtt
        found_by = f", found by Home Assistant under {mqtt.discovery}" if mqtt.discovery else ""
        secured = ", TLS" if mqtt.encrypted else ""
        yield f"mqtt: {mqtt.host}:{mqtt.port}{secured}, topics {mqtt.prefix}/{slug(settings.site.name)}/…{found_by}"
    for influx in outputs.influx:
        where = f"{influx.url} ({influx.api}), {influx.database}"
        yield f"{influx.name}: {where}, layout {influx.layout}, every {influx.every:g} s"
    if outputs.history is not None:
        file = outputs.history.path or settings.site.state / "history.db"
        yield f"history: {file}, every {outputs.history.every:g} s"
    if outputs.files is not None:
        places = [str(each) for each in (outputs.files.folder, outputs.files.snapshots) if each is not None]
        yield f"files: {' and '.join(places)}"
    if outputs.web is not None:
        yield f"web: http://{outputs.web.host}:{outputs.web.port}/{' with /metrics' if outputs.web.metrics else ''}"


@click.group(name="config")
def command() -> None:
    """Look at the config file."""


@command.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("-c", "--config", "path", type=click.Path(path_type=Path), help="The config file.")
def check(file: Path | None, path: Path | None) -> None:
    """Read the config as the daemon would, and say what it understood or what is wrong. Opens no link."""
    try:
        settings = config.load(file or path)
    except config.ConfigError as error:
        raise WrongUse(str(error)) from None
    site = settings.site
    click.echo(f"{settings.source}: good")
    click.echo(f"site {site.name}, time zone {site.timezone or 'of this machine'}, ledger in {site.state}")
    for device in settings.devices:
        click.echo(
            f"device {device.name}: {device.driver}, {device.link.describe(device.unit)}, every {device.poll:g} s"
        )
        if device.options.on:
            click.echo(f"  control is on: {_allowed(device.options)}")
    for total in settings.totals:
        click.echo(f"total {total.name}: {', '.join(total.devices)}")
    for profile in settings.profiles:
        devices = ", ".join(profile.devices) or "all devices"
        number = len(profile.settings)
        settings_of = "1 setting" if number == 1 else f"{number} settings"
        click.echo(f"profile {profile.name}: {settings_of}, {when_text(profile.when)}, for {devices}")
    if settings.venus is not None:
        where = settings.venus.bus or "the session bus if there is one, else the system bus"
        extra = ", charger set up in its settings" if settings.venus.settings_charger else ""
        click.echo(f"output venus: {where}{extra}")
    for output in _outputs(settings):
        click.echo(f"output {output}")
    for warning in warnings(settings):
        click.echo(f"warning: {warning}")
