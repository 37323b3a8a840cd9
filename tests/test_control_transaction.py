"""Changing stored settings: the order of things, and everything that can go wrong on the way but being killed."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from control_change import (
    CHARGING,
    FREE,
    KEY,
    NEW_WORDS,
    TWO,
    WANTED,
    ChangeRig,
    Forgetful,
    Fuse,
    apply,
    assert_sound,
    recover,
    with_eeprom,
)
from heliobus.control.journal import pending
from heliobus.control.store import StoreError
from heliobus.devices.terminal import TerminalError
from heliobus.model.command import Done, Failed, Refused
from heliobus.sim.device import Origin, RefusalError, SilenceError
from heliobus.sim.faults import Faults
from heliobus.sim.tristar import Behaviour, SimTriStar
from heliobus.sim.virtual_time import run_virtual

SAVE, OFF, ON, RESET = (5, 0x16, 0xFF00), (5, 0x02, 0xFF00), (5, 0x02, 0), (5, 0xFF, 0xFF00)
WRITES = [(6, address, word) for address, word in sorted(NEW_WORDS.items())]


def sunny(**options: Any) -> SimTriStar:
    return SimTriStar(hour=12.0, cloudiness=0.0, day_of_year=152, soc=0.5, **options)


class Odd(SimTriStar):
    """`deaf`: how many writes of words it does not get at all. `mute`: how many it carries out without an answer.

    `stubborn`: how many restarts it ignores. `cut`: its supply is cut before that many writes of words.
    """

    def __init__(self, *, deaf: int = 0, mute: int = 0, stubborn: int = 0, cut: int = 0, **options: Any) -> None:
        super().__init__(hour=12.0, cloudiness=0.0, day_of_year=152, soc=0.5, **options)
        self.deaf, self.mute, self.stubborn, self.cut = deaf, mute, stubborn, cut

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        if self.deaf:
            self.deaf -= 1
            raise SilenceError
        self.cut -= 1
        if self.cut == 0:
            self.reset()
            raise SilenceError
        super().write_register(address, word, origin)
        if self.mute:
            self.mute -= 1
            raise SilenceError

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        if address == 0xFF and self.stubborn:
            self.stubborn -= 1
            if self.mute:
                raise SilenceError
            return
        super().write_coil(address, on, origin)


def test_the_order_of_the_procedure(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path)
        old = rig.words()
        said: list[str] = []
        progress: list[float] = []
        async with rig.running() as plant:
            change = rig.change(plant)
            assert change.values()["profile_status"] == "idle"

            def changed() -> None:
                said.append(str(change.values()["profile_status"]))
                progress.append(float(str(change.values()["profile_progress"])))

            plant.changed = changed
            assert await change.apply(WANTED, label="winter", origin="test") == Done("winter")
            values = change.values()
        assert rig.writes() == [SAVE, OFF, *WRITES, RESET]
        assert said == [
            "reading",
            "saving counters",
            "disconnecting",
            *(f"writing {index} of 4" for index in (1, 2, 3, 4)),
            "verifying",
            "restarting",
            "checking",
            "done",
        ]
        assert progress == sorted(progress)
        assert progress[-1] == 100
        assert values["profile_applied"] == "winter"
        assert str(values["profile_applied_at"]).startswith("2026-06-01T12:0")
        assert values["profile_error"] == ""
        assert values["eeprom_writes"] == 4
        assert (rig.prepared, rig.done) == (1, 1)
        assert rig.words() == NEW_WORDS
        assert_sound(rig, old)

    run_virtual(main())


def test_the_journal_is_on_disk_before_each_step(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path)
        steps: list[tuple[str, int]] = []

        def spy(write: Any) -> Any:
            def spied(address: int, *rest: Any) -> None:
                change = json.loads((tmp_path / f"{KEY}.journal.json").read_bytes())["change"]
                steps.append((change["step"], change["index"]))
                write(address, *rest)

            return spied

        rig.charger.write_register = spy(rig.charger.write_register)  # type: ignore[method-assign]
        rig.charger.write_coil = spy(rig.charger.write_coil)  # type: ignore[method-assign]
        await apply(rig)
        assert steps == [
            ("preparing", 0),
            ("preparing", 0),
            *(("writing", index) for index in range(4)),
            ("restarting", 0),
        ]

    run_virtual(main())


def test_a_plan_says_what_would_be_written_and_writes_nothing() -> None:
    async def main() -> None:
        rig = ChangeRig()
        async with rig.running() as plant:
            planned = await rig.change(plant).plan({**TWO, "set_absorption_time": 9000})
            assert isinstance(planned, tuple)
            assert [each.register.address for each in planned] == [0xE000, 0xE001]
            refused = await rig.change(plant).plan({"set_float_voltage": 28.9, "set_absorption_voltage": 28.4})
            assert refused == Refused("float voltage 28.9 V must be below absorption voltage 28.4 V")
            stored = await rig.change(plant).stored()
            assert isinstance(stored, tuple)
            assert len(stored) == 23
        assert rig.writes() == []

    run_virtual(main())


def test_the_peers_failed_verification_is_restored_and_restarted(tmp_path: Path) -> None:
    """tristar-peer.md §6.1, test 5."""

    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=Forgetful())
        old = rig.words()
        async with rig.running() as plant:
            change = rig.change(plant)
            outcome = await change.apply(WANTED, label="winter", origin="test")
            assert isinstance(outcome, Failed)
            assert "register 0xE001 holds 0x" in outcome.why
            assert "the settings from before are back" in outcome.why
            assert change.values()["profile_status"] == "failed"
            assert change.values()["profile_error"] == outcome.why
            assert change.values()["profile_applied"] == ""
        assert rig.words() == old
        assert rig.resets() == 1
        assert_sound(rig, old)

    run_virtual(main())


def test_a_memory_that_takes_nothing_right_is_said_and_the_charger_still_restarts(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=Forgetful(times=1000))
        outcome = await apply(rig)
        assert isinstance(outcome, Failed)
        assert "could not be restored" in outcome.why
        assert rig.resets() == 1
        assert rig.charger.eeprom_writes <= 4 + 4 + 1
        assert not rig.charger.state.faults >> 6 & 1
        assert not rig.charger.charger.requests.disconnect
        assert not pending(tmp_path, KEY)

    run_virtual(main())


@pytest.mark.parametrize("program", range(7))
def test_the_peers_fixed_battery_program_is_refused(program: int) -> None:
    """tristar-peer.md §6.1, test 7."""

    async def main() -> None:
        rig = ChangeRig(charger=sunny(program=program))
        outcome = await apply(rig)
        assert isinstance(outcome, Refused)
        assert "switches 4, 5 and 6" in outcome.why
        assert rig.writes() == []

    run_virtual(main())


def test_the_peers_edited_profile_of_the_same_name_is_written() -> None:
    """tristar-peer.md §6.1, test 8."""

    async def main() -> None:
        rig = ChangeRig()
        async with rig.running() as plant:
            change = rig.change(plant)
            assert await change.apply(TWO, label="winter", origin="test") == Done("winter")
            assert await change.apply({**TWO, "set_float_voltage": 27.2}, label="winter", origin="test") == Done(
                "winter"
            )
        assert rig.charger.eeprom[0xE001] == round(13.6 * 32768 / 180)
        assert rig.charger.eeprom_writes == 3

    run_virtual(main())


@pytest.mark.parametrize("system", [12, 24, 48])
def test_the_peers_voltage_between_two_counts_is_written_once(system: int) -> None:
    """tristar-peer.md §6.1, test 9."""

    async def main() -> None:
        rig = ChangeRig(options=with_eeprom(FREE, system_voltage=system), charger=sunny(system=system))
        async with rig.running() as plant:
            change = rig.change(plant)
            wanted = {"set_absorption_voltage": 27.9 * system / 24}
            assert await change.apply(wanted, label="a", origin="test") == Done("a")
            writes = len(rig.writes())
            assert await change.apply(wanted, label="b", origin="test") == Done("b")
            assert len(rig.writes()) == writes
            assert change.values()["profile_applied"] == "b"
        assert rig.charger.eeprom_writes == 1

    run_virtual(main())


def test_the_peers_lost_answer_to_a_restart_means_exactly_one() -> None:
    """tristar-peer.md §6.1, test 10."""

    async def main() -> None:
        rig = ChangeRig(charger=sunny(behaviour=Behaviour(reset_answer_lost=True)))
        assert await apply(rig) == Done("winter")
        assert rig.resets() == rig.charger.resets == 1

    run_virtual(main())


@pytest.mark.parametrize("seconds", [0.0, 8.0, 40.0, 300.0])
def test_a_long_start_of_the_charger_is_waited_for(seconds: float) -> None:
    async def main() -> None:
        rig = ChangeRig(charger=sunny(behaviour=Behaviour(boot_seconds=seconds, reset_answer_lost=True)))
        old = rig.words()
        assert await apply(rig) == Done("winter")
        assert rig.resets() == 1
        assert_sound(rig, old)

    run_virtual(main())


@pytest.mark.parametrize("close", [False, True])
def test_a_link_that_closes_after_each_answer_or_stays(close: bool) -> None:
    """tristar-peer.md §6.1, test 14."""

    async def main() -> None:
        rig = ChangeRig(close_after_answer=close)
        old = rig.words()
        assert await apply(rig) == Done("winter")
        assert rig.writes() == [SAVE, OFF, *WRITES, RESET]
        assert_sound(rig, old)

    run_virtual(main())


def test_a_lost_answer_to_a_write_is_no_reason_to_write_again() -> None:
    async def main() -> None:
        rig = ChangeRig(charger=Odd(mute=4))
        assert await apply(rig) == Done("winter")
        assert rig.charger.eeprom_writes == 4
        assert [each for each in rig.writes() if each[0] == 6] == WRITES

    run_virtual(main())


def test_a_write_that_never_arrived_is_sent_once_more_and_then_given_up() -> None:
    async def main() -> None:
        rig = ChangeRig(charger=Odd(deaf=1))
        assert await apply(rig) == Done("winter")
        assert [each for each in rig.writes() if each[0] == 6] == [WRITES[0], *WRITES]
        rig = ChangeRig(charger=Odd(deaf=2))
        old = rig.words()
        outcome = await apply(rig)
        assert isinstance(outcome, Failed)
        assert outcome.why.endswith("nothing was changed")
        assert rig.resets() == 0
        assert rig.writes()[-1] == ON
        assert_sound(rig, old)

    run_virtual(main())


@pytest.mark.parametrize("cut", [1, 2, 3, 4])
def test_a_power_cut_of_the_charger_between_two_writes(cut: int, tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=Odd(cut=cut, behaviour=Behaviour(boot_seconds=8.0)))
        old = rig.words()
        assert await apply(rig) == Done("winter")
        assert rig.charger.eeprom_writes == 4
        assert rig.words() == NEW_WORDS
        assert rig.resets() == 1
        assert_sound(rig, old)

    run_virtual(main())


def test_a_restart_that_did_not_happen_is_asked_for_again() -> None:
    async def main() -> None:
        rig = ChangeRig(charger=Odd(stubborn=1))
        old = rig.words()
        assert await apply(rig) == Done("winter")
        assert rig.resets() == 2
        assert rig.charger.resets == 1
        assert_sound(rig, old)

    run_virtual(main())


def test_a_charger_that_does_not_restart_is_tried_again_later(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=Odd(stubborn=4))
        old = rig.words()
        async with rig.running() as plant:
            change = rig.change(plant)
            outcome = await change.apply(WANTED, label="winter", origin="test")
            assert isinstance(outcome, Failed)
            assert "switch its supply off and on" in outcome.why
            assert rig.resets() == 3
            assert change.pending
            assert change.refusal(TWO) is not None
            said = await change.recover()
            assert said is not None
            assert "was finished" in said
            assert change.values()["profile_status"] == "done"
            assert change.values()["profile_error"] == ""
            assert change.refusal(TWO) is None
        assert rig.resets() == 5
        assert rig.words() == NEW_WORDS
        assert_sound(rig, old)

    run_virtual(main())


def test_restarts_that_are_never_answered_are_not_sent_for_ever(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=Odd(stubborn=1000, mute=1000))
        async with asyncio.timeout(600):
            outcome = await apply(rig)
        assert isinstance(outcome, Failed)
        assert rig.resets() == 3
        assert not rig.charger.charger.requests.disconnect
        assert pending(tmp_path, KEY)

    run_virtual(main())


def test_a_wrong_word_is_taken_back_also_when_the_charger_was_restarted_meanwhile(tmp_path: Path) -> None:
    """Killed while restoring, and a power cut: nothing but the journal tells the wrong word from somebody's edit."""

    async def main() -> None:
        for at in range(1, 200):
            folder = tmp_path / str(at)
            rig = ChangeRig(folder, charger=Forgetful())
            old = rig.words()
            assert await apply(rig, fuse=Fuse(at)) is None
            journal = folder / f"{KEY}.journal.json"
            wrong = rig.charger.eeprom[0xE001] not in (old[0xE001], NEW_WORDS[0xE001])
            if wrong and journal.exists() and json.loads(journal.read_bytes())["change"]["entries"][1][4] is not None:
                break
        rig.charger.reset()
        rig.charger.advance(60)
        rig = ChangeRig(folder, charger=rig.charger)
        await recover(rig)
        assert rig.words() == old
        assert_sound(rig, old)

    run_virtual(main())


