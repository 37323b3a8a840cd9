"""A charger's service as its consumers and its callers see it, beyond the rules of Venus OS."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import MessageType, Variant

from heliobus.model.day import Day
from venus_bus import Client, Daemon, ItemsConsumer, Monitor, plain, running_daemon
from venus_site import (
    DAYS,
    SERVICE,
    charger,
    offline,
    reading,
    serving,
    site_with,
)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def test_a_consumer_of_items_changed_sees_every_change(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        for number in range(20):
            site.put(reading(device, battery_voltage=20.0 + number, charger_state=number % 8, faults=number))
            await consumer.until(lambda number=number: consumer.values["/Dc/0/Voltage"] == 20.0 + number)
        site.put(offline(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 0)
        items = await consumer.items(SERVICE)
        assert consumer.values == {path: plain(entry["Value"]) for path, entry in items.items()}
        assert consumer.texts == {path: entry["Text"].value for path, entry in items.items()}


async def test_at_midnight_all_days_shift_in_one_signal(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        site.put(reading(device, days=(Day("2026-06-03"), *DAYS)))
        await consumer.until(lambda: consumer.signals)
        assert len(consumer.signals) == 1
        signal = consumer.signals[0]
        assert signal["/History/Daily/0/Yield"] == 0.0
        assert signal["/History/Daily/1/Yield"] == 1.25
        assert signal["/History/Daily/2/Yield"] == 2.5
        assert signal["/History/Daily/3/Yield"] is None
        assert signal["/History/Overall/DaysAvailable"] == 5
        assert not any(path.startswith("/History/Daily/5/") for path in signal)


async def test_a_device_that_turns_out_different_is_served_anew(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site, daemon.address):
            await monitor.until(lambda: SERVICE in monitor.services)
            known = replace(device, identity=replace(device.identity, firmware="3.0.1", model="TriStar MPPT 45"))
            site.introduce(known)
            site.put(reading(known))
            await monitor.until(
                lambda: monitor.services.get(SERVICE, {}).get("/ProductName") == "Morningstar TriStar MPPT 45"
            )
            assert monitor.services[SERVICE]["/FirmwareVersion"] == 0x030001
            await monitor.until(lambda: monitor.services[SERVICE]["/Connected"] == 1)


@pytest.mark.parametrize(
    ("path", "interface", "member", "signature", "body", "error"),
    [
        ("/No/Such", None, "GetValue", "", [], "UnknownObject"),
        ("/Dc/0/Voltage", "com.victronenergy.BusItem", "Frobnicate", "", [], "UnknownMethod"),
        ("/Dc/0/Voltage", "com.victronenergy.BusItem", "GetItems", "", [], "UnknownMethod"),
        ("/", "com.victronenergy.BusItem", "SetValue", "v", [Variant("i", 1)], "UnknownMethod"),
        ("/Dc/0/Voltage", "com.victronenergy.BusItem", "SetValue", "i", [1], "InvalidArgs"),
        ("/Dc/0/Voltage", "org.freedesktop.DBus.Properties", "GetAll", "s", [""], "UnknownInterface"),
        ("/Dc/0/Voltage", "org.freedesktop.DBus.Properties", "Get", "ss", ["a", "b"], "UnknownInterface"),
        ("/", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", "", [], "UnknownInterface"),
        ("/", "org.freedesktop.DBus.Peer", "Frobnicate", "", [], "UnknownMethod"),
    ],
)
async def test_wrong_calls_are_answered_with_errors(
    daemon: Daemon,
    path: str,
    interface: str | None,
    member: str,
    signature: str,
    body: list[Any],
    error: str,
) -> None:
    async with serving(site_with(charger()), daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        reply = await client.call(SERVICE, path, member, signature, body, interface)
        assert reply.message_type is MessageType.ERROR
        assert reply.error_name == f"org.freedesktop.DBus.Error.{error}"


async def test_trees_descriptions_introspection_and_ping(daemon: Daemon) -> None:
    async with serving(site_with(charger()), daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        assert await client.value(SERVICE, "/Dc") == {"0/Voltage": 27.53, "0/Current": 10.21, "0/Temperature": 21.5}
        assert plain(await client.text(SERVICE, "/Dc/0"))["Current"] == "10.21 A"
        root = await client.value(SERVICE, "/")
        assert root["Dc/0/Voltage"] == 27.53
        reply = await client.call(SERVICE, "/Dc/0/Voltage", "GetValue", interface=None)
        assert plain(reply.body[0]) == 27.53
        reply = await client.call(SERVICE, "/Dc/0/Voltage", "GetDescription", "si", ["en", 50])
        assert reply.body == ["Battery voltage, the best the device has"]
        node = await client.bus.introspect(SERVICE, "/Dc")
        assert [child.name for child in node.nodes] == ["0"]
        leaf = await client.bus.introspect(SERVICE, "/Dc/0/Voltage")
        assert "com.victronenergy.BusItem" in [interface.name for interface in leaf.interfaces]
        top = await client.bus.introspect(SERVICE, "/")
        assert {"Dc", "History", "Tristar"} <= {child.name for child in top.nodes}
        ping = await client.call(SERVICE, "/", "Ping", interface="org.freedesktop.DBus.Peer")
        assert ping.message_type is MessageType.METHOD_RETURN
