"""The rules of Venus OS for services, G1 to G19, each looked at with consumers of our own."""

import asyncio
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Variant

from heliobus.model.reading import Health
from heliobus.outputs.output import FatalOutputError
from heliobus.site import Site
from venus_bus import Client, Daemon, ItemsConsumer, Monitor, plain, running_daemon
from venus_site import (
    DAYS,
    INSTANCE_SETTING,
    NAME_SETTING,
    QUICK,
    SERVICE,
    charger,
    local_settings,
    offline,
    output,
    reading,
    serving,
    site_with,
)

NEVER = replace(QUICK, pace=3600.0)
# What may stay while the device is silent: who it is, what it is called, and records of its days.
LASTING = ("/Mgmt/", "/History/", "/Product", "/Serial", "/CustomName", "/DeviceInstance", "/HardwareVersion")
FUZZ = (
    Variant("s", "1"),
    Variant("s", "a\x07b"),
    Variant("s", "x" * 65),
    Variant("b", True),
    Variant("b", False),
    Variant("d", 1.0),
    Variant("d", math.nan),
    Variant("d", -math.inf),
    Variant("i", -(2**31)),
    Variant("x", 2**60),
    Variant("y", 255),
    Variant("ai", []),
    Variant("as", []),
    Variant("av", [Variant("i", 1), Variant("s", "x")]),
    Variant("a{sv}", {"a": Variant("i", 1)}),
    Variant("v", Variant("s", "inner")),
    Variant("(is)", [1, "x"]),
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def test_g1_get_items_answers_for_every_leaf(daemon: Daemon) -> None:
    async with serving(site_with(charger()), daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        items = await client.items(SERVICE)
        assert len(items) > 500
        for path, entry in items.items():
            assert path.startswith("/")
            assert set(entry) == {"Value", "Text"}
            assert entry["Text"].signature == "s"


async def test_g2_all_mandatory_paths_are_there_when_the_name_appears(daemon: Daemon) -> None:
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site_with(charger()), daemon.address):
            await monitor.until(lambda: SERVICE in monitor.services)
            seen = monitor.services[SERVICE]
    for path in ("ProcessName", "ProcessVersion", "Connection"):
        assert isinstance(seen[f"/Mgmt/{path}"], str)
    assert seen["/ProductName"] == "Morningstar TriStar MPPT 60"
    assert seen["/Connected"] == 1
    assert {"/FirmwareVersion", "/HardwareVersion", "/Serial", "/Dc/0/Voltage", "/State", "/Yield/Power"} <= set(seen)
    assert not [path for path in seen if path.startswith("/Link/")]
    assert not {"/Settings/BmsPresent", "/Settings/ChargeCurrentLimit", "/N2kDeviceInstance", "/Load/I"} & set(seen)


async def test_g3_the_instance_is_that_of_localsettings(daemon: Daemon) -> None:
    async with local_settings(daemon.address) as settings:
        settings.add("/Settings/Devices/other/ClassAndVrmInstance", "solarcharger:278", "s")
        async with serving(site_with(charger()), daemon.address), Client(daemon.address) as client:
            await client.until_served(SERVICE)
            assert await client.value(SERVICE, "/DeviceInstance") == 279
            assert settings.settings[INSTANCE_SETTING].value == "solarcharger:279"


async def test_g4_and_g5_product_and_firmware_are_numbers_or_invalid(daemon: Daemon) -> None:
    known = charger(driver="morningstar-tristar-mppt")
    unknown = charger("shed", 1, "77", driver="somebody-else")
    site = site_with(replace(known, identity=replace(known.identity, firmware="2.1.42")), unknown)
    async with serving(site, daemon.address), Client(daemon.address) as client:
        other = SERVICE.replace("_0", "_1")
        await client.until_served(SERVICE)
        await client.until_served(other)
        assert await client.value(SERVICE, "/ProductId") == 0xBE10
        assert await client.value(SERVICE, "/FirmwareVersion") == 0x020142
        assert await client.text(SERVICE, "/FirmwareVersion") == "2.1.42"
        assert await client.value(other, "/ProductId") is None
        assert await client.value(other, "/FirmwareVersion") == 0x010142
        assert await client.value(other, "/Tristar/Firmware") == "1.1.42"


@pytest.mark.parametrize("garbage", [math.nan, math.inf, -math.inf, "12 V", 10**400])
async def test_g6_no_number_ever_holds_text_or_nan(daemon: Daemon, garbage: float | str) -> None:
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        site.put(reading(device, battery_current=garbage, charger_state=garbage, charger_enabled=garbage))
        await consumer.until(lambda: consumer.values["/Dc/0/Current"] is None)
        assert consumer.values["/State"] is None
        assert consumer.values["/Mode"] is None
        assert consumer.texts["/Dc/0/Current"] == "---"


async def test_g6_text_paths_hold_what_d_bus_can_carry(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        site.put(reading(device, fault_text="a\0b\ud800c"))
        await consumer.until(lambda: consumer.values["/Tristar/FaultText"] == "ab?c")


async def test_g7_invalid_is_an_empty_array_of_int(daemon: Daemon) -> None:
    device = charger()
    async with serving(Site(), daemon.address), Client(daemon.address) as client:
        assert await client.names() == []
    site = Site()
    site.introduce(device)
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        reply = await client.call(SERVICE, "/Dc/0/Voltage", "GetValue")
        assert (reply.signature, reply.body[0].signature, reply.body[0].value) == ("v", "ai", [])
        assert await client.text(SERVICE, "/Dc/0/Voltage") == "---"
        assert await client.value(SERVICE, "/Connected") == 0
        assert await client.value(SERVICE, "/ProductName") == "Morningstar TriStar MPPT 60"


async def test_g8_and_g16_each_service_has_its_own_connection_and_instance(daemon: Daemon) -> None:
    devices = [charger(), charger("shed", 1, "77"), charger("barn", 0, "9", short="tracer", key="tracer_9")]
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site_with(*devices), daemon.address):
            await monitor.until(lambda: len(monitor.services) == 3)
            assert monitor.clashes == []
            assert len(set(monitor.instances.values())) == 3


async def test_g9_one_signal_for_a_poll_and_none_for_an_unchanged_one(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        site.put(reading(device))
        site.put(reading(device, battery_voltage=27.6, pv_power=301.0))
        await consumer.until(lambda: consumer.signals)
        site.put(reading(device, battery_voltage=27.6, pv_power=301.0))
        site.put(reading(device, battery_voltage=27.7, pv_power=301.0))
        await consumer.until(lambda: len(consumer.signals) == 2)
        assert consumer.signals == [{"/Dc/0/Voltage": 27.6, "/Yield/Power": 301.0}, {"/Dc/0/Voltage": 27.7}]


async def test_g9_never_two_signals_within_the_pace(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with (
        serving(site, daemon.address, timing=NEVER) as task,
        ItemsConsumer(daemon.address, SERVICE) as consumer,
    ):
        await consumer.scan()
        site.put(reading(device, battery_voltage=1.0))
        await consumer.until(lambda: consumer.signals)
        for number in range(2, 50):
            site.put(reading(device, battery_voltage=float(number)))
            await asyncio.sleep(0)
        # An answer to a call made now comes after any signal sent before.
        assert await consumer.value(SERVICE, "/Dc/0/Voltage") == 1.0
        assert len(consumer.signals) == 1
        assert not task.done()


async def test_g9_the_latest_state_comes_after_the_pace(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    timing = replace(QUICK, pace=0.2)
    async with serving(site, daemon.address, timing=timing), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        site.put(reading(device, battery_voltage=1.0))
        await consumer.until(lambda: consumer.signals)
        for number in range(2, 50):
            site.put(reading(device, battery_voltage=float(number), pv_voltage=float(number) if number < 30 else 84.12))
        site.put(offline(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 0)
        assert len(consumer.signals) == 2
        assert consumer.values["/Dc/0/Voltage"] is None
        assert consumer.values["/Pv/V"] is None


async def test_g10_the_type_of_a_path_is_constant(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        before = {path: entry["Value"].signature for path, entry in (await consumer.items(SERVICE)).items()}
        site.put(reading(device, battery_voltage=27, charger_state=5.0, bus_requests=1201.0, days=DAYS[1:]))
        await consumer.until(lambda: consumer.values["/State"] == 5)
        after = {path: entry["Value"].signature for path, entry in (await consumer.items(SERVICE)).items()}
    assert {path: sig for path, sig in after.items() if sig != "ai" and before[path] not in (sig, "ai")} == {}


async def test_g11_and_g12_no_write_of_any_type_does_harm(daemon: Daemon) -> None:
    site = site_with(charger())
    async with (
        local_settings(daemon.address),
        serving(site, daemon.address),
        ItemsConsumer(daemon.address, SERVICE) as consumer,
    ):
        await consumer.scan()
        before = await consumer.items(SERVICE)
        # One day of the history stands for all.
        paths = [path for path in before if "/Daily/" not in path or "/Daily/0/" in path]
        for path in paths:
            for value in FUZZ:
                answer = await consumer.set(SERVICE, path, value)
                if path == "/CustomName" and value == Variant("s", "1"):
                    assert answer == 0
                else:
                    assert answer != 0, (path, value)
        after = await consumer.items(SERVICE)
        assert {path for path in after if after[path] != before[path]} == {"/CustomName"}
        assert plain(after["/CustomName"]["Value"]) == "1"


async def test_g12_a_custom_name_is_kept_and_shown(daemon: Daemon) -> None:
    async with local_settings(daemon.address) as settings:
        site = site_with(charger())
        async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
            await consumer.scan()
            assert consumer.values["/CustomName"] == "Roof"
            assert await consumer.set(SERVICE, "/CustomName", Variant("s", "Südseite ☀")) == 0
            await consumer.until(lambda: consumer.values["/CustomName"] == "Südseite ☀")
            assert await consumer.set(SERVICE, "/CustomName", Variant("s", "Südseite ☀")) == 0
            settings.change(NAME_SETTING, "from the page")
            await consumer.until(lambda: consumer.values["/CustomName"] == "from the page")
            assert await consumer.set(SERVICE, "/CustomName", Variant("s", "")) == 0
            await consumer.until(lambda: consumer.values["/CustomName"] == "")
        async with serving(site, daemon.address), Client(daemon.address) as client:
            await client.until_served(SERVICE)
            assert await client.value(SERVICE, "/CustomName") == ""
            assert settings.settings[NAME_SETTING].value == ""


async def test_g13_a_lost_device_is_invalid_and_not_connected(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        site.put(replace(offline(device), health=Health.OFFLINE))
        await consumer.until(lambda: consumer.values["/Connected"] == 0)
        assert len(consumer.signals) == 1
        frozen = {
            path
            for path, value in consumer.values.items()
            if value is not None and not path.startswith(LASTING) and path not in ("/Connected", "/NrOfTrackers")
        }
        assert frozen == {"/FirmwareVersion", "/Tristar/Firmware"}
        assert consumer.values["/History/Daily/1/Yield"] == 2.5


async def test_g14_a_device_that_returns_has_its_name_and_instance(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site, daemon.address):
            await monitor.until(lambda: SERVICE in monitor.services)
            site.put(offline(device))
            await monitor.until(lambda: monitor.services[SERVICE]["/Connected"] == 0)
            site.put(reading(device))
            await monitor.until(lambda: monitor.services[SERVICE]["/Dc/0/Voltage"] == 27.53)
            assert monitor.appeared == [SERVICE]
            site.remove(device.name)
            await monitor.until(lambda: not monitor.services)
            site.introduce(device)
            await monitor.until(lambda: SERVICE in monitor.services)
            assert monitor.instances[SERVICE] == 278
            assert monitor.services[SERVICE]["/Connected"] == 0


async def test_g15_a_new_instance_drops_the_name_first(daemon: Daemon) -> None:
    async with local_settings(daemon.address) as settings, Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site_with(charger()), daemon.address):
            await monitor.until(lambda: SERVICE in monitor.services)
            settings.change(INSTANCE_SETTING, "solarcharger:5")
            await monitor.until(lambda: monitor.instances.get(SERVICE) == 5)
            assert monitor.appeared == [SERVICE, SERVICE]
            assert monitor.services[SERVICE]["/Dc/0/Voltage"] == 27.53


async def test_g16_two_devices_swap_their_instances_and_never_share_one(daemon: Daemon) -> None:
    async with local_settings(daemon.address) as settings:
        other = SERVICE.replace("_0", "_1")
        other_setting = "/Settings/Devices/tristar_77/ClassAndVrmInstance"
        timing = replace(QUICK, patience=5.0)
        async with Monitor(daemon.address) as monitor:
            await monitor.start()
            async with serving(site_with(charger(), charger("shed", 1, "77")), daemon.address, timing=timing):
                await monitor.until(lambda: len(monitor.services) == 2)
                first, second = monitor.instances[SERVICE], monitor.instances[other]
                assert {first, second} == {278, 279}
                for path, number in ((INSTANCE_SETTING, 300), (other_setting, first), (INSTANCE_SETTING, second)):
                    settings.change(path, f"solarcharger:{number}")
                await monitor.until(lambda: monitor.instances == {SERVICE: second, other: first})
                assert monitor.clashes == []


async def test_g17_a_dead_daemon_ends_the_process(daemon: Daemon) -> None:
    task = asyncio.create_task(output(daemon.address, exit_on_bus_loss=True).run(site_with(charger())))
    async with Client(daemon.address) as client:
        await client.until_served(SERVICE)
    daemon.kill()
    with pytest.raises(FatalOutputError, match="the D-Bus is gone"):
        await asyncio.wait_for(task, 10)


async def test_g18_a_name_that_is_taken_ends_the_process(daemon: Daemon) -> None:
    async with Client(daemon.address) as client:
        await client.own(SERVICE)
        with pytest.raises(FatalOutputError, match=rf"another program already serves {SERVICE}.*\(process \d+\)"):
            await asyncio.wait_for(output(daemon.address).run(site_with(charger())), 10)
        names = await client.names()
    assert names == [SERVICE]


async def test_g18_a_bus_that_refuses_names_ends_the_process(tmp_path: Path) -> None:
    refused = pytest.raises(FatalOutputError, match=r"use a session bus .* or a policy file")
    with running_daemon(tmp_path, own=False) as daemon, refused:
        await asyncio.wait_for(output(daemon.address).run(site_with(charger())), 10)


async def test_g19_without_localsettings_there_are_defaults(daemon: Daemon) -> None:
    other = SERVICE.replace("_0", "_1")
    site = site_with(charger(), charger("shed", 1, "77"))
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        await client.until_served(other)
        assert await client.value(SERVICE, "/DeviceInstance") == 278
        assert await client.value(other, "/DeviceInstance") == 279
        assert await client.value(SERVICE, "/CustomName") == "Roof"
        assert await client.set(SERVICE, "/CustomName", Variant("s", "nobody keeps it")) == 2
        assert await client.value(SERVICE, "/CustomName") == "Roof"
