"""Commands through a real broker: done, refused, failed, old, late, and rubbish."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.model.clock import SystemClock
from heliobus.model.command import Control
from heliobus.outputs.mqtt.commands import CommandsPart
from heliobus.outputs.mqtt.orders import BadOrderError, parse
from heliobus.outputs.mqtt.session import Message
from heliobus.outputs.mqtt.topics import Topics
from heliobus.site import Site
from mqtt_site import BASE, CONTROLS, Obeying, Recorded, Stage, config, device, stage
from servers import Broker, Probe, mosquitto, probe

CHARGER = f"{BASE}/tristar_south"


@asynccontextmanager
async def served(state: Path, **options: object) -> AsyncIterator[tuple[Broker, Probe, Stage]]:
    async with (
        mosquitto() as broker,
        probe(broker.port, f"{BASE}/#") as looking,
        stage(config(broker.port, **options), state) as on,
    ):
        await looking.topic(f"{CHARGER}/state")
        await looking.until(lambda seen: seen.topic == f"{CHARGER}/availability" and seen.payload == b"online")
        yield broker, looking, on


async def asked(looking: Probe, point: str, payload: bytes | str, of: str = "tristar_south") -> dict[str, object]:
    """The answer to `payload`."""
    count = len(looking.seen)
    await looking.publish(f"{BASE}/{of}/{point}/set", payload)
    seen = await looking.topic(f"{BASE}/{of}/{point}/result", after=count)
    assert not seen.retain
    answer = json.loads(seen.payload)
    assert isinstance(answer, dict)
    return answer


async def test_done_in_every_way_of_saying_it(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, looking, on):
        for payload, value, shown in (
            ("OFF", 0, "off"),
            ("on", 1, "on"),
            ("false", 0, "off"),
            ("1", 1, "on"),
            ('{"value": "off", "id": 7}', 0, "off"),
        ):
            answer = await asked(looking, "charger_enabled", payload)
            assert (answer["outcome"], answer["value"]) == ("done", shown)
            assert on.obeying.commands[-1].value == value
        assert (answer["id"], answer["point"], answer["device"]) == (7, "charger_enabled", "TriStar South")
        assert str(answer["time"]).endswith("Z")
        assert on.obeying.commands[-1].origin == "mqtt"
        assert (await asked(looking, "reset_controller", "PRESS"))["outcome"] == "done"
        assert (await asked(looking, "remote_charge_current", " 12.5 "))["value"] == 12.5
        assert (await asked(looking, "apply_profile", "2026"))["value"] == "2026"
        assert (await asked(looking, "apply_profile", '{"value": "summer"}'))["value"] == "summer"


async def test_refused_and_failed_say_why(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, looking, on):
        on.obeying.gate.set()
        for point, payload, outcome, why in (
            ("equalize_requested", "ON", "refused", "equalize is locked"),
            ("charge_voltage_limit", "99", "refused", "from 0 to 32"),
            ("charge_voltage_limit", "13", "failed", "did not answer"),
            ("battery_voltage", "13", "refused", "cannot be set"),
            ("charger_enabled", "maybe", "refused", "0 or 1"),
            ("charger_enabled", b"\xff\xfe", "refused", "UTF-8"),
            ("charger_enabled", b"", "refused", "empty"),
            ("charger_enabled", '{"valeu": 1}', "refused", "value"),
            ("charger_enabled", "[1]", "refused", "not a number"),
            ("charger_enabled", "[" * 10_000, "refused", "0 or 1"),
            ("charger_enabled", "9" * 10_000, "refused", "0 or 1"),
            ("charger_enabled", "x" * 20_000, "refused", "bytes"),
            ("remote_charge_current", "NaN", "refused", "from 0 to 60"),
            ("remote_charge_current", "1e999", "refused", "from 0 to 60"),
        ):
            answer = await asked(looking, point, payload)
            assert answer["outcome"] == outcome, (payload, answer)
            assert why in str(answer["why"])
        assert [command.value for command in on.obeying.commands] == [13]


async def test_who_means_nobody_is_told(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, looking, on):
        answer = await asked(looking, "charger_enabled", "ON", of="nobody")
        assert (answer["outcome"], answer["device"]) == ("refused", "nobody")
        on.site.remove(on.charger.name)
        assert (await asked(looking, "charger_enabled", "ON"))["outcome"] == "refused"
        assert on.obeying.commands == []


async def test_old_commands_that_the_broker_has_kept_are_ignored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with mosquitto() as broker, probe(broker.port, f"{BASE}/#") as looking:
        await looking.publish(f"{CHARGER}/charger_enabled/set", "OFF", retain=True)
        async with stage(config(broker.port), tmp_path) as on:
            await looking.until(lambda seen: seen.topic == f"{CHARGER}/state")
            assert (await asked(looking, "charger_enabled", "ON"))["value"] == "on"
            assert [command.value for command in on.obeying.commands] == [1]
            assert (
                looking.on(f"{CHARGER}/charger_enabled/result")
                and len(looking.on(f"{CHARGER}/charger_enabled/result")) == 1
            )
    assert [line for line in caplog.messages if "old command" in line]


async def test_a_command_that_waited_too_long_is_ignored(caplog: pytest.LogCaptureFixture) -> None:
    site, charger, session = Site(), device(), Recorded()
    obeying = Obeying(charger)
    site.introduce(charger, obeying)
    part = CommandsPart(site, Topics("heliobus", "My cabin"), SystemClock())
    running = asyncio.create_task(part.run(session))
    now = asyncio.get_running_loop().time()
    topic = f"{CHARGER}/charger_enabled/set"
    session.inbox.put_nowait(Message(topic, b"OFF", retain=False, expires=now - 0.001))
    session.inbox.put_nowait(Message(topic, b"ON", retain=False, expires=now + 60))
    assert await session.taken() == (f"{CHARGER}/charger_enabled/result", False)
    assert [command.value for command in obeying.commands] == [1]
    assert [line for line in caplog.messages if "too late" in line]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_command_with_time_left_is_carried_out(tmp_path: Path) -> None:
    async with (
        mosquitto() as broker,
        probe(broker.port, f"{BASE}/#", version=paho.MQTTv5) as looking,
        stage(config(broker.port), tmp_path),
    ):
        await looking.topic(f"{CHARGER}/state")
        await looking.publish(f"{CHARGER}/reset_controller/set", "PRESS", expiry=60)
        await looking.topic(f"{CHARGER}/reset_controller/result")


async def test_a_slow_command_holds_up_no_other_and_they_are_not_endless(tmp_path: Path) -> None:
    async with served(tmp_path) as (_, looking, on):
        for number in range(16):
            await looking.publish(f"{CHARGER}/charge_voltage_limit/set", json.dumps({"value": 20, "id": number}))
        answer = await asked(looking, "charger_enabled", "OFF")
        assert (answer["outcome"], answer["why"]) == ("refused", "16 commands are under way already")
        on.obeying.gate.set()
        done = f"{CHARGER}/charge_voltage_limit/result"
        await looking.until(lambda _: len(looking.on(done)) == 16)
        assert sorted(json.loads(each)["id"] for each in looking.on(done)) == list(range(16))
        assert (await asked(looking, "charger_enabled", "OFF"))["outcome"] == "done"


async def test_a_command_goes_on_while_the_broker_is_away(tmp_path: Path) -> None:
    async with served(tmp_path) as (broker, looking, on):
        await looking.publish(f"{CHARGER}/charge_voltage_limit/set", "20")
        await looking.publish(f"{CHARGER}/charger_enabled/set", "ON")
        await looking.topic(f"{CHARGER}/charger_enabled/result")
        await broker.restart()
        async with probe(broker.port, f"{BASE}/#") as again:
            await again.until(lambda seen: seen.topic == f"{CHARGER}/availability" and seen.payload == b"online")
            on.obeying.gate.set()
            assert json.loads((await again.topic(f"{CHARGER}/charge_voltage_limit/result")).payload)["value"] == 20


async def test_without_commands_nobody_listens(tmp_path: Path) -> None:
    async with served(tmp_path, commands=False) as (broker, looking, on):
        await looking.publish(f"{CHARGER}/charger_enabled/set", "OFF")
        on.put(pv_power=1.0)
        await looking.until(lambda seen: seen.topic == f"{CHARGER}/state" and b'"pv_power":1.0' in seen.payload)
        assert on.obeying.commands == []
        assert not any("heliobus-my_cabin" in line and "SUBSCRIBE" in line for line in broker.server.said)


@given(
    payload=st.binary(max_size=300) | st.text(max_size=60).map(str.encode), control=st.sampled_from((None, *CONTROLS))
)
def test_no_payload_means_more_than_a_value(payload: bytes, control: Control | None) -> None:
    try:
        order = parse(payload, control)
    except BadOrderError:
        return
    assert order.value is not None
    assert isinstance(order.value, int | float | str)
    assert not isinstance(order.value, bool)


def test_words_of_an_enum_are_its_numbers() -> None:
    enabled = CONTROLS[0]
    assert parse(b"On", enabled).value == 1
    assert parse(b'"OFF"', enabled).value == 0
    assert parse(b"true", enabled).value == 1
    assert parse(b'{"value": true, "id": "a"}', enabled).id == "a"
    with pytest.raises(BadOrderError) as caught:
        parse(b'{"value": null, "id": "a"}', enabled)
    assert caught.value.id == "a"
