"""The rules of Venus OS for services, for a device of each role; those of a charger are in test_venus_rules.py."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Variant

from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.quantity import Kind
from heliobus.model.role import Role
from heliobus.outputs.output import FatalOutputError
from heliobus.outputs.venus.face import service_name
from heliobus.outputs.venus.paths import ROLE_PATHS
from heliobus.site import Site
from test_venus_rules import FUZZ, LASTING
from venus_bus import Client, Daemon, ItemsConsumer, Monitor, running_daemon
from venus_site import (
    AC_ROLES,
    METER_ROLES,
    QUICK,
    local_settings,
    meter,
    offline,
    output,
    reading,
    serving,
    site_with,
    tracer,
)

DEVICES = [*(meter(role) for role in METER_ROLES), tracer()]
EVERY = pytest.mark.parametrize("device", DEVICES, ids=[*METER_ROLES, "tracer"])
METERS = pytest.mark.parametrize("device", DEVICES[:-1], ids=list(METER_ROLES))
MUST = {
    "/Mgmt/ProcessName",
    "/Mgmt/ProcessVersion",
    "/Mgmt/Connection",
    "/DeviceInstance",
    "/ProductId",
    "/ProductName",
    "/FirmwareVersion",
    "/HardwareVersion",
    "/Connected",
    "/Serial",
    "/CustomName",
}
# What says who a meter is and where it sits, not what it measures.
PLACE = {
    "/Role",
    "/AllowedRoles",
    "/Position",
    "/PositionIsAdjustable",
    "/NrOfPhases",
    "/DeviceType",
    "/ErrorCode",
    "/IsGenericEnergyMeter",
    "/Settings/MonitorMode",
    "/NrOfTrackers",
    "/FirmwareVersion",
    "/Tracer/Firmware",
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


def voltage(device: Device) -> tuple[str, str]:
    """The point of the device's voltage, and its path."""
    if "ac_voltage" in device.points:
        return "ac_voltage", "/Ac/L1/Voltage"
    return ("dc_voltage" if "dc_voltage" in device.points else "battery_voltage"), "/Dc/0/Voltage"


@EVERY
async def test_g1_g2_g4_and_g5_all_is_there_when_the_name_appears(daemon: Daemon, device: Device) -> None:
    service = service_name(device)
    async with serving(site_with(device), daemon.address), Client(daemon.address) as client:
        await client.until_served(service)
        items = await client.items(service)
    assert set(items) >= MUST
    for path, entry in items.items():
        assert path.startswith("/")
        assert set(entry) == {"Value", "Text"}
    assert items["/ProductId"]["Value"].signature == "i"
    assert items["/FirmwareVersion"]["Value"].signature in ("i", "ai")
    promises = ("/Link/", "/SwitchableOutput/", "/Info/", "/Control/")
    assert not [path for path in items if path.startswith(promises) or path == "/Ac/PowerLimit"]
    assert not {"/Ac/Current", "/Ac/Voltage", "/N2kDeviceInstance"} & set(items)


@EVERY
@pytest.mark.parametrize("garbage", [math.nan, -math.inf, "12 V", 10**400], ids=["nan", "inf", "text", "huge"])
async def test_g6_no_number_ever_holds_text_or_nan(daemon: Daemon, device: Device, garbage: Value) -> None:
    site = site_with(device)
    numbers = {name: garbage for name, point in device.points.items() if point.kind is not Kind.TEXT}
    _, path = voltage(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, service_name(device)) as consumer:
        await consumer.scan()
        before = {path: entry["Value"].signature for path, entry in (await consumer.items(consumer.service)).items()}
        site.put(reading(device, **numbers))
        await consumer.until(lambda: consumer.values[path] is None)
        after = {path: entry["Value"].signature for path, entry in (await consumer.items(consumer.service)).items()}
        assert {path for path, kind in after.items() if kind not in ("ai", before[path])} == set()
        floats = [path for path, value in consumer.values.items() if isinstance(value, float)]
        # Only records of days are left.
        assert [path for path in floats if not path.startswith(("/History/Daily/", "/History/Overall/"))] == []
        assert consumer.values.get("/StatusCode") is None


@METERS
async def test_g7_before_the_first_answer_all_is_invalid(daemon: Daemon, device: Device) -> None:
    site = Site()
    site.introduce(device)
    service = service_name(device)
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(service)
        for path, entry in (await client.items(service)).items():
            if path not in PLACE and not path.startswith(LASTING) and path != "/Connected":
                assert (entry["Value"].signature, entry["Value"].value) == ("ai", []), path
                assert entry["Text"].value == "---"
        assert await client.value(service, "/Connected") == 0


@EVERY
async def test_g9_one_signal_for_a_poll_and_none_for_an_unchanged_one(daemon: Daemon, device: Device) -> None:
    site = site_with(device)
    point, path = voltage(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, service_name(device)) as consumer:
        await consumer.scan()
        site.put(reading(device))
        site.put(reading(device, **{point: 13.25}))
        await consumer.until(lambda: consumer.signals)
        site.put(reading(device, **{point: 13.25}))
        site.put(reading(device, **{point: 13.5}))
        await consumer.until(lambda: len(consumer.signals) == 2)
        assert consumer.signals == [{path: 13.25}, {path: 13.5}]


