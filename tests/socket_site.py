"""A site with a charger that only pretends to obey, and its socket served for real."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from click.testing import CliRunner, Result

from heliobus.devices import catalog
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, Command, Control, ControlKind, Done, Failed, Outcome, Refused, StoredSetting
from heliobus.model.device import Device, Identity
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.model.role import Role
from heliobus.outputs.socket import NAME, SocketOutput
from heliobus.site import Site

DRIVER = "morningstar-tristar-mppt"
POINTS = catalog.driver(DRIVER).points() | {point.name: point for point in v.CONTROL_POINTS}
FLOAT = POINTS["set_float_voltage"]
COMPENSATION = POINTS["set_temperature_compensation"]
SWITCH_CHANGE = Change("charger_enabled", "coil 0x0002", 1, 0, 0, 1)
FLOAT_CHANGE = Change("set_float_voltage", "register 0xE001", 27.2, 27.4, 0x09AB, 0x09BD)
STORED = (
    StoredSetting(FLOAT, "register 0xE001", 0x09AB, 27.2),
    StoredSetting(POINTS["set_absorption_time"], "register 0xE002", 7200, 7200),
)
CONTROLS = (
    Control(v.CHARGER_ENABLED, ControlKind.SWITCH),
    Control(v.EQUALIZE_REQUESTED, ControlKind.SWITCH, locked="equalize is locked"),
    Control(v.RESET_CONTROLLER, ControlKind.BUTTON),
    Control(v.CHARGE_VOLTAGE_LIMIT, ControlKind.NUMBER, 0.0, 32.0),
    Control(v.REMOTE_CHARGE_VOLTAGE, ControlKind.NUMBER, 0.0, 60.0, dynamic=True),
    Control(v.APPLY_PROFILE, ControlKind.TEXT),
    Control(v.APPLY_SETTINGS, ControlKind.TEXT),
    Control(FLOAT, ControlKind.NUMBER, 0.0, 90.0),
    Control(COMPENSATION, ControlKind.NUMBER, -1.0, 0.0),
)
VALUES: dict[str, Value] = {
    "charger_enabled": 1,
    "equalize_requested": 0,
    "charge_voltage_limit": 0.0,
    "set_float_voltage": 27.2,
    "nominal_voltage": 24,
    "profile_status": "",
    "profile_progress": 0.0,
}


@dataclass
class Charger:
    """Takes every command its control allows, once `gate` is open; tells `steps` of progress before."""

    site: Site
    name: str = "roof"
    changes: tuple[Change, ...] | Refused | Failed = (SWITCH_CHANGE,)
    outcome: Outcome | None = None
    stored: tuple[StoredSetting, ...] | Refused | Failed = STORED
    steps: tuple[tuple[str, float], ...] = ()
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    commands: list[Command] = field(default_factory=list)
    plans: list[Command] = field(default_factory=list)

    def refused(self, command: Command, why: str) -> None:
        """Nothing is recorded here."""

    def refusal(self, command: Command) -> str | None:
        device = self.site.device(self.name)
        assert device is not None
        try:
            device.controls[command.point].coerced(command.value)
        except KeyError:
            return f"no command {command.point!r}"
        except ValueError as error:
            return str(error)
        return device.controls[command.point].locked or None

    async def command(self, command: Command) -> Outcome:
        self.commands.append(command)
        self.begun.set()
        await self.gate.wait()
        for status, percent in self.steps:
            self.site.amend(self.name, {"profile_status": status, "profile_progress": percent})
            # The mailbox keeps only the latest, so each step waits until it was fetched.
            for _ in range(10):
                await asyncio.sleep(0)
        self.ended.set()
        why = self.refusal(command)
        return Refused(why) if why else self.outcome or Done(command.value)

    async def plan(self, command: Command) -> tuple[Change, ...] | Refused | Failed:
        self.plans.append(command)
        why = self.refusal(command)
        return Refused(why) if why else self.changes

    async def settings(self) -> tuple[StoredSetting, ...] | Refused | Failed:
        return self.stored


def furnished(
    site: Site, name: str = "roof", *, controls: tuple[Control, ...] = CONTROLS, values: Mapping[str, Value] = VALUES
) -> Charger:
    """A charger introduced to `site`, its gate open."""
    charger = Charger(site, name)
    charger.gate.set()
    device = Device(
        name,
        "",
        DRIVER,
        "tristar",
        Role.SOLAR_CHARGER,
        "Modbus TCP 192.0.2.4, unit 1",
        Identity("Morningstar", "TriStar MPPT 60", "10170296"),
        POINTS,
        "tristar_10170296",
        0,
        {control.point.name: control for control in controls},
    )
    site.introduce(device, charger if controls else None)
    site.put(Reading(name, 1.0, {**dict.fromkeys(POINTS), **values}))
    return charger


@asynccontextmanager
async def serving(site: Site, state: Path) -> AsyncIterator[Path]:
    """The socket of `site` in `state` while the block runs."""
    path = state / NAME
    task = asyncio.create_task(SocketOutput(path).run(site))
    try:
        # It listens before it first waits for anything.
        await asyncio.sleep(0)
        assert path.exists() and not task.done()
        yield path
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


CONFIG = f"""
[site]
state = "STATE"
[[device]]
name = "roof"
driver = "{DRIVER}"
link = "tcp://192.0.2.4"
control = "on"
system_voltage = 24
[[device]]
name = "shed"
driver = "{DRIVER}"
link = "tcp://192.0.2.5"
[profile.winter]
float_voltage = 27.4
absorption_time = "2h"
when = {{ season = "winter" }}
[profile.'my "rest"']
float_voltage = 26.8
devices = ["roof"]
[output.venus]
bus = "unix:path=/nowhere"
"""


def write_config(folder: Path) -> Path:
    path = folder / "heliobus.toml"
    path.write_text(CONFIG.replace("STATE", str(folder)))
    return path


def typed(group: str, *arguments: str, answer: str | None = None) -> Result:
    """What a user gets who types `heliobus GROUP ARGUMENTS`. Blocks."""
    import importlib

    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        command = importlib.import_module(f"heliobus.cli.{group}").command
        return CliRunner().invoke(command, list(arguments), input=answer)
    finally:
        # The command has set up the log of what it takes for its own process.
        root.setLevel(level)
        root.handlers[:] = handlers


async def typed_beside(group: str, *arguments: str, answer: str | None = None) -> Result:
    """The same while this loop serves the daemon."""
    # A thread of its own: an installation has but one for all that blocks, and needs it meanwhile.
    with ThreadPoolExecutor(1) as thread:
        return await asyncio.get_running_loop().run_in_executor(
            thread, partial(typed, group, *arguments, answer=answer)
        )
