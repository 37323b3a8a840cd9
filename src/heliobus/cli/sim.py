"""`heliobus sim`: simulated devices that speak the real wire, for trying and for testing."""

import json
from collections.abc import Mapping
from pathlib import Path

import click

from heliobus.cli import sim_fleet, sim_serial
from heliobus.cli.problem import WrongUse
from heliobus.cli.sim_serving import serve
from heliobus.sim.capture import SimCapture
from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Faults
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar600 import SimTriStar600


@click.group(name="sim")
def command() -> None:
    """Simulated devices that speak the real wire."""


command.add_command(sim_serial.tracer)
command.add_command(sim_serial.pzem)
command.add_command(sim_serial.line)
command.add_command(sim_fleet.fleet)


@command.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=1502, show_default=True, help="TCP port, 0 for a free one."
)
@click.option(
    "--wire",
    type=click.Choice(["tcp", "rtu+tcp", "pty"]),
    default="tcp",
    show_default=True,
    help="How it is spoken to.",
)
@click.option("--units", type=click.IntRange(1, 20), default=1, show_default=True, help="How many, at unit ids 1, 2, …")
@click.option("--model", type=click.Choice(["30", "45", "60", "600"]), default="60", show_default=True)
@click.option("--serial", default="10170296", show_default=True, help="Serial number of the first.")
@click.option("--system", type=click.Choice(["12", "24", "48"]), default="24", show_default=True, help="Battery volts.")
@click.option("--hour", type=click.FloatRange(0, 24), default=10.0, show_default=True, help="Local hour at the start.")
@click.option(
    "--speed", type=click.FloatRange(0.1, 5000), default=1.0, show_default=True, help="Simulated per real time."
)
@click.option("--keep-open", is_flag=True, help="Keep the TCP connection instead of closing it after each answer.")
@click.option("--block-writes", is_flag=True, help="Switch 8 off.")
@click.option("--late", type=click.FloatRange(0, 1), default=0.0, help="Share of late answers.")
@click.option("--lost", type=click.FloatRange(0, 1), default=0.0, help="Share of lost answers.")
@click.option("--flipped", type=click.FloatRange(0, 1), default=0.0, help="Share of answers with a wrong bit.")
@click.option("--capture", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Serve this recording.")
def tristar(
    port: int,
    wire: str,
    units: int,
    model: str,
    serial: str,
    system: str,
    hour: float,
    speed: float,
    keep_open: bool,
    block_writes: bool,
    late: float,
    lost: float,
    flipped: float,
    capture: Path | None,
) -> None:
    """Simulate TriStar MPPT chargers under a sun, or serve the registers of a --capture, until Ctrl-C.

    A capture is JSON with "words": {"ADDRESS": WORD, …}, and optionally "objects" with the texts of function 43.
    """
    if capture is not None:
        devices: dict[int, SimDevice] = {unit: _recorded(capture) for unit in range(1, units + 1)}
    else:
        devices = {
            unit: _charger(model, serial, unit, int(system), hour, not block_writes) for unit in range(1, units + 1)
        }
    serve(
        devices,
        wire,
        lambda link: f"heliobus read morningstar-tristar-mppt@{link}",
        port=port,
        faults=Faults(late=late, lost=lost, flipped=flipped),
        speed=speed,
        close_after_answer=not keep_open,
    )


def _charger(model: str, serial: str, unit: int, system: int, hour: float, writes: bool) -> SimDevice:
    # The serial numbers of the others follow that of the first.
    own = str(int(serial) + unit - 1).zfill(len(serial)) if serial.isdecimal() else serial
    if model == "600":
        return SimTriStar600(serial=own, unit=unit, system=48, hour=hour, network_writes=writes)
    return SimTriStar(
        serial=own, unit=unit, model=int(model), system=system, hour=hour, seed=unit, network_writes=writes
    )


def _recorded(path: Path) -> SimDevice:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        parts = [content[name] for name in ("words", "quoted", "computed") if name in content]
        words = {int(key, 0): int(word) for part in parts for key, word in part.items()}
        if not words:
            raise ValueError("it holds no words")
        objects: Mapping[int, str] | None = None
        if content.get("objects"):
            objects = {int(key, 0): str(text) for key, text in content["objects"].items()}
        return SimCapture(words, objects=objects, coils=dict.fromkeys(range(256), False))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WrongUse(f"{path}: not a capture: {error}") from None
