"""A site with hand-made devices and readings, and a Venus output that serves it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from heliobus.model import vocabulary as v
from heliobus.model.command import Change, Command, Control, ControlKind, Done, Failed, Outcome, Refused
from heliobus.model.command import StoredSetting as StoredChargeSetting
from heliobus.model.day import Day, Days
from heliobus.model.device import Device, Identity
from heliobus.model.placement import KINDS, Placement
from heliobus.model.point import Category, Point, Value
from heliobus.model.quantity import CELSIUS, ENUM, FLAGS, VOLT
from heliobus.model.reading import Health, Reading
from heliobus.model.role import Role
from heliobus.model.vocabulary import VOCABULARY
from heliobus.outputs.venus.output import ChargerSettings, Timing, VenusOptions, VenusOutput
from heliobus.sim.localsettings import LocalSettings, StoredSetting
from heliobus.site import Site, silent

SERVICE = "com.victronenergy.solarcharger.tristar_0"
INSTANCE_SETTING = "/Settings/Devices/tristar_10170296/ClassAndVrmInstance"
NAME_SETTING = "/Settings/Devices/tristar_10170296/CustomName"
COMPANION = "com.victronenergy.switch.tristar_0"
COMPANION_INSTANCE_SETTING = "/Settings/Devices/tristar_10170296_switch/ClassAndVrmInstance"

# Quick, but for what a test is about.
QUICK = Timing(pace=0.0, grace=0.0, patience=0.3, stall=30.0, retry=0.02, longest_retry=0.05)

OWN_POINTS = (
    Point("heatsink_temperature", CELSIUS, "Heatsink temperature", Category.DIAGNOSTIC),
    Point("array_mode", ENUM, "What the array does", words={0: "off", 1: "sweep"}),
    Point("faults", FLAGS, "Faults as the device numbers them", words={0: "overcurrent", 3: "battery HVD"}),
    Point("supply_12v", VOLT, "Supply", decimals=1),
)
VALUES: dict[str, Value] = {
    "battery_voltage": 27.53,
    "battery_current": 10.21,
    "battery_temperature": 21.5,
    "battery_power": 281.1,
    "pv_voltage": 84.12,
    "pv_current": 3.45,
    "pv_power": 290.2,
    "charger_state": 3,
    "charger_error": 0,
    "charger_enabled": 1,
    "mpp_mode": 2,
    "off_reason": 0,
    "target_voltage": 28.8,
    "nominal_voltage": 24,
    "high_temperature": 0,
    "general_alarm": 0,
    "high_voltage_alarm": 0,
    "short_circuit_alarm": 0,
    "equalize_requested": 0,
    "yield_today": 1.25,
    "yield_total": 4711.08,
    "fault_text": "",
    "overall_battery_voltage_min": 21.4,
    "overall_battery_voltage_max": 31.9,
    "bus_requests": 1200,
    "bus_timeouts": 3,
    "bus_bad_frames": 1,
    "bus_refusals": 0,
    "bus_latency": 12.4,
    "bus_load": 1.5,
    "bus_foreign_frames": 0,
    "bus_reconnects": 2,
    "heatsink_temperature": 35.0,
    "array_mode": 1,
    "faults": 9,
    "supply_12v": 12.1,
}
METER_VALUES: dict[str, Value] = {
    "ac_voltage": 231.4,
    "ac_current": 2.345,
    "ac_power": 512.3,
    "ac_frequency": 50.1,
    "ac_power_factor": 0.94,
    "ac_apparent_power": 542.6,
    "high_power_alarm": 0,
    "dc_voltage": 25.61,
    "dc_current": 12.34,
    "dc_power": 316.0,
    "low_voltage_alarm": 0,
    "high_voltage_alarm": 0,
    "energy_forward": 123.456,
    "energy_forward_counter": 123456.0,
}
# What a Tracer has beside what a TriStar has.
LOAD_VALUES: dict[str, Value] = {
    "low_voltage_alarm": 0,
    "low_temperature_alarm": 0,
    "error_ids": "",
    "load_voltage": 13.11,
    "load_current": 2.5,
    "load_power": 32.8,
    "load_state": 1,
    "load_enabled": 1,
    "load_energy_today": 0.42,
    "load_energy_total": 99.5,
    "load_faults": 0,
}
# What control says of itself, and what it needs of the charger.
CONTROL_VALUES: dict[str, Value] = {
    "rated_current": 60.0,
    "days_since_equalize": 12,
    "charge_voltage_limit": 0.0,
    "charge_current_limit": 0.0,
    "top_charge": 0,
    "bms_required": 0,
    "remote_network_mode": None,
    "remote_charge_voltage": None,
    "remote_charge_current": None,
    "control_source": "",
    "control_voltage": None,
    "control_current": None,
    "top_charge_status": "never done",
    "top_charge_time_left": None,
    "top_charge_last": "",
    "equalize_time_left": None,
    "equalize_status": "",
    "profile_status": "",
    "profile_progress": None,
    "profile_error": "",
    "profile_applied": "summer",
    "profile_applied_at": "2026-05-01T10:00:00Z",
    "command_result": "",
    "eeprom_writes": 4,
    "server_resets": 31,
}
BUTTONS = (
    v.RESET_CONTROLLER,
    v.RESET_COMM_SERVER,
    v.CLEAR_FAULTS,
    v.CLEAR_ALARMS,
    v.CLEAR_CHARGE_COUNTER,
    v.CLEAR_ENERGY_COUNTER,
    v.CLEAR_VOLTAGE_EXTREMES,
    v.CLEAR_SERVICE_REMINDER,
    v.SAVE_COUNTERS,
)
CONTROLS = {
    control.point.name: control
    for control in (
        Control(v.EQUALIZE_REQUESTED, ControlKind.SWITCH),
        Control(v.CHARGER_ENABLED, ControlKind.SWITCH),
        Control(v.TOP_CHARGE, ControlKind.SWITCH),
        Control(v.BMS_REQUIRED, ControlKind.SWITCH),
        *(Control(point, ControlKind.BUTTON) for point in BUTTONS),
        Control(v.CHARGE_VOLTAGE_LIMIT, ControlKind.NUMBER, 0.0, 33.0),
        Control(v.CHARGE_CURRENT_LIMIT, ControlKind.NUMBER, 0.0, 80.0),
        Control(v.REMOTE_NETWORK_MODE, ControlKind.NUMBER, 0, 255, dynamic=True),
        Control(v.REMOTE_CHARGE_VOLTAGE, ControlKind.NUMBER, 0.0, 1000.0, dynamic=True),
        Control(v.REMOTE_CHARGE_CURRENT, ControlKind.NUMBER, 0.0, 2000.0, dynamic=True),
        Control(v.APPLY_PROFILE, ControlKind.TEXT),
        Control(v.APPLY_SETTINGS, ControlKind.TEXT),
    )
}
LOAD_CONTROLS = {"load_enabled": Control(v.LOAD_ENABLED, ControlKind.SWITCH)}
DAYS: Days = (
    Day("2026-06-02", 1250.4, 512.3, 92.1, 25.1, 28.9, 18.2, 12_300.0, 1_259.0, 600.0, 0.0, (17, 1)),
    Day("2026-06-01", 2500.0, 600.0, 95.0, 24.9, 28.8, 21.0, 18_000.0, 3_600.0, 60.0, 120.0, ()),
    None,
    Day("2026-05-30", 100.0, 90.0, 70.0, 24.0, 26.0, 3.0, 60.0, 0.0, 0.0, 0.0, (1, 2)),
)


def charger(name: str = "roof", number: int = 0, serial: str = "10170296", **changes: object) -> Device:
    """A TriStar with all the points of `VALUES`."""
    own = {point.name: point for point in OWN_POINTS}
    device = Device(
        name=name,
        label=name.capitalize(),
        driver="morningstar-tristar-mppt",
        short="tristar",
        role=Role.SOLAR_CHARGER,
        address="Modbus TCP 192.0.2.4, unit 1",
        identity=Identity("Morningstar", "TriStar MPPT 60", serial, "1.1.42", "3.1"),
        points={point: own.get(point) or VOCABULARY[point] for point in VALUES},
        key=f"tristar_{serial}",
        number=number,
    )
    return replace(device, **changes)  # type: ignore[arg-type]


def controlled(name: str = "roof", number: int = 0, serial: str = "10170296", **changes: object) -> Device:
    """A TriStar under control."""
    device = charger(name, number, serial)
    points = {**device.points, **{point: VOCABULARY[point] for point in CONTROL_VALUES}}
    return replace(device, **{"points": points, "controls": CONTROLS, **changes})  # type: ignore[arg-type]


AC = ("ac_voltage", "ac_current", "ac_power", "ac_frequency", "ac_power_factor", "ac_apparent_power")
DC = ("dc_voltage", "dc_current", "dc_power", "low_voltage_alarm", "high_voltage_alarm")
COUNTED = ("energy_forward", "energy_forward_counter", "bus_requests", "bus_timeouts")
AC_ROLES = (Role.AC_LOAD, Role.PV_INVERTER, Role.GENSET, Role.GRID_METER)
DC_ROLES = (Role.DC_SOURCE, Role.DC_LOAD, Role.DC_SYSTEM, Role.ALTERNATOR)
METER_ROLES = (*AC_ROLES, *DC_ROLES)


def meter(role: Role, name: str = "shed", number: int = 0, **changes: object) -> Device:
    """A PZEM in `role`, which its owner may change."""
    ac = role in AC_ROLES
    short = "pzem" if ac else "pzemdc"
    points = (*AC, "high_power_alarm", *COUNTED) if ac else (*DC, *COUNTED)
    device = Device(
        name=name,
        label=name.capitalize(),
        driver="pzem-ac" if ac else "pzem-dc",
        short=short,
        role=role,
        address=f"/dev/serial/by-id/adapter, unit {number + 1}",
        identity=Identity("Peacefair", "PZEM-016" if ac else "PZEM-017"),
        points={point: VOCABULARY[point] for point in points},
        key=f"{short}_adapter_{number + 1}",
        number=number,
        placement=Placement(None, 1, KINDS[role]["generic"] if role in KINDS else None),
        roles=AC_ROLES if ac else DC_ROLES,
    )
    return replace(device, **changes)  # type: ignore[arg-type]


def tracer(name: str = "cabin", number: int = 0, **changes: object) -> Device:
    """A Tracer with a load output."""
    own = (*OWN_POINTS, Point("load_faults", FLAGS, "Faults of the load output", words={11: "short circuit"}))
    points = {**VOCABULARY, **{point.name: point for point in own}}
    device = Device(
        name=name,
        label=name.capitalize(),
        driver="epever-tracer",
        short="tracer",
        role=Role.SOLAR_CHARGER,
        address="/dev/serial/by-id/adapter, unit 1",
        identity=Identity("EPever", "Tracer2215BN", None, "2.13"),
        points={point: points[point] for point in (*VALUES, *LOAD_VALUES)},
        key="tracer_adapter_1",
        number=number,
        roles=(Role.SOLAR_CHARGER,),
    )
    return replace(device, **changes)  # type: ignore[arg-type]


class ChargerDouble:
    """Takes the commands of one device, remembers them, and does them at once unless it is told otherwise."""

    def __init__(self, site: Site, device: Device) -> None:
        self.commands: list[tuple[str, Value]] = []
        self.why: str | None = None
        self.outcome: Outcome | Exception | None = None
        self.hold: asyncio.Event | None = None
        self.ended: list[str] = []
        self._site = site
        self._device = device
        self._arrived = asyncio.Event()

    def refused(self, command: Command, why: str) -> None:
        """Nothing is recorded here."""

    def refusal(self, command: Command) -> str | None:
        assert command.origin == "venus"
        assert command.device == self._device.name
        assert command.point in self._device.controls
        return self.why or self._device.controls[command.point].locked or None

    async def command(self, command: Command) -> Outcome:
        self.commands.append((command.point, command.value))
        self._arrived.set()
        try:
            if self.hold is not None:
                await self.hold.wait()
        finally:
            # To put a device in order takes a while, also for who is cancelled.
            for _ in range(5):
                await asyncio.sleep(0)
            self.ended.append(command.point)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        if self.outcome is not None:
            return self.outcome
        if command.point in self._device.points:
            self._site.amend(command.device, {command.point: command.value})
        return Done(command.value)

    async def plan(self, command: Command) -> tuple[Change, ...] | Refused | Failed:
        return Refused("nobody plans on the D-Bus")

    async def settings(self) -> tuple[StoredChargeSetting, ...] | Refused | Failed:
        return Refused("nobody asks on the D-Bus")

    async def until(self, count: int) -> None:
        """Wait until `count` commands have come."""
        async with asyncio.timeout(10):
            while len(self.commands) < count:
                self._arrived.clear()
                await self._arrived.wait()


def controlled_site(*devices: Device) -> tuple[Site, ChargerDouble]:
    """A site of chargers under control that have said `VALUES`, and the double of the first."""
    site = Site()
    doubles = []
    for device in devices or (controlled(),):
        doubles.append(ChargerDouble(site, device))
        site.introduce(device, doubles[-1])
        site.put(reading(device))
    return site, doubles[0]


def reading(device: Device, days: Days = DAYS, health: Health = Health.OK, **values: Value) -> Reading:
    """`VALUES`, changed by `values`."""
    said = {**METER_VALUES, **LOAD_VALUES, **VALUES, **CONTROL_VALUES}
    known = {point: value for point, value in said.items() if point in device.points}
    return Reading(device.name, 1_780_000_000.0, {**known, **values}, {}, health, days)


def offline(device: Device, days: Days = DAYS) -> Reading:
    return replace(silent(device, Health.OFFLINE), days=days)


class Host:
    """Remembers what the output asks of the process."""

    def __init__(self) -> None:
        self.placed: list[ChargerSettings | None] = []
        self.zones: list[str] = []
        self._asked = asyncio.Event()

    def place(self, settings: ChargerSettings | None) -> None:
        self.placed.append(settings)
        self._asked.set()

    def time_zone(self, name: str) -> None:
        self.zones.append(name)
        self._asked.set()

    async def next_call(self) -> None:
        async with asyncio.timeout(10):
            await self._asked.wait()
        self._asked.clear()


def output(address: str, host: Host | None = None, timing: Timing = QUICK, **options: bool) -> VenusOutput:
    return VenusOutput(host or Host(), VenusOptions(bus_address=address, **options), timing)


@asynccontextmanager
async def serving(
    site: Site, address: str, host: Host | None = None, timing: Timing = QUICK, **options: bool
) -> AsyncIterator["asyncio.Task[None]"]:
    """The output at work; its task ends with the block."""
    task = asyncio.create_task(output(address, host, timing, **options).run(site))
    try:
        yield task
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait({task})


@asynccontextmanager
async def local_settings(
    address: str, settings: dict[str, StoredSetting] | None = None, items_changed: bool = False
) -> AsyncIterator[LocalSettings]:
    service = LocalSettings(address, settings, items_changed)
    await service.start()
    try:
        yield service
    finally:
        await service.stop()


def site_with(*devices: Device) -> Site:
    """A site whose devices have said `VALUES`."""
    site = Site()
    for device in devices:
        site.introduce(device)
        site.put(reading(device))
    return site
