"""EEPROM writes are counted and rationed."""

from pathlib import Path
from typing import Any

import pytest

from control_change import KEY, TWO, WANTED, ChangeRig, Forgetful, apply, with_eeprom
from control_stage import NOON
from heliobus.control.endurance import SECTION, Endurance
from heliobus.control.plant import Plant
from heliobus.control.store import Store
from heliobus.model.command import Done, Failed, Refused
from heliobus.model.control_options import EepromOptions
from heliobus.sim.virtual_time import run_virtual

HOUR = 3600.0


def registers(plant: Plant, count: int) -> Any:
    assert plant.writes.eeprom is not None
    return plant.writes.eeprom.registers[:count]


def test_writes_are_counted_by_register_and_kept(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path)
        assert await apply(rig) == Done("winter")
        store = Store(tmp_path, KEY)
        assert store.load() is None
        assert store.section(SECTION)["counts"] == {"0xE000": 1, "0xE001": 1, "0xE002": 1, "0xE006": 1}
        async with rig.running() as plant:
            assert rig.change(plant).values()["eeprom_writes"] == 4

    run_virtual(main())


def test_writes_of_restoring_count_too(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=Forgetful())
        assert isinstance(await apply(rig), Failed)
        counts = rig.store.section(SECTION)["counts"]
        assert sum(counts.values()) == rig.charger.eeprom_writes == 2 * len(WANTED)
        assert rig.store.section(SECTION)["changes"] == 1

    run_virtual(main())


def test_counts_are_on_disk_before_the_charger_is_written_to(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path)
        seen: list[int] = []
        write = rig.charger.write_register

        def spy(address: int, word: int, origin: Any) -> None:
            store = Store(tmp_path, KEY)
            store.load()
            seen.append(sum(store.section(SECTION)["counts"].values()))
            write(address, word, origin)

        rig.charger.write_register = spy  # type: ignore[method-assign]
        await apply(rig)
        assert seen == [4] * 4

    run_virtual(main())


def test_an_interval_between_two_changes() -> None:
    async def main() -> None:
        rig = ChangeRig(options=with_eeprom(EepromOptions(interval=HOUR, daily=100)))
        async with rig.running() as plant:
            endurance = Endurance(plant)
            assert endurance.refusal(NOON) is None
            await endurance.book(registers(plant, 2), NOON)
            said = endurance.refusal(NOON + 60)
            assert said is not None
            assert "changed at 12:00" in said
            assert said.endswith("not before 13:00")
            assert endurance.refusal(NOON + HOUR - 1) is not None
            assert endurance.refusal(NOON + HOUR) is None
            # The clock was set back by a day: nobody waits for a day and an hour.
            assert endurance.refusal(NOON - 86400) is None

    run_virtual(main())


def test_an_interval_over_midnight_names_the_day() -> None:
    async def main() -> None:
        rig = ChangeRig(options=with_eeprom(EepromOptions(interval=24 * HOUR, daily=100)))
        async with rig.running() as plant:
            endurance = Endurance(plant)
            await endurance.book(registers(plant, 1), NOON)
            assert str(endurance.refusal(NOON + 60)).endswith("not before 2026-06-02 12:00")

    run_virtual(main())


def test_a_daily_cap() -> None:
    async def main() -> None:
        rig = ChangeRig(options=with_eeprom(EepromOptions(interval=0.0, daily=2)))
        async with rig.running() as plant:
            endurance = Endurance(plant)
            await endurance.book(registers(plant, 1), NOON)
            assert endurance.refusal(NOON) is None
            await endurance.book(registers(plant, 1), NOON, again=True)
            assert endurance.refusal(NOON) is None
            await endurance.book(registers(plant, 1), NOON)
            assert "not before tomorrow" in str(endurance.refusal(NOON))
            assert endurance.refusal(NOON + 11.9 * HOUR) is not None
            assert endurance.refusal(NOON + 12 * HOUR) is None
            assert endurance.total == 3

    run_virtual(main())


def test_too_early_a_change_is_refused_but_not_one_that_writes_nothing() -> None:
    async def main() -> None:
        rig = ChangeRig(options=with_eeprom(EepromOptions()))
        async with rig.running() as plant:
            change = rig.change(plant)
            assert await change.apply(TWO, label="winter", origin="test") == Done("winter")
            writes = len(rig.writes())
            assert change.refusal(TWO) is None
            assert await change.apply(TWO, label="spring", origin="test") == Done("spring")
            said = change.refusal({"set_float_voltage": 26.0})
            assert said is not None
            assert "not before 13:00" in said
            # A fresh start does not know the words yet, and finds out.
            fresh = rig.change(plant)
            assert fresh.refusal({"set_float_voltage": 26.0}) is None
            outcome = await fresh.apply({"set_float_voltage": 26.0}, label="x", origin="test")
            assert isinstance(outcome, Refused)
            assert outcome.why == said
            assert len(rig.writes()) == writes

    run_virtual(main())


@pytest.mark.parametrize(
    "section",
    [
        {},
        {"counts": 5},
        {"counts": {"0xE000": "x", "0xE001": -1, "0xE002": None}},
        {"last": "x", "changes": [], "day": 5},
    ],
)
def test_a_strange_store_counts_from_zero(section: dict[str, Any]) -> None:
    async def main() -> None:
        rig = ChangeRig(options=with_eeprom(EepromOptions()))
        async with rig.running() as plant:
            await plant.store.keep(SECTION, section)
            endurance = Endurance(plant)
            assert endurance.total == 0
            assert endurance.refusal(NOON) is None
            await endurance.book(registers(plant, 2), NOON)
            assert endurance.total == 2

    run_virtual(main())
