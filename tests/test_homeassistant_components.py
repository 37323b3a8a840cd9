"""What Home Assistant is told of each device that the catalog knows."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from heliobus.devices import catalog
from heliobus.devices.driver import Driver
from heliobus.model import vocabulary as v
from heliobus.model.command import ControlKind
from heliobus.model.device import Device
from heliobus.model.point import Category
from heliobus.model.role import Role
from heliobus.outputs.mqtt import values
from heliobus.outputs.mqtt.homeassistant import payload
from homeassistant_devices import SITE, device, every, topics, value
from homeassistant_rules import rendered, violations

GOLDEN = Path(__file__).parent / "golden" / "homeassistant-unique-ids.json"
DEVICES = every()
EACH = pytest.mark.parametrize("made", DEVICES, ids=lambda made: f"{made.driver}-{made.role}-{bool(made.controls)}")
TRISTAR = catalog.driver("morningstar-tristar-mppt")
TRACER = catalog.driver("epever-tracer")
METER = catalog.driver("pzem-ac")


def config(made: Device, *, commands: bool = True) -> payload.Config:
    return payload.device_config(made, topics(), SITE, commands=commands)


def parts(made: Device, *, commands: bool = True) -> dict[str, dict[str, Any]]:
    return cast(dict[str, dict[str, Any]], config(made, commands=commands)["cmps"])


@EACH
@pytest.mark.parametrize("commands", [True, False])
def test_home_assistant_takes_it(made: Device, commands: bool) -> None:
    message = payload.encoded(config(made, commands=commands))
    assert violations(payload.config_topic("homeassistant", made.key), message) == []
    assert len(message) < 128 * 1024, "the largest message that hosted brokers take"


def test_home_assistant_takes_the_bridge() -> None:
    bridge = payload.bridge_config(topics(), SITE)
    topic = payload.config_topic("homeassistant", payload.bridge_key(SITE))
    assert violations(topic, payload.encoded(bridge)) == []
    assert "availability" not in bridge, "it must be able to say that it is not connected"


@EACH
def test_every_point_is_there_once(made: Device) -> None:
    shown = parts(made)
    assert set(made.points) <= set(shown)
    assert len({part["default_entity_id"] for part in shown.values()}) == len(shown)
    names = [(part["p"], part["name"]) for part in shown.values()]
    assert len(set(names)) == len(names)


@EACH
def test_null_is_unknown_and_no_template_fails(made: Device) -> None:
    nothing = json.loads(values.state(made, {}))
    for name, part in parts(made).items():
        if "value_template" in part:
            assert rendered(part["value_template"], nothing) in ((None, "") if part["p"] == "text" else (None,)), name


@EACH
def test_every_value_is_one_that_the_entity_takes(made: Device) -> None:
    state = json.loads(values.state(made, {name: value(point) for name, point in made.points.items()}))
    for name, part in parts(made).items():
        if "value_template" not in part:
            continue
        shown = rendered(part["value_template"], state)
        if "options" in part:
            assert shown in part["options"] or (shown is None and part["p"] == "select"), name
        elif part["p"] in ("binary_sensor", "switch"):
            assert shown in ("ON", "OFF"), name
        elif part["p"] == "number":
            assert shown is None or part["min"] <= float(shown) <= part["max"], name
        elif part.get("unit_of_measurement"):
            assert float(str(shown)) == state[name], name
        else:
            assert shown is not None, name


def test_each_word_of_an_enum_is_an_option() -> None:
    for made in DEVICES:
        for name, part in parts(made, commands=False).items():
            if part["p"] == "sensor" and part.get("device_class") == "enum":
                assert part["options"] == list(dict.fromkeys(made.points[name].words.values()))


@pytest.mark.parametrize(("level", "shown"), [(0, "OFF"), (1, "ON"), (2, "ON"), (None, None), (7, None)])
def test_an_alarm_is_a_problem_and_keeps_its_level(level: int | None, shown: str | None) -> None:
    part = parts(device(TRISTAR))["general_alarm"]
    state = json.loads(values.state(device(TRISTAR), {"general_alarm": level}))
    assert (part["p"], part["device_class"]) == ("binary_sensor", "problem")
    assert rendered(part["value_template"], state) == shown
    assert part["json_attributes_topic"] == topics().state(device(TRISTAR))
    assert "'level': value_json.general_alarm" in part["json_attributes_template"]


def test_a_long_text_is_cut_to_what_a_state_holds() -> None:
    part = parts(device(TRISTAR))["fault_text"]
    assert len(rendered(part["value_template"], {"fault_text": "x" * 300}) or "") == 255


def test_a_number_outside_its_bounds_is_unknown_and_not_the_old_one() -> None:
    part = parts(device(TRISTAR, control=True))["charge_current_limit"]
    assert rendered(part["value_template"], {"charge_current_limit": 12.5}) == "12.5"
    assert rendered(part["value_template"], {"charge_current_limit": 1e6}) is None


@pytest.mark.parametrize("driver", catalog.drivers(), ids=lambda driver: driver.name)
def test_the_energy_dashboard_finds_lifetime_counters(driver: Driver) -> None:
    for role in driver.roles:
        offered = energies(parts(replace(device(driver), role=role)))
        assert offered <= {"yield_total", "energy_forward", "energy_reverse", "load_energy_total"}
        assert offered & {"yield_total", "energy_forward"}


def test_the_energy_dashboard_finds_the_total() -> None:
    assert energies(parts(DEVICES[0])) == {"yield_total"}


def energies(shown: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """What the dashboard lists: enabled sensors of energy that only grow."""
    return {
        name
        for name, part in shown.items()
        if part.get("device_class") == "energy" and "state_class" in part and "enabled_by_default" not in part
    }


def test_a_forward_energy_says_which_way_by_the_role() -> None:
    named = {role: parts(replace(device(METER), role=role))["energy_forward"]["name"] for role in METER.roles}
    assert named == {
        Role.AC_LOAD: "Energy consumed",
        Role.PV_INVERTER: "Energy produced",
        Role.GENSET: "Energy produced",
        Role.GRID_METER: "Energy from grid",
    }


def test_state_of_charge_is_a_battery() -> None:
    made = replace(device(TRISTAR), points={"soc": v.SOC})
    assert parts(made)["soc"]["device_class"] == "battery"
    assert "device_class" not in parts(device(TRACER))["soc_estimate"]


def test_controls_become_what_they_are() -> None:
    made = device(TRISTAR, control=True)
    shown = parts(made)
    assert shown["charger_enabled"]["p"] == "switch"
    assert shown["equalize_requested"]["command_topic"] == "heliobus/cabin_at_the_lake/tristar_1/equalize_requested/set"
    limit = shown["charge_current_limit"]
    assert (limit["p"], limit["min"], limit["max"], limit["step"]) == ("number", 0.0, 60.0, 0.01)
    assert (limit["mode"], limit["unit_of_measurement"], limit["entity_category"]) == ("box", "A", "config")
    assert shown["clear_faults"]["payload_press"] == "PRESS"
    assert shown["reset_controller"]["device_class"] == "restart"
    assert shown["apply_profile"]["p"] == "text"
    assert rendered(shown["apply_profile"]["value_template"], {"profile_applied": "winter"}) == "winter"
    assert "apply_settings" not in shown, "it is longer than a text of Home Assistant"
    select = parts(device(TRACER, control=True))["set_battery_type"]
    assert select["p"] == "select"
    assert "LiFePO4 4S" in select["options"]


def test_a_select_offers_only_what_the_control_takes() -> None:
    made = device(TRACER, control=True)
    control = made.controls["set_battery_type"]
    narrow = replace(made, controls={"set_battery_type": replace(control, low=0, high=1)})
    select = parts(narrow)["set_battery_type"]
    assert select["options"] == ["user", "sealed"]
    assert rendered(select["value_template"], {"set_battery_type": "gel"}) is None


@pytest.mark.parametrize("change", [{"locked": "no"}, {"dynamic": True}])
def test_what_would_refuse_or_not_last_is_only_shown(change: dict[str, Any]) -> None:
    made = device(TRISTAR, control=True)
    controls = {name: replace(control, **change) for name, control in made.controls.items()}
    shown = parts(replace(made, controls=controls))
    assert {part["p"] for part in shown.values()} == {"sensor", "binary_sensor"}
    assert shown["charger_enabled"]["p"] == "binary_sensor"


def test_without_commands_nothing_can_be_commanded() -> None:
    shown = parts(device(TRISTAR, control=True), commands=False)
    assert not any("command_topic" in part for part in shown.values())


def test_settings_and_diagnostics_keep_to_the_background() -> None:
    made = device(TRISTAR, control=True)
    shown = parts(made)
    for name, point in made.points.items():
        wanted = {
            Category.MEASUREMENT: None,
            Category.DIAGNOSTIC: "diagnostic",
            Category.SETTING: "config" if "command_topic" in shown[name] else "diagnostic",
        }[point.category]
        assert shown[name].get("entity_category") == wanted, name
    assert shown["rail_3v"]["enabled_by_default"] is False
    assert shown["set_float_voltage"]["enabled_by_default"] is False
    for name in ("battery_voltage", "charge_state", "heatsink_temperature", "charge_voltage_limit", "clock_drift"):
        if name in shown:
            assert "enabled_by_default" not in shown[name], name


@EACH
def test_most_of_what_appears_is_of_use(made: Device) -> None:
    enabled = [name for name, part in parts(made).items() if "enabled_by_default" not in part]
    assert 5 <= len(enabled) <= 60


@pytest.mark.parametrize(
    ("label", "name"),
    [("", "Battery voltage"), ("Battery", "Voltage"), ("battery volt", "Age"), ("Battery voltage", None)],
)
def test_a_name_never_starts_with_that_of_the_device(label: str, name: str | None) -> None:
    assert parts(replace(device(TRISTAR), label=label))["battery_voltage"]["name"] == name


def test_the_device_is_described_with_what_is_known() -> None:
    made = device(TRISTAR)
    about = cast(dict[str, Any], config(made)["dev"])
    assert about == {
        "ids": ["heliobus_tristar_00170000"],
        "name": made.identity.model,
        "mf": "Morningstar",
        "mdl": made.identity.model,
        "sn": "00170000",
        "sw": "1.2.3",
        "via_device": "heliobus_bridge_cabin_at_the_lake",
    }
    assert cast(dict[str, Any], config(replace(made, label="East roof"))["dev"])["name"] == "East roof"


@pytest.mark.parametrize("name", ["Ost-Dach", "a  b", "__x__", "Zähler №1", "…"])
def test_any_name_gives_legal_ids(name: str) -> None:
    made = replace(device(METER), name=name)
    assert violations(payload.config_topic("homeassistant", made.key), payload.encoded(config(made))) == []


def test_unique_ids_never_change() -> None:
    found = {
        driver.name: {name: part["unique_id"] for name, part in parts(device(driver, control=True)).items()}
        for driver in catalog.drivers()
    }
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))
    for driver, ids in golden.items():
        assert ids.items() <= found[driver].items(), "an owner's history and names would be lost"
    for driver, ids in found.items():
        assert ids.keys() <= golden[driver].keys(), f"new ones belong into {GOLDEN.name}"


def test_there_is_a_device_with_each_kind_of_control() -> None:
    kinds = {control.kind for made in DEVICES for control in made.controls.values()}
    assert kinds == set(ControlKind)
