"""Slave mode against the simulated charger: imposed, renewed, taken back, adopted and recovered."""

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from heliobus.control.limits import Setpoint
from heliobus.control.slave_mode import SlaveMode
from heliobus.model import vocabulary as v
from heliobus.sim.device import ILLEGAL_FUNCTION, Origin, RefusalError
from heliobus.sim.faults import Faults
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.tristar_charger import Stage
from heliobus.sim.virtual_time import run_virtual
from steering_stage import AMPS, CLEAR_COIL, RELEASE, VOLTS, SteeringRig, dvcc, gaps, now, until

LIMIT = Setpoint("DVCC", 28.0, 10.0)
VOLTS_WORD, AMPS_WORD = 5097, 4096
RENEWAL, FAULT_AFTER = 20.0, 60.0


def play(scene: Coroutine[Any, Any, None]) -> None:
    run_virtual(scene)


class SlaveRig(SteeringRig):
    """Drives the slave mode of a steering directly."""

    def want(self, setpoint: Setpoint | None) -> None:
        self.steering.slave_mode.want(setpoint)

    @property
    def mode(self) -> SlaveMode:
        return self.steering.slave_mode

    @property
    def left(self) -> Any:
        return self.store.section("slave")


def test_imposed_verified_renewed_and_taken_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "heliobus.control")

    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(LIMIT)
            await until(lambda: rig.charger.stage is Stage.SLAVE)
            await until(lambda: rig.words(VOLTS) == [VOLTS_WORD])
            assert rig.times[AMPS][0] < rig.times[VOLTS][0], "no voltage without the current's limit"
            await rig.until(lambda reading: reading.values["charger_state"] == 252)
            assert rig.mode.values() == {
                v.CONTROL_SOURCE.name: "DVCC",
                v.CONTROL_VOLTAGE.name: 28.0,
                v.CONTROL_CURRENT.name: 10.0,
            }
            await asyncio.sleep(600)
            assert set(rig.words(AMPS)) == {AMPS_WORD}
            assert set(rig.words(VOLTS)) == {VOLTS_WORD}
            for address in (AMPS, VOLTS):
                assert max(gaps(rig.times[address])) <= 16
                assert min(gaps(rig.times[address])) >= 14
            rig.want(None)
            await until(lambda: rig.charger.stage is not Stage.SLAVE)
            await asyncio.sleep(120)
            assert rig.words(VOLTS)[-2:] == [VOLTS_WORD, RELEASE]
            assert rig.words(AMPS)[-2:] == [AMPS_WORD, RELEASE]
            assert rig.times[VOLTS][-1] < rig.times[AMPS][-1], "the current's limit goes last"
            assert rig.mode.values() == {
                v.CONTROL_SOURCE.name: "",
                v.CONTROL_VOLTAGE.name: None,
                v.CONTROL_CURRENT.name: None,
            }
        assert not rig.faulted

    play(scene())
    assert [each.message for each in caplog.records] == [
        "roof: is steered by DVCC",
        "roof: charges by its own settings again",
    ]


@pytest.mark.parametrize(
    ("setpoint", "address", "other"),
    [(Setpoint("user", amps=10.0), AMPS, VOLTS), (Setpoint("user", 28.0), VOLTS, AMPS)],
)
def test_one_limit_uses_one_register(setpoint: Setpoint, address: int, other: int) -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(setpoint)
            await asyncio.sleep(100)
            assert rig.charger.stage is Stage.SLAVE
        assert rig.words(address)[-1] == RELEASE
        assert rig.words(other) == []

    play(scene())


def test_no_charging_is_the_smallest_count() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(Setpoint("BMS missing", amps=0.0))
            await asyncio.sleep(100)
            assert set(rig.words(AMPS)) == {1}
            assert rig.charger.charger.amps < 0.01
            assert rig.mode.values()[v.CONTROL_CURRENT.name] == 0.0

    play(scene())


