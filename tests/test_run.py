"""The daemon as its user runs it: a process, a real D-Bus, a charger on a socket."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Variant

from daemon import heliobus_run
from heliobus.sim.localsettings import LocalSettings
from heliobus.sim.server import TcpServer, serve_tcp
from heliobus.sim.tristar import SimTriStar
from venus_bus import Client, running_daemon
from venus_bus import Daemon as BusDaemon

CHARGER = "com.victronenergy.solarcharger.tristar_0"
SETTINGS = "com.victronenergy.settings"
MEASURED = ("/Dc/0/Voltage", "/Dc/0/Current", "/Pv/V", "/Yield/Power", "/Yield/User", "/State", "/Tristar/ChargeState")
PATIENCE = 30.0


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[BusDaemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


@pytest.fixture
async def client(bus: BusDaemon) -> AsyncIterator[Client]:
    async with Client(bus.address) as client:
        await client.listen()
        yield client


@pytest.fixture
async def server() -> AsyncIterator[TcpServer]:
    async with serve_tcp({1: SimTriStar(hour=12.0)}) as server:
        yield server


def write_config(folder: Path, port: int, more: str = "", poll: str = "0.5s") -> Path:
    path = folder / "heliobus.toml"
    path.write_text(
        f"""
        [site]
        state = "{folder / "state"}"
        [[device]]
        driver = "morningstar-tristar-mppt"
        link = "tcp://127.0.0.1:{port}"
        poll = "{poll}"
        {more}
        """
    )
    return path


async def until(client: Client, path: str, wanted: Any, service: str = CHARGER) -> Any:
    """Wait until the path holds a value that `wanted` accepts."""
    async with asyncio.timeout(PATIENCE):
        while True:
            client.forget()
            if await client.daemon("NameHasOwner", "s", service):
                value = await client.value(service, path)
                if wanted(value):
                    return value
            await client.news()


async def until_gone(client: Client, service: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            client.forget()
            if not await client.daemon("NameHasOwner", "s", service):
                return
            await client.news()


def is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def is_invalid(value: Any) -> bool:
    return value == [] or value is None


async def test_one_table_makes_a_charger(tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer) -> None:
    async with heliobus_run(write_config(tmp_path, server.port), bus.address) as daemon:
        await until(client, "/Dc/0/Voltage", is_number)
        items = {path: item["Value"].value for path, item in (await client.items(CHARGER)).items()}
        assert items["/ProductName"] == "Morningstar TriStar MPPT 60"
        assert items["/Serial"] == "10170296"
        assert items["/Mgmt/Connection"] == f"Modbus TCP 127.0.0.1:{server.port}, unit 1"
        assert items["/Connected"] == 1
        assert items["/DeviceInstance"] == 278
        assert 20 < items["/Dc/0/Voltage"] < 30
        assert items["/Yield/System"] >= 2410
        assert items["/Tristar/Rail12v"] == pytest.approx(13.0, abs=0.5)
        assert items["/Tristar/IpAddress"] == "192.168.1.253"
        assert items["/Tristar/SetAbsorptionVoltage"] == pytest.approx(28.8, abs=0.02)
        assert await daemon.stop() == 0
        assert await client.daemon("NameHasOwner", "s", CHARGER) is False
    assert len(daemon.matching("WARNING|ERROR")) == 0, daemon.lines


async def test_an_unplugged_cable(tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer) -> None:
    async with heliobus_run(write_config(tmp_path, server.port), bus.address) as daemon:
        await until(client, "/Dc/0/Voltage", is_number)
        await server.pause()
        await until(client, "/Dc/0/Voltage", is_invalid)
        await until(client, "/Connected", lambda value: value == 0)
        for path in MEASURED:
            assert is_invalid(await client.value(CHARGER, path)), path
        assert await client.value(CHARGER, "/Serial") == "10170296"
        await server.resume()
        await until(client, "/Connected", lambda value: value == 1)
        for path in MEASURED:
            assert not is_invalid(await until(client, path, lambda value: not is_invalid(value))), path
        await daemon.logged("answers again")
    assert len(daemon.matching("WARNING|ERROR")) == 2, daemon.lines
    assert len(daemon.matching("no answer")) == 1


async def test_a_restart_knows_the_charger_and_its_yields(
    tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer
) -> None:
    config = write_config(tmp_path, server.port)
    async with heliobus_run(config, bus.address) as daemon:
        total = await until(client, "/Yield/System", is_number)
        await daemon.stop()
    ledger = json.loads((tmp_path / "state" / "ledger.json").read_text())
    assert list(ledger["accounts"]) == ["tristar_10170296"]

    await server.pause()
    async with heliobus_run(config, bus.address) as daemon:
        await until(client, "/Connected", lambda value: value == 0)
        assert await client.value(CHARGER, "/ProductName") == "Morningstar TriStar MPPT 60"
        for path in MEASURED:
            assert is_invalid(await client.value(CHARGER, path)), path
        assert await client.value(CHARGER, "/History/Overall/DaysAvailable") == 1
        await server.resume()
        assert await until(client, "/Yield/System", is_number) >= total
        assert await daemon.stop(signal.SIGKILL) == -signal.SIGKILL

    async with heliobus_run(config, bus.address):
        assert await until(client, "/Yield/System", is_number) >= total


async def test_a_damaged_ledger_is_reported_and_rebuilt(
    tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "ledger.json").write_bytes(b"\0" * 512)
    async with heliobus_run(write_config(tmp_path, server.port), bus.address) as daemon:
        await daemon.logged("ledger.json is damaged")
        assert await until(client, "/Yield/System", is_number) >= 2410
    assert len(list(state.glob("ledger.json.damaged-*"))) == 1


async def test_set_up_by_settings(tmp_path: Path, bus: BusDaemon, client: Client, server: TcpServer) -> None:
    config = tmp_path / "heliobus.toml"
    config.write_text(f'[site]\nstate = "{tmp_path / "state"}"\n[output.venus]\n')
    settings = LocalSettings(bus.address)
    await settings.start()
    try:
        async with heliobus_run(config, bus.address) as daemon, serve_tcp({1: SimTriStar(serial="00000007")}) as other:
            await daemon.logged("no TriStar is set up")
            group = "/Settings/TristarMPPT"
            for path, value in (("IPAddress", ""), ("PortNumber", 502), ("Interval", 5000), ("SlaveID", 1)):
                assert await client.value(SETTINGS, f"{group}/{path}") == value
            await client.set(SETTINGS, f"{group}/PortNumber", Variant("i", server.port))
            await client.set(SETTINGS, f"{group}/Interval", Variant("i", 1000))
            await client.set(SETTINGS, f"{group}/IPAddress", Variant("s", "127.0.0.1"))
            await until(client, "/Dc/0/Voltage", is_number)
            assert await client.value(CHARGER, "/Serial") == "10170296"
            assert await client.value(SETTINGS, "/Settings/Devices/tristar_10170296/ClassAndVrmInstance")

            await client.set(SETTINGS, f"{group}/PortNumber", Variant("i", other.port))
            second = "com.victronenergy.solarcharger.tristar_1"
            await until(client, "/Serial", lambda value: value == "00000007", second)

            await client.set(SETTINGS, f"{group}/IPAddress", Variant("s", ""))
            await until_gone(client, second)
            assert await daemon.stop() == 0
        assert len(daemon.matching("no TriStar is set up")) <= 2, daemon.lines
    finally:
        await settings.stop()


async def test_the_end_of_the_bus_ends_the_process_where_a_supervisor_waits(
    tmp_path: Path, bus: BusDaemon, server: TcpServer
) -> None:
    config = write_config(tmp_path, server.port, more='[output.venus]\non_bus_loss = "exit"')
    async with heliobus_run(config, bus.address) as daemon:
        async with Client(bus.address) as client:
            await client.listen()
            await until(client, "/Connected", lambda value: value == 1)
        bus.kill()
        assert await daemon.ended() == 1
    assert len(daemon.matching("^heliobus: .*D-Bus")) == 1, daemon.lines


async def test_elsewhere_the_bus_may_come_back(tmp_path: Path, bus: BusDaemon, server: TcpServer) -> None:
    async with heliobus_run(write_config(tmp_path, server.port), bus.address):
        async with Client(bus.address) as client:
            await client.listen()
            await until(client, "/Connected", lambda value: value == 1)
        bus.kill()
        bus.start()
        async with Client(bus.address) as client:
            await client.listen()
            await until(client, "/Dc/0/Voltage", is_number)


async def test_two_daemons_never_share_a_ledger(tmp_path: Path, bus: BusDaemon, server: TcpServer) -> None:
    config = write_config(tmp_path, server.port)
    async with heliobus_run(config, bus.address) as first:
        await first.logged("found Morningstar")
        async with heliobus_run(config, bus.address) as second:
            assert await second.ended() == 1
    assert len(second.matching("another heliobus is running")) == 1


async def test_several_chargers_behind_one_address(tmp_path: Path, bus: BusDaemon, client: Client) -> None:
    devices = {1: SimTriStar(serial="00000001"), 2: SimTriStar(serial="00000002", model=45, system=12)}
    async with serve_tcp(devices, bridge_seconds=0.05) as server:
        more = f"""
        [[device]]
        driver = "morningstar-tristar-mppt"
        link = "tcp://127.0.0.1:{server.port}"
        unit = 2
        """
        async with heliobus_run(write_config(tmp_path, server.port, more), bus.address):
            found = set()
            for number in (0, 1):
                service = f"com.victronenergy.solarcharger.tristar_{number}"
                await until(client, "/Dc/0/Voltage", is_number, service)
                found.add(await client.value(service, "/Serial"))
            assert found == {"00000001", "00000002"}
