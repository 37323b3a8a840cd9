"""Killed at any moment of a change of settings: the next start ends with sound settings, charging."""

import copy
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from control_change import (
    NEW_WORDS,
    TWO,
    WANTED,
    ChangeRig,
    Forgetful,
    apply,
    assert_sound,
    recover,
)
from fuse import Fuse
from heliobus.model.command import Done, Failed
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import run_virtual


@pytest.fixture(autouse=True)
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """kill -9 loses nothing that the system has taken; waiting for the disk would take most of the time."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


def sunny() -> SimTriStar:
    return SimTriStar(hour=12.0, cloudiness=0.0, day_of_year=152, soc=0.5)


def walk(folder: Path, charger: Callable[[], SimTriStar], most_writes: int) -> tuple[int, set[str]]:
    """Kill at every point in turn; how many points there were, and what recovery said."""
    said: set[str] = set()

    async def life(at: int) -> bool:
        rig = ChangeRig(folder / str(at), charger=charger())
        old = rig.words()
        outcome = await apply(rig, fuse=Fuse(at))
        if outcome is not None:
            return False
        resets = rig.charger.resets
        written = rig.charger.eeprom_writes
        said.add(await recover(rig) or "nothing")
        assert_sound(rig, old)
        assert rig.charger.eeprom_writes <= most_writes
        assert not rig.charger.eeprom_writes or rig.charger.resets
        if not written and not rig.charger.eeprom_writes:
            assert rig.charger.resets == resets == 0
        return True

    at = 1
    while run_virtual(life(at)):
        at += 1
    return at - 1, said


def test_killed_anywhere_in_a_change_that_works(tmp_path: Path) -> None:
    points, said = walk(tmp_path, sunny, len(WANTED))
    assert points > 50
    assert any("was finished" in each for each in said)
    assert any("nothing was changed" in each for each in said)


def test_killed_anywhere_in_a_change_that_fails_and_is_taken_back(tmp_path: Path) -> None:
    points, said = walk(tmp_path, Forgetful, 2 * len(WANTED))
    assert points > 60
    assert any("settings from before are back" in each for each in said)


@pytest.mark.slow
@pytest.mark.parametrize("charger", [sunny, Forgetful])
def test_killed_again_while_it_recovers(tmp_path: Path, charger: Callable[[], SimTriStar]) -> None:
    """Only before each step: what is killed after a step and before the next is the same to who comes next."""
    most = len(TWO) if charger is sunny else 2 * len(TWO)
    lives = 0

    async def first(at: int, folder: Path) -> tuple[SimTriStar, bool]:
        rig = ChangeRig(folder, charger=charger())
        return rig.charger, await apply(rig, TWO, Fuse(at, after=False)) is None

    async def second(simulated: SimTriStar, folder: Path, at: int) -> bool:
        rig = ChangeRig(folder, charger=simulated)
        fuse = Fuse(at, after=False)
        await recover(rig, fuse)
        rig = ChangeRig(folder, charger=simulated)
        await recover(rig)
        assert_sound(rig, old, TWO)
        assert simulated.eeprom_writes <= most
        return fuse.blown

    old = {address: charger().eeprom[address] for address in NEW_WORDS}
    at = 1
    while True:
        folder = tmp_path / str(at)
        simulated, killed = run_virtual(first(at, folder))
        if not killed:
            break
        again = 1
        while True:
            copied = tmp_path / f"{at}-{again}"
            if folder.exists():
                shutil.copytree(folder, copied)
            lives += 1
            if not run_virtual(second(copy.deepcopy(simulated), copied, again)):
                break
            again += 1
        at += 1
    assert lives > 150


def test_nobody_killed(tmp_path: Path) -> None:
    async def life(charger: SimTriStar, folder: Path) -> tuple[object, int]:
        rig = ChangeRig(folder, charger=charger)
        old = rig.words()
        outcome = await apply(rig)
        assert_sound(rig, old)
        return outcome, charger.eeprom_writes

    outcome, writes = run_virtual(life(sunny(), tmp_path / "good"))
    assert (outcome, writes) == (Done("winter"), len(WANTED))
    outcome, writes = run_virtual(life(Forgetful(), tmp_path / "bad"))
    assert isinstance(outcome, Failed)
    assert writes == 2 * len(WANTED)
