"""The daemon dies, comes back, or takes nothing any more."""

import asyncio
import logging
import select
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Variant

from heliobus.outputs.output import FatalOutputError
from heliobus.outputs.venus import connection as venus_connection
from heliobus.outputs.venus.connection import BusLostError, CallError, bus_address, connect_to
from heliobus.site import Site
from venus_bus import Client, Daemon, ItemsConsumer, running_daemon
from venus_site import QUICK, SERVICE, charger, local_settings, output, reading, serving, site_with


class CarelessPoll:
    """Finds every socket ready, as dbus-fast does."""

    def register(self, file: int, events: int) -> None:
        pass

    def poll(self, timeout: int) -> list[tuple[int, int]]:
        return [(0, select.POLLOUT)]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def test_the_services_come_back_with_the_daemon(daemon: Daemon, caplog: pytest.LogCaptureFixture) -> None:
    device = charger()
    site = site_with(device)
    caplog.set_level(logging.INFO)
    async with serving(site, daemon.address):
        async with Client(daemon.address) as client:
            await client.until_served(SERVICE)
        for _ in range(2):
            daemon.kill()
            site.put(reading(device, battery_voltage=26.0))
            daemon.start()
            async with ItemsConsumer(daemon.address, SERVICE) as consumer:
                await consumer.scan()
                assert consumer.values["/Dc/0/Voltage"] == 26.0
                assert consumer.values["/DeviceInstance"] == 278
                site.put(reading(device, battery_voltage=25.0))
                await consumer.until(lambda consumer=consumer: consumer.values["/Dc/0/Voltage"] == 25.0)
    lines = [record.message for record in caplog.records if "the D-Bus is" in record.message]
    assert [line.partition(":")[0] for line in lines] == ["the D-Bus is gone", "the D-Bus is back"] * 2


async def test_settings_are_followed_again_after_the_daemon_returned(daemon: Daemon) -> None:
    site = site_with(charger())
    async with serving(site, daemon.address):
        async with Client(daemon.address) as client:
            await client.until_served(SERVICE)
        daemon.kill()
        daemon.start()
        async with local_settings(daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
            await consumer.scan()
            answer = -1
            while answer != 0:
                answer = await consumer.set(SERVICE, "/CustomName", Variant("s", "kept"))
            await consumer.until(lambda: consumer.values["/CustomName"] == "kept")


async def test_without_a_daemon_the_process_ends_when_told_so(tmp_path: Path) -> None:
    address = f"unix:path={tmp_path / 'nothing'}"
    with pytest.raises(FatalOutputError, match="cannot reach it at unix:path="):
        await asyncio.wait_for(output(address, exit_on_bus_loss=True).run(Site()), 10)


async def test_without_a_daemon_it_keeps_trying(tmp_path: Path) -> None:
    daemon = Daemon(tmp_path)
    async with serving(site_with(charger()), daemon.address):
        with running_daemon(tmp_path) as daemon:
            async with Client(daemon.address) as client:
                await client.until_served(SERVICE)


async def test_a_slow_daemon_costs_no_connection(daemon: Daemon) -> None:
    """dbus-fast alone closes the connection after some 50 signals that nobody reads."""
    device = charger()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        daemon.freeze()
        for number in range(2000):
            site.put(reading(device, battery_voltage=20.0 + number % 7, fault_text="x" * 300 + str(number)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        site.put(reading(device, battery_voltage=99.0))
        daemon.thaw()
        await consumer.until(lambda: consumer.values["/Dc/0/Voltage"] == 99.0)
        assert len(consumer.signals) < 2000


async def test_many_consumers_that_scan_at_once_are_all_answered(daemon: Daemon) -> None:
    """Their answers are more than the socket takes at once."""
    async with serving(site_with(charger()), daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        scans = await asyncio.gather(*(client.items(SERVICE) for _ in range(60)))
        assert all(scan == scans[0] for scan in scans)


async def test_a_daemon_that_takes_nothing_any_more_counts_as_lost(daemon: Daemon) -> None:
    device = charger()
    site = site_with(device)
    timing = replace(QUICK, stall=0.2)
    task = asyncio.create_task(output(daemon.address, timing=timing, exit_on_bus_loss=True).run(site))
    async with Client(daemon.address) as client:
        await client.until_served(SERVICE)
    daemon.freeze()
    number = 0
    async with asyncio.timeout(20):
        while not task.done():
            number += 1
            site.put(reading(device, fault_text="x" * 3000 + str(number)))
            await asyncio.sleep(0)
    with pytest.raises(FatalOutputError, match="it takes no messages any more"):
        await task
    daemon.thaw()


async def test_a_connection_that_breaks_while_sending_is_noticed(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Should dbus-fast close a connection all the same (EAGAIN), that ends it as a dead daemon does."""
    monkeypatch.setattr(venus_connection.select, "poll", CarelessPoll)
    device = charger()
    site = site_with(device)
    task = asyncio.create_task(output(daemon.address, exit_on_bus_loss=True).run(site))
    async with Client(daemon.address) as client:
        await client.until_served(SERVICE)
    daemon.freeze()
    number = 0
    async with asyncio.timeout(20):
        while not task.done():
            number += 1
            site.put(reading(device, fault_text="x" * 3000 + str(number)))
            await asyncio.sleep(0)
    with pytest.raises(FatalOutputError, match="the D-Bus is gone"):
        await task
    daemon.thaw()


async def test_calls_that_fail_say_why(daemon: Daemon) -> None:
    connection = await connect_to(daemon.address, 30.0)
    with pytest.raises(CallError) as caught:
        await connection.ask("com.victronenergy.nobody", "/", "com.victronenergy.BusItem.GetValue")
    assert caught.value.name == "org.freedesktop.DBus.Error.ServiceUnknown"
    daemon.kill()
    with pytest.raises(BusLostError):
        await connection.lost()
    with pytest.raises(BusLostError):
        await asyncio.wait_for(connection.ask_daemon("ListNames", ""), 5)
    await connection.close()


@pytest.mark.parametrize("address", ["nonsense", "unix:path=/nonexistent/bus", "tcp:host=127.0.0.1,port=1"])
async def test_an_address_that_leads_nowhere_is_named(address: str) -> None:
    with pytest.raises(BusLostError, match="cannot reach it at"):
        await connect_to(address, 30.0)


def test_the_bus_is_that_of_the_options_then_the_session_then_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/session")
    assert bus_address("unix:path=/mine") == "unix:path=/mine"
    assert bus_address(None) == "unix:path=/session"
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS")
    monkeypatch.delenv("DBUS_SYSTEM_BUS_ADDRESS", raising=False)
    assert bus_address(None) == "unix:path=/run/dbus/system_bus_socket"
