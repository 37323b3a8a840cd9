"""What must be said so that Home Assistant forgets."""

import json

import pytest

from heliobus.devices import catalog
from heliobus.outputs.mqtt.homeassistant import payload, removal
from homeassistant_devices import SITE, device, topics
from homeassistant_rules import violations

TRISTAR = device(catalog.driver("morningstar-tristar-mppt"), control=True)
CONFIG = payload.device_config(TRISTAR, topics(), SITE, commands=True)
READ_ONLY = payload.device_config(TRISTAR, topics(), SITE, commands=False)
BASE = topics().base


def test_nothing_was_there() -> None:
    assert removal.steps({}, CONFIG) == [CONFIG]


def test_nothing_went() -> None:
    assert removal.steps(removal.published(CONFIG), CONFIG) == [CONFIG]


def test_what_went_is_sent_once_with_its_platform_alone() -> None:
    first, second = removal.steps({"old": "sensor", **removal.published(CONFIG)}, CONFIG)
    assert first["cmps"]["old"] == {"p": "sensor"}  # type: ignore[index]
    assert len(first["cmps"]) == len(CONFIG["cmps"]) + 1  # type: ignore[arg-type]
    assert second == CONFIG
    assert violations(payload.config_topic("homeassistant", "a"), payload.encoded(first)) == []


def test_what_becomes_another_platform_goes_first() -> None:
    first, second = removal.steps(removal.published(CONFIG), READ_ONLY)
    gone = {name for name, part in first["cmps"].items() if set(part) == {"p"}}  # type: ignore[attr-defined]
    assert {"charger_enabled", "charge_current_limit", "clear_faults"} <= gone
    assert first["cmps"]["charger_enabled"] == {"p": "switch"}  # type: ignore[index]
    assert second == READ_ONLY


def test_a_kept_message_of_ours_is_understood() -> None:
    assert removal.learned(payload.encoded(CONFIG), BASE) == removal.published(CONFIG)
    assert removal.learned(payload.encoded(payload.bridge_config(topics(), SITE)), BASE) == {
        "connected": "binary_sensor"
    }


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 100_000,
        json.dumps({**CONFIG, "o": {"name": "zigbee2mqtt"}}).encode(),
        json.dumps({**CONFIG, "state_topic": "heliobus/other/roof/state"}).encode(),
        json.dumps({**CONFIG, "state_topic": f"{BASE}2/roof/state"}).encode(),
        json.dumps({**CONFIG, "state_topic": 5}).encode(),
        json.dumps({**CONFIG, "cmps": [1]}).encode(),
        json.dumps({**CONFIG, "cmps": {"a": {}}}).encode(),
    ],
    ids=lambda message: repr(message[:30]),
)
def test_what_is_not_ours_is_left_alone(message: bytes) -> None:
    assert removal.learned(message, BASE) is None
