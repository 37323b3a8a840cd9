"""What must never happen to a charger under control, whatever happens around it. In virtual time."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from heliobus import config
from heliobus.app import Installation
from heliobus.app import installation as module
from heliobus.config import SETTINGS_DEVICE
from heliobus.control import charger as charger_module
from heliobus.control.limits import bounds, own_voltage
from heliobus.control.sources import Sources
from heliobus.control.store import Store, StoreError
from heliobus.model import vocabulary as v
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.command import Command, Done, Failed, Outcome, Refused
from heliobus.model.control_options import ControlOptions, EepromOptions, EqualizeOptions, ServerOptions
from heliobus.model.point import Value
from heliobus.outputs.venus.host import ChargerSettings
from heliobus.sim.device import SilenceError, SimDevice
from heliobus.sim.faults import Faults
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar_charger import Stage
from heliobus.sim.virtual_time import VirtualClock, run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.tcp import TcpFramer

NOON = 1_780_315_200.0
HOST, OTHER = "192.0.2.1", "192.0.2.2"
SERIAL, SECOND = "10170296", "10170297"
WANTED = {"set_absorption_voltage": 28.4, "set_float_voltage": 27.0}
OPTIONS = ControlOptions(
    on=True,
    system_voltage=24,
    chemistry=CHEMISTRIES["flooded"],
    equalize=EqualizeOptions(allowed=True, time_limit=600.0, interval=0.0),
    server=ServerOptions(nightly_reset=-1, reset_when_hung=False),
    eeprom=EepromOptions(interval=0.0, daily=100),
)


def sunny(serial: str = SERIAL, **more: Any) -> SimTriStar:
    return SimTriStar(**{"serial": serial, "hour": 12.0, "cloudiness": 0.0, "day_of_year": 152, "soc": 0.5, **more})


class Village:
    """An installation whose links lead to simulated chargers by host."""

    def __init__(self, state: Path, patch: pytest.MonkeyPatch, chargers: Mapping[str, SimTriStar]) -> None:
        self.state = state
        self.lines: dict[str, dict[int, SimDevice]] = {host: {1: charger} for host, charger in chargers.items()}
        self.chargers = dict(chargers)
        self.clock = VirtualClock(NOON)
        self.links: dict[str, MemoryLink] = {}
        patch.setattr(module, "make_bus", lambda address, **_: self._bus(address.host))
        self.installation: Installation

    def _bus(self, host: str) -> Bus:
        link = self.links[host] = MemoryLink(self.lines[host], name=f"tcp://{host}", latency=0.01)
        return Bus(link, TcpFramer(), wall_clock=self.clock)

    @asynccontextmanager
    async def living(
        self, *devices: Mapping[str, Any], profiles: Mapping[str, Any] | None = None
    ) -> AsyncIterator[None]:
        document = {
            "site": {"state": str(self.state), "timezone": "UTC"},
            "device": list(devices),
            "profile": dict(profiles or {}),
            "output": {"venus": {"bus": "unix:path=/nonexistent"}},
        }
        parsed = replace(config.parse(document, "a test"), venus=None)
        self.installation = Installation(parsed, clock=self.clock)
        work = asyncio.create_task(self.installation.run())
        try:
            await asyncio.sleep(0.1)
            yield
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    def place(self, host: str = HOST, **options: Any) -> None:
        self.installation.place(
            ChargerSettings("morningstar-tristar-mppt", host, 502, 5.0, 1, replace(OPTIONS, **options))
        )

    async def known(self, name: str = SETTINGS_DEVICE) -> None:
        """Wait until the charger is read."""
        await self.until(lambda: self.value("network_writes", name) is not None)

    def value(self, point: str, name: str = SETTINGS_DEVICE) -> Value:
        reading = self.installation.site.reading(name)
        return None if reading is None else reading.values.get(point)

    async def until(self, what: Callable[[], bool], seconds: float = 600.0) -> None:
        async with asyncio.timeout(seconds):
            while not what():
                await asyncio.sleep(0.1)

    async def command(self, point: str, value: Value, name: str = SETTINGS_DEVICE) -> Outcome:
        return await self.installation.site.command(Command(name, point, value, "test"))

    def apply(self, wanted: Mapping[str, float] = WANTED, name: str = SETTINGS_DEVICE) -> "asyncio.Task[Outcome]":
        return asyncio.create_task(self.command("apply_settings", json.dumps(wanted), name))

    def writes(self, host: str = HOST) -> list[tuple[int, int, int]]:
        return [
            (pdu[0], int.from_bytes(pdu[1:3], "big"), int.from_bytes(pdu[3:5], "big"))
            for _, pdu in self.links[host].requests
            if pdu[0] in (5, 6, 15, 16)
        ]

    def records(self) -> list[dict[str, Any]]:
        path = self.state / "control" / "commands.log"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def play(scene: Coroutine[Any, Any, None]) -> None:
    run_virtual(scene)


def at_peace(charger: SimTriStar) -> bool:
    """Neither faulted nor disconnected nor steered."""
    requests = charger.charger.requests
    return not charger.state.faults and not requests.disconnect and not requests.slave.active


def test_who_turns_control_off_live_is_obeyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        village = Village(tmp_path, monkeypatch, {HOST: sunny()})
        async with village.living():
            village.place()
            await village.known()
            assert isinstance(await village.command("charge_current_limit", 10.0), Done)
            await village.until(lambda: village.chargers[HOST].stage is Stage.SLAVE)
            village.place(on=False)
            await village.known()
            await village.until(lambda: at_peace(village.chargers[HOST]))
            before = len(village.writes())
            for point, value in (("charger_enabled", 0), ("equalize_requested", 1), ("remote_charge_current", 5.0)):
                outcome = await village.command(point, value)
                assert isinstance(outcome, Refused), point
            assert isinstance(await village.apply(), Refused)
            await asyncio.sleep(60)
            assert village.writes()[before:] == []

    play(scene())


def test_a_lost_release_is_tried_again_when_the_charger_is_taken_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody polls it any more, so nobody would lift the fault of a forgotten limit."""

    async def scene() -> None:
        charger = sunny()
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            await village.command("charge_current_limit", 10.0)
            await village.until(lambda: charger.stage is Stage.SLAVE)
            write, lost = charger.write_register, 0

            def unlucky(address: int, word: int, origin: Any) -> None:
                nonlocal lost
                if word == 0xFFF0 and lost < 1:
                    lost += 1
                    raise SilenceError
                write(address, word, origin)

            monkeypatch.setattr(charger, "write_register", unlucky)
            village.installation.place(None)
            await asyncio.sleep(30)
            charger.advance(120)
            assert lost == 1
            assert at_peace(charger)

    play(scene())


