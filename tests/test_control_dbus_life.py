"""A charger that a GX steers, and what ends that: silence, a cut, a crash, the owner's settings. All of it real."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Variant

from control_dbus_stage import (
    CHARGER,
    CONTROL,
    PATIENCE,
    SWITCHES,
    Stage,
    at_work,
    controlled,
    dvcc,
    happens,
    make_charger,
    quick,
    shows,
    since_equalize,
    writes,
)
from daemon import heliobus_run
from heliobus.sim.localsettings import LocalSettings
from heliobus.sim.server import TcpServer, serve_tcp
from heliobus.sim.tristar import FAULT_SLAVE_TIMEOUT, SimTriStar
from heliobus.sim.tristar_charger import Stage as ChargeStage
from test_run import until_gone
from venus_bus import Client, running_daemon
from venus_bus import Daemon as BusDaemon

SETTINGS = "com.victronenergy.settings"
GROUP = "/Settings/TristarMPPT"
EXTERNAL_CONTROL = 252


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[BusDaemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


def steered(charger: SimTriStar) -> bool:
    return charger.stage is ChargeStage.SLAVE and charger.charger.requests.slave.active


def free(charger: SimTriStar) -> bool:
    """On its own, in order, and no limit is left in its registers."""
    slave = charger.charger.requests.slave
    return not slave.active and not faulted(charger) and charger.stage is not ChargeStage.SLAVE


def faulted(charger: SimTriStar) -> bool:
    return bool(charger.state.faults >> FAULT_SLAVE_TIMEOUT & 1)


async def in_force(stage: Stage, volts: float = 27.0, amps: float = 20.0) -> None:
    """Wait until the limits hold in the charger and are on show."""
    await stage.shows("/State", EXTERNAL_CONTROL)
    await stage.shows("/Control/Source", "DVCC")
    slave = stage.charger.charger.requests.slave
    assert steered(stage.charger)
    # Rounded to the device's steps, never up.
    assert slave.volts is not None and volts - 0.02 < slave.volts <= volts
    assert slave.amps is not None and amps - 0.02 < slave.amps <= amps
    assert await stage.client.value(CHARGER, "/Link/NetworkMode") == 13
    assert await stage.client.value(CHARGER, "/Link/NetworkStatus") == 0
    assert await stage.client.value(CHARGER, "/Link/ChargeVoltage") == volts
    assert await stage.client.value(CHARGER, "/Link/ChargeCurrent") == amps


async def test_a_gx_steers_and_its_silence_ends_it(tmp_path: Path, bus: BusDaemon) -> None:
    async with at_work(tmp_path, bus.address) as stage:
        assert await stage.client.value(CHARGER, "/Link/NetworkMode") == 0
        assert await stage.client.value(CHARGER, "/Settings/ChargeCurrentLimit") == 60.0
        async with dvcc(bus.address):
            await in_force(stage)
            await stage.daemon.logged("DVCC takes over")
        # The writer is gone with its connection.
        await stage.daemon.logged("DVCC has fallen silent")
        await happens(lambda: free(stage.charger))
        await stage.shows("/State", lambda state: state != EXTERNAL_CONTROL)
        await stage.shows("/Link/NetworkMode", 0)
        assert await stage.client.value(CHARGER, "/Link/NetworkStatus") == 4
        assert {address for _, address, _ in stage.writes()} == {0x0058, 0x0059}
        assert stage.charger.eeprom_writes == 0


async def test_a_gx_that_lets_go_is_obeyed_at_once(tmp_path: Path, bus: BusDaemon) -> None:
    async with at_work(tmp_path, bus.address) as stage:
        async with dvcc(bus.address):
            await in_force(stage)
        assert await stage.set("/Link/NetworkMode", Variant("i", 1)) == 0
        await happens(lambda: free(stage.charger))
        await stage.daemon.logged("DVCC lets go")


async def test_a_bms_that_says_no_stops_the_charger(tmp_path: Path, bus: BusDaemon) -> None:
    async with at_work(tmp_path, bus.address) as stage, dvcc(bus.address, amps=0.0):
        await stage.shows("/Control/Source", "DVCC")
        slave = stage.charger.charger.requests.slave
        await happens(lambda: slave.amps is not None and slave.amps < 0.1)


@pytest.mark.parametrize("comes_back", [True, False])
async def test_the_death_of_the_d_bus_releases_the_charger(tmp_path: Path, bus: BusDaemon, comes_back: bool) -> None:
    async with at_work(tmp_path, bus.address) as stage:
        async with dvcc(bus.address):
            await in_force(stage)
            bus.kill()
            if comes_back:
                bus.start()
        await happens(lambda: free(stage.charger))
        await stage.daemon.logged("DVCC has fallen silent")
        if comes_back:
            async with Client(bus.address) as client:
                await client.listen()
                await shows(client, "/Mode", 1)
                assert await client.set(CHARGER, "/Mode", Variant("i", 4)) == 0
                await shows(client, "/Mode", 4)
        assert await stage.daemon.stop() == 0


async def test_where_the_end_of_the_bus_ends_the_process_the_charger_is_released_first(
    tmp_path: Path, bus: BusDaemon
) -> None:
    async with at_work(tmp_path, bus.address, more=CONTROL + 'on_bus_loss = "exit"\n') as stage:
        async with dvcc(bus.address):
            await in_force(stage)
            bus.kill()
            assert await stage.daemon.ended() == 1
        assert free(stage.charger)


async def test_a_clean_stop_releases_the_charger(tmp_path: Path, bus: BusDaemon) -> None:
    async with at_work(tmp_path, bus.address) as stage, dvcc(bus.address):
        await in_force(stage)
        assert await stage.daemon.stop() == 0
        assert free(stage.charger)


@pytest.mark.parametrize("slave_timeout", [60.0, 0.5], ids=["within the charger's minute", "after its fault"])
@pytest.mark.parametrize("writer", [True, False])
async def test_a_killed_daemon_leaves_nothing_that_the_next_does_not_set_right(
    tmp_path: Path, bus: BusDaemon, slave_timeout: float, writer: bool
) -> None:
    charger = make_charger(slave_timeout=60.0)
    async with serve_tcp({1: charger}) as server, Client(bus.address) as client:
        await client.listen()
        config = controlled(tmp_path, server.port)
        async with heliobus_run(config, bus.address, command=quick()) as first, dvcc(bus.address):
            await shows(client, "/State", EXTERNAL_CONTROL)
            assert await first.stop(signal.SIGKILL) == -signal.SIGKILL
        assert steered(charger)
        charger.charger.requests.slave._timeout = slave_timeout
        if slave_timeout < 60:
            await happens(lambda: faulted(charger))
            charger.charger.requests.slave._timeout = 60.0
        async with heliobus_run(config, bus.address, command=quick()) as second:
            await second.logged("limits of a session before this one are still there")
            if writer:
                async with dvcc(bus.address, amps=15.0):
                    await happens(lambda: steered(charger) and not faulted(charger))
                    await happens(lambda: 14.9 < (charger.charger.requests.slave.amps or 0) <= 15.0)
                    await shows(client, "/State", EXTERNAL_CONTROL)
            await happens(lambda: free(charger))
            await shows(client, "/ErrorCode", 0)
            await shows(client, "/State", lambda state: state not in (EXTERNAL_CONTROL, 2))


@pytest.mark.slow
@pytest.mark.parametrize("steers", [True, False], ids=["the GX goes on", "the GX is silent since"])
async def test_a_cut_network_and_back(tmp_path: Path, bus: BusDaemon, steers: bool) -> None:
    charger = make_charger()
    async with at_work(tmp_path, bus.address, charger) as stage:
        async with dvcc(bus.address):
            await in_force(stage)
            await stage.server.pause(refuse=steers)
            if steers:
                await stage.shows("/Connected", 0)
                await stage.shows("/Control/Source", [])
            # What the charger does of itself when nobody renews a limit for a minute.
            charger.charger.requests.slave._timeout = 0.0
            await happens(lambda: faulted(charger))
            charger.charger.requests.slave._timeout = 60.0
            if steers:
                await stage.server.resume()
                await happens(lambda: steered(charger) and not faulted(charger))
                await stage.shows("/State", EXTERNAL_CONTROL)
        if not steers:
            await stage.daemon.logged("DVCC has fallen silent")
            await stage.server.resume()
        await happens(lambda: free(charger))
        await stage.shows("/ErrorCode", 0)


async def test_an_owners_limit_survives_a_restart_and_bounds_the_gx(tmp_path: Path, bus: BusDaemon) -> None:
    charger = make_charger()
    async with at_work(tmp_path, bus.address, charger) as stage:
        assert await stage.set("/Settings/ChargeCurrentLimit", Variant("d", 12.0)) == 0
        await stage.shows("/Control/Source", "user")
        assert await stage.client.value(CHARGER, "/Control/ChargeCurrentLimit") == 12.0
        async with dvcc(bus.address, amps=40.0):
            await happens(lambda: charger.charger.requests.slave.volts is not None)
            assert charger.charger.requests.slave.amps == pytest.approx(12.0, abs=0.02)
        assert await stage.daemon.stop() == 0
        assert free(charger)
    async with at_work(tmp_path, bus.address, charger) as stage:
        await happens(lambda: steered(charger))
        await stage.shows("/Settings/ChargeCurrentLimit", 12.0)
        assert await stage.set("/Settings/ChargeCurrentLimit", Variant("d", 60.0)) == 0
        await happens(lambda: free(charger))
        await stage.shows("/Control/ChargeCurrentLimit", 0.0)


class Gx:
    """Localsettings, and the settings of the charger in it."""

    def __init__(self, client: Client, port: int) -> None:
        self.client = client
        self.port = port

    async def store(self, name: str, value: int | float | str) -> None:
        letter = "s" if isinstance(value, str) else "d" if isinstance(value, float) else "i"
        assert await self.client.set(SETTINGS, f"{GROUP}/{name}", Variant(letter, value)) == 0, name

    async def shows(self, path: str, wanted: Any, service: str = CHARGER) -> Any:
        return await shows(self.client, path, wanted, service)

    async def holds(self, path: str, text: str) -> bool:
        """Whether the path is there, and `text` is part of its value."""
        reply = await self.client.call(CHARGER, path, "GetValue")
        return text in str(reply.body[0])

    async def paths(self) -> set[str]:
        return set(await self.client.items(CHARGER))


@pytest.fixture
async def charger() -> SimTriStar:
    charger = make_charger()
    since_equalize(charger, 30)
    return charger


@pytest.fixture
async def server(charger: SimTriStar) -> AsyncIterator[TcpServer]:
    async with serve_tcp({1: charger}) as server:
        yield server


@pytest.fixture
async def gx(tmp_path: Path, bus: BusDaemon, server: TcpServer) -> AsyncIterator[Gx]:
    """A GX without a config file of its own, with the charger's address set."""
    config = tmp_path / "heliobus.toml"
    config.write_text(f'[site]\nstate = "{tmp_path / "state"}"\n[output.venus]\n')
    settings = LocalSettings(bus.address)
    await settings.start()
    try:
        async with heliobus_run(config, bus.address, command=quick()) as daemon, Client(bus.address) as client:
            await client.listen()
            await daemon.logged("no TriStar is set up")
            gx = Gx(client, server.port)
            await gx.store("PortNumber", server.port)
            await gx.store("Interval", 1000)
            await gx.store("IPAddress", "127.0.0.1")
            await gx.shows("/Dc/0/Voltage", lambda volts: isinstance(volts, float))
            yield gx
            assert await daemon.stop() == 0
    finally:
        await settings.stop()


