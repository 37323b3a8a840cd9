"""Home Assistant is told of every device, again when it asks, and of what goes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from heliobus.config.outputs import MqttConfig
from heliobus.devices import catalog
from heliobus.model.device import Device
from heliobus.outputs.mqtt.homeassistant import payload
from heliobus.outputs.mqtt.homeassistant.part import LONGEST_DELAY, HomeAssistant
from heliobus.outputs.mqtt.session import ConnectionLostError
from heliobus.site import Site
from homeassistant_broker import Broker, FakeSession
from homeassistant_devices import SITE, device, topics

CONFIG = MqttConfig("127.0.0.1", 1883)
STATUS = "homeassistant/status"
BRIDGE = payload.config_topic("homeassistant", payload.bridge_key(SITE))
TRISTAR = device(catalog.driver("morningstar-tristar-mppt"), control=True)
METER = device(catalog.driver("pzem-ac"), number=1)


class Rig:
    """The part, its site, and how often it had everything sent again."""

    def __init__(self, broker: Broker, *devices: Device, config: MqttConfig = CONFIG, **options: Any) -> None:
        self.broker = broker
        self.site = Site()
        self.refreshed = 0
        for each in devices:
            self.site.introduce(each)
        times = {"delay": lambda: 0.0, "settling": 0.0, "learning": 0.2, "grace": 3600.0} | options
        self.part = HomeAssistant(config, topics(), self.site, SITE, self._refresh, **times)

    def _refresh(self) -> None:
        self.refreshed += 1
        self.broker.news.set()

    @asynccontextmanager
    async def connected(self, refused: tuple[str, ...] = ()) -> AsyncIterator[FakeSession]:
        session = FakeSession(self.broker, refused)
        task = asyncio.create_task(self.part.run(session))
        try:
            yield session
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def at(made: Device) -> str:
    return payload.config_topic("homeassistant", made.key)


def told(broker: Broker, made: Device) -> Callable[[], bool]:
    return lambda: at(made) in broker.retained


async def test_every_device_is_told_after_the_bridge_and_then_all_states_are_sent() -> None:
    broker = Broker()
    rig = Rig(broker, TRISTAR, METER)
    async with rig.connected():
        await broker.until(lambda: rig.refreshed == 1)
    assert [topic for topic, _ in broker.configs()[:2]] == [BRIDGE, BRIDGE], "devices are via the bridge"
    assert broker.retained.keys() == {BRIDGE, at(TRISTAR), at(METER)}
    assert json.loads(broker.retained[at(METER)]) == payload.device_config(METER, topics(), SITE, commands=True)


async def test_the_prefix_is_the_owners() -> None:
    broker = Broker()
    async with Rig(broker, METER, config=replace(CONFIG, discovery="ha/test")).connected():
        await broker.until(lambda: payload.config_topic("ha/test", METER.key) in broker.retained)


async def test_a_new_device_and_a_changed_one_are_told() -> None:
    broker = Broker()
    rig = Rig(broker)
    async with rig.connected():
        await broker.until(lambda: BRIDGE in broker.retained)
        rig.site.introduce(METER)
        await broker.until(told(broker, METER))
        rig.site.introduce(replace(METER, label="Fridge"))
        await broker.until(lambda: b'"name":"Fridge"' in broker.retained[at(METER)])
        await broker.until(lambda: rig.refreshed > 0)


async def test_new_readings_alone_tell_nothing() -> None:
    broker = Broker()
    rig = Rig(broker, METER)
    async with rig.connected():
        await broker.until(lambda: rig.refreshed == 1)
        count = len(broker.log)
        rig.site.amend(METER.name, {"ac_voltage": 230.0})
        rig.site.introduce(TRISTAR)
        await broker.until(told(broker, TRISTAR))
        assert {topic for topic, _ in broker.log[count:]} == {at(TRISTAR)}


async def test_at_its_birth_it_is_told_everything_again() -> None:
    broker = Broker()
    delays: list[float] = []

    def delay() -> float:
        delays.append(0.0)
        return 0.0

    rig = Rig(broker, METER, delay=delay)
    async with rig.connected() as session:
        await broker.until(lambda: rig.refreshed == 1)
        broker.log.clear()
        session.say(STATUS, b"offline")
        session.say(STATUS, b"online")
        await broker.until(lambda: rig.refreshed == 2)
    assert [topic for topic, _ in broker.log] == [BRIDGE, at(METER)]
    assert delays == [0.0]


async def test_a_kept_birth_is_none() -> None:
    broker = Broker()
    broker.retained[STATUS] = b"online"
    rig = Rig(broker, METER)
    async with rig.connected():
        await broker.until(lambda: rig.refreshed == 1)
        rig.site.introduce(TRISTAR)
        await broker.until(lambda: rig.refreshed == 2)
    assert [topic for topic, _ in broker.configs()].count(at(METER)) == 1


def test_the_delay_is_at_random_up_to_ten_seconds() -> None:
    part = HomeAssistant(CONFIG, topics(), Site(), SITE, lambda: None)
    found = [part._delay() for _ in range(200)]
    assert LONGEST_DELAY == 10
    assert all(0 <= each <= LONGEST_DELAY for each in found)
    assert max(found) - min(found) > 5


async def test_a_device_that_leaves_the_site_is_emptied() -> None:
    broker = Broker()
    rig = Rig(broker, METER, TRISTAR)
    async with rig.connected():
        await broker.until(told(broker, TRISTAR))
        rig.site.remove(METER.name)
        await broker.until(lambda: at(METER) not in broker.retained)
    assert at(TRISTAR) in broker.retained


async def test_a_device_that_moves_to_another_name_stays() -> None:
    broker = Broker()
    rig = Rig(broker, METER)
    async with rig.connected():
        await broker.until(told(broker, METER))
        rig.site.remove(METER.name)
        rig.site.introduce(replace(METER, name="moved"))
        await broker.until(lambda: b"/moved/state" in broker.retained[at(METER)])
    assert (at(METER), {}) not in broker.configs()


async def test_another_device_in_the_same_place_takes_the_old_ones_away() -> None:
    broker = Broker()
    rig = Rig(broker, METER)
    async with rig.connected():
        await broker.until(told(broker, METER))
        other = replace(METER, key="pzem_other")
        rig.site.introduce(other)
        await broker.until(told(broker, other))
    assert at(METER) not in broker.retained


async def test_a_point_that_goes_is_taken_back_first() -> None:
    broker = Broker()
    rig = Rig(broker, METER)
    async with rig.connected():
        await broker.until(told(broker, METER))
        broker.log.clear()
        points = {name: point for name, point in METER.points.items() if name != "ac_frequency"}
        rig.site.introduce(replace(METER, points=points))
        await broker.until(lambda: len(broker.log) == 2)
    (_, first), (_, second) = broker.configs()
    assert first["cmps"]["ac_frequency"] == {"p": "sensor"}
    assert "ac_frequency" not in second["cmps"]


async def test_after_a_restart_what_the_broker_has_kept_is_known() -> None:
    broker = Broker()
    async with Rig(broker, TRISTAR).connected():
        await broker.until(told(broker, TRISTAR))
    broker.log.clear()
    read_only = replace(TRISTAR, controls={})
    rig = Rig(broker, read_only)
    async with rig.connected():
        await broker.until(lambda: rig.refreshed == 1)
    first, second = (config for topic, config in broker.configs() if topic == at(TRISTAR))
    assert first["cmps"]["clear_faults"] == {"p": "button"}
    assert "clear_faults" not in second["cmps"]


async def test_after_a_restart_a_device_may_take_its_time() -> None:
    broker = Broker()
    async with Rig(broker, TRISTAR, METER).connected():
        await broker.until(lambda: len(broker.retained) == 3)
    rig = Rig(broker, TRISTAR)
    async with rig.connected():
        await broker.until(lambda: rig.refreshed == 1)
    assert at(METER) in broker.retained


async def test_after_a_restart_a_device_that_does_not_come_is_emptied() -> None:
    broker = Broker()
    stranger = "homeassistant/device/heliobus/other_site/config"
    async with Rig(broker, TRISTAR, METER).connected():
        await broker.until(lambda: len(broker.retained) == 3)
    broker.retained[stranger] = broker.retained[at(METER)].replace(
        b"heliobus/cabin_at_the_lake/", b"heliobus/elsewhere/"
    )
    rig = Rig(broker, TRISTAR, grace=0.0)
    async with rig.connected():
        await broker.until(lambda: at(METER) not in broker.retained)
        await broker.until(lambda: rig.refreshed == 1)
    assert {BRIDGE, at(TRISTAR), stranger} == broker.retained.keys()


async def test_a_broker_that_hides_what_it_keeps_is_served_too() -> None:
    broker = Broker(forgets=True)
    async with Rig(broker, TRISTAR).connected():
        await broker.until(told(broker, TRISTAR))
    rig = Rig(broker, replace(TRISTAR, controls={}))
    async with rig.connected():
        await broker.until(lambda: rig.refreshed == 1)
        rig.site.remove(TRISTAR.name)
        await broker.until(lambda: at(TRISTAR) not in broker.retained)


async def test_after_a_new_connection_everything_is_told_again() -> None:
    broker = Broker()
    rig = Rig(broker, METER)
    async with rig.connected():
        await broker.until(lambda: rig.refreshed == 1)
    broker.retained.clear()
    points = {name: point for name, point in METER.points.items() if name != "ac_frequency"}
    rig.site.introduce(replace(METER, points=points))
    async with rig.connected():
        await broker.until(lambda: rig.refreshed == 2)
    configs = [config for topic, config in broker.configs() if topic == at(METER)]
    assert configs[-2]["cmps"]["ac_frequency"] == {"p": "sensor"}, "it was told so before the connection was lost"
    assert "ac_frequency" not in configs[-1]["cmps"]


@pytest.mark.parametrize(
    "refused", [(at(METER),), (payload.config_filter("homeassistant"), STATUS), (BRIDGE, at(METER), STATUS)]
)
async def test_what_the_broker_refuses_stops_nothing_else(
    refused: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    broker = Broker()
    rig = Rig(broker, METER, TRISTAR)
    async with rig.connected(refused):
        await broker.until(told(broker, TRISTAR))
        await broker.until(lambda: rig.refreshed == 1)
    for each in refused:
        assert sum(f"refuses {each}:" in line for line in caplog.messages) == 1


async def test_a_lost_connection_ends_it() -> None:
    broker = Broker()
    rig = Rig(broker, METER)
    session = FakeSession(broker)
    run = asyncio.create_task(rig.part.run(session))
    await broker.until(lambda: rig.refreshed == 1)
    session.lost = True
    session.say(STATUS, b"online")
    with pytest.raises(ConnectionLostError):
        await run
    with pytest.raises(ConnectionLostError):
        await rig.part.run(session)


@pytest.mark.parametrize(("every", "expires"), [(1.0, 180), (60.0, 180), (900.0, 2700), (3600.0, 10_800)])
async def test_states_that_come_seldom_hold_until_several_are_lost(every: float, expires: int) -> None:
    broker = Broker()
    rig = Rig(broker, METER, config=replace(CONFIG, every=every))
    async with rig.connected():
        await broker.until(told(broker, METER))
    components = json.loads(broker.retained[at(METER)])["cmps"].values()
    assert {each["expire_after"] for each in components} == {expires}