@pytest.mark.parametrize("at", range(1, 9))
def test_a_charger_that_falls_silent_is_waited_for(at: int, tmp_path: Path) -> None:
    """The cable is pulled at each write in turn, for ten minutes."""

    async def main() -> None:
        rig = ChangeRig(tmp_path)
        old = rig.words()
        write = rig.link.write
        statuses: set[str] = set()

        async def plug_in() -> None:
            await asyncio.sleep(600)
            rig.link.paused = False

        tasks: list[asyncio.Task[None]] = []

        def pulled(frame: bytes) -> None:
            if frame[7] in (5, 6):
                seen.append(frame)
                if len(seen) == at:
                    rig.link.paused = True
                    tasks.append(asyncio.ensure_future(plug_in()))
            write(frame)

        seen: list[bytes] = []
        rig.link.write = pulled  # type: ignore[method-assign]
        async with rig.running() as plant:
            change = rig.change(plant)
            plant.changed = lambda: statuses.add(str(change.values()["profile_status"]))
            outcome = await change.apply(WANTED, label="winter", origin="test")
            await asyncio.gather(*tasks)
        assert rig.charger.eeprom_writes <= 4
        assert isinstance(outcome, Done) == (rig.words() == NEW_WORDS)
        if 2 < at <= 7:
            assert outcome == Done("winter")
            assert at == 7 or any("waiting for the charger" in each for each in statuses)
        assert_sound(rig, old)

    run_virtual(main())


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "faults", [{"lost": 0.3}, {"late": 0.3, "late_seconds": 4.0}, {"exception": 0.2}, {"cut": 0.2, "joined": 0.1}]
)
def test_a_line_full_of_accidents_ends_sound(seed: int, faults: dict[str, float], tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, faults=Faults(seed=seed, **faults))  # type: ignore[arg-type]
        old = rig.words()
        outcome = await apply(rig)
        if isinstance(outcome, Done):
            assert rig.words() == NEW_WORDS
        # Restoring writes again; a change that works does not.
        assert rig.charger.eeprom_writes <= (4 if isinstance(outcome, Done) else 8)
        assert_sound(rig, old)

    run_virtual(main())


