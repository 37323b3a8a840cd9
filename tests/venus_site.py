"""A site with hand-made devices and readings, and a Venus output that serves it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from heliobus.model.day import Day, Days
from heliobus.model.device import Device, Identity
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


def reading(device: Device, days: Days = DAYS, health: Health = Health.OK, **values: Value) -> Reading:
    """`VALUES`, changed by `values`."""
    known = {point: value for point, value in VALUES.items() if point in device.points}
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
