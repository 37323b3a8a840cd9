"""Killed at any moment of a change of an EPever charger's settings: the next start leaves them all new or all old."""

import asyncio
import copy
import shutil
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_stage import Stage, tracer
from fuse import Fuse, Killed
from heliobus.control.block_change import BlockChange
from heliobus.control.block_settling import RESTORES, is_new, is_old
from heliobus.control.journal import Damaged, Entry, Journal, Record, Step, pending
from heliobus.devices import catalog
from heliobus.devices.driver import Recognised, Recognition, Register
from heliobus.devices.epever import points as ep
from heliobus.devices.terminal import Terminal
from heliobus.devices.writes import Span
from heliobus.model import vocabulary as v
from heliobus.model.command import Done, Outcome
from heliobus.model.device import Identity
from heliobus.sim.tracer import SimTracer
from heliobus.sim.virtual_time import run_virtual

KEY = "tracer_1"
ALL = {"set_system_voltage": 1.0, "set_battery_type": 0.0, "set_float_voltage": 13.5}
WANTED = {"set_absorption_voltage": 14.2, "set_float_voltage": 13.5, "set_battery_capacity": 150}
ONE = {"set_float_voltage": 13.5}
TWO = {"set_float_voltage": 13.5, "set_absorption_time": 3600.0}
ADDRESSES = (*range(0x9000, 0x900F), 0x9067, 0x906C)


def _at_once() -> Recognition:
    return Recognised(Identity("EPever", "Tracer4215BN"), LEAN)
    yield


FULL = catalog.driver("epever-tracer")
WRITES = FULL.writes
assert WRITES is not None
POLLED = {v.BATTERY_VOLTAGE.name, ep.SYSTEM_VOLTAGE.name, *(each.point.name for each in WRITES.stored)}
LEAN = replace(FULL, registers=tuple(each for each in FULL.registers if each.point.name in POLLED), recognise=_at_once)
"""A life is short: only what a change looks at is polled."""


class FusedTerminal(Terminal):
    """A terminal on a fuse."""

    def __init__(self, terminal: Terminal, fuse: Fuse) -> None:
        self.driver = terminal.driver
        self._inner = terminal
        self._fuse = fuse

    async def words(self, registers: Iterable[Register]) -> dict[str, int]:
        return dict(await self._fuse.burn(lambda: self._inner.words(registers)))

    async def write_span(self, span: Span, words: Sequence[int]) -> None:
        await self._fuse.burn(lambda: self._inner.write_span(span, words))


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 loses nothing that the system has taken; waiting for the disk would take most of the time."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def words(simulated: SimTracer) -> dict[int, int]:
    return {address: simulated.settings.words[address] for address in ADDRESSES}


def _fused(stage: Stage, fuse: Fuse) -> None:
    """Put every wire exchange, and every disk write of the loop, on the fuse."""
    stage.plant.terminal = FusedTerminal(stage.plant.terminal, fuse)
    loop: Any = asyncio.get_running_loop()
    run = type(loop).run_in_executor

    def fused(executor: Any, function: Any, *arguments: Any) -> Awaitable[Any]:
        return fuse.burn(lambda: run(loop, executor, function, *arguments))

    loop.run_in_executor = fused


async def life(
    simulated: SimTracer, folder: Path, fuse: Fuse, wanted: dict[str, float] | None
) -> tuple[Outcome | str | None, int]:
    """One start of the daemon, which applies `wanted` or recovers; None if it was killed. And how often it wrote."""
    stage = Stage(simulated, LEAN, folder)
    said: Outcome | str | None = None
    try:
        async with stage.polled():
            settings = stage.plant.writes.settings
            assert settings is not None
            _fused(stage, fuse)
            change = BlockChange(stage.plant, settings)
            if wanted is not None:
                said = await change.apply(wanted, label="winter", origin="test")
            else:
                async with asyncio.timeout(3600):
                    while change.pending:
                        said = await change.recover()
    except Killed:
        said = None
    finally:
        vars(asyncio.get_running_loop()).pop("run_in_executor", None)
    return said, len(stage.writes())


def assert_sound(simulated: SimTracer, folder: Path, old: dict[int, int], new: dict[int, int]) -> None:
    """All old or all new, and no journal left."""
    assert words(simulated) in (old, new)
    assert not pending(folder, KEY)


def _goal(make: Callable[[], SimTracer], wanted: dict[str, float]) -> tuple[dict[int, int], dict[int, int]]:
    simulated = make()
    old = words(simulated)
    addresses = {"set_absorption_voltage": 0x9007, "set_float_voltage": 0x9008, "set_battery_capacity": 0x9001}
    scales = {"set_battery_capacity": 1, "set_system_voltage": 1, "set_battery_type": 1, "set_absorption_time": 1 / 60}
    addresses |= {"set_absorption_time": 0x906C, "set_system_voltage": 0x9067, "set_battery_type": 0x9000}
    return old, old | {addresses[name]: round(value * scales.get(name, 100)) for name, value in wanted.items()}


class Careless(SimTracer):
    """The first block it gets is stored with one wrong word."""

    def __init__(self) -> None:
        super().__init__(system=12, year=2026, day_of_year=121, hour=12.0)
        self.settings.words[0x9000] = 0
        self.wrong = 1

    def write_registers(self, address: int, words: Sequence[int], origin: Any) -> None:
        super().write_registers(address, words, origin)
        if self.wrong and address in (0x9000, 0x9003):
            self.wrong -= 1
            self.settings.words[0x9006] += 3