def test_switch_8_moved_before_the_writes(tmp_path: Path) -> None:
    """The charger takes the disconnect and no word: it is let go again, without a restart."""

    async def main() -> None:
        charger = sunny()
        rig = ChangeRig(tmp_path, charger=charger)
        old = rig.words()

        def refuse(address: int, word: int, origin: Origin) -> None:
            raise RefusalError(1)

        charger.write_register = refuse  # type: ignore[method-assign]
        outcome = await apply(rig)
        assert isinstance(outcome, Failed)
        assert outcome.why.endswith("nothing was changed")
        assert rig.resets() == 0
        assert_sound(rig, old)

    run_virtual(main())


def test_a_charger_that_refuses_in_the_middle_gets_its_old_settings_back(tmp_path: Path) -> None:
    async def main() -> None:
        charger = sunny()
        rig = ChangeRig(tmp_path, charger=charger)
        old = rig.words()
        write = charger.write_register

        def refuse(address: int, word: int, origin: Origin) -> None:
            if (address, word) == (0xE002, 3600):
                raise RefusalError(4)
            write(address, word, origin)

        charger.write_register = refuse  # type: ignore[method-assign]
        outcome = await apply(rig)
        assert isinstance(outcome, Failed)
        assert "the settings from before are back" in outcome.why
        assert rig.words() == old
        assert rig.resets() == 1
        assert_sound(rig, old)

    run_virtual(main())


