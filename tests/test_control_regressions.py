"""What the reference driver gets wrong (tristar-peer.md §6.1, tests 4 to 10, 13 and 15), over real sockets."""

import asyncio
import json
import signal
from pathlib import Path

import pytest

from control_site import cabin, document, writes
from daemon import heliobus, heliobus_run
from heliobus.model.command import Done, Failed, Refused
from heliobus.sim.device import Origin
from heliobus.sim.server import serve_tcp
from heliobus.sim.tristar import Behaviour, SimTriStar
from heliobus.sim.tristar_charger import Stage

ON, OFF, RELEASE = 0xFF00, 0x0000, 0xFFF0
SLAVE_TIMEOUT = 1 << 11


def noon(**options: object) -> SimTriStar:
    charger = SimTriStar(hour=12.0, cloudiness=0.0, day_of_year=152, **options)  # type: ignore[arg-type]
    charger.advance(120.0)
    return charger


def eeprom_writes(written: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    return [(address, word) for function, address, word in written if function == 6 and address >= 0xE000]


async def test_4_a_daemon_that_ends_lets_go_of_the_charger(tmp_path: Path) -> None:
    charger = noon()
    async with serve_tcp({1: charger}) as server:
        path = write_toml(tmp_path, server.port)
        async with heliobus_run(path, "unix:path=/nonexistent") as daemon:
            await daemon.logged("found Morningstar")
            for point, value in (("charge_current_limit", "20"), ("charge_voltage_limit", "28")):
                result = await heliobus("set", "-c", str(path), "roof", point, value)
                assert result.code == 0, result.err
            slave = charger.charger.requests.slave
            await asyncio.wait_for(until(lambda: slave.amps is not None and slave.volts is not None), 20)
            assert charger.stage is Stage.SLAVE
            await daemon.stop(signal.SIGTERM)
        assert not charger.charger.requests.slave.active
        last = {address: word for function, address, word in writes(server) if function == 6}
        assert last == {0x58: RELEASE, 0x59: RELEASE}
        assert charger.state.faults == 0


async def test_4_a_timeout_fault_that_was_left_over_is_lifted(tmp_path: Path) -> None:
    charger = noon()
    charger.write_register(0x58, 0x1000, Origin.NETWORK)
    charger.advance(70.0)
    assert charger.state.faults == SLAVE_TIMEOUT
    async with serve_tcp({1: charger}) as server, cabin(document(tmp_path, server)) as site:
        await site.until(lambda reading: reading.values["faults"] == 0)
        assert charger.state.faults == 0
        assert not charger.charger.requests.slave.active


class Stubborn(SimTriStar):
    """Stores a wrong word where float voltage is first written to."""

    spoiled = False

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        if address == 0xE001 and not self.spoiled:
            self.spoiled, word = True, word ^ 1
        super().write_register(address, word, origin)


async def test_5_a_setting_that_reads_back_wrong_is_restored_and_the_charger_restarted(tmp_path: Path) -> None:
    charger = Stubborn(hour=12.0, cloudiness=0.0)
    before = dict(charger.eeprom)
    async with serve_tcp({1: charger}) as server, cabin(document(tmp_path, server)) as site:
        outcome = await site.command(
            "apply_settings", json.dumps({"set_float_voltage": 27.2, "set_absorption_voltage": 29.0})
        )
        assert isinstance(outcome, Failed), outcome
        assert "settings from before are back" in outcome.why
        assert charger.eeprom == before
        assert charger.resets == 1
        assert charger.state.faults == 0
        assert not charger.charger.requests.disconnect


async def test_6_with_switch_8_off_nothing_is_sent(tmp_path: Path) -> None:
    async with serve_tcp({1: noon(network_writes=False)}) as server, cabin(document(tmp_path, server)) as site:
        for point, value in (
            ("charger_enabled", 0),
            ("equalize_requested", 1),
            ("reset_controller", 1),
            ("charge_current_limit", 10.0),
            ("set_float_voltage", 27.0),
            ("remote_network_mode", 5),
        ):
            outcome = await site.command(point, value)
            assert isinstance(outcome, Refused), (point, outcome)
            assert "switch 8 is off" in outcome.why
        assert writes(server) == []


async def test_7_a_fixed_program_refuses_a_profile(tmp_path: Path) -> None:
    profiles = {"rest": {"float_voltage": 27.0}}
    async with (
        serve_tcp({1: noon(program=0b010)}) as server,
        cabin(document(tmp_path, server, profiles=profiles)) as site,
    ):
        outcome = await site.command("apply_profile", "rest")
        assert isinstance(outcome, Refused)
        assert "switches 4, 5 and 6" in outcome.why
        assert writes(server) == []


async def test_8_a_profile_that_was_edited_is_written_again(tmp_path: Path) -> None:
    charger = noon()
    async with serve_tcp({1: charger}) as server:
        for volts in (27.0, 27.4):
            profiles = {"rest": {"float_voltage": volts}}
            async with cabin(document(tmp_path, server, profiles=profiles)) as site:
                assert isinstance(await site.command("apply_profile", "rest"), Done)
        words = [word for _, word in eeprom_writes(writes(server))]
        assert words == [round(volts / 2 * 2**15 / 180) for volts in (27.0, 27.4)]
        assert charger.resets == 2


async def test_9_the_same_voltage_twice_is_written_once(tmp_path: Path) -> None:
    charger = noon()
    async with serve_tcp({1: charger}) as server, cabin(document(tmp_path, server)) as site:
        for _ in range(2):
            assert isinstance(await site.command("set_float_voltage", 27.9), Done)
        assert len(eeprom_writes(writes(server))) == 1
        assert charger.resets == 1
        assert charger.eeprom_writes == 1


async def test_10_a_reset_whose_answer_is_lost_is_sent_once(tmp_path: Path) -> None:
    charger = noon(behaviour=Behaviour(reset_answer_lost=True, boot_seconds=3.0))
    async with serve_tcp({1: charger}) as server, cabin(document(tmp_path, server)) as site:
        assert isinstance(await site.command("reset_controller", 1), Done)
        assert charger.resets == 1
        assert writes(server).count((5, 0xFF, ON)) == 1


class Deaf(SimTriStar):
    """Confirms coil 2 and does nothing."""

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        if address != 2:
            super().write_coil(address, on, origin)


@pytest.mark.parametrize("kind", [SimTriStar, Deaf])
async def test_13_switching_off_is_reported_as_it_is(tmp_path: Path, kind: type[SimTriStar]) -> None:
    charger = kind(hour=12.0)
    async with serve_tcp({1: charger}) as server, cabin(document(tmp_path, server)) as site:
        outcome = await site.command("charger_enabled", 0)
        if kind is Deaf:
            assert isinstance(outcome, Failed)
            assert (await site.until(lambda _: True)).values["charger_enabled"] == 1
        else:
            assert outcome == Done(0)
            await site.until(lambda reading: reading.values["charger_enabled"] == 0)
            assert await site.command("charger_enabled", 1) == Done(1)
            await site.until(lambda reading: reading.values["charger_enabled"] == 1)


async def test_15_charge_state_10_is_known(tmp_path: Path) -> None:
    charger = noon()
    charger.charger.requests.fixed_volts = 60.0
    async with serve_tcp({1: charger}) as server, cabin(document(tmp_path, server)) as site:
        reading = await site.until(lambda reading: reading.values["charge_state"] == 10)
        assert reading.values["charger_state"] == 3
        assert all(address not in (0x5A, 0x5B) for _, address, _ in writes(server))


async def until(what: object) -> None:
    while not what():  # type: ignore[operator]
        await asyncio.sleep(0.01)


def write_toml(folder: Path, port: int) -> Path:
    path = folder / "heliobus.toml"
    path.write_text(
        f"""
        [site]
        state = "{folder / "state"}"
        [[device]]
        name = "roof"
        driver = "morningstar-tristar-mppt"
        link = "tcp://127.0.0.1:{port}"
        poll = "500ms"
        control = "on"
        system_voltage = 24
        chemistry = "flooded"
        [output.venus]
        bus = "unix:path=/nonexistent"
        """
    )
    return path
