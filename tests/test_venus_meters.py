"""Meters on the GX: where they are wired, how often they are read, what they say of their state."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Variant

from heliobus.model.command import Control, ControlKind
from heliobus.model.placement import DC_LOAD_KINDS, DC_SOURCE_KINDS, Placement, Position
from heliobus.model.role import Role
from heliobus.model.vocabulary import COMMAND_RESULT, RESET_ENERGY
from heliobus.outputs.venus.face import service_name
from heliobus.sim.localsettings import StoredSetting
from venus_bus import Client, Daemon, ItemsConsumer, running_daemon
from venus_site import controlled_site, local_settings, meter, offline, reading, serving, site_with, tracer

POSITION = "/Settings/Devices/pzem_adapter_1/{}/Position"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


@pytest.mark.parametrize(
    ("role", "position", "number"),
    [
        (Role.PV_INVERTER, Position.AC_INPUT_1, 0),
        (Role.PV_INVERTER, Position.AC_OUTPUT, 1),
        (Role.PV_INVERTER, Position.AC_INPUT_2, 2),
        (Role.PV_INVERTER, None, 0),
        (Role.AC_LOAD, Position.AC_OUTPUT, 0),
        (Role.AC_LOAD, Position.AC_INPUT_1, 1),
        (Role.AC_LOAD, None, 0),
    ],
)
async def test_the_position_has_victrons_number(
    daemon: Daemon, role: Role, position: Position | None, number: int
) -> None:
    device = meter(role, placement=Placement(position))
    async with serving(site_with(device), daemon.address), Client(daemon.address) as client:
        await client.until_served(service_name(device))
        assert await client.value(service_name(device), "/Position") == number


async def test_a_position_written_on_the_gx_outlives_a_restart_and_the_config(daemon: Daemon) -> None:
    device = meter(Role.PV_INVERTER, placement=Placement(Position.AC_INPUT_1))
    service = service_name(device)
    async with local_settings(daemon.address) as settings:
        async with serving(site_with(device), daemon.address), ItemsConsumer(daemon.address, service) as consumer:
            await consumer.scan()
            assert await consumer.set(service, "/Position", Variant("i", 2)) == 0
            await consumer.until(lambda: consumer.values["/Position"] == 2)
            assert consumer.texts["/Position"] == "ac-input-2"
            for wrong in (Variant("i", 3), Variant("i", -1), Variant("b", True), Variant("d", 1.0), Variant("s", "1")):
                assert await consumer.set(service, "/Position", wrong) == 2
            await consumer.until(lambda: settings.settings[POSITION.format("pvinverter")].value == 2)
        moved = replace(device, placement=Placement(Position.AC_OUTPUT))
        async with serving(site_with(moved), daemon.address), ItemsConsumer(daemon.address, service) as consumer:
            await consumer.scan()
            await consumer.until(lambda: consumer.values["/Position"] == 2)
            # What the config says is no choice of its own.
            assert await consumer.set(service, "/Position", Variant("i", 1)) == 0
            await consumer.until(lambda: consumer.values["/Position"] == 1)
            await consumer.until(lambda: settings.settings[POSITION.format("pvinverter")].value == -1)
            settings.change(POSITION.format("pvinverter"), 0)
            await consumer.until(lambda: consumer.values["/Position"] == 0)
            settings.change(POSITION.format("pvinverter"), -1)
            await consumer.until(lambda: consumer.values["/Position"] == 1)


async def test_who_chose_nothing_follows_the_config(daemon: Daemon) -> None:
    async with local_settings(daemon.address) as settings, Client(daemon.address) as client:
        for position, number in ((Position.AC_OUTPUT, 0), (Position.AC_INPUT_1, 1), (Position.AC_OUTPUT, 0)):
            device = meter(Role.AC_LOAD, placement=Placement(position))
            async with serving(site_with(device), daemon.address):
                await client.until_served(service_name(device))
                assert await client.value(service_name(device), "/Position") == number
        assert settings.settings[POSITION.format("acload")].value == -1


async def test_a_stored_position_that_the_role_has_not_is_not_shown(daemon: Daemon) -> None:
    device = meter(Role.AC_LOAD)
    stored = {POSITION.format("acload"): StoredSetting("i", 2, -1)}
    async with (
        local_settings(daemon.address, stored),
        serving(site_with(device), daemon.address),
        Client(daemon.address) as client,
    ):
        await client.until_served(service_name(device))
        assert await client.value(service_name(device), "/Position") == 0


@pytest.mark.parametrize("phase", [1, 2, 3])
async def test_a_meter_fills_its_own_phase_only(daemon: Daemon, phase: int) -> None:
    device = meter(Role.PV_INVERTER, placement=Placement(Position.AC_OUTPUT, phase))
    async with serving(site_with(device), daemon.address), Client(daemon.address) as client:
        await client.until_served(service_name(device))
        phases = await client.value(service_name(device), "/Ac")
    assert {path.split("/")[0] for path in phases if path.startswith("L")} == {f"L{phase}"}
    assert phases[f"L{phase}/Power"] == phases["Power"] == 512.3


@pytest.mark.parametrize(
    ("role", "power", "status"),
    [
        (Role.PV_INVERTER, 0.1, 7),
        (Role.PV_INVERTER, 0.0, 8),
        (Role.GENSET, 1500.0, 8),
        (Role.GENSET, 0.0, 0),
        (Role.PV_INVERTER, None, None),
        (Role.GENSET, None, None),
    ],
)
async def test_the_status_follows_the_power(
    daemon: Daemon, role: Role, power: float | None, status: int | None
) -> None:
    device = meter(role)
    site = site_with(device)
    site.put(reading(device, ac_power=power))
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(service_name(device))
        assert await client.value(service_name(device), "/StatusCode") == status


async def test_the_refresh_time_is_that_of_the_readings(daemon: Daemon) -> None:
    device = meter(Role.GRID_METER)
    site = site_with(device)
    service = service_name(device)
    start = reading(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, service) as consumer:
        await consumer.scan()
        assert consumer.values["/RefreshTime"] is None
        site.put(replace(start, time=start.time + 1.03, values={**start.values, "ac_power": 1.0}))
        await consumer.until(lambda: consumer.values["/RefreshTime"] == 1000)
        for number in range(2, 6):
            site.put(replace(start, time=start.time + 1.1 * number, values={**start.values, "ac_power": number}))
            await consumer.until(lambda number=number: consumer.values["/Ac/Power"] == number)
        assert [signal for signal in consumer.signals if "/RefreshTime" in signal] == consumer.signals[:1]
        late = start.time + 100
        for number in range(10, 30):
            site.put(replace(start, time=late + 4.0 * number, values={**start.values, "ac_power": number}))
            await consumer.until(lambda number=number: consumer.values["/Ac/Power"] == number)
        assert 3000 <= consumer.values["/RefreshTime"] <= 5000
        site.put(offline(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 0)
        assert consumer.values["/RefreshTime"] is None


@pytest.mark.parametrize(
    ("role", "kinds"), [(Role.DC_SOURCE, DC_SOURCE_KINDS), (Role.DC_LOAD, DC_LOAD_KINDS)], ids=["source", "load"]
)
async def test_the_kind_of_a_dc_meter_is_its_monitor_mode(daemon: Daemon, role: Role, kinds: dict[str, int]) -> None:
    devices = [
        meter(role, name, number, placement=Placement(kind=kind)) for number, (name, kind) in enumerate(kinds.items())
    ]
    async with serving(site_with(*devices), daemon.address), Client(daemon.address) as client:
        for device in devices:
            await client.until_served(service_name(device))
            mode = await client.value(service_name(device), "/Settings/MonitorMode")
            assert mode == device.placement.kind


async def test_a_meter_under_control_has_a_button(daemon: Daemon) -> None:
    device = meter(Role.AC_LOAD, controls={"reset_energy": Control(RESET_ENERGY, ControlKind.BUTTON)})
    device = replace(device, points={**device.points, "command_result": COMMAND_RESULT})
    site, double = controlled_site(device)
    service = service_name(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, service) as consumer:
        await consumer.scan()
        assert await consumer.names() == [service]
        assert consumer.values["/Control/ResetEnergy"] == 0
        assert consumer.values["/Control/LastResult"] is None or consumer.values["/Control/LastResult"] == ""
        for wrong in (Variant("i", 2), Variant("b", True), Variant("s", "1"), Variant("d", 1.0)):
            assert await consumer.set(service, "/Control/ResetEnergy", wrong) == 2
        assert await consumer.set(service, "/Control/ResetEnergy", Variant("i", 1)) == 0
        await double.until(1)
        assert double.commands == [("reset_energy", 1)]
        assert await consumer.value(service, "/Control/ResetEnergy") == 0


async def test_a_role_that_venus_does_not_know_has_no_service(daemon: Daemon) -> None:
    device = meter(Role.INVERTER, roles=(Role.INVERTER,), short="none")
    other = tracer()
    site = site_with(device, other)
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(service_name(other))
        site.put(reading(device, ac_power=1.0))
        site.introduce(replace(device, label="renamed"))
        site.remove(device.name)
        await client.value(service_name(other), "/Connected")
        assert await client.names() == [service_name(other)]