@pytest.mark.parametrize(
    "error", [TerminalError("no answer", sent=True), StoreError("disk full"), OSError("disk full")]
)
def test_who_cannot_step_aside_stops_it(error: Exception, tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path)
        old = rig.words()

        async def prepare() -> None:
            raise error

        rig._prepare = prepare  # type: ignore[method-assign]
        outcome = await apply(rig)
        assert isinstance(outcome, Failed)
        assert outcome.why.endswith("; nothing was changed")
        assert rig.writes() == []
        assert rig.done == 1
        assert_sound(rig, old)

    run_virtual(main())


def test_without_a_disk_nothing_begins(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path / "state")
        async with rig.running() as plant:
            (tmp_path / "state").write_text("a file where the folder should be")
            outcome = await rig.change(plant).apply(WANTED, label="winter", origin="test")
            assert isinstance(outcome, Failed)
            assert outcome.why.endswith("nothing was changed")
        assert rig.writes() == []

    run_virtual(main())


def test_a_disk_that_fails_in_the_middle_does_not_stop_it(tmp_path: Path) -> None:
    """Half-written settings are worse than a journal that is a step behind."""

    async def main() -> None:
        rig = ChangeRig(tmp_path)
        old = rig.words()
        write = rig.charger.write_register

        def break_the_disk(address: int, word: int, origin: Origin) -> None:
            write(address, word, origin)
            (tmp_path / f"{KEY}.journal.json.tmp").mkdir(exist_ok=True)

        rig.charger.write_register = break_the_disk  # type: ignore[method-assign]
        assert await apply(rig) == Done("winter")
        (tmp_path / f"{KEY}.journal.json.tmp").rmdir()
        assert_sound(rig, old)

    run_virtual(main())


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda charger: charger.inject_fault(6), "somebody else has edited"),
        (lambda charger: setattr(charger.charger.requests, "disconnect", True), "told not to charge"),
    ],
)
def test_a_charger_that_somebody_else_is_at_is_left_alone(spoil: Any, words: str) -> None:
    async def main() -> None:
        rig = ChangeRig()
        spoil(rig.charger)
        outcome = await apply(rig)
        assert isinstance(outcome, Refused)
        assert words in outcome.why
        assert rig.writes() == []

    run_virtual(main())