def test_a_register_no_longer_wanted_is_released_once() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(40)
            rig.want(Setpoint("user", amps=10.0))
            await asyncio.sleep(40)
            assert rig.words(VOLTS)[-1] == RELEASE
            assert rig.words(VOLTS).count(RELEASE) == 1
            assert rig.charger.stage is Stage.SLAVE
            assert rig.left == {"engaged": ["slave_current"]}
            rig.want(LIMIT)
            await asyncio.sleep(3)
            assert rig.words(VOLTS)[-1] == VOLTS_WORD

    play(scene())


def test_changes_are_written_at_once_but_not_faster_than_a_second() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(20)
            asked = now()
            rig.want(Setpoint("DVCC", 27.0, 10.0))
            await asyncio.sleep(0.5)
            assert rig.times[VOLTS][-1] - asked < 0.2
            for step in range(100):
                rig.want(Setpoint("DVCC", 27.0 + step / 100, 10.0))
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
            assert min(gaps(rig.times[VOLTS])) >= 0.99
            assert len(rig.times[VOLTS]) <= 18
            assert rig.words(VOLTS)[-1] == int((27.0 + 0.99) * 32768 / 180)

    play(scene())


def test_renewals_go_on_while_polls_fail() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(60)
            for faults in (Faults(lost=0.4, seed=3), Faults(late=0.3, lost=0.2, seed=4), Faults(cut=0.3, flipped=0.3)):
                rig.link.station.faults = faults
                await asyncio.sleep(1800)
            rig.link.station.faults = Faults()
            await asyncio.sleep(60)
            assert rig.charger.stage is Stage.SLAVE
            assert max(gaps(rig.times[AMPS]) + gaps(rig.times[VOLTS])) <= RENEWAL
            assert not rig.faulted

    play(scene())


def test_nothing_is_written_while_settings_are() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered() as steering:
            rig.want(LIMIT)
            await asyncio.sleep(30)
            async with rig.plant.busy:
                assert await steering.release(5.0)
                assert not rig.slaved
                written = len(rig.writes())
                rig.want(Setpoint("DVCC", 27.0, 5.0))
                await asyncio.sleep(60)
                assert len(rig.writes()) == written
            await asyncio.sleep(5)
            assert len(rig.writes()) == written, "it was not told to resume"
            steering.resume()
            await asyncio.sleep(2)
            assert rig.slaved
            assert rig.words(AMPS)[-1] == 2048

    play(scene())


def test_a_second_user_of_the_lock_keeps_it_still() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            async with rig.plant.busy:
                rig.want(LIMIT)
                await asyncio.sleep(30)
                assert rig.writes() == []
            await asyncio.sleep(3)
            assert rig.charger.stage is Stage.SLAVE

    play(scene())


