"""What can be commanded, what a command is about, what it would write, and what is recorded of it."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_stage import DRIVER, OPTIONS, Rig
from heliobus.control.audit import Audit, read
from heliobus.control.controls import NO_PROFILES, NO_TOP_CHARGE, controls_of, equalize_lock, highest_voltage
from heliobus.control.plant import Plant
from heliobus.control.preview import coil_change, limit_changes
from heliobus.control.recorder import LONGEST_WORDS, REPEATED, Recorder
from heliobus.control.wanted import is_setting, wanted
from heliobus.devices import catalog
from heliobus.devices.morningstar import writes as w
from heliobus.model import vocabulary as v
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.command import Change, Command, Control, ControlKind, Done, Failed, Refused
from heliobus.model.control_options import ControlOptions, EqualizeOptions, Profile, TopChargeOptions
from heliobus.sim.virtual_time import run_virtual

assert DRIVER.writes is not None and DRIVER.writes.eeprom is not None
SETTINGS = {register.point.name for register in DRIVER.writes.eeprom.registers}
COILS = {coil.point.name for coil in DRIVER.writes.coils}
DYNAMIC = {"remote_network_mode", "remote_charge_voltage", "remote_charge_current"}
ALLOWED = replace(OPTIONS, equalize=EqualizeOptions(allowed=True))


def offered(
    options: ControlOptions = OPTIONS, network: bool = True, profiles: tuple[str, ...] = ()
) -> dict[str, Control]:
    return controls_of(DRIVER, options, profiles, network=network)


def test_nothing_is_offered_while_control_is_off_or_the_driver_writes_nothing() -> None:
    assert offered(replace(OPTIONS, on=False)) == {}
    for driver in catalog.drivers():
        if driver.writes is None:
            assert controls_of(driver, OPTIONS, (), network=True) == {}


def test_everything_that_is_declared_is_offered() -> None:
    controls = offered()
    limits = {"charge_voltage_limit", "charge_current_limit", "top_charge", "bms_required"}
    assert set(controls) == COILS | limits | DYNAMIC | SETTINGS | {"apply_profile", "apply_settings"}
    assert {name for name, control in controls.items() if control.dynamic} == DYNAMIC
    buttons = {name for name, control in controls.items() if control.kind is ControlKind.BUTTON}
    assert buttons == {coil.point.name for coil in DRIVER.writes.coils if coil.momentary}  # type: ignore[union-attr]
    assert all(control.point.name == name for name, control in controls.items())
    assert not {"set_modbus_unit", "set_meterbus_unit", "set_fixed_array_voltage"} & set(controls)


def test_the_network_server_is_restarted_only_where_there_is_one() -> None:
    assert set(offered()) - set(offered(network=False)) == {"reset_comm_server"}


def test_what_is_locked_says_what_unlocks_it() -> None:
    controls = offered(profiles=())
    assert controls["apply_profile"].locked == NO_PROFILES
    assert controls["top_charge"].locked == NO_TOP_CHARGE
    assert "EqualizeAllowed" in controls["equalize_requested"].locked
    free = offered(replace(ALLOWED, top_charge=TopChargeOptions(29.6)), profiles=("winter",))
    assert not [control for control in free.values() if control.locked]


@pytest.mark.parametrize("chemistry", CHEMISTRIES.values(), ids=lambda each: each.name)
def test_equalize_is_locked_for_all_but_flooded(chemistry) -> None:
    lock = equalize_lock(replace(ALLOWED, chemistry=chemistry))
    assert bool(lock) is (chemistry.name != "flooded")
    assert not lock or chemistry.name in lock


@given(st.sampled_from(list(CHEMISTRIES.values())), st.sampled_from((None, 12, 24, 48)), st.none() | st.floats(1, 80))
def test_no_limit_goes_beyond_the_chemistry_or_the_owner(chemistry, system, owner) -> None:
    options = replace(OPTIONS, chemistry=chemistry, system_voltage=system, highest_voltage=owner)
    volts = highest_voltage(options)
    assert 0 < volts <= chemistry.highest * (system or 60) / 12
    assert owner is None or volts <= owner
    assert offered(options)["charge_voltage_limit"].high == volts


def test_the_owners_current_bounds_the_limit() -> None:
    assert offered(replace(OPTIONS, highest_current=45.0))["charge_current_limit"].high == 45.0
    assert offered()["charge_current_limit"].high == 60.0


# Control.coerced: garbage never passes.

GARBAGE = st.one_of(
    st.none(),
    st.booleans(),
    st.text(),
    st.binary(),
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(),
    st.integers(min_value=10**300),
    st.complex_numbers(),
    st.lists(st.integers()),
    st.dictionaries(st.text(), st.integers()),
)
CONTROLS = list(offered(ALLOWED, profiles=("winter",)).values())


@given(st.sampled_from(CONTROLS), GARBAGE)
def test_garbage_never_passes_a_control(control: Control, value: object) -> None:
    try:
        taken = control.coerced(value)
    except ValueError as error:
        assert control.point.name in str(error)
        return
    if control.kind is ControlKind.TEXT:
        assert isinstance(value, str) and taken == value
        return
    assert not isinstance(value, bool) and isinstance(value, int | float) and taken == value
    assert isinstance(taken, int | float) and math.isfinite(taken)
    if control.kind is ControlKind.NUMBER:
        assert control.low <= taken <= control.high
    else:
        assert type(taken) is int and taken in ((1,) if control.kind is ControlKind.BUTTON else (0, 1))


@given(st.sampled_from([control for control in CONTROLS if control.kind is ControlKind.NUMBER]), st.floats(0, 1))
def test_what_is_within_the_range_passes(control: Control, share: float) -> None:
    value = control.low + share * (control.high - control.low)
    assert control.coerced(value) == pytest.approx(value)


@pytest.mark.parametrize("value", [True, False, "1", "on", 0.5, 2, -1, math.nan, None, [], 10**400])
def test_a_switch_takes_0_and_1(value: object) -> None:
    with pytest.raises(ValueError, match="takes 0 or 1"):
        Control(v.TOP_CHARGE, ControlKind.SWITCH).coerced(value)
    with pytest.raises(ValueError, match="takes 1"):
        Control(v.CLEAR_ALARMS, ControlKind.BUTTON).coerced(value)


def test_a_button_is_not_let_go_of() -> None:
    button = Control(v.CLEAR_ALARMS, ControlKind.BUTTON)
    assert button.coerced(1) == button.coerced(1.0) == 1
    with pytest.raises(ValueError, match="takes 1"):
        button.coerced(0)


# wanted: which settings a command is about

WINTER = Profile("winter", {"set_float_voltage": 27.6, "set_absorption_voltage": 28.8})
PROFILES = {"winter": WINTER}


def test_which_commands_change_stored_settings() -> None:
    assert all(is_setting(name) for name in [*SETTINGS, "apply_profile", "apply_settings"])
    assert not any(is_setting(name) for name in [*COILS, *DYNAMIC, "charge_voltage_limit", "top_charge", ""])


def test_what_a_command_is_about() -> None:
    assert wanted("apply_profile", "winter", PROFILES) == WINTER.settings
    assert wanted("set_float_voltage", 27.2, {}) == {"set_float_voltage": 27.2}
    text = '{"set_float_voltage": 27.2, "set_absorption_time": 7200}'
    assert wanted("apply_settings", text, {}) == {"set_float_voltage": 27.2, "set_absorption_time": 7200}


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match=r"'summer'.*winter"):
        wanted("apply_profile", "summer", PROFILES)
    with pytest.raises(ValueError, match="none"):
        wanted("apply_profile", None, {})


BAD = ["", "[]", "{}", "null", "27.2", '{"a": true}', '{"a": "1"}', '{"a": null}', '{"a": [1]}', "[" * 100_000, '{"a"']


@pytest.mark.parametrize("text", BAD, ids=range(len(BAD)))
def test_json_that_is_no_settings(text: str) -> None:
    with pytest.raises(ValueError, match=r"settings are written as|not a number"):
        wanted("apply_settings", text, {})


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    try:
        found = wanted("apply_settings", text, {})
    except ValueError:
        return
    assert found and all(isinstance(value, int | float) for value in found.values())


@given(st.sampled_from(sorted(SETTINGS)), st.none() | st.text())
def test_a_setting_takes_a_number(name: str, value: str | None) -> None:
    with pytest.raises(ValueError, match=name):
        wanted(name, value, {})


# preview: what would be written, which touches nothing


def on_rig(work: Callable[[Rig, Plant], Awaitable[None]], folder: Path | None = None) -> None:
    async def run() -> None:
        rig = Rig(folder)
        async with rig.running() as plant:
            await work(rig, plant)

    run_virtual(run())


def test_the_preview_of_a_coil_shows_the_wire() -> None:
    async def work(rig: Rig, plant: Plant) -> None:
        # The point means "may charge", the coil "disconnected".
        change = Change("charger_enabled", "coil 0x0002", 1, 0, 0, 1)
        assert await coil_change(plant, w.ENABLED, 0) == (change,)
        assert await coil_change(plant, w.EQUALIZE, 1) == (Change("equalize_requested", "coil 0x0000", 0, 1, 0, 1),)
        asked = len(rig.requests)
        # A button has no state to be asked for.
        assert await coil_change(plant, w.RESET, 1) == (Change("reset_controller", "coil 0x00FF", None, 1, None, 1),)
        assert len(rig.requests) == asked
        rig.link.refusing = True
        rig.link.hang_up()
        assert isinstance(await coil_change(plant, w.ENABLED, 0), Failed)
        assert not rig.writes()

    on_rig(work)


def test_the_preview_of_a_limit_is_in_ram() -> None:
    async def work(rig: Rig, plant: Plant) -> None:
        (volts,) = limit_changes(plant, "charge_voltage_limit", 28.8)
        assert volts.place.startswith("register 0x0059, in RAM")
        assert volts.new_word == pytest.approx(28.8 * 2**15 / 180, abs=1)
        assert volts.new == pytest.approx(28.8, abs=0.006)
        (amps,) = limit_changes(plant, "charge_current_limit", 32.0)
        assert (amps.place[:15], amps.new_word) == ("register 0x0058", 0x3333)
        # 0 ends a limit with the word that leaves slave control.
        (ended,) = limit_changes(plant, "charge_current_limit", 0)
        assert (ended.new, ended.new_word) == (0.0, 0xFFF0)
        for name, value in (("top_charge", 1), ("bms_required", 1), ("charge_voltage_limit", None)):
            assert limit_changes(plant, name, value) == ()
        assert not rig.writes()

    on_rig(work)


# recorder: every command is on record


def records(folder: Path) -> list[tuple[str, object, str]]:
    return [(each.point, each.new, each.result) for each in read(folder)]


def ask(value: object, point: str = "charger_enabled") -> Command:
    return Command("roof", point, value, "test")  # type: ignore[arg-type]


def test_every_outcome_is_on_disk_and_the_last_one_in_words(tmp_path: Path) -> None:
    async def work(rig: Rig, plant: Plant) -> None:
        recorder = Recorder(plant, Audit(tmp_path))
        assert recorder.last == ""
        told = rig.changes
        for value, outcome, words in (
            (0, Done(0), "charger_enabled 0: done"),
            (1, Refused("switch 8 is off"), "charger_enabled 1: refused: switch 8 is off"),
            (1, Failed("no answer"), "charger_enabled 1: failed: no answer"),
        ):
            await recorder.record(ask(value), 1, outcome)
            assert recorder.last == words
        assert rig.changes == told + 3

    on_rig(work)
    assert [result for _, _, result in records(tmp_path)] == ["done", "refused", "failed"]


def test_the_last_one_in_words_is_short_however_much_was_sent(tmp_path: Path) -> None:
    async def work(rig: Rig, plant: Plant) -> None:
        recorder = Recorder(plant, Audit(tmp_path))
        await recorder.record(ask("x" * 16_000), 1, Refused("takes 0 or 1, not " + "x" * 16_000))
        assert (len(recorder.last), recorder.last[-1]) == (LONGEST_WORDS, "…")

    on_rig(work)


def test_an_insistent_refusal_is_recorded_once_a_minute(tmp_path: Path) -> None:
    async def work(rig: Rig, plant: Plant) -> None:
        recorder = Recorder(plant, Audit(tmp_path))
        for _ in range(100):
            await recorder.record(ask(1), 0, Refused("locked"))
        # Another wish, another reason, and what was done are always recorded.
        await recorder.record(ask(0), 0, Refused("locked"))
        await recorder.record(ask(0), 0, Refused("asleep"))
        await recorder.record(ask(0), 0, Done(0))
        await recorder.record(ask(0), 0, Done(0))
        await asyncio.sleep(REPEATED + 1)
        await recorder.record(ask(0), 0, Refused("asleep"))

    on_rig(work)
    assert [result for _, _, result in records(tmp_path)] == ["refused"] * 3 + ["done"] * 2 + ["refused"]


def test_what_is_noted_is_on_disk_when_it_is_closed(tmp_path: Path) -> None:
    async def work(rig: Rig, plant: Plant) -> None:
        recorder = Recorder(plant, Audit(tmp_path))
        await recorder.close()
        for value in range(5):
            recorder.note(ask(float(value), "charge_current_limit"), None, Done(float(value)))
        await recorder.close()
        assert len(records(tmp_path)) == 5

    on_rig(work)
