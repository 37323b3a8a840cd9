"""Claims about the TriStar that circulate and are wrong (tristar.md §11.1): none of them is in the code."""

import json
from pathlib import Path

import pytest

from heliobus.control.controls import controls_of
from heliobus.devices import catalog
from heliobus.devices.driver import Poll, Table
from heliobus.devices.morningstar.derive import STATES
from heliobus.model import vocabulary as v
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import ControlOptions, EqualizeOptions, ServerOptions
from heliobus.model.device import Identity

DRIVER = catalog.driver("morningstar-tristar-mppt")
ADDRESSES = {register.point.name: register.address for register in DRIVER.registers}
GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))
assert DRIVER.writes is not None
WRITES = DRIVER.writes


def paths() -> set[str]:
    found: set[str] = set()
    for tree in GOLDEN:
        found |= set(json.loads(tree.read_text()))
    assert found
    return found


def decoded(name: str, word: int) -> object:
    register = next(each for each in DRIVER.registers if each.point.name == name)
    return register.coding.decode((word,) * register.coding.words)


def test_claim_1_an_equalize_is_coil_0_and_never_register_e004() -> None:
    assert WRITES.equalize is not None
    assert WRITES.equalize.address == 0
    assert ADDRESSES["set_absorption_extension_voltage"] == 0xE004
    dynamic = {WRITES.slave.volts.address, WRITES.slave.amps.address} if WRITES.slave else set()
    assert dynamic == {0x58, 0x59}


@pytest.mark.parametrize(
    "wrong",
    [
        "/Solar/0/",
        "/Pv/P",
        "/ChargingMode",
        "/Yield/Today",
        "/Yield/Total",
        "/State/Name",
        "/Warning",
        "/History/Overall/TotalYield",
        "/History/Overall/Times",
        "/Settings/ChargeSettings",
        "/TrackerMode",
        "/MpptMode",
        "/Equalize/Start",
    ],
)
def test_claims_2_and_3_no_invented_paths(wrong: str) -> None:
    assert not [path for path in paths() if path.startswith(wrong)]


def test_claim_4_the_array_is_at_1b_and_1d() -> None:
    assert (ADDRESSES["pv_voltage"], ADDRESSES["pv_current"]) == (0x1B, 0x1D)
    assert not set(ADDRESSES.values()) & {0x10, 0x11, 0x12}


def test_claim_5_nothing_the_device_does_not_say() -> None:
    for word in ("ripple", "duty", "imp", "load", "net_battery", "efficiency"):
        assert not [name for name in DRIVER.points() if word in name and name not in ("bus_load",)], word


def test_claim_6_the_heatsink_is_not_the_battery() -> None:
    derived = DRIVER.derive({"heatsink_temperature": 40.0, "rts_temperature": None, "regulation_temperature": 38.0})
    assert derived["battery_temperature"] is None


def test_claim_7_a_setting_triggers_nothing() -> None:
    assert not [path for path in paths() if path.startswith("/Settings/") and "Equal" in path]


def test_claim_10_silence_is_no_charger_error() -> None:
    assert 42 not in v.CHARGER_ERRORS


def test_claim_11_what_changes_is_one_request() -> None:
    fast = [each for each in DRIVER.registers if each.poll is Poll.FAST]
    assert {each.table for each in fast} == {Table.INPUT}
    assert max(each.end for each in fast) - min(each.address for each in fast) <= DRIVER.limits.max_count


def test_claim_13_slave_is_external_control() -> None:
    assert STATES[9] == 252
    assert 11 not in STATES.values()


def test_claim_14_alarms_hours_and_charge_are_decoded() -> None:
    assert {"alarms", "operating_hours", "charge_total_counter", "days_since_equalize"} <= set(DRIVER.points())


def test_claim_15_voltages_are_signed() -> None:
    for name in ("battery_voltage", "pv_voltage", "target_voltage"):
        assert decoded(name, 0xFFFB) == -5, name


def test_claim_17_the_nightly_restart_can_be_switched_off() -> None:
    assert ServerOptions(nightly_reset=-1).nightly_reset == -1


def test_claims_20_and_21_the_small_models_have_no_network() -> None:
    for model, has in (("TriStar MPPT 30", False), ("TriStar MPPT 45", False), ("TriStar MPPT 60", True)):
        assert WRITES.has_server(Identity("Morningstar", model)) is has


def test_what_must_never_be_written_is_not_declared() -> None:
    written = {register.address for register in WRITES.registers()}
    assert not written & {0x5A, 0x5B, 0xE019, 0xE01A, 0xE020, 0xE021, *range(0x1500, 0x1600)}
    assert not {coil.address for coil in WRITES.coils} & {0x11, 0x18, 0xF0, *range(0x1000, 0x1004)}


def test_everything_is_locked_until_the_owner_says_otherwise() -> None:
    assert controls_of(DRIVER, ControlOptions(), (), network=True) == {}
    locked = controls_of(DRIVER, ControlOptions(on=True), (), network=True)
    assert locked["equalize_requested"].locked
    assert locked["top_charge"].locked
    flooded = ControlOptions(on=True, chemistry=CHEMISTRIES["flooded"], equalize=EqualizeOptions(allowed=True))
    assert not controls_of(DRIVER, flooded, (), network=True)["equalize_requested"].locked
    lithium = ControlOptions(on=True, chemistry=CHEMISTRIES["lifepo4"], equalize=EqualizeOptions(allowed=True))
    assert "harm" in controls_of(DRIVER, lithium, (), network=True)["equalize_requested"].locked
    assert "reset_comm_server" not in controls_of(DRIVER, flooded, (), network=False)
