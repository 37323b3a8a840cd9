"""`heliobus sim tracer|pzem|line`: EPever charge controllers and Peacefair meters on one serial line."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from heliobus.cli.problem import WrongUse
from heliobus.cli.sim_serving import serve
from heliobus.sim.pzem import SimPzemAc, SimPzemDc
from heliobus.sim.recorded import recorded_file
from heliobus.sim.serial_faults import SerialFaults
from heliobus.sim.serial_units import SerialDevice, SerialUnits
from heliobus.sim.tracer import SimTracer
from heliobus.sim.tracer_families import FAMILIES
from heliobus.sim.world import World

_MODELS = {
    "BN": "Tracer4215BN",
    "AN": "Tracer4210AN",
    "strict-AN": "Tracer3210A",
    "LS-B": "LS2024B",
    "DR": "DR3210N",
    "G3": "Tracer4210AN-G3",
}
_FIRST_AC, _FIRST_DC = 10, 30
Command = Callable[..., Any]


def _line_options(command: Command) -> Command:
    share = click.FloatRange(0, 1)
    options = [
        click.option(
            "--wire",
            type=click.Choice(["pty", "rtu+tcp"]),
            default="pty",
            show_default=True,
            help="How it is spoken to.",
        ),
        click.option(
            "--port", type=click.IntRange(0, 65535), default=1503, show_default=True, help="TCP port, 0 for a free one."
        ),
        click.option(
            "--speed", type=click.FloatRange(0.1, 5000), default=1.0, show_default=True, help="Simulated per real time."
        ),
        click.option("--late", type=share, default=0.0, help="Share of late answers."),
        click.option("--lost", type=share, default=0.0, help="Share of lost answers."),
        click.option("--cut", type=share, default=0.0, help="Share of answers cut short."),
        click.option("--flipped", type=share, default=0.0, help="Share of answers with a wrong bit."),
        click.option("--echo", is_flag=True, help="The adapter returns what it sends."),
        click.option("--second-master", type=click.FloatRange(0.1), help="Another master talks every so many seconds."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


_hour = click.option(
    "--hour", type=click.FloatRange(0, 24), default=10.0, show_default=True, help="Local hour at the start."
)
_system = click.option(
    "--system",
    type=click.Choice(["12", "24", "36", "48"]),
    default="12",
    show_default=True,
    help="Battery volts.",
)


@click.command()
@click.option("--units", type=click.IntRange(1, 20), default=1, show_default=True, help="How many, at unit ids 1, 2, …")
@click.option("--family", type=click.Choice(list(FAMILIES)), default="BN", show_default=True)
@click.option("--model", help="Model name; its digits say the ratings.  [default: one of the family]")
@click.option("--serial", default="0002201301200045", show_default=True, help="Serial number of the first.")
@_system
@_hour
@click.option("--asleep", is_flag=True, help="Silent at night while the load is switched off.")
@click.option("--capture", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Serve this recording.")
@_line_options
def tracer(
    units: int,
    family: str,
    model: str | None,
    serial: str,
    system: str,
    hour: float,
    asleep: bool,
    capture: Path | None,
    **line: Any,
) -> None:
    """Simulate EPever charge controllers on one battery, or serve a --capture, until Ctrl-C.

    A capture is a JSON list of exchanges, each with "request_hex" and "response_hex": whole RTU frames. What it does
    not hold is refused.
    """
    devices: list[SerialDevice]
    if capture is not None:
        try:
            devices = [recorded_file(capture, unit) for unit in range(1, units + 1)]
        except ValueError as error:
            raise WrongUse(f"{capture}: not a capture: {error}") from None
    else:
        devices = [*_tracers(units, family, model, serial, int(system), hour, asleep)]
    driver = "epever-duoracer" if family == "DR" else "epever-tracer"
    _serve_line(devices, lambda link: f"heliobus read {driver}@{link}", **line)


@click.command()
@click.option("--ac", type=click.IntRange(0, 50), default=1, show_default=True, help="AC meters, at 1, 2, …")
@click.option("--dc", type=click.IntRange(0, 50), default=0, show_default=True, help="DC meters, after the AC meters.")
@click.option("--factory", is_flag=True, help="All at address 1, as they leave the factory.")
@_line_options
def pzem(ac: int, dc: int, factory: bool, **line: Any) -> None:
    """Simulate Peacefair PZEM meters until Ctrl-C."""
    devices = _meters(ac, dc, first_ac=1, first_dc=ac + 1)
    if not devices:
        raise WrongUse("neither --ac nor --dc meters")
    if factory:
        for device in devices:
            device.unit = 1
    driver = "pzem-ac" if ac else "pzem-dc"
    _serve_line(devices, lambda link: f"heliobus read {driver}@{link}", **line)


@click.command()
@click.option("--tracers", type=click.IntRange(0, 9), default=2, show_default=True, help="Tracers, at 1, 2, …")
@click.option("--family", type=click.Choice(list(FAMILIES)), default="BN", show_default=True, help="Of the Tracers.")
@click.option("--ac", type=click.IntRange(0, 20), default=2, show_default=True, help="AC meters, at 10, 11, …")
@click.option("--dc", type=click.IntRange(0, 20), default=1, show_default=True, help="DC meters, at 30, 31, …")
@_system
@_hour
@_line_options
def line(tracers: int, family: str, ac: int, dc: int, system: str, hour: float, **line: Any) -> None:
    """Simulate Tracers and PZEM meters on one line, and print a config for it, until Ctrl-C."""
    devices: list[SerialDevice] = [
        *_tracers(tracers, family, None, "0002201301200045", int(system), hour, False),
        *_meters(ac, dc, first_ac=_FIRST_AC, first_dc=_FIRST_DC),
    ]
    if not devices:
        raise WrongUse("nothing is on the line")
    _serve_line(devices, lambda link: _config(link, devices), **line)


def _serve_line(
    devices: Sequence[SerialDevice],
    hint: Callable[[str], str],
    *,
    wire: str,
    port: int,
    speed: float,
    late: float,
    lost: float,
    cut: float,
    flipped: float,
    echo: bool,
    second_master: float | None,
) -> None:
    units = SerialUnits(devices)
    faults = SerialFaults(units, late=late, lost=lost, cut=cut, flipped=flipped, echo=echo, second_master=second_master)
    serve(units, wire, hint, port=port, faults=faults, speed=speed, speeds=units.speeds)


def _tracers(
    count: int, family: str, model: str | None, serial: str, system: int, hour: float, sleeps: bool
) -> list[SimTracer]:
    world = World(nominal=float(system), capacity=200.0 * max(1, count), hour=hour, load_watts=15.0 * count)
    return [
        SimTracer(
            unit,
            model=model or _MODELS[family],
            family=family,
            # The serial numbers of the others follow that of the first.
            serial=str(int(serial) + unit - 1).zfill(len(serial)) if serial.isdecimal() else serial,
            system=system,
            world=world,
            hour=hour,
            seed=unit,
            sleeps=sleeps,
        )
        for unit in range(1, count + 1)
    ]


def _meters(ac: int, dc: int, *, first_ac: int, first_dc: int) -> list[SerialDevice]:
    return [
        *(
            SimPzemAc(
                first_ac + index, watts=250.0 * (index + 1), energy_wh=1000.0 * index, wobble=0.05, seed=index + 1
            )
            for index in range(ac)
        ),
        *(SimPzemDc(first_dc + index, amps=3.0 * (index + 1), energy_wh=1000.0 * index) for index in range(dc)),
    ]


def _config(link: str, devices: Sequence[SerialDevice]) -> str:
    """A config with every device of the line."""
    tables = []
    for device in devices:
        if isinstance(device, SimTracer):
            family = device.state.family
            kind, driver, more = "tracer", "epever-tracer" if family.load else "epever-duoracer", ""
        elif isinstance(device, SimPzemAc):
            kind, driver, more = "meter", "pzem-ac", 'role = "acload"\n'
        else:
            kind, driver, more = "dc", "pzem-dc", 'role = "dcload"\n'
        tables.append(
            f'[[device]]\nname = "{kind}{device.unit}"\ndriver = "{driver}"\nlink = "{link}"\n'
            f"unit = {device.unit}\n{more}"
        )
    return "\n".join([*tables, "[output.venus]"])
