"""The stored settings of an EPever charger: one block, the vendor's rules, and nothing written that need not be."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_stage import FREE, NOON, OPTIONS, Stage, tracer
from heliobus.control.block_checks import problems
from heliobus.control.controls import controls_of
from heliobus.devices import catalog
from heliobus.devices.epever.writes import VOLTAGES
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.command import Change, Done, Failed, Outcome, Refused
from heliobus.model.control_options import ControlOptions, EepromOptions, Profile, When
from heliobus.sim.device import RefusalError
from heliobus.sim.faults import Faults
from heliobus.sim.tracer import SimTracer
from heliobus.sim.tracer_settings import ordered
from heliobus.sim.virtual_time import run_virtual

SETTINGS = catalog.driver("epever-tracer").writes.settings  # type: ignore[union-attr]
NAMES = [point.name for point in VOLTAGES]
FACTORY = [16.0, 15.0, 15.0, 14.6, 14.4, 13.8, 13.2, 12.6, 12.2, 12.0, 11.1, 10.6]


def block(simulated: SimTracer) -> list[int]:
    return [simulated.settings.words[address] for address in range(0x9003, 0x900F)]


async def _apply(stage: Stage, **wanted: Any) -> Outcome:
    async with stage.running():
        return await stage.set("apply_settings", json.dumps({f"set_{name}": value for name, value in wanted.items()}))


def apply(stage: Stage, **wanted: Any) -> Outcome:
    return run_virtual(_apply(stage, **wanted))


def refused(stage: Stage, **wanted: Any) -> str:
    outcome = apply(stage, **wanted)
    assert isinstance(outcome, Refused), outcome
    assert stage.writes() == []
    return outcome.why


async def _one(tmp_path: Path) -> None:
    simulated = tracer()
    stage = Stage(simulated, folder=tmp_path)
    async with stage.running() as control:
        assert await stage.plan("set_float_voltage", 13.65) == (
            Change("set_float_voltage", "register 0x9008", 13.8, 13.65, 1380, 1365),
        )
        assert stage.writes() == []
        assert await stage.set("set_float_voltage", 13.65) == Done("set_float_voltage")
        (written,) = stage.writes()
        assert written[:6] == bytes.fromhex("109003000C18")
        assert block(simulated)[5] == 1365
        assert [word for index, word in enumerate(block(simulated)) if index != 5] == [
            round(100 * volts) for index, volts in enumerate(FACTORY) if index != 5
        ]
        await stage.until(lambda reading: reading.values["set_float_voltage"] == 13.65)
        # What is stored is not written again.
        assert await stage.set("set_float_voltage", 13.65) == Done("set_float_voltage")
        assert len(stage.writes()) == 1
        values = control.values(answers=True)
        assert (values["profile_status"], values["profile_error"], values["eeprom_writes"]) == ("done", "", 12)
    assert not list((tmp_path).glob("*.journal*"))
    (backup,) = (tmp_path / "backups").iterdir()
    document = json.loads(backup.read_bytes())
    assert document["settings"]["set_float_voltage"] == {"value": 13.8, "unit": "V", "word": 1380, "address": "0x9008"}
    assert [(each.point, each.new, each.result) for each in stage.records()] == [
        ("set_float_voltage", 13.65, "done"),
        ("set_float_voltage", 13.65, "done"),
    ]


def test_one_voltage_is_written_with_its_block(tmp_path: Path) -> None:
    run_virtual(_one(tmp_path))


@pytest.mark.parametrize("volts", [10.2, 9.2, 9.7])
def test_volts_are_rounded_and_not_cut(volts: float) -> None:
    simulated = tracer()
    wanted = {"low_voltage": volts}
    stage = Stage(simulated)
    assert apply(stage, lvd_voltage=volts + 1, discharge_limit_voltage=volts) == Done("apply_settings"), wanted
    assert simulated.settings.words[0x900E] == round(volts * 100)


def test_type_and_capacity_go_with_the_whole_block() -> None:
    simulated = tracer()
    stage = Stage(simulated)
    assert apply(stage, battery_capacity=150, float_voltage=13.6) == Done("apply_settings")
    (written,) = stage.writes()
    assert written[:6] == bytes.fromhex("109000000F1E")


def test_what_stands_alone_is_written_alone() -> None:
    simulated = tracer()
    stage = Stage(simulated)
    assert apply(
        stage, temperature_compensation=-0.03, equalize_days=60, equalize_time=3600, absorption_time=5400
    ) == Done("apply_settings")
    assert [written.hex() for written in stage.writes()] == [
        "10900200010201f4",
        "109016000102003c",
        "10906b000102003c",
        "10906c000102005a",
    ]


def test_a_preset_type_keeps_its_voltages() -> None:
    simulated = tracer()
    simulated.settings.words[0x9000] = 1
    why = refused(Stage(simulated), float_voltage=13.6)
    assert "battery type is 'sealed'" in why
    assert "set set_battery_type to 0 (user)" in why


def test_a_preset_type_takes_what_it_leaves_free() -> None:
    simulated = tracer()
    simulated.settings.words[0x9000] = 1
    assert apply(Stage(simulated), battery_capacity=120, absorption_time=3600) == Done("apply_settings")
    assert simulated.settings.words[0x9001] == 120
    gel = tracer()
    gel.settings.restore()
    gel.settings.write(0x9000, [2, 200, 300, 1600, 1500, 1500, 1420, 1420, 1380, 1320, 1260, 1220, 1200, 1110, 1060])
    assert "equalize time" in refused(Stage(gel), equalize_time=3600)


def test_the_user_type_comes_with_voltages() -> None:
    simulated = tracer()
    simulated.settings.words[0x9000] = 1
    stage = Stage(simulated)
    assert apply(stage, battery_type=0, float_voltage=13.6) == Done("apply_settings")
    assert simulated.settings.words[0x9000] == 0
    assert len(stage.writes()) == 1


def test_only_the_user_type_can_be_chosen_by_itself() -> None:
    assert "only 'user' can be chosen" in refused(Stage(tracer()), battery_type=2)


async def _there_and_back(tmp_path: Path) -> None:
    simulated = tracer(system_code=0)
    simulated.settings.words[0x9000] = 1
    before = dict(simulated.settings.words)
    stage = Stage(simulated, folder=tmp_path)
    async with stage.running() as control:
        stored = await control.settings()
        assert isinstance(stored, tuple)
        wish = {"set_system_voltage": 1, "set_battery_type": 0, "set_float_voltage": 13.5, "set_absorption_time": 3600}
        assert isinstance(await stage.set("apply_settings", json.dumps(wish)), Done)
        assert simulated.settings.words != before
        backup = {each.point.name: each.value for each in stored}
        await stage.until(lambda reading: reading.values["set_float_voltage"] == 13.5)
        assert await stage.set("apply_settings", json.dumps(backup)) == Done("apply_settings")
        assert simulated.settings.words == before
        assert len(stage.writes()) == 6


def test_a_backup_brings_the_type_back_as_it_was(tmp_path: Path) -> None:
    run_virtual(_there_and_back(tmp_path))


def test_an_automatic_system_voltage_is_set_first() -> None:
    simulated = tracer(system_code=0)
    simulated.settings.words[0x9000] = 1
    why = refused(Stage(simulated), battery_type=0)
    assert "set set_system_voltage to 1" in why
    stage = Stage(simulated)
    assert apply(stage, battery_type=0, system_voltage=1, float_voltage=13.6) == Done("apply_settings")
    assert [written[1:5].hex() for written in stage.writes()] == ["90670001", "9000000f"]
    assert "not the system_voltage" in refused(Stage(tracer()), system_voltage=2)
    assert "does not go with an automatic" in refused(Stage(tracer()), system_voltage=0)


def test_the_system_voltage_must_be_confirmed_and_right() -> None:
    stage = Stage(tracer())
    stage.allow(system_voltage=None)
    assert "set system_voltage = 12 for cabin" in refused(stage, float_voltage=13.6)
    stage = Stage(tracer())
    stage.allow(system_voltage=24)
    assert "12 V" in refused(stage, float_voltage=27.2)


def test_settings_stored_for_12_volts_are_not_touched() -> None:
    simulated = tracer(system=24)
    for address in range(0x9003, 0x900F):
        simulated.settings.words[address] //= 2
    stage = Stage(simulated)
    stage.allow(system_voltage=24)
    assert "as if voltages were stored for 12 V" in refused(stage, float_voltage=27.0)


def test_a_strange_ratio_is_not_touched() -> None:
    simulated = tracer(system=24)
    simulated.settings.words[0x9008] = 4400
    stage = Stage(simulated)
    stage.allow(system_voltage=24)
    assert "not sure" in refused(stage, absorption_voltage=28.0)


def test_a_24_volt_charger() -> None:
    simulated = tracer(system=24)
    stage = Stage(simulated)
    stage.allow(system_voltage=24)
    assert apply(stage, float_voltage=27.2, temperature_compensation=-0.06) == Done("apply_settings")
    assert (simulated.settings.words[0x9008], simulated.settings.words[0x9002]) == (2720, 500)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"float_voltage": 14.5}, "absorption voltage 14.40 V must not be below float voltage 14.50 V"),
        ({"hvd_voltage": 15.0}, "hvd voltage 15.00 V must be above voltage limit 15.00 V"),
        ({"lvd_voltage": 12.6}, "lvd reconnect voltage 12.60 V must be above lvd voltage 12.60 V"),
        (
            {"low_warning_voltage": 12.3},
            "low warning recover voltage 12.20 V must be above low warning voltage 12.30 V",
        ),
        ({"hvd_voltage": 17.2, "voltage_limit": 17.0}, "not within 9 V to 17 V"),
        ({"equalize_time": 12000}, "not within 0 to 10800"),
        ({"temperature_compensation": -0.1}, "not within -0.054 to 0"),
    ],
)
def test_the_rules(wanted: dict[str, float], words: str) -> None:
    assert words in refused(Stage(tracer()), **wanted)


@pytest.mark.parametrize(
    ("chemistry", "wanted", "words"),
    [
        ("lifepo4", {"absorption_voltage": 14.6, "equalize_voltage": 14.7}, "limits of chemistry lifepo4"),
        ("lifepo4", {"equalize_voltage": 14.5}, "must not be equalized"),
        ("lifepo4", {"temperature_compensation": -0.01}, "must be 0 for chemistry lifepo4"),
        ("gel", {"hvd_voltage": 16.5}, "1.1 times the highest voltage of gel"),
    ],
)
def test_the_battery(chemistry: str, wanted: dict[str, float], words: str) -> None:
    stage = Stage(tracer())
    stage.allow(chemistry=CHEMISTRIES[chemistry])
    assert words in refused(stage, **wanted)


def test_the_owners_limit() -> None:
    stage = Stage(tracer())
    stage.allow(highest_voltage=14.5)
    assert "above the 14.5 V of [device.limits]" in refused(stage, absorption_voltage=14.55)


def test_a_warning_below_the_disconnect_is_only_said(caplog: pytest.LogCaptureFixture) -> None:
    simulated = tracer()
    assert apply(Stage(simulated), low_warning_voltage=11.0) == Done("apply_settings")
    assert simulated.settings.words[0x900C] == 1100
    assert "low warning voltage 11.00 V should be above lvd voltage 11.10 V" in caplog.text


def test_unknown_settings_and_values() -> None:
    assert "did you mean set_float_voltage" in refused(Stage(tracer()), floot_voltage=13.6)
    assert "not a number" in refused(Stage(tracer()), float_voltage="high")


def test_a_setting_that_the_model_has_not() -> None:
    assert "has no set_current_limit" in refused(Stage(tracer()), current_limit=20)
    assert "has no set_equalize_days" in refused(Stage(tracer(family="AN", model="Tracer4210AN")), equalize_days=60)


def test_a_model_without_some_settings_takes_the_others() -> None:
    simulated = tracer(family="AN", model="Tracer4210AN")
    assert apply(Stage(simulated), float_voltage=13.6) == Done("apply_settings")
    assert simulated.settings.words[0x9008] == 1360


async def _endurance(tmp_path: Path) -> None:
    stage = Stage(tracer(), folder=tmp_path)
    stage.allow(eeprom=EepromOptions(interval=3600.0, daily=2))
    async with stage.running():
        assert isinstance(await stage.set("set_float_voltage", 13.6), Done)
        early = await stage.set("set_float_voltage", 13.5)
        assert isinstance(early, Refused)
        assert "memory wears out" in early.why
        assert isinstance(await stage.plan("set_float_voltage", 13.5), tuple)


def test_the_memory_is_spared(tmp_path: Path) -> None:
    run_virtual(_endurance(tmp_path))


class Stubborn(SimTracer):
    """Answers a write of its block and stores something else, so many times."""

    def __init__(self, times: int, **changes: Any) -> None:
        super().__init__(system=12, year=2026, day_of_year=121, hour=12.0, **changes)
        self.settings.words[0x9000] = 0
        self.times = times

    def write_registers(self, address: int, words: Any, origin: Any) -> None:
        super().write_registers(address, words, origin)
        if address == 0x9003 and self.times:
            self.times -= 1
            self.settings.words[0x9008] += 7


def test_what_reads_back_otherwise_is_taken_back(tmp_path: Path) -> None:
    simulated = Stubborn(1)
    before = block(simulated)
    stage = Stage(simulated, folder=tmp_path)
    outcome = apply(stage, float_voltage=13.6)
    assert isinstance(outcome, Failed)
    assert "the settings from before are back" in outcome.why
    assert block(simulated) == before
    assert len(stage.writes()) == 2
    assert not list(tmp_path.glob("*.journal*"))


def test_a_charger_that_keeps_nothing_is_left_alone(tmp_path: Path) -> None:
    stage = Stage(Stubborn(99), folder=tmp_path)
    outcome = apply(stage, float_voltage=13.6)
    assert isinstance(outcome, Failed)
    assert "settings are uncertain: set_float_voltage is 0x056B instead of 0x0564" in outcome.why
    assert len(stage.writes()) == 2


class Refusing(SimTracer):
    """Has rules of its own."""

    def write_registers(self, address: int, words: Any, origin: Any) -> None:
        if address == 0x9003:
            raise RefusalError(4)
        super().write_registers(address, words, origin)


def test_a_refusal_names_the_vendors_rules() -> None:
    simulated = Refusing(system=12, year=2026, day_of_year=121, hour=12.0)
    simulated.settings.words[0x9000] = 0
    stage = Stage(simulated)
    outcome = apply(stage, float_voltage=13.6)
    assert isinstance(outcome, Failed)
    assert "over-voltage disconnect > charging limit" in outcome.why
    assert "nothing was changed" in outcome.why
    assert len(stage.writes()) == 1


class Mute(SimTracer):
    """Takes the block and says nothing."""

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        answer = super().answer(pdu, bridged, serial)
        return None if pdu[:3] == b"\x10\x90\x03" else answer


def test_a_lost_answer_is_not_sent_again() -> None:
    simulated = Mute(system=12, year=2026, day_of_year=121, hour=12.0)
    simulated.settings.words[0x9000] = 0
    stage = Stage(simulated)
    assert apply(stage, float_voltage=13.6) == Done("apply_settings")
    assert len(stage.writes()) == 1


async def _silent(tmp_path: Path) -> None:
    simulated = tracer()
    faults = Faults()
    stage = Stage(simulated, folder=tmp_path, faults=faults)
    async with stage.running() as control:
        write = stage.plant.terminal.write_span

        async def write_and_pull(*arguments: Any) -> None:
            await write(*arguments)
            simulated.connected = False

        stage.plant.terminal.write_span = write_and_pull  # type: ignore[method-assign, assignment]
        outcome = await stage.set("set_float_voltage", 13.6)
        assert isinstance(outcome, Failed)
        assert "settings are uncertain" in outcome.why
        assert list(tmp_path.glob("*.journal*"))
        simulated.connected = True
        await stage.until(lambda _: not list(tmp_path.glob("*.journal.json")))
        assert len(stage.writes()) == 1
        assert simulated.settings.words[0x9008] == 1360
        assert control.values(answers=True)["profile_status"] == "done"


def test_a_charger_unplugged_in_the_middle_is_judged_when_it_is_back(tmp_path: Path) -> None:
    run_virtual(_silent(tmp_path))


async def _profiles(tmp_path: Path) -> None:
    simulated = tracer()
    summer = Profile("summer", {"set_float_voltage": 13.5}, when=When(first="04-01", last="09-30"))
    hand = Profile("hand", {"set_float_voltage": 13.7, "set_absorption_time": 3600})
    stage = Stage(simulated, folder=tmp_path, profiles={"summer": summer, "hand": hand})
    async with stage.running() as control:
        await stage.until(lambda reading: reading.values["set_float_voltage"] == 13.5, 26 * 3600)
        assert await stage.set("apply_profile", "hand") == Done("hand")
        assert control.values(answers=True)["profile_applied"] == "hand"
        assert isinstance(await stage.set("apply_profile", "winter"), Refused)
        stored = await control.settings()
        assert isinstance(stored, tuple)
        assert {each.point.name: each.value for each in stored}["set_absorption_time"] == 3600


def test_profiles_by_hand_and_by_the_calendar(tmp_path: Path) -> None:
    run_virtual(_profiles(tmp_path))


volts = st.integers(900, 1700).map(lambda word: word / 100)


@settings(max_examples=300, deadline=None)
@given(st.lists(volts, min_size=12, max_size=12), st.booleans())
def test_what_passes_the_checks_the_device_takes(values: list[float], sort: bool) -> None:
    """And in order nothing that the vendor's rules allow is refused for an order."""
    if sort:
        values = sorted(values, reverse=True)
    wanted = dict(zip(NAMES, values, strict=True))
    options = ControlOptions(on=True, system_voltage=12, chemistry=CHEMISTRIES["flooded"], eeprom=FREE)
    after = {**wanted, "set_battery_type": 0, "set_system_voltage": 1}
    assert SETTINGS is not None
    wrong = problems(SETTINGS, after, wanted, options)
    words = {0x9003 + index: round(value * 100) for index, value in enumerate(values)}
    if not wrong:
        assert ordered(words)
    else:
        assert not ordered(words) or not any("must" in each for each in wrong)


@given(st.sampled_from(sorted(controls_of(catalog.driver("epever-tracer"), OPTIONS, (), network=False))))
def test_every_setting_offered_has_a_range_within_its_register(name: str) -> None:
    assert SETTINGS is not None
    register = next((each for each in SETTINGS.registers if each.point.name == name), None)
    if register is None:
        return
    low, high = SETTINGS.ranges[name]
    assert low < high
    assert register.coding.encode is not None


def test_the_stage_is_at_noon() -> None:
    assert tracer().clock.moment.timestamp() == NOON
