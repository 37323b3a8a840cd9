"""Live tables in the terminal, with rich."""

import sys
import time
from collections.abc import Callable, Iterable

import click
from rich.columns import Columns
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from heliobus.cli.session import Said
from heliobus.model.device import Device
from heliobus.model.point import Category
from heliobus.model.reading import Health, Reading

SUMMARY = (
    "pv_power",
    "pv_voltage",
    "pv_current",
    "battery_voltage",
    "battery_current",
    "battery_temperature",
    "charge_state",
    "charger_state",
    "target_voltage",
    "load_power",
    "ac_power",
    "ac_voltage",
    "ac_current",
    "dc_power",
    "dc_voltage",
    "dc_current",
    "energy_forward",
    "yield_today",
    "yield_total",
    "energy_day_counter",
    "heatsink_temperature",
    "operating_hours",
    "fault_text",
)
PLAIN_WIDTH = 132
HEALTH_STYLES = {Health.OK: "green", Health.FAILING: "yellow", Health.OFFLINE: "red", Health.UNKNOWN: "red"}


def live_reading(points: tuple[str, ...]) -> Callable[[Said], None]:
    """Shows each reading of one device in place of the one before; as plain text where there is no terminal."""
    console = make_console()
    live = Live(console=console, refresh_per_second=4)
    started = False

    def show(said: Said) -> None:
        nonlocal started
        names = points or tuple(
            name for name in said.reading.values if said.device.points[name].category is Category.MEASUREMENT
        )
        picture = device_panel(said.device, said.reading, names)
        if not console.is_terminal:
            console.print(picture)
            return
        if not started:
            live.start()
            click.get_current_context().call_on_close(live.stop)
            started = True
        live.update(picture)

    return show


def make_console() -> Console:
    """The terminal; where there is none, lines wide enough for two panels."""
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)


def device_panel(device: Device, reading: Reading, names: Iterable[str] = SUMMARY) -> Panel:
    """A device with the named points it has, greyed where there is no value."""
    table = Table.grid(padding=(0, 2))
    table.add_column(min_width=22)
    table.add_column(min_width=34)
    for name in names:
        if name not in reading.values:
            continue
        point, value = device.points[name], reading.values[name]
        if value is None:
            table.add_row(Text(name), Text(f"--- {reading.reasons.get(name, '')}", style="dim"))
        else:
            table.add_row(Text(name), Text(point.text(value) or "none", style="bold"))
    identity = device.identity
    title = Text(f"{device.label or device.name}: {identity.vendor} {identity.model} {identity.serial or ''} ")
    title.append(reading.health, style=HEALTH_STYLES[reading.health])
    age = f"{device.address}, {_age(reading)}"
    return Panel(table, title=title, subtitle=age, title_align="left", subtitle_align="left", expand=False)


def _age(reading: Reading) -> str:
    if not reading.time:
        return "never heard of since the start"
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(reading.time))


def site_picture(pairs: Iterable[tuple[Device, Reading]], notes: Iterable[str]) -> Group:
    """All devices, beside each other where there is room, with lines of text below."""
    panels = Columns([device_panel(device, reading) for device, reading in pairs])
    return Group(panels, *(Text(note) for note in notes))
