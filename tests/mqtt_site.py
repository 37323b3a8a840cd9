"""A site with hand-made devices, and an MQTT output that serves it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from heliobus.config.outputs import MqttConfig
from heliobus.model import vocabulary as v
from heliobus.model.clock import Clock, SystemClock
from heliobus.model.command import Change, Command, Control, ControlKind, Done, Failed, Outcome, Refused, StoredSetting
from heliobus.model.device import Device, Identity
from heliobus.model.point import Point, Value
from heliobus.model.quantity import FLAGS, TEXT
from heliobus.model.reading import Health, Reading
from heliobus.model.role import Role
from heliobus.outputs.mqtt.client import Timing
from heliobus.outputs.mqtt.output import MqttOutput
from heliobus.outputs.mqtt.session import Message
from heliobus.outputs.status import OutputStatus, Statuses
from heliobus.site import Site

BASE = "heliobus/my_cabin"
QUICK = Timing(first=0.02, longest=0.05, calm=60.0, patience=5.0)
FAULTS = Point("faults", FLAGS, "Faults as the device numbers them", words={0: "overcurrent", 3: "battery HVD"})
REMARK = Point("remark", TEXT, "What the owner says")
POINTS = (
    v.BATTERY_VOLTAGE,
    v.BATTERY_CURRENT,
    v.PV_POWER,
    v.CHARGER_STATE,
    v.CHARGER_ENABLED,
    v.YIELD_TOTAL,
    FAULTS,
    REMARK,
)
CONTROLS = (
    Control(v.CHARGER_ENABLED, ControlKind.SWITCH),
    Control(v.EQUALIZE_REQUESTED, ControlKind.SWITCH, locked="equalize is locked: set allow in the config"),
    Control(v.RESET_CONTROLLER, ControlKind.BUTTON),
    Control(v.CHARGE_VOLTAGE_LIMIT, ControlKind.NUMBER, 0.0, 32.0),
    Control(v.REMOTE_CHARGE_CURRENT, ControlKind.NUMBER, 0.0, 60.0),
    Control(v.APPLY_PROFILE, ControlKind.TEXT),
)
VALUES: dict[str, Value] = {
    "battery_voltage": 27.53,
    "battery_current": -0.0,
    "pv_power": 290.2,
    "charger_state": 3,
    "charger_enabled": 1,
    "yield_total": 4711.08,
    "faults": 9,
    "remark": "süd",
}


def device(name: str = "TriStar South", key: str = "tristar_10170296", *, controls: bool = True) -> Device:
    return Device(
        name=name,
        label="",
        driver="morningstar-tristar-mppt",
        short="tristar",
        role=Role.SOLAR_CHARGER,
        address="Modbus TCP 192.0.2.4, unit 1",
        identity=Identity("Morningstar", "TS-MPPT-60", "10170296", "1.1.42"),
        points={point.name: point for point in POINTS},
        key=key,
        number=0,
        controls={each.point.name: each for each in CONTROLS} if controls else {},
    )


def reading(
    of: Device, values: Mapping[str, Value] = VALUES, *, health: Health = Health.OK, time: float = 1_777_629_600.0
) -> Reading:
    return Reading(of.name, time, {name: values.get(name) for name in of.points}, health=health)


@dataclass
class Obeying:
    """Does what its control allows once `gate` is open; a charge voltage limit of 13 never works."""

    device: Device
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    commands: list[Command] = field(default_factory=list)

    def refusal(self, command: Command) -> str | None:
        control = self.device.controls[command.point]
        try:
            control.coerced(command.value)
        except ValueError as error:
            return str(error)
        return control.locked or None

    def refused(self, command: Command, why: str) -> None:
        pass

    async def command(self, command: Command) -> Outcome:
        why = self.refusal(command)
        if why is not None:
            return Refused(why)
        self.commands.append(command)
        if command.point == "charge_voltage_limit":
            await self.gate.wait()
        if command.value == 13:
            return Failed("the device did not answer")
        return Done(self.device.controls[command.point].coerced(command.value))

    async def plan(self, command: Command) -> tuple[Change, ...] | Refused | Failed:
        return ()

    async def settings(self) -> tuple[StoredSetting, ...] | Refused | Failed:
        return ()


@dataclass
class Stage:
    """A site with one charger that answers, served over MQTT."""

    site: Site
    charger: Device
    obeying: Obeying
    statuses: Statuses
    output: MqttOutput
    task: asyncio.Task[None] | None = None

    @property
    def status(self) -> OutputStatus:
        return self.statuses.open("mqtt")

    def put(self, of: Device | None = None, *, health: Health = Health.OK, **values: Value) -> None:
        found = of or self.charger
        whole = VALUES if health in (Health.OK, Health.FAILING) else {}
        self.site.put(reading(found, {**whole, **values}, health=health))

    async def stop(self) -> None:
        task, self.task = self.task, None
        if task is not None:
            task.cancel()
            (ended,) = await asyncio.gather(task, return_exceptions=True)
            # An output that fails by itself would only be started again by its supervisor.
            assert isinstance(ended, asyncio.CancelledError), ended


def config(port: int, **options: object) -> MqttConfig:
    return replace(MqttConfig("127.0.0.1", port, discovery="", every=0.01), **options)  # type: ignore[arg-type]


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, where nobody tells."""
    async with asyncio.timeout(15):
        while not condition():
            await asyncio.sleep(0.01)


@asynccontextmanager
async def stage(
    wanted: MqttConfig,
    state: Path,
    *,
    timing: Timing = QUICK,
    clock: Clock | None = None,
    here: bool = True,
    answers: bool = True,
) -> AsyncIterator[Stage]:
    """The output running, until the end of the block."""
    site, charger, statuses = Site(), device(), Statuses()
    obeying = Obeying(charger)
    if here:
        site.introduce(charger, obeying)
    if here and answers:
        site.put(reading(charger))
    output = MqttOutput(wanted, "My cabin", state, clock or SystemClock(), statuses, timing=timing)
    found = Stage(site, charger, obeying, statuses, output)
    found.task = asyncio.create_task(output.run(site))
    try:
        yield found
    finally:
        await found.stop()


class Recorded:
    """A connection that takes everything. Implements `Session`."""

    def __init__(self) -> None:
        self.times: list[tuple[str, float]] = []
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        self._messages: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        self.times.append((topic, asyncio.get_running_loop().time()))
        self._messages.put_nowait((topic, retain))

    async def subscribe(self, *filters: str) -> asyncio.Queue[Message]:
        return self.inbox

    async def taken(self) -> tuple[str, bool]:
        """Topic and `retain` of the next message."""
        async with asyncio.timeout(5):
            return await self._messages.get()
