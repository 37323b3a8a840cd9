"""Coils under control: read back, sent once, and honest about what nobody can know."""

from collections.abc import Callable

import pytest

from control_stage import Rig
from heliobus.control.switches import Switches
from heliobus.devices.morningstar import writes as w
from heliobus.model.command import Done, Failed, Outcome
from heliobus.sim.device import Origin, SilenceError
from heliobus.sim.tristar import Behaviour, SimTriStar
from heliobus.sim.virtual_time import run_virtual

OFF, ON = 0x0000, 0xFF00


def noon(**options: object) -> SimTriStar:
    return SimTriStar(hour=12.0, cloudiness=0.0, day_of_year=152, **options)  # type: ignore[arg-type]


class Forgetful(SimTriStar):
    """Takes coil 0 and 2, confirms, and does nothing."""

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        if address not in (0, 2):
            super().write_coil(address, on, origin)


class Mute(SimTriStar):
    """Does what a coil says, but its answer to `mute` is lost."""

    mute: frozenset[int] = frozenset()

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        super().write_coil(address, on, origin)
        if address in self.mute:
            raise SilenceError


class Deaf(SimTriStar):
    """Never hears of a reset, and says nothing."""

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        if address == 0xFF:
            raise SilenceError
        super().write_coil(address, on, origin)


def carried_out(charger: SimTriStar, work: Callable[[Switches], object]) -> tuple[Outcome, Rig]:
    async def run() -> tuple[Outcome, Rig]:
        rig = Rig(charger=charger)
        async with rig.running() as plant:
            outcome = await work(Switches(plant))  # type: ignore[misc]
            assert isinstance(outcome, Done | Failed)
            return outcome, rig

    return run_virtual(run())


def test_a_switch_is_written_once_and_read_back() -> None:
    outcome, rig = carried_out(noon(), lambda switches: switches.set(w.ENABLED, False))
    assert outcome == Done(0)
    assert rig.writes() == [(5, 2, ON)]
    assert rig.charger.charger.requests.disconnect


def test_a_switch_that_is_so_already_is_not_written() -> None:
    outcome, rig = carried_out(noon(), lambda switches: switches.set(w.ENABLED, True))
    assert outcome == Done(1)
    assert rig.writes() == []


@pytest.mark.parametrize("on", [False, True])
def test_what_does_not_take_is_told(on: bool) -> None:
    charger = Forgetful(hour=12.0)
    charger.charger.requests.equalize = not on
    outcome, rig = carried_out(charger, lambda switches: switches.set(w.EQUALIZE, on))
    assert isinstance(outcome, Failed)
    assert "reads back" in outcome.why
    assert len(rig.writes()) == 1


def test_a_switch_whose_answer_is_lost_is_judged_by_its_read_back() -> None:
    charger = Mute(hour=12.0)
    charger.mute = frozenset({2})
    outcome, rig = carried_out(charger, lambda switches: switches.set(w.ENABLED, False))
    assert outcome == Done(0)
    assert rig.writes() == [(5, 2, ON)]


def test_switch_8_is_answered_in_words() -> None:
    outcome, rig = carried_out(noon(network_writes=False), lambda switches: switches.set(w.ENABLED, False))
    assert isinstance(outcome, Failed)
    assert "illegal function" in outcome.why
    assert len(rig.writes()) == 1


def test_a_reset_whose_answer_is_lost_is_sent_exactly_once() -> None:
    charger = noon(behaviour=Behaviour(reset_answer_lost=True, boot_seconds=8.0))
    outcome, rig = carried_out(charger, lambda switches: switches.press(w.RESET))
    assert outcome == Done(1)
    assert rig.writes() == [(5, 0xFF, ON)]
    assert charger.resets == 1


def test_a_reset_that_leaves_no_trace_is_not_called_done() -> None:
    outcome, rig = carried_out(Deaf(hour=12.0), lambda switches: switches.press(w.RESET))
    assert isinstance(outcome, Failed)
    assert "shows no restart" in outcome.why
    assert rig.writes() == [(5, 0xFF, ON)]


def test_the_server_is_restarted_once_and_waited_for() -> None:
    outcome, rig = carried_out(
        noon(behaviour=Behaviour(server_restart_seconds=12.0)), lambda switches: switches.press(w.SERVER_RESET)
    )
    assert outcome == Done(1)
    assert rig.writes() == [(5, 0x10FF, ON)]


def test_a_charger_that_stays_away_is_told() -> None:
    outcome, _ = carried_out(noon(behaviour=Behaviour(boot_seconds=1000.0)), lambda switches: switches.press(w.RESET))
    assert isinstance(outcome, Failed)
    assert "nothing has answered for 60 s" in outcome.why


def test_a_button_whose_answer_is_lost_is_not_pressed_again() -> None:
    charger = Mute(hour=12.0)
    charger.mute = frozenset({0x12})
    outcome, rig = carried_out(charger, lambda switches: switches.press(w.COILS[3]))
    assert isinstance(outcome, Failed)
    assert "not sent again" in outcome.why
    assert rig.writes() == [(5, 0x12, ON)]


def test_the_poller_shows_a_switch_at_once() -> None:
    async def run() -> None:
        rig = Rig()
        async with rig.running() as plant:
            await Switches(plant).set(w.ENABLED, False)
            await rig.until(lambda reading: reading.values["charger_enabled"] == 0, seconds=1.0)

    run_virtual(run())
