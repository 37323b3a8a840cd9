"""localsettings: absent, late, restarted, renumbering; the charger and the time zone set on the GX."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Message, MessageType, Variant
from dbus_fast.aio import MessageBus

from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import ControlOptions, EqualizeOptions, ServerOptions, TopChargeOptions
from heliobus.outputs.venus.charger_settings import charger_of
from heliobus.outputs.venus.host import ChargerSettings
from heliobus.outputs.venus.instance import Instances
from heliobus.outputs.venus.settings import SettingValue
from heliobus.sim.localsettings import StoredSetting
from heliobus.site import Site
from venus_bus import BUS_ITEM, Client, Daemon, ItemsConsumer, Monitor, running_daemon
from venus_site import (
    INSTANCE_SETTING,
    NAME_SETTING,
    QUICK,
    SERVICE,
    Host,
    charger,
    local_settings,
    serving,
    site_with,
)

GROUP = "/Settings/TristarMPPT/"
TRISTAR = ChargerSettings("morningstar-tristar-mppt", "192.0.2.4", 502, 5.0, 1)
MOVED = replace(TRISTAR, port=1502, interval=1.0, unit=17)
STORED: dict[str, SettingValue] = {
    "IPAddress": "192.0.2.4",
    "PortNumber": 502,
    "Interval": 5000,
    "SlaveID": 1,
    "Control": 0,
    "SystemVoltage": 0,
    "Chemistry": "unknown",
    "EqualizeAllowed": 0,
    "NightlyResetHour": 3,
    "MaxChargeVoltage": 0.0,
    "MaxChargeCurrent": 0.0,
    "TopChargeVoltage": 0.0,
    "TopChargeTailCurrent": 2.0,
    "TopChargeTailTime": 300,
    "TopChargeTimeLimit": 7200,
}


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def test_the_settings_are_there_with_defaults_and_limits(daemon: Daemon) -> None:
    host = Host()
    async with local_settings(daemon.address) as settings, serving(site_with(charger()), daemon.address, host):
        await host.next_call()
        assert host.placed == [None]
        async with Client(daemon.address) as client:
            await client.until_served(SERVICE)
        assert settings.settings == {
            INSTANCE_SETTING: StoredSetting("s", "solarcharger:278", "solarcharger:278"),
            NAME_SETTING: StoredSetting("s", "Roof", "Roof"),
            GROUP + "IPAddress": StoredSetting("s", "", ""),
            GROUP + "PortNumber": StoredSetting("i", 502, 502, 1, 65535),
            GROUP + "Interval": StoredSetting("i", 5000, 5000, 1000, 60000),
            GROUP + "SlaveID": StoredSetting("i", 1, 1, 1, 247),
            GROUP + "Control": StoredSetting("i", 0, 0, 0, 1),
            GROUP + "SystemVoltage": StoredSetting("i", 0, 0, 0, 48),
            GROUP + "Chemistry": StoredSetting("s", "unknown", "unknown"),
            GROUP + "EqualizeAllowed": StoredSetting("i", 0, 0, 0, 1),
            GROUP + "NightlyResetHour": StoredSetting("i", 3, 3, -1, 23),
            GROUP + "MaxChargeVoltage": StoredSetting("f", 0.0, 0.0, 0, 80),
            GROUP + "MaxChargeCurrent": StoredSetting("f", 0.0, 0.0, 0, 200),
            GROUP + "TopChargeVoltage": StoredSetting("f", 0.0, 0.0, 0, 80),
            GROUP + "TopChargeTailCurrent": StoredSetting("f", 2.0, 2.0, 0.1, 200),
            GROUP + "TopChargeTailTime": StoredSetting("i", 300, 300, 10, 86400),
            GROUP + "TopChargeTimeLimit": StoredSetting("i", 7200, 7200, 60, 43200),
        }


async def test_without_the_option_there_are_no_settings_of_a_charger(daemon: Daemon) -> None:
    host = Host()
    async with (
        local_settings(daemon.address) as settings,
        serving(site_with(charger()), daemon.address, host, settings_charger=False),
        Client(daemon.address) as client,
    ):
        await client.until_served(SERVICE)
        assert not [path for path in settings.settings if path.startswith(GROUP)]
        assert host.placed == []


@pytest.mark.parametrize("items_changed", [False, True])
async def test_a_changed_setting_acts_at_once(daemon: Daemon, items_changed: bool) -> None:
    host = Host()
    async with (
        local_settings(daemon.address, items_changed=items_changed) as settings,
        serving(Site(), daemon.address, host),
        Client(daemon.address) as client,
    ):
        await host.next_call()
        for name, value, expected in (
            ("IPAddress", Variant("s", "192.0.2.4"), TRISTAR),
            ("PortNumber", Variant("i", 1502), replace(TRISTAR, port=1502)),
            ("Interval", Variant("i", 1000), replace(TRISTAR, port=1502, interval=1.0)),
            ("SlaveID", Variant("i", 17), replace(TRISTAR, port=1502, interval=1.0, unit=17)),
            ("Control", Variant("i", 1), replace(MOVED, control=ControlOptions(on=True))),
            ("Control", Variant("i", 0), MOVED),
            ("IPAddress", Variant("s", ""), None),
        ):
            assert await client.set("com.victronenergy.settings", GROUP + name, value) == 0
            await host.next_call()
            assert host.placed[-1] == expected
        assert await client.set("com.victronenergy.settings", GROUP + "SlaveID", Variant("i", 248)) == -1
        assert settings.settings[GROUP + "SlaveID"].value == 17
        assert len(host.placed) == 8


async def test_no_charger_is_said_once(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    host = Host()
    async with local_settings(daemon.address) as settings, serving(Site(), daemon.address, host):
        await host.next_call()
        settings.change(GROUP + "PortNumber", 503)
        settings.change(GROUP + "IPAddress", "192.0.2.4")
        await host.next_call()
    said = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert said == ["no TriStar is set up: write its address to /Settings/TristarMPPT/IPAddress"]
    assert host.placed == [None, replace(TRISTAR, port=503)]


@pytest.mark.parametrize(
    ("values", "charger_is", "remark"),
    [
        ({}, TRISTAR, ""),
        ({"IPAddress": " 192.0.2.4 "}, TRISTAR, ""),
        ({"IPAddress": "tristar.lan"}, replace(TRISTAR, host="tristar.lan"), ""),
        ({"IPAddress": "fe80::1%eth0"}, replace(TRISTAR, host="fe80::1%eth0"), ""),
        ({"IPAddress": "not an address"}, None, "neither an IP address nor a host name"),
        ({"IPAddress": ""}, None, "no TriStar is set up"),
        ({"PortNumber": 0}, TRISTAR, "PortNumber is 0, not 1 to 65535: using 502"),
        ({"Interval": 5}, TRISTAR, "Interval is 5, not 1000 to 60000: using 5000"),
        ({"SlaveID": 255}, TRISTAR, "SlaveID is 255"),
        ({"SlaveID": "x"}, TRISTAR, "SlaveID is 'x'"),
        ({"SlaveID": float("nan")}, TRISTAR, "SlaveID is nan"),
    ],
)
def test_settings_of_a_charger(
    values: dict[str, int | float | str], charger_is: ChargerSettings | None, remark: str
) -> None:
    found, said = charger_of({**STORED, **values})
    assert found == charger_is
    assert remark in "".join(said)
    assert len(said) == bool(remark)


@pytest.mark.parametrize(
    ("values", "options", "remarks"),
    [
        ({}, ControlOptions(), []),
        ({"Control": 1}, ControlOptions(on=True), []),
        ({"Control": 2}, ControlOptions(), ["Control is 2, not 0 to 1: using 0"]),
        ({"Control": "on"}, ControlOptions(), ["Control is 'on'"]),
        ({"SystemVoltage": 24}, ControlOptions(system_voltage=24), []),
        ({"SystemVoltage": 36}, ControlOptions(), ["SystemVoltage is 36, not 12, 24 or 48: charge settings are not"]),
        ({"SystemVoltage": 96}, ControlOptions(), ["SystemVoltage is 96, not 0 to 48: using 0"]),
        ({"Chemistry": " Flooded"}, ControlOptions(chemistry=CHEMISTRIES["flooded"]), []),
        ({"Chemistry": "lead"}, ControlOptions(), ["Chemistry is 'lead', not one of unknown, flooded"]),
        (
            {"Chemistry": "flooded", "EqualizeAllowed": 1},
            ControlOptions(chemistry=CHEMISTRIES["flooded"], equalize=EqualizeOptions(allowed=True)),
            [],
        ),
        (
            {"Chemistry": "lifepo4", "EqualizeAllowed": 1},
            ControlOptions(chemistry=CHEMISTRIES["lifepo4"]),
            ["EqualizeAllowed is 1, but Chemistry is lifepo4, not flooded: equalize stays locked"],
        ),
        ({"EqualizeAllowed": 1}, ControlOptions(), ["EqualizeAllowed is 1, but Chemistry is unknown"]),
        ({"NightlyResetHour": -1}, ControlOptions(server=ServerOptions(nightly_reset=-1)), []),
        ({"NightlyResetHour": 24}, ControlOptions(), ["NightlyResetHour is 24, not -1 to 23: using 3"]),
        (
            {"MaxChargeVoltage": 28.4, "MaxChargeCurrent": 40.0, "SystemVoltage": 24},
            ControlOptions(system_voltage=24, highest_voltage=28.4, highest_current=40.0),
            [],
        ),
        ({"MaxChargeVoltage": float("nan")}, ControlOptions(), ["MaxChargeVoltage is nan, not 0 to 80: using 0"]),
        (
            {"MaxChargeVoltage": 14.4, "SystemVoltage": 24},
            ControlOptions(system_voltage=24, highest_voltage=14.4),
            ["MaxChargeVoltage is 14.4, but unknown batteries need at least 20 V: nothing fits"],
        ),
        (
            {"TopChargeVoltage": 28.4, "SystemVoltage": 24, "TopChargeTailTime": 60},
            ControlOptions(system_voltage=24, top_charge=TopChargeOptions(28.4, 2.0, 60, 7200)),
            [],
        ),
        (
            {"TopChargeVoltage": 31.0, "SystemVoltage": 24},
            ControlOptions(system_voltage=24),
            ["TopChargeVoltage is 31.0, not 20 to 30 V: there is no top charge"],
        ),
        (
            {"TopChargeVoltage": 28.4, "SystemVoltage": 24, "MaxChargeVoltage": 28.0},
            ControlOptions(system_voltage=24, highest_voltage=28.0),
            ["TopChargeVoltage is 28.4, not 20 to 28 V: there is no top charge"],
        ),
        (
            {"TopChargeVoltage": 28.4, "TopChargeTailTime": 7200},
            ControlOptions(),
            ["TopChargeTailTime is 7200, not less than TopChargeTimeLimit (7200): there is no top charge"],
        ),
    ],
)
def test_settings_of_its_control(values: dict[str, SettingValue], options: ControlOptions, remarks: list[str]) -> None:
    found, said = charger_of({**STORED, **values})
    assert found is not None
    assert found.control == options
    assert len(said) == len(remarks)
    for remark, expected in zip(said, remarks, strict=True):
        assert remark.startswith(GROUP + expected)


async def test_a_setting_that_another_program_left_with_another_type_has_its_default(daemon: Daemon) -> None:
    host = Host()
    stored = {
        GROUP + "Chemistry": StoredSetting("i", 3, 3),
        GROUP + "IPAddress": StoredSetting("s", "192.0.2.4", ""),
    }
    async with local_settings(daemon.address, stored), serving(Site(), daemon.address, host):
        await host.next_call()
        assert host.placed == [TRISTAR]


async def test_the_time_zone_is_followed(daemon: Daemon) -> None:
    host = Host()
    stored = {"/Settings/System/TimeZone": StoredSetting("s", "Europe/Oslo", "UTC")}
    async with (
        local_settings(daemon.address, stored) as settings,
        serving(Site(), daemon.address, host, settings_charger=False),
    ):
        await host.next_call()
        settings.change("/Settings/System/TimeZone", "Africa/Nairobi")
        await host.next_call()
    assert host.zones == ["Europe/Oslo", "Africa/Nairobi"]


async def test_localsettings_that_is_late_is_waited_for(daemon: Daemon) -> None:
    stored = {INSTANCE_SETTING: StoredSetting("s", "solarcharger:290", "solarcharger:278")}
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        waiting = serving(site_with(charger()), daemon.address, timing=replace(QUICK, grace=60.0))
        async with waiting, local_settings(daemon.address, stored):
            await monitor.until(lambda: SERVICE in monitor.services)
            assert monitor.instances == {SERVICE: 290}
            assert monitor.appeared == [SERVICE]


async def test_localsettings_that_comes_after_all_corrects_the_instance(daemon: Daemon) -> None:
    stored = {
        INSTANCE_SETTING: StoredSetting("s", "solarcharger:290", "solarcharger:278"),
        NAME_SETTING: StoredSetting("s", "South", ""),
    }
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site_with(charger()), daemon.address):
            await monitor.until(lambda: monitor.instances.get(SERVICE) == 278)
            async with local_settings(daemon.address, stored):
                await monitor.until(lambda: monitor.instances.get(SERVICE) == 290)
                await monitor.until(lambda: monitor.services[SERVICE]["/CustomName"] == "South")


async def test_a_restart_of_localsettings_is_survived(daemon: Daemon) -> None:
    host = Host()
    async with Monitor(daemon.address) as monitor, ItemsConsumer(daemon.address, SERVICE) as consumer:
        await monitor.start()
        async with serving(site_with(charger()), daemon.address, host):
            async with local_settings(daemon.address) as settings:
                await consumer.scan()
                settings.change(GROUP + "IPAddress", "192.0.2.4")
                while not host.placed or host.placed[-1] != TRISTAR:
                    await host.next_call()
            # The stored file is lost or older: the settings are added again, the values read again.
            async with local_settings(daemon.address) as settings:
                settings.add(NAME_SETTING, "Anew", "s")
                settings.change(NAME_SETTING, "Older")
                await consumer.until(lambda: consumer.values["/CustomName"] == "Older")
                while host.placed[-1] is not None:
                    await host.next_call()
                assert settings.settings[INSTANCE_SETTING].value == "solarcharger:278"
                assert await consumer.set(SERVICE, "/CustomName", Variant("s", "Kept")) == 0
                await consumer.until(lambda: consumer.values["/CustomName"] == "Kept")
            assert monitor.appeared == [SERVICE]


async def test_an_instance_of_another_class_is_taken_over(daemon: Daemon) -> None:
    stored = {INSTANCE_SETTING: StoredSetting("s", "dcsource:31", "dcsource:31")}
    async with local_settings(daemon.address, stored) as settings, Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site_with(charger()), daemon.address):
            await monitor.until(lambda: monitor.instances.get(SERVICE) == 31)
            async with asyncio.timeout(5):
                while settings.settings[INSTANCE_SETTING].value != "solarcharger:31":
                    await asyncio.sleep(0)


async def test_a_localsettings_without_addsettings_is_served_one_by_one(daemon: Daemon) -> None:
    """Before AddSettings there was only AddSetting on group objects."""
    asked: list[list[object]] = []
    bus = await MessageBus(bus_address=daemon.address).connect()

    def answer(message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        match message.path, message.member:
            case "/Settings", "AddSetting":
                asked.append(message.body)
                return Message.new_method_return(message, "i", [0])
            case path, "GetValue" if path and path.endswith("ClassAndVrmInstance"):
                return Message.new_method_return(message, "v", [Variant("s", "solarcharger:283")])
            case path, "GetValue" if path and path.endswith("CustomName"):
                return Message.new_method_return(message, "v", [Variant("s", "Old")])
        return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "no")

    bus.add_message_handler(answer)
    await bus.request_name("com.victronenergy.settings")
    async with serving(site_with(charger()), daemon.address, settings_charger=False), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        assert await client.value(SERVICE, "/DeviceInstance") == 283
        assert await client.value(SERVICE, "/CustomName") == "Old"
    bus.disconnect()
    await bus.wait_for_disconnect()
    assert ["Devices/tristar_10170296", "CustomName", Variant("s", "Roof"), "s"] in [body[:4] for body in asked]


async def test_a_name_that_localsettings_refuses_is_shown_no_longer(daemon: Daemon) -> None:
    async with (
        local_settings(daemon.address) as settings,
        serving(site_with(charger()), daemon.address),
        ItemsConsumer(daemon.address, SERVICE) as consumer,
    ):
        await consumer.scan()
        settings.settings[NAME_SETTING] = StoredSetting("i", 1, 1)
        assert await consumer.set(SERVICE, "/CustomName", Variant("s", "no number")) == 0
        await consumer.until(lambda: consumer.signals and consumer.values["/CustomName"] == "Roof")


async def test_numbers_are_unique_per_class() -> None:
    instances = Instances()
    assert instances.take_free("solarcharger", 278) == 278
    assert instances.take_free("solarcharger", 278) == 279
    assert instances.take_free("battery", 278) == 278
    assert await instances.take("solarcharger", 278, 0.0) == 280
    waiting = asyncio.create_task(instances.take("solarcharger", 279, 10.0))
    await asyncio.sleep(0)
    instances.give("solarcharger", 279)
    assert await waiting == 279


async def test_signals_of_strangers_change_no_setting(daemon: Daemon) -> None:
    async with (
        local_settings(daemon.address) as settings,
        Client(daemon.address) as stranger,
        serving(site_with(charger()), daemon.address),
        ItemsConsumer(daemon.address, SERVICE) as consumer,
    ):
        await consumer.scan()
        change = {"Value": Variant("s", "stranger"), "Text": Variant("s", "stranger")}
        for name in await stranger.daemon("ListNames"):
            if name.startswith(":"):
                signal = Message(
                    message_type=MessageType.SIGNAL,
                    destination=name,
                    path=NAME_SETTING,
                    interface=BUS_ITEM,
                    member="PropertiesChanged",
                    signature="a{sv}",
                    body=[change],
                )
                await stranger.bus.send(signal)
        settings.change(NAME_SETTING, "owner")
        await consumer.until(lambda: consumer.values["/CustomName"] == "owner")
        assert [signal for signal in consumer.signals if "stranger" in signal.values()] == []
