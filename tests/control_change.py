"""A charger whose stored settings are changed by somebody who may be killed at any moment."""

import asyncio
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from control_stage import NOON, OPTIONS, Rig
from fuse import Fuse, Killed
from heliobus.control.journal import pending
from heliobus.control.plant import Plant
from heliobus.control.transaction import SettingsChange
from heliobus.devices.driver import Register
from heliobus.devices.terminal import Terminal
from heliobus.devices.writes import Coil
from heliobus.model.command import Outcome
from heliobus.model.control_options import ControlOptions, EepromOptions
from heliobus.sim.device import Origin
from heliobus.sim.faults import Faults
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar_charger import Stage as ChargeStage

KEY = "tristar_10170296"
FREE = EepromOptions(interval=0.0, daily=1000)
WANTED: dict[str, float] = {
    "set_absorption_voltage": 28.4,
    "set_float_voltage": 27.0,
    "set_absorption_time": 3600,
    "set_float_exit_time": 900,
}
TWO: dict[str, float] = {"set_absorption_voltage": 28.4, "set_float_voltage": 27.0}
ADDRESSES = {
    "set_absorption_voltage": 0xE000,
    "set_float_voltage": 0xE001,
    "set_absorption_time": 0xE002,
    "set_float_exit_time": 0xE006,
}
NEW_WORDS = {0xE000: round(28.4 / 2 * 32768 / 180), 0xE001: round(27.0 / 2 * 32768 / 180), 0xE002: 3600, 0xE006: 900}
CHARGING = (ChargeStage.MPPT, ChargeStage.ABSORPTION, ChargeStage.FLOAT)


class FusedTerminal(Terminal):
    """A terminal on a fuse."""

    def __init__(self, terminal: Terminal, fuse: Fuse) -> None:
        self.driver = terminal.driver
        self._inner = terminal
        self._fuse = fuse

    async def words(self, registers: Iterable[Register]) -> dict[str, int]:
        return dict(await self._fuse.burn(lambda: self._inner.words(registers)))

    async def coil(self, coil: Coil) -> bool:
        return bool(await self._fuse.burn(lambda: self._inner.coil(coil)))

    async def write_word(self, register: Register, word: int, *, once: bool) -> None:
        await self._fuse.burn(lambda: self._inner.write_word(register, word, once=once))

    async def write_coil(self, coil: Coil, on: bool) -> None:
        await self._fuse.burn(lambda: self._inner.write_coil(coil, on))


class ChangeRig(Rig):
    """A rig whose link may have accidents; the memory of the charger may be changed as often as wanted."""

    def __init__(
        self,
        folder: Path | None = None,
        options: ControlOptions | None = None,
        charger: SimTriStar | None = None,
        *,
        faults: Faults | None = None,
        close_after_answer: bool = False,
        start: float = NOON,
    ) -> None:
        super().__init__(folder, options or with_eeprom(FREE), charger, start=start)
        self.link = MemoryLink({1: self.charger}, latency=0.01, faults=faults, close_after_answer=close_after_answer)
        self.prepared = self.done = 0

    def change(self, plant: Plant) -> SettingsChange:
        return SettingsChange(plant, prepare=self._prepare, finished=self._finished)

    def resets(self) -> int:
        """How often the reset coil was sent."""
        return self.writes().count((5, 0x00FF, 0xFF00))

    def words(self) -> dict[int, int]:
        return {address: self.charger.eeprom[address] for address in NEW_WORDS}

    async def _prepare(self) -> None:
        self.prepared += 1

    async def _finished(self) -> None:
        self.done += 1


def with_eeprom(eeprom: EepromOptions, **options: Any) -> ControlOptions:
    return replace(OPTIONS, eeprom=eeprom, **options)


async def apply(rig: ChangeRig, wanted: Mapping[str, float] = WANTED, fuse: Fuse | None = None) -> Outcome | None:
    """One life: start, apply, end. None if it was killed."""
    try:
        async with rig.running() as plant:
            _fused(plant, fuse)
            return await rig.change(plant).apply(wanted, label="winter", origin="test")
    except Killed:
        return None
    finally:
        vars(asyncio.get_running_loop()).pop("run_in_executor", None)


async def recover(rig: ChangeRig, fuse: Fuse | None = None) -> str | None:
    """The next life: what recovery said at its end, None if it was killed or there was nothing to do."""
    said = None
    try:
        async with rig.running() as plant:
            _fused(plant, fuse)
            change = rig.change(plant)
            async with asyncio.timeout(3600):
                while change.pending:
                    said = await change.recover()
                    await asyncio.sleep(5.0)
            return said
    except Killed:
        return None
    finally:
        vars(asyncio.get_running_loop()).pop("run_in_executor", None)


def assert_sound(rig: ChangeRig, old: Mapping[int, int], wanted: Mapping[str, float] = WANTED) -> None:
    """Settings all old or all new, no edit fault, not disconnected, charging, and no journal left."""
    changed = [ADDRESSES[name] for name in wanted]
    held = {address: rig.charger.eeprom[address] for address in changed}
    assert held in ({each: old[each] for each in changed}, {each: NEW_WORDS[each] for each in changed})
    assert not rig.charger.state.faults >> 6 & 1
    assert not rig.charger.charger.requests.disconnect
    rig.charger.advance(600)
    assert rig.charger.stage in CHARGING
    assert not pending(rig.store.folder, KEY)


def _fused(plant: Plant, fuse: Fuse | None) -> None:
    """Put every wire exchange of the plant, and every disk write of the loop, on the fuse."""
    if fuse is None:
        return
    plant.terminal = FusedTerminal(plant.terminal, fuse)
    loop: Any = asyncio.get_running_loop()
    run = type(loop).run_in_executor

    def fused(executor: Any, function: Any, *arguments: Any) -> Awaitable[Any]:
        return fuse.burn(lambda: run(loop, executor, function, *arguments))

    loop.run_in_executor = fused


class Forgetful(SimTriStar):
    """Stores one wrong word: the first write to `bad` is off by five counts."""

    def __init__(self, bad: int = 0xE001, times: int = 1) -> None:
        super().__init__(hour=12.0, cloudiness=0.0, day_of_year=152, soc=0.5)
        self._bad, self._times = bad, times

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        if address == self._bad and self._times > 0:
            self._times -= 1
            word += 5
        super().write_register(address, word, origin)