def test_guards_before_any_byte() -> None:
    async def main() -> None:
        rig = ChangeRig()
        async with rig.running() as plant:
            change = rig.change(plant)
            asked = len(rig.requests)

            def refused(wanted: Any, words: str) -> None:
                said = change.refusal(wanted)
                assert said is not None
                assert words in said

            assert change.refusal(WANTED) is None
            refused({"set_absorbtion_voltage": 28.0}, "did you mean set_absorption_voltage")
            refused({"set_float_voltage": float("nan")}, "takes a number")
            refused({}, "no setting to change")
            plant.options = with_eeprom(FREE, system_voltage=None)
            refused(WANTED, "system_voltage = 24 for roof")
            plant.options = with_eeprom(FREE)
            async with plant.busy:
                refused(WANTED, "being written at this moment")
                assert isinstance(await change.stored(), Refused)
                assert await change.recover() is None
            plant.reading = lambda: None
            refused(WANTED, "does not answer")
            assert isinstance(await change.apply(WANTED, label="x", origin="test"), Refused)
            assert isinstance(await change.plan(WANTED), Refused)
            assert len(rig.requests) == asked

    run_virtual(main())


def test_two_changes_at_once_are_one_too_many() -> None:
    async def main() -> None:
        rig = ChangeRig()
        async with rig.running() as plant:
            change = rig.change(plant)
            outcomes = await asyncio.gather(
                change.apply(WANTED, label="a", origin="test"), change.apply(TWO, label="b", origin="test")
            )
        assert outcomes[0] == Done("a")
        assert isinstance(outcomes[1], Refused)
        assert rig.words() == NEW_WORDS

    run_virtual(main())


