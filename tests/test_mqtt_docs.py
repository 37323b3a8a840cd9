"""What docs/mqtt.md shows must work: its TOML, its payloads, its rules."""

import json
import re
import tomllib
from pathlib import Path

import mqtt_site
from heliobus import config
from heliobus.config.outputs import MqttConfig
from heliobus.config.secret import Secret
from heliobus.model.vocabulary import VOCABULARY
from mqtt_site import BASE, POINTS, stage
from servers import PASSWORD, USER, mosquitto, probe

CHARGER = f"{BASE}/tristar_south"
PAGE = (Path(__file__).resolve().parent.parent / "docs" / "mqtt.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    parts = re.split(r"^```(\w*)\n", PAGE, flags=re.MULTILINE)
    # Text, opening, content, closing, text, opening …
    return [content for opening, content in zip(parts[1::4], parts[2::4], strict=True) if opening == language]


def read(text: str) -> MqttConfig:
    device = {"name": "roof", "driver": "epever-tracer", "link": "serial:/dev/ttyUSB0"}
    found = config.parse(tomllib.loads(text) | {"device": [device]}, "docs/mqtt.md").outputs.mqtt
    assert found is not None
    return found


def test_its_configs_are_read() -> None:
    plain, secured = map(read, blocks("toml"))
    assert (plain.host, plain.port) == ("127.0.0.1", 1883)
    assert (secured.port, secured.user, secured.password.file) == (8883, "my_cabin", "/etc/heliobus/mqtt-password")


def test_its_table_names_every_key_with_its_default() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([^|`]+?)`? \|", PAGE, re.MULTILINE))
    default = read("[output.mqtt]\n")
    for key in ("prefix", "discovery", "version", "every", "record_every", "outbox_mb", "commands"):
        value = getattr(default, key)
        assert rows[key] == (str(value).lower() if isinstance(value, bool) else f"{value}".removesuffix(".0"))


def test_its_payloads_are_made_of_points() -> None:
    for block in blocks("json"):
        names = json.loads(block).keys() - {"time", "device", "point", "outcome", "value", "id"}
        assert names <= VOCABULARY.keys()


async def test_its_rules_let_through_what_has_to(tmp_path: Path) -> None:
    (rules,) = blocks("")
    rules = rules.replace("user my_cabin", f"user {USER}")
    wanted = {"user": USER, "password": Secret(PASSWORD), "discovery": "homeassistant"}
    async with (
        mosquitto(password=True, acl=rules) as broker,
        probe(broker.port, "heliobus/#", "homeassistant/#", user=USER, password=PASSWORD) as looking,
        stage(mqtt_site.config(broker.port, **wanted), tmp_path) as on,
    ):
        await looking.until(lambda seen: seen.topic.endswith("tristar_10170296/config"))
        await looking.until(lambda seen: seen.topic == f"{CHARGER}/availability" and seen.payload == b"online")
        assert len(json.loads((await looking.topic(f"{CHARGER}/state")).payload)) == len(POINTS)
        await looking.publish(f"{CHARGER}/charger_enabled/set", "OFF")
        assert json.loads((await looking.topic(f"{CHARGER}/charger_enabled/result")).payload)["outcome"] == "done"
        assert on.status.refused == 0


async def test_its_commands_are_taken(tmp_path: Path) -> None:
    commands = re.findall(r"^mosquitto_pub -q 1 -t heliobus/my_cabin/tristar/(\S+) -m (.+)$", PAGE, re.MULTILINE)
    assert len(commands) == 4
    async with (
        mosquitto() as broker,
        probe(broker.port, f"{CHARGER}/#") as looking,
        stage(mqtt_site.config(broker.port), tmp_path) as on,
    ):
        on.obeying.gate.set()
        await looking.until(lambda seen: seen.topic == f"{CHARGER}/availability" and seen.payload == b"online")
        for topic, payload in commands:
            count = len(looking.seen)
            await looking.publish(f"{CHARGER}/{topic}", payload.strip("'"))
            seen = await looking.topic(f"{CHARGER}/{topic.removesuffix('set')}result", after=count)
            assert json.loads(seen.payload)["outcome"] == "done", payload
