"""Each rule of the checker catches what Home Assistant would refuse; else it would prove nothing of our messages."""

import copy
import json
from typing import Any

import pytest

from homeassistant_rules import rendered, violations

TOPIC = "homeassistant/device/heliobus/tristar_1/config"
GOOD: dict[str, Any] = {
    "dev": {"ids": ["heliobus_tristar_1"], "name": "TriStar"},
    "o": {"name": "heliobus"},
    "state_topic": "heliobus/a/b/state",
    "availability": [{"topic": "heliobus/a/availability"}, {"topic": "heliobus/a/b/availability"}],
    "availability_mode": "all",
    "cmps": {
        "battery_voltage": {
            "p": "sensor",
            "unique_id": "tristar_1_battery_voltage",
            "name": "Battery voltage",
            "default_entity_id": "sensor.b_battery_voltage",
            "device_class": "voltage",
            "state_class": "measurement",
            "unit_of_measurement": "V",
            "expire_after": 60,
        },
        "alarm": {
            "p": "binary_sensor",
            "unique_id": "tristar_1_alarm",
            "name": "Alarm",
            "default_entity_id": "binary_sensor.b_alarm",
            "device_class": "problem",
        },
        "limit": {
            "p": "number",
            "unique_id": "tristar_1_limit",
            "name": "Limit",
            "default_entity_id": "number.b_limit",
            "command_topic": "heliobus/a/b/limit/set",
            "min": 0,
            "max": 60,
            "step": 0.01,
        },
        "mode": {
            "p": "select",
            "unique_id": "tristar_1_mode",
            "name": "Mode",
            "default_entity_id": "select.b_mode",
            "command_topic": "heliobus/a/b/mode/set",
            "options": ["a"],
        },
        "gone": {"p": "sensor"},
    },
}
ENERGY = {"device_class": "energy", "unit_of_measurement": "kWh"}