def test_a_clean_stop_releases_every_register(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = SlaveRig(tmp_path)
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(30)
            assert rig.left == {"engaged": ["slave_current", "slave_voltage"]}
        assert rig.words(AMPS)[-1] == RELEASE
        assert rig.words(VOLTS)[-1] == RELEASE
        assert rig.left == {}
        rig.charger.advance(300)
        assert not rig.faulted
        assert rig.charger.stage in (Stage.MPPT, Stage.ABSORPTION)

    play(scene())


def test_a_limit_does_not_wait_for_a_disk_that_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        rig = SlaveRig(tmp_path / "taken")
        async with rig.steered():
            (tmp_path / "taken").write_text("no folder")
            rig.want(LIMIT)
            await asyncio.sleep(60)
            assert rig.slaved

    play(scene())
    assert len([each for each in caplog.records if "cannot be remembered" in each.message]) <= 2


def test_it_is_on_disk_before_the_first_write(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = SlaveRig(tmp_path)
        noted: list[bool] = []
        write = rig.charger.write_register

        def looked(address: int, word: int, origin: Origin) -> None:
            noted.append("slave_current" in (tmp_path / "tristar_10170296.json").read_text())
            write(address, word, origin)

        rig.charger.write_register = looked  # type: ignore[method-assign]
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(30)
        assert noted
        assert all(noted)

    play(scene())


async def killed(folder: Path | None, charger: SimTriStar, setpoint: Setpoint = LIMIT) -> None:
    """A session that ends without any chance to release."""
    rig = SlaveRig(folder, charger=charger)
    async with rig.steered(release=False):
        rig.want(setpoint)
        await asyncio.sleep(40)
    assert charger.stage is Stage.SLAVE


@pytest.mark.parametrize("away", [20.0, 300.0], ids=["within the timeout", "after the fault"])
@pytest.mark.parametrize("stored", [True, False], ids=["store", "no store"])
def test_a_crash_is_recovered_at_the_next_start(tmp_path: Path, away: float, stored: bool) -> None:
    async def scene() -> None:
        first = SlaveRig()
        folder = tmp_path if stored else None
        await killed(folder, first.charger)
        first.charger.advance(away)
        assert first.faulted is (away > FAULT_AFTER)
        rig = SlaveRig(folder, charger=first.charger)
        async with rig.steered(release=False):
            await until(lambda: rig.charger.stage in (Stage.MPPT, Stage.ABSORPTION), 30)
            assert not rig.faulted
            assert rig.words(AMPS) == rig.words(VOLTS) == [RELEASE]
            await asyncio.sleep(120)
            assert rig.left == {}
            assert rig.words(AMPS) == [RELEASE]

    play(scene())


def test_a_session_is_adopted_when_somebody_wants_something(tmp_path: Path) -> None:
    async def scene() -> None:
        first = SlaveRig()
        await killed(tmp_path, first.charger)
        rig = SlaveRig(tmp_path, charger=first.charger)
        async with rig.steered() as steering:
            asyncio.get_running_loop().call_later(6.0, rig.want, Setpoint("DVCC", 28.0))
            stages = set()
            for _ in range(300):
                await asyncio.sleep(0.1)
                stages.add(rig.charger.stage)
            assert stages == {Stage.SLAVE}, "its limits held all the while"
            assert rig.words(AMPS) == [RELEASE]
            assert rig.words(VOLTS)[0] == VOLTS_WORD
            assert steering.values()[v.CONTROL_CURRENT.name] is None

    play(scene())


def test_a_fault_is_left_by_a_new_limit(tmp_path: Path) -> None:
    async def scene() -> None:
        first = SlaveRig()
        await killed(tmp_path, first.charger)
        first.charger.advance(200)
        assert first.faulted
        rig = SlaveRig(tmp_path, charger=first.charger)
        async with rig.steered():
            rig.want(LIMIT)
            await until(lambda: rig.charger.stage is Stage.SLAVE, 5)
            assert not rig.faulted
            assert RELEASE not in rig.words(AMPS)

    play(scene())


class StubbornCharger(SimTriStar):
    """Keeps the time-out fault until its coil is written `clears` times, and counts how often that was tried."""

    def __init__(self, clears: int, **options: Any) -> None:
        super().__init__(**options)
        self.clears = clears
        self.tries = 0

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        if address == CLEAR_COIL:
            self.tries += 1
            self.clears -= 1
            if self.clears > 0:
                return
        super().write_coil(address, on, origin)


@pytest.mark.parametrize("wanted", [None, LIMIT], ids=["nothing wanted", "a limit wanted"])
def test_a_fault_that_stays_is_cleared_by_its_coil(wanted: Setpoint | None) -> None:
    async def scene() -> None:
        charger = StubbornCharger(1, hour=12.0, cloudiness=0.0, day_of_year=152)
        charger.inject_fault(11)
        rig = SlaveRig(charger=charger)
        async with rig.steered():
            rig.want(wanted)
            expected = (Stage.SLAVE,) if wanted else (Stage.MPPT, Stage.ABSORPTION)
            await until(lambda: charger.stage in expected, 60)
            assert charger.tries == 1
            await asyncio.sleep(120)
            assert charger.tries == 1
            assert charger.stage in expected

    play(scene())


@pytest.mark.parametrize("wanted", [None, LIMIT], ids=["nothing wanted", "a limit wanted"])
def test_a_fault_that_cannot_be_cleared_is_no_reason_to_spin(
    wanted: Setpoint | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "heliobus.control")

    async def scene() -> None:
        charger = StubbornCharger(10_000, hour=12.0, cloudiness=0.0, day_of_year=152)
        charger.inject_fault(11)
        rig = SlaveRig(charger=charger)
        async with rig.steered(release=False):
            rig.want(wanted)
            await asyncio.sleep(1800)
            assert 1 < charger.tries <= 3 * 1800 / 15 + 3
            assert len(rig.words(AMPS)) <= 5 * 1800 / 15 + 5

    play(scene())
    assert len([each for each in caplog.records if "fault stays" in each.message]) == 1


def test_a_rejected_write_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "heliobus.control")

    async def scene() -> None:
        rig = SlaveRig()
        write = rig.charger.write_register
        rejecting = True

        def moody(address: int, word: int, origin: Origin) -> None:
            if rejecting:
                raise RefusalError(ILLEGAL_FUNCTION)
            write(address, word, origin)

        rig.charger.write_register = moody  # type: ignore[method-assign]
        async with rig.steered() as steering:
            rig.want(LIMIT)
            await asyncio.sleep(300)
            assert steering.values()[v.CONTROL_SOURCE.name] == ""
            assert steering.values()[v.CONTROL_VOLTAGE.name] is None
            assert len(rig.words(VOLTS)) <= 21
            rejecting = False
            await asyncio.sleep(20)
            assert steering.values()[v.CONTROL_VOLTAGE.name] == 28.0

    play(scene())
    assert len([each for each in caplog.records if "refused" in each.message]) == 1
    assert caplog.messages[1].endswith("takes its limits again")


def test_switch_8_off_sends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        rig = SlaveRig(charger=SimTriStar(hour=12.0, network_writes=False))
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(120)
            assert rig.writes() == []

    play(scene())
    assert len([each for each in caplog.records if "switch 8" in each.message]) == 1


def test_a_network_cut_ends_in_the_fault_and_then_in_charging() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered() as steering:
            rig.want(LIMIT)
            await asyncio.sleep(60)
            rig.link.paused = True
            rig.link.hang_up()
            await asyncio.sleep(600)
            assert steering.values()[v.CONTROL_SOURCE.name] == "", "it cannot be imposed any more"
            rig.charger.advance(600)
            assert rig.faulted
            rig.link.paused = False
            back = now()
            await until(lambda: rig.charger.stage is Stage.SLAVE, 60)
            assert now() - back < 20
            assert not rig.faulted
            await asyncio.sleep(60)
            assert steering.values()[v.CONTROL_SOURCE.name] == "DVCC"

    play(scene())


def test_a_release_into_a_cut_network_is_made_up_for() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(60)
            rig.link.paused = True
            rig.link.hang_up()
            rig.want(None)
            await asyncio.sleep(600)
            rig.charger.advance(600)
            assert rig.faulted
            rig.link.paused = False
            await until(lambda: rig.charger.stage in (Stage.MPPT, Stage.ABSORPTION), 60)
            assert not rig.faulted
            assert rig.words(AMPS)[-1] == RELEASE

    play(scene())


def test_release_that_is_not_answered_is_not_certain(tmp_path: Path) -> None:
    async def scene() -> None:
        rig = SlaveRig(tmp_path)
        async with rig.steered(release=False) as steering:
            rig.want(LIMIT)
            await asyncio.sleep(60)
            rig.link.paused = True
            began = now()
            assert not await steering.release(4.0)
            assert now() - began <= 4.1
        assert rig.left["engaged"]

    play(scene())


def test_a_restart_of_the_charger_does_not_end_the_limits() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(62)
            rig.charger.reset()
            await asyncio.sleep(30)
            assert rig.charger.stage is Stage.SLAVE
            assert rig.charger.charger.requests.slave.volts == pytest.approx(28.0, abs=0.01)
            assert rig.charger.charger.requests.slave.amps == pytest.approx(10.0, abs=0.01)

    play(scene())


def test_limits_hold_through_night_and_disconnection() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            rig.want(LIMIT)
            await asyncio.sleep(30)
            rig.charger.answer(bytes.fromhex("050002ff00"))
            await asyncio.sleep(300)
            assert rig.charger.stage is Stage.DISCONNECT
            assert max(gaps(rig.times[AMPS])) <= 16
            rig.charger.answer(bytes.fromhex("0500020000"))
            await asyncio.sleep(10)
            assert rig.slaved
            assert rig.charger.charger.amps <= 10.0

    play(scene())


def test_a_limit_left_behind_is_found_by_night_too() -> None:
    async def scene() -> None:
        first = SlaveRig()
        await killed(None, first.charger)
        first.charger.answer(bytes.fromhex("050002ff00"))
        rig = SlaveRig(charger=first.charger)
        async with rig.steered():
            await asyncio.sleep(30)
            assert rig.words(AMPS) == rig.words(VOLTS) == [RELEASE], "no state showed that it was steered"

    play(scene())


@pytest.mark.parametrize("away", [10.0, 300.0])
def test_who_has_turned_control_off_gets_the_charger_back(tmp_path: Path, away: float) -> None:
    async def scene() -> None:
        first = SlaveRig()
        await killed(tmp_path, first.charger)
        first.charger.advance(away)
        rig = SlaveRig(charger=first.charger)
        async with rig.running() as plant:
            assert await SlaveMode(plant).release(5.0)
            assert not rig.slaved
            assert not rig.faulted

    play(scene())


def test_a_fault_without_a_limit_is_lifted_too() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.running() as plant:
            rig.charger.inject_fault(11)
            assert await SlaveMode(plant).release(10.0)
            assert not rig.faulted

    play(scene())


@pytest.mark.parametrize("word", [VOLTS_WORD, RELEASE])
def test_a_word_that_is_not_held_is_told_and_tried_again(word: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        rig = SlaveRig()
        write = rig.charger.write_register
        lazy = True

        forgotten = word

        def forgetful(address: int, word: int, origin: Origin) -> None:
            if not (lazy and address == VOLTS and word == forgotten):
                write(address, word, origin)

        rig.charger.write_register = forgetful  # type: ignore[method-assign]
        async with rig.steered() as steering:
            rig.want(LIMIT)
            await asyncio.sleep(60)
            rig.want(Setpoint("DVCC", amps=10.0) if word == RELEASE else LIMIT)
            await asyncio.sleep(60)
            assert steering.values()[v.CONTROL_VOLTAGE.name] is None
            assert steering.values()[v.CONTROL_CURRENT.name] == 10.0
            assert 3 <= rig.words(VOLTS).count(word) <= 10
            lazy = False
            await asyncio.sleep(20)
            assert rig.charger.charger.requests.slave.volts == (
                None if word == RELEASE else pytest.approx(28.0, abs=0.01)
            )

    play(scene())
    assert len([each for each in caplog.records if "slave_voltage was" in each.message]) == 1


def test_what_was_released_is_not_taken_for_somebody_elses(caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            for _ in range(20):
                rig.want(LIMIT)
                await asyncio.sleep(7.3)
                rig.want(None)
                await asyncio.sleep(8.1)
            assert rig.words(AMPS).count(RELEASE) == 20

    play(scene())


def test_another_master_is_not_left_alone() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered():
            await asyncio.sleep(30)
            rig.charger.answer(bytes.fromhex("0600580400"))
            await until(lambda: rig.charger.stage is Stage.SLAVE, 1)
            await until(lambda: rig.charger.stage is not Stage.SLAVE, 30)
            assert rig.words(AMPS) == [RELEASE]

    play(scene())


def test_dvcc_is_what_the_charger_obeys() -> None:
    async def scene() -> None:
        rig = SlaveRig()
        async with rig.steered() as steering:
            await dvcc(steering, 60, 27.2, 25.0)
            assert rig.words(VOLTS)[-1] == int(27.2 * 32768 / 180)
            assert rig.words(AMPS)[-1] == int(25.0 * 32768 / 80)

    play(scene())