async def test_control_comes_and_goes_with_its_setting(gx: Gx, charger: SimTriStar, bus: BusDaemon) -> None:
    before, instance = await gx.paths(), await gx.client.value(CHARGER, "/DeviceInstance")
    assert not [path for path in before if path.startswith(("/Link/", "/Control/", "/Settings/Bms"))]
    assert await gx.client.set(CHARGER, "/Mode", Variant("i", 4)) == 1

    await gx.store("Control", 1)
    await gx.shows("/Link/NetworkMode", 0)
    await gx.shows("/Control/ChargerDisconnect", 0)
    await gx.shows("/SwitchableOutput/charger/State", 1, SWITCHES)
    switches = await gx.client.value(SWITCHES, "/DeviceInstance")
    assert await gx.client.value(CHARGER, "/DeviceInstance") == instance
    async with dvcc(bus.address):
        await gx.shows("/State", EXTERNAL_CONTROL)
        assert steered(charger)
        await gx.store("Control", 0)
        await happens(lambda: free(charger))
        await until_gone(gx.client, SWITCHES)
        await gx.shows("/Dc/0/Voltage", lambda volts: isinstance(volts, float))
    assert await gx.paths() == before
    assert await gx.client.value(CHARGER, "/DeviceInstance") == instance

    await gx.store("Control", 1)
    await gx.shows("/SwitchableOutput/charger/State", 1, SWITCHES)
    assert await gx.client.value(SWITCHES, "/DeviceInstance") == switches
    assert free(charger)