BREAKS: list[tuple[str, dict[str, Any], str]] = [
    ("", {"~": "heliobus/a/b"}, "extra key ~"),
    ("", {"expire_after": 60}, "extra key expire_after"),
    ("", {"o": None}, "no origin"),
    ("", {"o": {"sw": "1"}}, "no origin"),
    ("", {"dev": {"name": "TriStar"}}, "without ids"),
    ("", {"dev": {"ids": ["a"]}}, "without name"),
    ("", {"dev": {"ids": ["a"], "name": "b", "colour": "c"}}, "extra key colour of the device"),
    ("", {"dev": {"ids": ["a"], "name": "b", "sn": ""}}, "sn of the device is empty"),
    ("", {"cmps": {}}, "no components"),
    ("", {"availability": [{"payload_available": "x"}], "availability_mode": None}, "availability without topic"),
    ("", {"availability_mode": None}, "availability_mode is not all"),
    ("", {"state_topic": None}, "no state_topic"),
    ("alarm", {"unique_id": None}, "no unique_id"),
    ("alarm", {"p": "lamp"}, "platform lamp"),
    ("alarm", {"options": ["x"]}, "options is nothing to a binary_sensor"),
    ("alarm", {"device_class": "voltage"}, "device_class voltage of a binary sensor"),
    ("alarm", {"entity_category": "config"}, "entity_category config"),
    ("alarm", {"name": "TriStar alarm"}, "starts with the device name"),
    ("alarm", {"name": None}, "is empty"),
    ("alarm", {"object_id": "alarm"}, "object_id is deprecated"),
    ("alarm", {"default_entity_id": "sensor.b_alarm"}, "default_entity_id"),
    ("alarm", {"default_entity_id": "binary_sensor.b__alarm"}, "default_entity_id"),
    ("alarm", {"default_entity_id": "binary_sensor.Alarm"}, "default_entity_id"),
    ("alarm", {"json_attributes_template": "{{ 1 }}"}, "without its topic"),
    ("battery_voltage", {"unit_of_measurement": "Ah"}, "unit Ah of voltage"),
    ("battery_voltage", {"unit_of_measurement": None}, "unit None of voltage"),
    ("battery_voltage", {"device_class": "volts"}, "device_class volts"),
    ("battery_voltage", {"state_class": "total"}, "state_class total of voltage"),
    ("battery_voltage", {"state_class": "sum", "device_class": None}, "state_class sum"),
    ("battery_voltage", {"expire_after": 0}, "expire_after 0"),
    ("battery_voltage", {"expire_after": "60"}, "expire_after '60'"),
    ("battery_voltage", {"entity_category": "config"}, "entity_category config"),
    ("battery_voltage", ENERGY, "state_class measurement of energy"),
    ("battery_voltage", {**ENERGY, "state_class": "total_increasing", "unique_id": "a_yield_today"}, "a daily energy"),
    ("battery_voltage", {"device_class": "battery"}, "unit V of battery"),
    ("battery_voltage", {"device_class": None, "unit_of_measurement": "Ah", "state_class": "total"}, "Ah has no"),
    ("battery_voltage", {"options": ["a"]}, "options and enum belong together"),
    ("battery_voltage", {"device_class": "enum", "unit_of_measurement": None, "state_class": None}, "belong together"),
    ("battery_voltage", {"device_class": "enum", "options": ["a"], "unit_of_measurement": None}, "or a state_class"),
    (
        "battery_voltage",
        {"device_class": "enum", "options": ["a", "a"], "unit_of_measurement": None, "state_class": None},
        "an option twice",
    ),
    ("limit", {"command_topic": None}, "no command_topic"),
    ("limit", {"min": 61}, "min above max"),
    ("limit", {"step": 0.0001}, "step below"),
    ("limit", {"mode": "dial"}, "mode dial"),
    ("limit", {"device_class": "voltage", "unit_of_measurement": "A"}, "unit A of voltage"),
    ("limit", {"expire_after": 60}, "expire_after is nothing to a number"),
    ("mode", {"options": []}, "no options"),
    ("mode", {"p": "text", "options": None, "default_entity_id": "text.b", "max": 256}, "at most 255"),
]


def encoded(config: object) -> bytes:
    return json.dumps(config).encode()


def test_a_good_message_is_good() -> None:
    assert violations(TOPIC, encoded(GOOD)) == []


def test_an_empty_message_removes() -> None:
    assert violations(TOPIC, b"") == []


@pytest.mark.parametrize("topic", ["homeassistant/device/a b/config", "homeassistant/device/a/b/c/config", "x/config"])
def test_illegal_topics(topic: str) -> None:
    assert violations(topic, encoded(GOOD)) == [f"illegal topic {topic}"]


@pytest.mark.parametrize("payload", [b"{", b'{"a": NaN}', b'{"a": Infinity}'])
def test_what_is_not_json(payload: bytes) -> None:
    assert violations(TOPIC, payload)[0].startswith("not JSON")


@pytest.mark.parametrize(("where", "change", "why"), BREAKS, ids=lambda value: str(value)[:40])
def test_it_catches(where: str, change: dict[str, Any], why: str) -> None:
    config = copy.deepcopy(GOOD)
    place = config["cmps"][where] if where else config
    for key, value in change.items():
        if value is None:
            place.pop(key)
        else:
            place[key] = value
    assert any(why in each for each in violations(TOPIC, encoded(config)))


def test_a_unique_id_twice() -> None:
    config = copy.deepcopy(GOOD)
    config["cmps"]["again"] = config["cmps"]["alarm"]
    assert violations(TOPIC, encoded(config)) == ["again: unique_id is not unique"]


def test_templates_are_understood() -> None:
    assert rendered("{{ value_json.a }}", {"a": 1.5}) == "1.5"
    assert rendered("{{ value_json.a }}", {"a": None}) is None
    assert rendered("{{ value_json.a[:2] if value_json.a is string else none }}", {"a": "abc"}) == "ab"