def test_nobody_writes_while_it_is_busy() -> None:
    async def main() -> None:
        rig = ChangeRig()
        async with rig.running() as plant:
            change = rig.change(plant)
            locked: list[bool] = []
            plant.changed = lambda: locked.append(plant.busy.locked())
            await change.apply(WANTED, label="a", origin="test")
            assert locked
            assert all(locked)
            assert not plant.busy.locked()

    run_virtual(main())


async def killed_while_writing(rig: ChangeRig) -> None:
    """Dead after the second write."""
    count = 0
    at = 0
    while count != 2:
        at += 1
        fresh = ChangeRig(rig.store.folder, charger=rig.charger)
        assert await apply(fresh, fuse=Fuse(at)) is None
        count = rig.charger.eeprom_writes
        if count < 2:
            await recover(ChangeRig(rig.store.folder, charger=rig.charger))
            rig.charger.eeprom.update(OLD)
            rig.charger.eeprom_writes = 0


OLD = {address: sunny().eeprom[address] for address in NEW_WORDS}


def test_a_change_that_somebody_else_overtook_is_left_as_it_is(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=sunny())
        await killed_while_writing(rig)
        # The owner comes with the vendor's program, sets another word and restarts the charger.
        rig.charger.eeprom[0xE002] = 7777
        rig.charger.reset()
        rig.charger.advance(10)
        held, resets = rig.words(), rig.charger.resets
        rig = ChangeRig(tmp_path, charger=rig.charger)
        said = await recover(rig)
        assert said is not None
        assert "overtaken by another edit" in said
        assert rig.words() == held
        assert rig.charger.resets == resets
        assert not pending(tmp_path, KEY)
        rig.charger.advance(600)
        assert rig.charger.stage in CHARGING

    run_virtual(main())


def test_recovery_waits_for_a_charger_that_is_silent(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=sunny())
        await killed_while_writing(rig)
        rig = ChangeRig(tmp_path, charger=rig.charger)
        async with rig.running() as plant:
            change = rig.change(plant)
            assert change.values()["profile_status"] == "finishing an interrupted change"
            rig.link.paused = True
            assert await change.recover() is None
            assert change.pending
            assert change.refusal(WANTED) == "an interrupted change of its charge settings has to be finished first"
            rig.link.paused = False
            said = await change.recover()
            assert said is not None
            assert "was finished" in said
            assert not change.pending
            assert await change.recover() is None
            assert change.values()["profile_applied"] == "winter"
        assert rig.words() == NEW_WORDS
        assert rig.charger.eeprom_writes == 4
        assert_sound(rig, OLD)

    run_virtual(main())


def test_recovery_over_a_line_full_of_accidents(tmp_path: Path) -> None:
    async def main() -> None:
        rig = ChangeRig(tmp_path, charger=sunny())
        await killed_while_writing(rig)
        rig = ChangeRig(tmp_path, charger=rig.charger, faults=Faults(seed=3, lost=0.3, exception=0.2))
        await recover(rig)
        assert_sound(rig, OLD)

    run_virtual(main())


def test_a_change_at_night_is_done_at_night() -> None:
    async def main() -> None:
        rig = ChangeRig(charger=SimTriStar(hour=1.0, day_of_year=152))
        assert await apply(rig) == Done("winter")
        assert rig.words() == NEW_WORDS

    run_virtual(main())


def test_what_was_applied_is_known_after_a_restart(tmp_path: Path) -> None:
    async def main() -> None:
        await apply(ChangeRig(tmp_path))
        rig = ChangeRig(tmp_path)
        async with rig.running() as plant:
            values = rig.change(plant).values()
        assert values["profile_applied"] == "winter"
        assert values["profile_status"] == "idle"
        assert values["eeprom_writes"] == 4

    run_virtual(main())


def test_a_device_without_settings_is_not_for_this() -> None:
    async def main() -> None:
        rig = ChangeRig()
        async with rig.running() as plant:
            driver = plant.terminal.driver
            assert driver.writes is not None
            plant.terminal.driver = replace(driver, writes=replace(driver.writes, eeprom=None))
            with pytest.raises(ValueError, match="no settings"):
                rig.change(plant)

    run_virtual(main())
