"""The examples for Home Assistant name what there is: entities, services, topics, units, words."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from heliobus.devices import catalog
from heliobus.model.vocabulary import CHARGER_STATES
from heliobus.outputs.mqtt.homeassistant import payload
from heliobus.outputs.mqtt.victron.payload import keep_alive
from heliobus.sim.virtual_time import run_virtual
from homeassistant_devices import SITE, device, topics
from homeassistant_rules import violations
from victron_broker import PORTAL, alive, commanded_site, serving

DOCS = Path(__file__).parent.parent / "docs"
ROOF = replace(device(catalog.driver("morningstar-tristar-mppt"), control=True), name="roof")
PATHS = json.loads(
    (Path(__file__).parent / "golden" / "venus-solarcharger-controlled.json").read_text(encoding="utf-8")
)
SERVICES = {"number.set_value", "switch.turn_on", "switch.turn_off"}
PLATFORMS = "sensor|binary_sensor|switch|number|select|button|text"


def example(name: str) -> dict[str, Any]:
    found = yaml.safe_load((DOCS / "examples" / name).read_text(encoding="utf-8"))
    return cast(dict[str, Any], found)


AUTOMATIONS = example("homeassistant-automation.yaml")["automation"]
GX = example("homeassistant-gx.yaml")


def entities() -> dict[str, dict[str, Any]]:
    """The entities of the charger on the roof that are there without switching them on, by id."""
    config = payload.device_config(ROOF, topics(), SITE, commands=True)
    parts = cast(dict[str, dict[str, Any]], config["cmps"])
    return {part["default_entity_id"]: part for part in parts.values() if "enabled_by_default" not in part}


def nodes(tree: object) -> Iterator[Mapping[str, Any]]:
    """Every mapping of a YAML document."""
    if isinstance(tree, dict):
        yield tree
        for each in tree.values():
            yield from nodes(each)
    elif isinstance(tree, list):
        for each in tree:
            yield from nodes(each)


def gx_parts() -> Iterator[tuple[str, dict[str, Any]]]:
    for platform, parts in GX["mqtt"].items():
        for part in parts:
            yield platform, part


def test_every_entity_of_the_automations_is_there() -> None:
    text = (DOCS / "examples" / "homeassistant-automation.yaml").read_text(encoding="utf-8")
    named = set(re.findall(rf"\b(?:{PLATFORMS})\.roof_\w+", text))
    assert len(named) > 5
    assert named <= entities().keys()


def test_automations_have_ids_and_do_something() -> None:
    everything = [*AUTOMATIONS, *GX["automation"]]
    assert len({each["id"] for each in everything}) == len(everything)
    assert all(each["alias"] and each["triggers"] and each["actions"] for each in everything)


def test_every_service_fits_its_entity_and_its_bounds() -> None:
    called = [node for node in nodes(AUTOMATIONS) if "action" in node and "target" in node]
    assert len(called) > 2
    for node in called:
        entity = node["target"]["entity_id"]
        assert node["action"] in SERVICES
        assert node["action"].partition(".")[0] == entity.partition(".")[0]
        if "data" in node:
            assert entities()[entity]["min"] <= node["data"]["value"] <= entities()[entity]["max"]


def test_what_is_compared_is_a_number_and_what_is_waited_for_a_state() -> None:
    for node in nodes(AUTOMATIONS):
        kind = node.get("trigger") or node.get("condition")
        if kind == "numeric_state":
            assert entities()[node["entity_id"]]["unit_of_measurement"]
        elif kind == "state" and node["entity_id"].startswith("binary_sensor."):
            assert node["to"] in ("on", "off")
        elif kind == "state":
            assert set(node["to"]) == {"unavailable", "unknown"}


def test_home_assistant_takes_the_sensors_of_a_gx() -> None:
    cmps = {}
    for platform, part in gx_parts():
        cmps[part["unique_id"]] = {"p": platform, "default_entity_id": f"{platform}.a", **part}
        for key in ("state_on", "state_off", "command_template"):
            cmps[part["unique_id"]].pop(key, None)
    config = {"dev": {"ids": ["gx"], "name": "GX"}, "o": {"name": "example"}, "cmps": cmps}
    assert violations("homeassistant/device/gx/config", json.dumps(config).encode()) == []


def test_every_topic_of_the_gx_is_published_and_every_write_becomes_a_command(tmp_path: Path) -> None:
    writes = {"number": 30.0, "switch": 1}

    async def story() -> None:
        site, double = commanded_site()
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            for platform, part in gx_parts():
                assert part["state_topic"].removeprefix(f"N/{PORTAL}/") in tool.values
                if platform in writes:
                    written = part.get("payload_on") or part["command_template"].replace("{{ value }}", "30")
                    count = len(double.commands)
                    tool.broker.send(part["command_topic"], written)
                    await asyncio.sleep(1)
                    assert [value for _, value in double.commands[count:]] == [writes[platform]]

    run_virtual(story())


def test_units_and_words_are_those_of_the_gx() -> None:
    for platform, part in gx_parts():
        path = part["state_topic"].partition("/278")[2]
        if platform == "sensor" and "unit_of_measurement" in part:
            # The charger's texts on the D-Bus end with the unit, where they are not formatted by the GX.
            _, value, text = PATHS[path]
            assert isinstance(value, float)
            assert text.split()[-1] == part["unit_of_measurement"] or text == f"{value}"
        if "options" in part:
            assert part["options"] == list(CHARGER_STATES.values())
            for number, word in CHARGER_STATES.items():
                assert f"{number}: '{word}'" in part["value_template"]


def test_the_gx_is_kept_alive_and_nothing_expires_before_it_is_sent_again() -> None:
    first, second = (each["actions"][0]["data"] for each in GX["automation"])
    assert first["topic"] == second["topic"] == f"R/{PORTAL}/keepalive"
    assert keep_alive(first["payload"].encode()).everything
    assert not keep_alive(second["payload"].encode()).everything
    patterns = [each for each in nodes(GX["automation"]) if each.get("trigger") == "time_pattern"]
    assert [(each.get("minutes"), each.get("seconds")) for each in patterns] == [("/5", None), (None, "/30")]
    assert all(part["expire_after"] > 300 for platform, part in gx_parts() if platform == "sensor")


@pytest.mark.parametrize("words", ["state_topic", "availability", "unique_id"])
def test_the_page_shows_topics_as_they_are(words: str) -> None:
    page = (DOCS / "homeassistant.md").read_text(encoding="utf-8")
    block = page.partition("```json\n")[2].partition("```")[0]
    shown = json.loads(block)
    real = payload.device_config(replace(ROOF, label="Roof"), topics(), SITE, commands=True)
    assert words in block
    for key in ("state_topic", "availability", "availability_mode"):
        assert shown[key] == real[key]
    assert shown["o"]["name"] == "heliobus"
    for name, part in shown["cmps"].items():
        assert part == cast(dict[str, Any], real["cmps"])[name]


def test_every_entity_of_the_page_is_there() -> None:
    page = (DOCS / "homeassistant.md").read_text(encoding="utf-8")
    named = set(re.findall(rf"\b(?:{PLATFORMS})\.roof_\w+", page))
    assert named
    assert named <= entities().keys()
    for topic in re.findall(r"homeassistant/device/[^ `'\"]+/config", page):
        assert topic in (payload.config_filter("homeassistant"), payload.config_topic("homeassistant", ROOF.key))
