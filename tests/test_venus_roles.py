"""The role of a meter, chosen on the GX: the service goes and comes back under another class."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Variant

from heliobus.model.placement import Placement, Position
from heliobus.model.role import Role
from heliobus.outputs.venus.role_choice import in_role
from heliobus.sim.localsettings import StoredSetting
from venus_bus import SETTINGS, Client, Daemon, ItemsConsumer, Monitor, running_daemon
from venus_site import AC_ROLES, local_settings, meter, offline, reading, serving, site_with

KEY = "/Settings/Devices/pzem_adapter_1/"
NAME = "com.victronenergy.{}.pzem_0"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def test_a_new_role_on_a_live_bus(daemon: Daemon) -> None:
    device = meter(Role.PV_INVERTER, placement=Placement(Position.AC_INPUT_2, 3))
    site = site_with(device)
    async with local_settings(daemon.address) as settings, Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site, daemon.address):
            await monitor.until(lambda: set(monitor.services) == {NAME.format("pvinverter")})
            assert await monitor.set(NAME.format("pvinverter"), "/CustomName", Variant("s", "Heater")) == 0
            for role in ("acload", "genset", "grid", "pvinverter"):
                (service,) = monitor.services
                assert await monitor.set(service, "/Role", Variant("s", role)) == 0
                await monitor.until(lambda role=role: set(monitor.services) == {NAME.format(role)})
                tree = monitor.services[NAME.format(role)]
                assert tree["/Role"] == role
                assert tree["/AllowedRoles"] == [each.value for each in AC_ROLES]
                assert tree["/CustomName"] == "Heater"
                assert tree["/Ac/L3/Power"] == 512.3
                assert tree["/Connected"] == 1
                kept = f"{role}:{tree['/DeviceInstance']}"
                await monitor.until(lambda kept=kept: settings.settings[KEY + "ClassAndVrmInstance"].value == kept)
            # Back in the config's role it is wired as the config says.
            assert tree["/Position"] == 2
            await monitor.until(lambda: settings.settings[KEY + "Role"].value == "")
            site.put(reading(device, ac_power=99.0))
            await monitor.until(lambda: monitor.services[NAME.format("pvinverter")]["/Ac/Power"] == 99.0)
            site.put(offline(device))
            await monitor.until(lambda: monitor.services[NAME.format("pvinverter")]["/Connected"] == 0)
        assert monitor.clashes == []


async def test_a_chosen_role_outlives_a_restart_and_a_change_of_the_config(daemon: Daemon) -> None:
    device = meter(Role.AC_LOAD)
    async with local_settings(daemon.address) as settings, Client(daemon.address) as client:
        async with serving(site_with(device), daemon.address):
            await client.until_served(NAME.format("acload"))
            assert await client.set(NAME.format("acload"), "/Role", Variant("s", "genset")) == 0
            await client.until_served(NAME.format("genset"))
            await client.listen()
            await client.until(lambda: settings.settings[KEY + "Role"].value == "genset")
        for configured in (Role.AC_LOAD, Role.PV_INVERTER):
            async with serving(site_with(meter(configured)), daemon.address):
                await client.until_served(NAME.format("genset"))
                assert set(await client.names()) == {NAME.format("genset"), SETTINGS}


async def test_who_chose_no_role_follows_the_config(daemon: Daemon) -> None:
    async with local_settings(daemon.address) as settings, Client(daemon.address) as client:
        await client.listen()
        for role in (Role.AC_LOAD, Role.PV_INVERTER, Role.GRID_METER):
            async with serving(site_with(meter(role)), daemon.address):
                await client.until_served(NAME.format(role.value))
                kept = f"{role.value}:{await client.value(NAME.format(role.value), '/DeviceInstance')}"
                await client.until(lambda kept=kept: settings.settings[KEY + "ClassAndVrmInstance"].value == kept)


async def test_the_setting_acts_at_once_and_only_with_roles_of_the_meter(daemon: Daemon) -> None:
    async with local_settings(daemon.address) as settings, Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site_with(meter(Role.AC_LOAD)), daemon.address):
            await monitor.until(lambda: set(monitor.services) == {NAME.format("acload")})
            settings.change(KEY + "Role", "grid")
            await monitor.until(lambda: set(monitor.services) == {NAME.format("grid")})
            settings.change(KEY + "Role", "battery")
            await monitor.until(lambda: set(monitor.services) == {NAME.format("acload")})


async def test_a_stored_role_that_the_meter_has_not_is_the_configs(daemon: Daemon) -> None:
    stored = {KEY + "Role": StoredSetting("s", "solarcharger", "")}
    async with (
        local_settings(daemon.address, stored),
        serving(site_with(meter(Role.GENSET)), daemon.address),
        Client(daemon.address) as client,
    ):
        await client.until_served(NAME.format("genset"))


@pytest.mark.parametrize(
    "wrong",
    [
        Variant("s", "solarcharger"),
        Variant("s", "dcload"),
        Variant("s", "inverter"),
        Variant("s", ""),
        Variant("s", "ACLOAD"),
        Variant("i", 1),
        Variant("b", True),
        Variant("as", ["acload"]),
        Variant("ai", []),
    ],
    ids=str,
)
async def test_other_roles_are_refused(daemon: Daemon, wrong: Variant) -> None:
    async with (
        local_settings(daemon.address) as settings,
        serving(site_with(meter(Role.GRID_METER)), daemon.address),
        Client(daemon.address) as client,
    ):
        await client.until_served(NAME.format("grid"))
        assert await client.set(NAME.format("grid"), "/Role", wrong) == 2
        assert await client.set(NAME.format("grid"), "/AllowedRoles", wrong) == 1
        assert await client.value(NAME.format("grid"), "/Role") == "grid"
        assert settings.settings[KEY + "Role"].value == ""


async def test_late_localsettings_bring_the_chosen_role(daemon: Daemon) -> None:
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site_with(meter(Role.AC_LOAD)), daemon.address):
            await monitor.until(lambda: set(monitor.services) == {NAME.format("acload")})
            async with local_settings(daemon.address, {KEY + "Role": StoredSetting("s", "genset", "")}):
                await monitor.until(lambda: set(monitor.services) == {NAME.format("genset")})


async def test_a_dc_meter_changes_its_role_and_its_kind(daemon: Daemon) -> None:
    device = meter(Role.DC_SOURCE, placement=Placement(kind=-8))
    async with (
        local_settings(daemon.address),
        serving(site_with(device), daemon.address),
        Client(daemon.address) as client,
    ):
        source, load = (f"com.victronenergy.{each}.pzemdc_0" for each in ("dcsource", "dcload"))
        await client.until_served(source)
        assert await client.value(source, "/Settings/MonitorMode") == -8
        assert await client.set(source, "/Role", Variant("s", "dcload")) == 0
        await client.until_served(load)
        assert await client.value(load, "/Settings/MonitorMode") == 1
        assert await client.value(load, "/History/EnergyIn") == 123.456


async def test_a_meter_of_one_role_offers_no_other(daemon: Daemon) -> None:
    device = meter(Role.AC_LOAD, roles=(Role.AC_LOAD, Role.INVERTER))
    async with serving(site_with(device), daemon.address), ItemsConsumer(daemon.address, NAME.format("acload")) as seen:
        await seen.scan()
        assert not {"/Role", "/AllowedRoles"} & set(seen.values)
        assert seen.values["/Position"] == 0


async def test_a_grid_meter_without_direction_is_warned_of(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    stored = {KEY + "Role": StoredSetting("s", "grid", "")}
    async with (
        local_settings(daemon.address, stored),
        serving(site_with(meter(Role.AC_LOAD)), daemon.address),
        Client(daemon.address) as client,
    ):
        await client.until_served(NAME.format("grid"))
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert said.count("shed: it has no direction: what is fed into the grid counts as taken from it") == 1


async def test_a_meter_that_is_removed_is_gone_in_any_role(daemon: Daemon) -> None:
    device = meter(Role.AC_LOAD)
    site = site_with(device)
    stored = {KEY + "Role": StoredSetting("s", "genset", "")}
    async with local_settings(daemon.address, stored), Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site, daemon.address):
            await monitor.until(lambda: set(monitor.services) == {NAME.format("genset")})
            site.remove(device.name)
            await monitor.until(lambda: not monitor.services)
            site.introduce(replace(device, label="Shed again"))
            await monitor.until(lambda: set(monitor.services) == {NAME.format("genset")})


def test_another_role_is_placed_as_usual() -> None:
    device = meter(Role.PV_INVERTER, placement=Placement(Position.AC_INPUT_2, 2))
    assert in_role(device, Role.AC_LOAD).placement == Placement(Position.AC_OUTPUT, 2)
    assert in_role(device, Role.GENSET).placement == Placement(None, 2)
    assert in_role(meter(Role.DC_SOURCE), Role.DC_LOAD).placement == Placement(kind=1)