def new_one() -> SimTracer:
    """As it comes from the factory."""
    simulated = tracer(system_code=0)
    simulated.settings.words[0x9000] = 1
    return simulated


@pytest.mark.parametrize(
    ("make", "wanted"), [(tracer, WANTED), (tracer, TWO), (new_one, ALL), (Careless, WANTED), (Careless, TWO)]
)
def test_killed_anywhere(tmp_path: Path, make: Callable[[], SimTracer], wanted: dict[str, float]) -> None:
    old, new = _goal(make, wanted)
    planned = 1 if wanted is WANTED else 2
    said: set[str] = set()
    at = 1
    while True:
        simulated, folder = make(), tmp_path / str(at)
        outcome, wrote = run_virtual(life(simulated, folder, Fuse(at), wanted))
        if outcome is not None:
            break
        recovered, wrote_back = run_virtual(life(simulated, folder, Fuse(None), None))
        said.add(str(recovered))
        assert_sound(simulated, folder, old, new)
        assert wrote <= planned * (2 if make is Careless else 1)
        assert wrote + wrote_back <= 2 * planned
        at += 1
    assert at > 15
    assert any("nothing was changed" in each for each in said)
    if make is not Careless:
        assert any("was finished" in each for each in said)
    if make is Careless or wanted is not WANTED:
        assert any("the settings from before are back" in each for each in said)


@pytest.mark.slow
@pytest.mark.parametrize(("make", "wanted"), [(tracer, TWO), (Careless, ONE)])
def test_killed_again_while_it_recovers(
    tmp_path: Path, make: Callable[[], SimTracer], wanted: dict[str, float]
) -> None:
    """Only before each step: what is killed after a step and before the next is the same to who comes next."""
    old, new = _goal(make, wanted)
    lives, at = 0, 1
    while True:
        simulated, folder = make(), tmp_path / str(at)
        outcome, _ = run_virtual(life(simulated, folder, Fuse(at, after=False), wanted))
        if outcome is not None:
            break
        again = 1
        while True:
            copied, twin = tmp_path / f"{at}-{again}", copy.deepcopy(simulated)
            if folder.exists():
                shutil.copytree(folder, copied)
            fuse = Fuse(again, after=False)
            run_virtual(life(twin, copied, fuse, None))
            run_virtual(life(twin, copied, Fuse(None), None))
            assert_sound(twin, copied, old, new)
            assert twin.settings.writes <= 4
            lives += 1
            if not fuse.blown:
                break
            again += 1
        at += 1
    assert lives > 15


def test_nobody_killed(tmp_path: Path) -> None:
    simulated = tracer()
    old, new = _goal(tracer, WANTED)
    outcome, wrote = run_virtual(life(simulated, tmp_path, Fuse(None), WANTED))
    assert (outcome, wrote, words(simulated)) == (Done("winter"), 1, new)
    assert old != new
    assert_sound(simulated, tmp_path, old, new)


def record(*, step: Step = Step.WRITING, index: int = 0) -> Record:
    entries = (Entry("set_float_voltage", 0x9008, 1380, 1350), Entry("set_hvd_voltage", 0x9003, 1600, 1600))
    return Record(KEY, "winter", "test", 1.0, entries, step, index)


def test_what_a_device_has_is_old_or_new_or_neither() -> None:
    held = {"set_float_voltage": 1380, "set_hvd_voltage": 1600}
    assert is_old(record(), held)
    assert not is_new(record(), held)
    assert is_new(record(), held | {"set_float_voltage": 1350})
    assert not is_old(record(), held | {"set_hvd_voltage": 1500})
    assert not is_new(record(), {"set_float_voltage": 1350})


async def _left(tmp_path: Path, content: Record | bytes, simulated: SimTracer) -> tuple[str | None, int]:
    if isinstance(content, bytes):
        (tmp_path / f"{KEY}.journal.json").write_bytes(content)
        assert isinstance(await Journal(tmp_path, KEY).load(), Damaged)
    else:
        await Journal(tmp_path, KEY).save(content)
    said, wrote = await life(simulated, tmp_path, Fuse(None), None)
    assert not isinstance(said, Done)
    return str(said), wrote


def test_a_damaged_journal_changes_nothing(tmp_path: Path) -> None:
    said, wrote = run_virtual(_left(tmp_path, b"{", tracer()))
    assert "check them" in str(said)
    assert wrote == 0
    assert not pending(tmp_path, KEY)
    assert list(tmp_path.glob("*.damaged"))


def test_a_journal_of_registers_nobody_knows_changes_nothing(tmp_path: Path) -> None:
    strange = Record(KEY, "winter", "test", 1.0, (Entry("set_float_voltage", 0x9999, 1380, 1350),), Step.WRITING)
    said, wrote = run_virtual(_left(tmp_path, strange, tracer()))
    assert "not known" in str(said)
    assert wrote == 0


def test_a_device_that_does_not_keep_the_old_is_left_alone(tmp_path: Path) -> None:
    simulated = tracer()
    simulated.settings.words[0x9003] = 1590
    said, wrote = run_virtual(_left(tmp_path, record(step=Step.RESTORING, index=RESTORES), simulated))
    assert "settings are uncertain" in str(said)
    assert "set_hvd_voltage is 0x0636 instead of 0x0640" in str(said)
    assert wrote == 0
    assert not pending(tmp_path, KEY)
