"""Discovery through real brokers: what a Home Assistant behind them gets."""

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from heliobus.config.outputs import MqttConfig
from heliobus.model.command import Command
from heliobus.outputs.mqtt.homeassistant import part, payload
from homeassistant_rules import rendered, violations
from mqtt_site import BASE, Stage, config, device, reading, stage, until
from servers import Broker, Probe, Seen, mosquitto, nats, probe

CONFIG = payload.config_topic("homeassistant", device().key)
BRIDGE = payload.config_topic("homeassistant", "bridge_my_cabin")
STATE = f"{BASE}/tristar_south/state"
FILTERS = ("homeassistant/#", f"{BASE}/#")
EACH = pytest.mark.parametrize("broker_of", [mosquitto, nats])
Brokers = Callable[[], AbstractAsyncContextManager[Broker]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "LONGEST_DELAY", 0.01)
    defaults = part.HomeAssistant.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "settling", 0.05)


def wanted(broker: Broker, **options: object) -> MqttConfig:
    return config(broker.port, discovery="homeassistant", **options)


async def discovered(looking: Probe, *, after: int = 0) -> dict[str, Any]:
    """The first whole discovery message of the charger."""
    found: dict[str, Any] = json.loads((await looking.topic(CONFIG, after=after)).payload)
    return found


@EACH
async def test_a_charger_is_discovered_and_shows_its_values(tmp_path: Path, broker_of: Brokers) -> None:
    async with broker_of() as broker, probe(broker.port, *FILTERS) as looking, stage(wanted(broker), tmp_path):
        found = await discovered(looking)
        state = json.loads((await looking.topic(found["state_topic"])).payload)
        for each in found["availability"]:
            await looking.until(lambda seen, topic=each["topic"]: seen == Seen(topic, b"online", False, 1))  # type: ignore[misc]
        for topic in (CONFIG, BRIDGE):
            assert violations(topic, looking.on(topic)[0]) == []
        assert rendered(found["cmps"]["battery_voltage"]["value_template"], state) == "27.53"
        assert rendered(found["cmps"]["charger_enabled"]["value_template"], state) == "ON"
        # Who comes later gets the kept messages, and no old state.
        async with probe(broker.port, *FILTERS) as later:
            await later.until(lambda seen: seen.topic == CONFIG and seen.retain)
            await later.until(lambda seen: seen.topic == BRIDGE and seen.retain)
            assert not any(seen.topic == STATE and seen.retain for seen in later.seen)


@EACH
async def test_it_is_all_there_again_for_a_home_assistant_that_was_born(tmp_path: Path, broker_of: Brokers) -> None:
    async with broker_of() as broker, probe(broker.port, *FILTERS) as looking, stage(wanted(broker), tmp_path):
        await looking.topic(STATE)
        count = len(looking.seen)
        await looking.publish("homeassistant/status", b"online")
        await looking.topic(CONFIG, after=count)
        told = len(looking.seen)
        await looking.topic(STATE, after=told)
        await looking.topic(f"{BASE}/tristar_south/availability", after=count)


@EACH
async def test_after_a_restart_it_removes_what_it_had_told_before(tmp_path: Path, broker_of: Brokers) -> None:
    async with broker_of() as broker, probe(broker.port, *FILTERS) as looking:
        async with stage(wanted(broker), tmp_path):
            before = await discovered(looking)
        await looking.settle()
        count = len(looking.seen)
        async with stage(wanted(broker, commands=False), tmp_path):
            await looking.until(lambda seen: seen.topic == STATE, after=count)
        first, second = (json.loads(each)["cmps"] for each in looking.on(CONFIG, after=count))
    gone = {name for name, component in before["cmps"].items() if "command_topic" in component}
    assert gone
    assert {name: first[name] for name in gone} == {name: {"p": before["cmps"][name]["p"]} for name in gone}
    assert not any("command_topic" in component for component in second.values())
    assert second["charger_enabled"]["p"] == "binary_sensor"


async def test_a_device_that_is_gone_after_a_restart_goes_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with mosquitto() as broker, probe(broker.port, *FILTERS) as looking:
        async with stage(wanted(broker), tmp_path):
            await discovered(looking)
        await looking.settle()
        count = len(looking.seen)
        monkeypatch.setitem(part.HomeAssistant.__init__.__kwdefaults__ or {}, "grace", 0.0)
        async with stage(wanted(broker), tmp_path, here=False):
            await looking.until(lambda seen: seen.topic == CONFIG and not seen.payload, after=count)
    assert b"" not in looking.on(BRIDGE)


async def test_a_broker_that_forgot_everything_is_told_again(tmp_path: Path) -> None:
    async with mosquitto() as broker, stage(wanted(broker), tmp_path):
        async with probe(broker.port, *FILTERS) as looking:
            await discovered(looking)
        await broker.restart()
        async with probe(broker.port, *FILTERS) as looking:
            await discovered(looking)


async def test_what_home_assistant_sends_is_carried_out(tmp_path: Path) -> None:
    async with mosquitto() as broker, probe(broker.port, *FILTERS) as looking, stage(wanted(broker), tmp_path) as site:
        components = (await discovered(looking))["cmps"]
        site.obeying.gate.set()
        sent = {
            "charger_enabled": (components["charger_enabled"]["payload_off"], 0),
            "reset_controller": (components["reset_controller"]["payload_press"], 1),
            "charge_voltage_limit": ("28.4", 28.4),
            "apply_profile": ("winter", "winter"),
        }
        for point, (message, _) in sent.items():
            await looking.publish(components[point]["command_topic"], message)
        await until(lambda: len(site.obeying.commands) == len(sent))
        assert {each.point: each.value for each in site.obeying.commands} == {
            point: value for point, (_, value) in sent.items()
        }
        assert all(isinstance(each, Command) and each.origin == "mqtt" for each in site.obeying.commands)


async def test_where_discovery_is_forbidden_the_values_come_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    acl = f"topic readwrite {BASE}/#\ntopic read homeassistant/#\ntopic readwrite probe/#\n"
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(mosquitto(acl=acl))
        looking = await stack.enter_async_context(probe(broker.port, *FILTERS))
        await stack.enter_async_context(stage(wanted(broker, version="5"), tmp_path))
        await looking.topic(STATE)
        await until(lambda: any(f"refuses {CONFIG}" in each for each in caplog.messages))


async def test_a_device_that_leaves_goes_at_once(tmp_path: Path) -> None:
    async with mosquitto() as broker, probe(broker.port, *FILTERS) as looking, stage(wanted(broker), tmp_path) as site:
        await other(site, looking)
        site.site.remove("Garage")
        topic = payload.config_topic("homeassistant", "tristar_2")
        await looking.until(lambda seen: seen.topic == topic and not seen.payload)
        assert b"" not in looking.on(CONFIG)


async def other(site: Stage, looking: Probe) -> None:
    """A second charger, known to Home Assistant."""
    second = replace(device("Garage", "tristar_2"), label="Garage")
    site.site.introduce(second)
    site.site.put(reading(second))
    await looking.topic(payload.config_topic("homeassistant", "tristar_2"))