@EVERY
async def test_g10_the_type_of_a_path_is_constant(daemon: Daemon, device: Device) -> None:
    site = site_with(device)
    point, path = voltage(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, service_name(device)) as consumer:
        await consumer.scan()
        before = {path: entry["Value"].signature for path, entry in (await consumer.items(consumer.service)).items()}
        whole = {name: 2 for name, each in device.points.items() if each.kind is Kind.NUMBER}
        site.put(reading(device, **{**whole, point: 13}))
        await consumer.until(lambda: consumer.values[path] == 13.0)
        after = {path: entry["Value"].signature for path, entry in (await consumer.items(consumer.service)).items()}
    assert {path for path, kind in after.items() if kind != "ai" and before[path] not in (kind, "ai")} == set()


@METERS
async def test_g11_and_g12_no_write_of_any_type_does_harm(daemon: Daemon, device: Device) -> None:
    service = service_name(device)
    async with (
        local_settings(daemon.address),
        serving(site_with(device), daemon.address),
        ItemsConsumer(daemon.address, service) as consumer,
    ):
        await consumer.scan()
        before = await consumer.items(service)
        for path in before:
            for value in FUZZ:
                answer = await consumer.set(service, path, value)
                assert (answer == 0) is (path == "/CustomName" and value == Variant("s", "1")), (path, value)
        after = await consumer.items(service)
        assert {path for path in after if after[path] != before[path]} == {"/CustomName"}


@EVERY
async def test_g13_and_g14_an_unplugged_cable_empties_every_measurement(daemon: Daemon, device: Device) -> None:
    site = site_with(device)
    service = service_name(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, service) as consumer:
        await consumer.scan()
        before = dict(consumer.values)
        site.put(offline(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 0)
        assert len(consumer.signals) == 1
        left = {
            path: entry["Value"].value
            for path, entry in (await consumer.items(service)).items()
            if entry["Value"].signature != "ai" and not path.startswith(LASTING) and path != "/Connected"
        }
        assert set(left) <= PLACE
        assert consumer.values.get("/History/Daily/0/Consumption") is None
        assert consumer.values.get("/History/EnergyOut") is None
        site.put(reading(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 1)
        assert consumer.values == before


@METERS
async def test_g3_g15_and_g16_instances_are_kept_and_followed(daemon: Daemon, device: Device) -> None:
    service, first = service_name(device), ROLE_PATHS[device.role].first_instance
    role, key = device.role.value, f"/Settings/Devices/{device.key}/ClassAndVrmInstance"
    twin = meter(device.role, "barn", 1)
    async with local_settings(daemon.address) as settings, Monitor(daemon.address) as monitor:
        settings.add("/Settings/Devices/other/ClassAndVrmInstance", f"{role}:{first}", "s")
        await monitor.start()
        async with serving(site_with(device, twin), daemon.address, timing=replace(QUICK, patience=5.0)):
            await monitor.until(lambda: len(monitor.services) == 2)
            assert set(monitor.instances.values()) == {first + 1, first + 2}
            assert settings.settings[key].value == f"{role}:{monitor.instances[service]}"
            settings.change(key, f"{role}:5")
            await monitor.until(lambda: monitor.instances.get(service) == 5)
        assert monitor.clashes == []


@METERS
async def test_g18_a_name_that_is_taken_ends_the_process(daemon: Daemon, device: Device) -> None:
    service = service_name(device)
    async with Client(daemon.address) as client:
        await client.own(service)
        with pytest.raises(FatalOutputError, match=f"another program already serves {service}"):
            await output(daemon.address).run(site_with(device))


@METERS
async def test_g19_without_localsettings_there_are_defaults(daemon: Daemon, device: Device) -> None:
    service = service_name(device)
    async with serving(site_with(device), daemon.address), Client(daemon.address) as client:
        await client.until_served(service)
        assert await client.value(service, "/DeviceInstance") == ROLE_PATHS[device.role].first_instance
        other = next(role for role in device.roles if role is not device.role)
        assert await client.set(service, "/Role", Variant("s", other.value)) == 2
        assert await client.value(service, "/Role") == device.role.value
        if ROLE_PATHS[device.role].positions:
            assert await client.set(service, "/Position", Variant("i", 1)) == 2
            assert await client.value(service, "/Position") == 0


async def test_g17_a_dead_daemon_ends_the_process(daemon: Daemon) -> None:
    task = asyncio.create_task(output(daemon.address, exit_on_bus_loss=True).run(site_with(meter(Role.AC_LOAD))))
    async with Client(daemon.address) as client:
        await client.until_served("com.victronenergy.acload.pzem_0")
    daemon.kill()
    with pytest.raises(FatalOutputError, match="the D-Bus is gone"):
        await asyncio.wait_for(task, 10)


async def test_g8_meters_of_all_roles_stand_side_by_side(daemon: Daemon) -> None:
    devices = [meter(role, role.value, number) for number, role in enumerate(METER_ROLES)]
    async with local_settings(daemon.address), Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site_with(*devices, tracer()), daemon.address):
            await monitor.until(lambda: len(monitor.services) == len(devices) + 1)
            assert set(monitor.services) == {service_name(device) for device in (*devices, tracer())}
            assert monitor.clashes == []
            for device in devices:
                path = "/Ac/Power" if device.role in AC_ROLES else "/Dc/0/Power"
                assert monitor.services[service_name(device)][path] in (512.3, 316.0)
