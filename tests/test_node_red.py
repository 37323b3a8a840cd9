"""The flow under docs/examples: its wires hold, and Heliobus takes what it sends where it sends it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from heliobus.control.controls import controls_of
from heliobus.devices import catalog
from heliobus.model.command import Control
from heliobus.model.control_options import ControlOptions
from heliobus.model.device import Device, Identity
from heliobus.outputs.mqtt.orders import parse
from heliobus.outputs.mqtt.topics import Topics

PATH = Path(__file__).resolve().parent.parent / "docs" / "examples" / "node-red-equalize-and-limit.json"
FLOW: list[dict[str, Any]] = json.loads(PATH.read_text(encoding="utf-8"))
NODES = {node["id"]: node for node in FLOW}
DRIVER = catalog.driver("morningstar-tristar-mppt")
CONTROLS = controls_of(DRIVER, ControlOptions(on=True), (), network=True)
ROOF = Device(
    name="roof",
    label="",
    driver=DRIVER.name,
    short=DRIVER.short,
    role=DRIVER.role,
    address="",
    identity=Identity(DRIVER.vendor, "TS-MPPT-60", "10170296"),
    points=DRIVER.points(),
    key="tristar_10170296",
    number=0,
    controls=CONTROLS,
)


def topics() -> Topics:
    found = Topics("heliobus", "cabin")
    found.device(ROOF)
    return found


def of_type(kind: str) -> list[dict[str, Any]]:
    return [node for node in FLOW if node["type"] == kind]


def commanded(node: dict[str, Any]) -> Control:
    """What can be commanded on the topic of an `mqtt out`."""
    meant = topics().commanded(node["topic"])
    assert meant is not None, node["topic"]
    assert meant[0] == ROOF.name
    return CONTROLS[meant[1]]


def payloads() -> list[tuple[str, bytes, str]]:
    """Name of the button, what it sends, and the node that publishes it."""
    return [(node["name"], node["payload"].encode(), node["wires"][0][0]) for node in of_type("inject")]


def test_wires_and_brokers_are_there() -> None:
    assert len(NODES) == len(FLOW)
    for node in FLOW:
        for to in (each for output in node.get("wires", ()) for each in output):
            assert to in NODES, (node["name"], to)
        if "broker" in node and node["type"] != "mqtt-broker":
            assert NODES[node["broker"]]["type"] == "mqtt-broker"
    assert "credentials" not in PATH.read_text()


def test_it_starts_an_equalize_and_limits_the_charge_current() -> None:
    assert {commanded(node).point.name for node in of_type("mqtt out")} == {
        "equalize_requested",
        "charge_current_limit",
    }


@pytest.mark.parametrize("node", of_type("mqtt out"), ids=lambda node: str(node["name"]))
def test_no_command_is_kept_by_the_broker(node: dict[str, Any]) -> None:
    assert node["retain"] == "false"
    assert int(node["expiry"]) <= 60


@pytest.mark.parametrize(("name", "payload", "to"), payloads())
def test_every_button_sends_what_the_control_takes(name: str, payload: bytes, to: str) -> None:
    control = commanded(NODES[to])
    value = control.coerced(parse(payload, control).value)
    assert value == (0 if name in ("End the equalize", "The charger's own limit") else control.coerced(value))


def test_the_other_limits_are_taken_too() -> None:
    """What the function sends that looks at the temperature of the battery."""
    control = CONTROLS["charge_current_limit"]
    sent = re.findall(r"payload: limited \? (\d+) : (\d+)", NODES["hot-battery"]["func"])
    assert [[control.coerced(float(each)) for each in pair] for pair in sent] == [[20.0, 0.0]]


def test_what_it_listens_to_is_published() -> None:
    heard = {node["topic"] for node in of_type("mqtt in")}
    any_result = topics().result(ROOF, "+")
    assert heard == {topics().state(ROOF), any_result}
    keys = {key for node in of_type("function") for key in re.findall(r"msg\.payload\.(\w+)", node["func"])}
    assert keys
    assert keys <= set(ROOF.points)


def test_a_wrong_value_would_be_refused() -> None:
    with pytest.raises(ValueError, match="takes a number"):
        CONTROLS["charge_current_limit"].coerced(parse(b"a lot", CONTROLS["charge_current_limit"]).value)