async def test_what_the_owner_confirms_on_the_gx_acts_at_once(gx: Gx, charger: SimTriStar, server: TcpServer) -> None:
    await gx.store("Control", 1)
    await gx.shows("/Control/ApplySettings", "")
    await gx.shows("/Connected", 1)
    float_voltage = Variant("s", '{"set_float_voltage": 27.2}')
    assert await gx.client.set(CHARGER, "/Control/ApplySettings", float_voltage) == 2
    await gx.shows("/Control/LastResult", lambda text: "confirm" in text)
    await gx.store("SystemVoltage", 24)
    await gx.store("Chemistry", "flooded")
    await gx.store("MaxChargeVoltage", 27.0)
    # What is accepted may yet be refused by the options of a moment ago.
    await until_so(gx, float_voltage, lambda: gx.holds("/Control/LastResult", " 27 V"))
    assert charger.eeprom_writes == 0
    await gx.store("MaxChargeVoltage", 0.0)
    await until_so(gx, float_voltage, lambda: written(charger))
    await gx.shows("/Tristar/SetFloatVoltage", lambda volts: volts == pytest.approx(27.2, abs=0.01))
    assert charger.eeprom_writes == 1

    await answers(gx, "/Control/EqualizeTriggered", Variant("i", 1), 2)
    await gx.store("EqualizeAllowed", 1)
    await answers(gx, "/Control/EqualizeTriggered", Variant("i", 1), 0)
    await gx.shows("/Control/EqualizeTriggered", 1)
    assert [address for function, address, _ in writes(server) if function == 6] == [0xE001]


async def answers(gx: Gx, path: str, value: Variant, wanted: int) -> None:
    """Write until that is the answer: a setting takes a moment to reach the charger's control."""
    async with asyncio.timeout(PATIENCE):
        while (await gx.client.call(CHARGER, path, "SetValue", "v", [value])).body != [wanted]:
            await asyncio.sleep(0.1)


async def until_so(gx: Gx, settings: Variant, so: Callable[[], Awaitable[bool]]) -> None:
    """Have `settings` applied until that came of it."""
    async with asyncio.timeout(PATIENCE):
        while not await so():
            await gx.client.call(CHARGER, "/Control/ApplySettings", "SetValue", "v", [settings])
            await asyncio.sleep(0.2)


async def written(charger: SimTriStar) -> bool:
    return charger.eeprom_writes > 0