def test_options_changed_in_the_middle_of_a_change_of_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The charger is silent for longer than the old control is waited for: the new one finishes it, alone."""

    async def scene() -> None:
        charger = sunny()
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            changing = village.apply()
            await village.until(lambda: charger.eeprom_writes == 1)
            village.links[HOST].paused = True
            await asyncio.sleep(2)
            village.place(highest_current=40.0)
            await asyncio.sleep(90)
            village.links[HOST].paused = False
            await village.until(lambda: at_peace(charger) and not list((tmp_path / "control").glob("*.journal.json")))
            await asyncio.sleep(120)
            assert changing.done()
            assert charger.eeprom_writes == 2
            assert charger.resets == 1
            assert at_peace(charger)
            assert village.value("eeprom_writes") == 2, "none is forgotten"
            assert village.value("profile_status") != "finishing an interrupted change"

    play(scene())


def test_a_move_to_another_address_in_the_middle_of_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        charger = sunny()
        village = Village(tmp_path, monkeypatch, {HOST: charger, OTHER: SimTriStar(serial="x")})
        village.lines[OTHER] = {}
        async with village.living():
            village.place()
            await village.known()
            changing = village.apply()
            await village.until(lambda: charger.eeprom_writes == 1)
            village.lines[OTHER][1] = charger
            village.lines[HOST].clear()
            village.place(OTHER)
            await village.until(lambda: at_peace(charger) and charger.resets == 1)
            await asyncio.sleep(60)
            assert changing.done()
            assert charger.eeprom_writes == 2
            assert charger.resets == 1

    play(scene())


@pytest.mark.parametrize("recovering", [False, True])
def test_a_clean_stop_lets_a_scheduled_change_and_a_recovery_end(
    recovering: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = {
        "name": "roof",
        "driver": "morningstar-tristar-mppt",
        "link": f"tcp://{HOST}",
        "control": "on",
        "system_voltage": 24,
        "chemistry": "flooded",
        "server": {"nightly_reset": -1, "reset_when_hung": False},
        "eeprom": {"interval": "0s", "daily": 24},
    }
    late = {"late": {"float_voltage": 27.2, "when": {"from": "2026-05-01", "to": "2026-06-30"}}}

    async def scene() -> None:
        charger = sunny(hour=0.0)
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living(device, profiles=None if recovering else late):
            await village.known("roof")
            if recovering:
                monkeypatch.setattr(charger_module, "ENDING_TIME", 0.0)
                village.apply({"set_float_voltage": 27.2}, "roof")
            await village.until(lambda: charger.eeprom_writes == 1)
        if recovering:
            assert not at_peace(charger), "it was interrupted"
            monkeypatch.setattr(charger_module, "ENDING_TIME", 30.0)
            async with village.living(device):
                await village.until(lambda: bool(village.writes()))
        await asyncio.sleep(5)
        charger.advance(30)
        assert at_peace(charger)
        assert charger.eeprom_writes == charger.resets == 1
        assert not list((tmp_path / "control").glob("*.journal.json"))

    play(scene())


def test_another_charger_at_the_same_address_gets_nothing_of_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        charger, other = sunny(), sunny(SECOND)
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            changing = village.apply()
            await village.until(lambda: charger.eeprom_writes == 1)
            link = village.links[HOST]
            link.paused = True
            await asyncio.sleep(25)
            link.hang_up()
            village.lines[HOST][1] = other
            link.paused = False
            await asyncio.sleep(180)
            await asyncio.wait({changing}, timeout=600)
            assert changing.cancelled()
            assert other.eeprom_writes == other.resets == 0
            assert at_peace(other)
            assert village.writes()[-1][1] in (0xE000, 0xE001)
            assert list((tmp_path / "control").glob(f"*{SERIAL}.journal.json")), "it is still to be finished"
            link.paused = True
            await asyncio.sleep(60)
            link.hang_up()
            village.lines[HOST][1] = charger
            link.paused = False
            await village.until(lambda: at_peace(charger) and charger.resets == 1, 3600)
            assert charger.eeprom_writes == 2

    play(scene())


def test_another_charger_at_the_same_address_gets_no_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        charger, other = sunny(), sunny(SECOND, system=12)
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            await village.command("charge_current_limit", 10.0)
            await village.until(lambda: charger.stage is Stage.SLAVE)
            village.links[HOST].paused = True
            await asyncio.sleep(25)
            village.links[HOST].hang_up()
            village.links[HOST].paused = False
            village.lines[HOST][1] = other
            before = len(village.writes())
            for _ in range(600):
                await asyncio.sleep(1)
                assert not other.charger.requests.slave.active
            assert village.writes()[before:] == []

    play(scene())


def test_who_moves_to_another_address_of_the_site_is_not_steered_at_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def device(name: str, host: str) -> Mapping[str, Any]:
        return {
            "name": name,
            "driver": "morningstar-tristar-mppt",
            "link": f"tcp://{host}",
            "control": "on",
            "system_voltage": 24,
            "server": {"nightly_reset": -1, "reset_when_hung": False},
        }

    async def scene() -> None:
        charger, other = sunny(), sunny(SECOND)
        village = Village(tmp_path, monkeypatch, {HOST: charger, OTHER: other})
        async with village.living(device("a", HOST), device("b", OTHER)):
            await village.known("a")
            await village.known("b")
            assert isinstance(await village.command("charge_current_limit", 10.0, "a"), Done)
            await village.until(lambda: charger.stage is Stage.SLAVE)
            for host in (HOST, OTHER):
                village.links[host].paused = True
            await asyncio.sleep(25)
            for host in (HOST, OTHER):
                village.links[host].hang_up()
                village.links[host].paused = False
            village.lines[HOST][1], village.lines[OTHER][1] = other, charger
            for _ in range(600):
                await asyncio.sleep(1)
                assert not other.charger.requests.slave.active

    play(scene())


def test_a_command_does_not_wait_for_hours_behind_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        charger = sunny()
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            changing = village.apply()
            await village.until(lambda: charger.eeprom_writes == 1)
            village.links[HOST].paused = True
            async with asyncio.timeout(30):
                outcome = await village.command("charger_enabled", 0)
            assert isinstance(outcome, Refused)
            village.links[HOST].paused = False
            assert isinstance(await changing, Done)
            assert at_peace(charger)

    play(scene())


def test_a_command_whose_caller_goes_is_carried_out_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        charger = sunny()
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            changing = village.apply()
            await village.until(lambda: charger.eeprom_writes == 1)
            changing.cancel()
            await asyncio.sleep(30)
            assert charger.eeprom_writes == 2
            assert charger.resets == 1
            assert [(each["origin"], each["result"]) for each in village.records()] == [("test", "done")]

    play(scene())


def test_a_disk_that_hangs_does_not_stop_what_protects_the_battery(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        charger = sunny()
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            assert isinstance(await village.command("equalize_requested", 1), Done)
            loop = asyncio.get_running_loop()
            loop.run_in_executor = lambda *_: loop.create_future()  # type: ignore[method-assign]
            await village.until(lambda: not charger.charger.requests.equalize, 3600)
            asked = loop.time()
            limiting = asyncio.create_task(village.command("charge_current_limit", 10.0))
            await village.until(lambda: charger.stage is Stage.SLAVE, 30)
            assert loop.time() - asked < 5
            for _ in range(300):
                await asyncio.sleep(1)
                assert not charger.state.faults
            assert isinstance(await limiting, Done)
            changed = await village.apply()
            assert isinstance(changed, Failed)
            assert "nothing was changed" in changed.why
            assert charger.eeprom_writes == 0
            del loop.run_in_executor

    play(scene())


def test_what_fails_in_one_part_does_not_end_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_: object) -> None:
        await asyncio.sleep(1)
        raise ArithmeticError("a mistake")

    async def scene() -> None:
        charger, times = sunny(), [0.0]
        write = charger.write_register

        def noted(address: int, word: int, origin: Any) -> None:
            times.append(asyncio.get_running_loop().time())
            write(address, word, origin)

        monkeypatch.setattr(charger, "write_register", noted)
        for part in ("server_care.ServerCare", "equalize.Equalize"):
            monkeypatch.setattr(f"heliobus.control.{part}.run", broken)
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            await village.command("charge_current_limit", 10.0)
            await village.until(lambda: charger.stage is Stage.SLAVE)
            await asyncio.sleep(900)
            assert max(later - earlier for earlier, later in pairwise(times)) < 20
            assert not charger.state.faults

    play(scene())


def test_a_server_is_cared_for_while_a_change_waits_to_be_finished(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        charger = sunny()
        cared = asyncio.Event()

        async def care(_: object) -> None:
            cared.set()

        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            monkeypatch.setattr(charger_module, "ENDING_TIME", 0.0)
            village.apply()
            await village.until(lambda: charger.eeprom_writes == 1)
        monkeypatch.setattr("heliobus.control.server_care.ServerCare.run", care)
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        stuck = asyncio.Event()
        monkeypatch.setattr("heliobus.control.transaction.SettingsChange.recover", lambda _: stuck.wait())
        async with village.living():
            village.place()
            await village.known()
            async with asyncio.timeout(60):
                await cared.wait()

    play(scene())


def test_a_charger_that_never_restarts_is_not_told_so_all_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        charger = sunny()
        restarts = 0

        def deaf() -> None:
            nonlocal restarts
            restarts += 1

        monkeypatch.setattr(charger, "reset", deaf)
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            assert isinstance(await village.apply(), Failed)
            await asyncio.sleep(6 * 3600)
            assert 6 < restarts < 150
            assert charger.eeprom_writes <= 4

    play(scene())


KNOWN: dict[str, Value] = {
    "battery_program": 7,
    "set_float_voltage": 27.0,
    "set_absorption_voltage": 28.8,
    "set_equalize_voltage": 30.4,
    "set_hvd_voltage": 0.0,
    "set_temperature_compensation": -0.06,
    "set_compensation_min": -40.0,
    "set_compensation_max": 80.0,
    "set_voltage_limit": 0.0,
    "regulation_temperature": 25.0,
    "auto_equalize": 1,
    "equalize_requested": 0,
    "nominal_voltage": 24,
    "rated_current": 60,
}


def test_a_system_voltage_confirmed_too_high_raises_no_limit() -> None:
    found = bounds({**KNOWN, "battery_program": 2}, replace(OPTIONS, system_voltage=48))
    assert found is not None
    assert found.highest <= 33.0


def test_a_limit_between_absorption_and_equalize_does_not_raise_absorption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert own_voltage(KNOWN) == pytest.approx(30.4)
    assert own_voltage(KNOWN, equalize=False) == pytest.approx(28.8)

    async def scene() -> None:
        charger = sunny()
        charger.state.switches |= 0x40
        charger.eeprom[0xE007] = round(15.2 * 32768 / 180)
        charger.reset()
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            assert village.value("auto_equalize") == 1
            own = own_voltage({name: village.value(name) for name in KNOWN}, equalize=False)
            assert own is not None
            assert isinstance(await village.command("charge_voltage_limit", round(own, 1) + 0.5), Done)
            await village.until(lambda: charger.stage is Stage.SLAVE)
            assert charger.charger.requests.slave.volts is not None
            assert charger.charger.requests.slave.volts <= own

    play(scene())


def test_an_equalize_of_a_fixed_program_stays_below_the_owners_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene() -> None:
        charger = sunny(program=5)
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place(highest_voltage=29.0)
            await village.known()
            outcome = await village.command("equalize_requested", 1)
            assert isinstance(outcome, Refused)
            assert "29.00 V" in outcome.why
            village.place()
            await village.known()
            assert isinstance(await village.command("equalize_requested", 1), Done)

    play(scene())


async def test_a_battery_that_is_there_without_a_limit_is_missing(tmp_path: Path) -> None:
    plant = type("P", (), {"store": Store(None, "x"), "changed": lambda *_: None, "name": "roof"})()
    sources = Sources(plant)
    sources.take(v.BMS_REQUIRED.name, 1)
    sources.take(v.REMOTE_NETWORK_MODE.name, 13)
    assert [limit.amps for limit in sources.limits()] == [0.0]
    sources.take(v.REMOTE_CHARGE_CURRENT.name, 20.0)
    assert [limit.amps for limit in sources.limits()] == [20.0]


def test_a_disk_that_hangs_is_one_that_fails(tmp_path: Path) -> None:
    async def scene() -> None:
        store = Store(tmp_path, "tristar_1")
        await store.keep("slave", {"engaged": ["a"]})
        loop = asyncio.get_running_loop()
        loop.run_in_executor = lambda *_: loop.create_future()  # type: ignore[method-assign]
        hanging = asyncio.create_task(store.keep("limits", {"volts": 28.0}))
        await asyncio.sleep(0)
        async with asyncio.timeout(1):
            await store.keep("slave", {"engaged": ["a"]})
        with pytest.raises(StoreError, match="does not answer"):
            await hanging
        del loop.run_in_executor
        await store.keep("limits", {"volts": 28.0})
        again = Store(tmp_path, "tristar_1")
        again.load()
        assert again.section("limits") == {"volts": 28.0}

    play(scene())


@pytest.mark.parametrize("lost", [0.2, 0.4])
def test_limits_hold_on_a_bad_line(lost: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asking who is there must not cost what it protects."""

    async def scene() -> None:
        charger, times = sunny(), [0.0]
        write = charger.write_register

        def noted(address: int, word: int, origin: Any) -> None:
            times.append(asyncio.get_running_loop().time())
            write(address, word, origin)

        monkeypatch.setattr(charger, "write_register", noted)
        village = Village(tmp_path, monkeypatch, {HOST: charger})
        async with village.living():
            village.place()
            await village.known()
            await village.command("charge_current_limit", 10.0)
            village.links[HOST].station.faults = Faults(lost=lost, seed=3)
            await asyncio.sleep(3600)
            assert max(later - earlier for earlier, later in pairwise(times)) < 55

    play(scene())
