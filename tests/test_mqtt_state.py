"""What devices measure, on a real broker: whole, true, and never old."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from heliobus.model.clock import SystemClock
from heliobus.model.reading import Health
from heliobus.outputs.mqtt.accounted import Accounted
from heliobus.outputs.mqtt.announced import Announced
from heliobus.outputs.mqtt.state import StatePart
from heliobus.outputs.mqtt.topics import Topics
from heliobus.outputs.status import Statuses
from heliobus.sim.virtual_time import run_virtual
from heliobus.site import Site
from mqtt_site import BASE, POINTS, Recorded, config, device, reading, stage, until
from servers import Broker, Probe, Seen, mosquitto, nats, probe

STATE = f"{BASE}/tristar_south/state"
AVAILABILITY = f"{BASE}/tristar_south/availability"
BRIDGE = f"{BASE}/availability"


def is_state(seen: Seen, **values: object) -> bool:
    return seen.topic == STATE and json.loads(seen.payload).items() >= values.items()


@pytest.mark.parametrize("version", ["auto", "5", "3.1.1"])
async def test_a_state_is_one_whole_object(tmp_path: Path, version: str) -> None:
    async with mosquitto() as broker, probe(broker.port, f"{BASE}/#") as looking:
        async with stage(config(broker.port, version=version), tmp_path):
            state = json.loads((await looking.topic(STATE)).payload)
            await looking.until(lambda seen: seen.topic == AVAILABILITY and seen.payload == b"online")
        assert state == {
            "battery_voltage": 27.53,
            "battery_current": 0.0,
            "pv_power": 290.2,
            "charger_state": "bulk",
            "charger_enabled": "on",
            "yield_total": 4711.08,
            "faults": "overcurrent, battery HVD",
            "remark": "süd",
        }
        await looking.settle()
        assert looking.on(BRIDGE) == [b"online", b"offline"]
        assert looking.on(AVAILABILITY) == [b"offline", b"online", b"offline"]
        spoken = "p5" if version != "3.1.1" else "p2"
        assert any("heliobus-my_cabin-" in line and spoken in line for line in broker.server.said)


async def test_every_key_is_there_and_null_when_not_measured(tmp_path: Path) -> None:
    async with (
        mosquitto() as broker,
        probe(broker.port, f"{BASE}/#") as looking,
        stage(config(broker.port), tmp_path) as on,
    ):
        await looking.until(lambda seen: is_state(seen, pv_power=290.2))
        on.put(pv_power=None, charger_state=99, battery_voltage=float("nan"))
        seen = await looking.until(lambda seen: is_state(seen, pv_power=None))
        state = json.loads(seen.payload)
        assert list(state) == [point.name for point in POINTS]
        assert state["charger_state"] is None
        assert state["battery_voltage"] is None
        assert state["yield_total"] == 4711.08


async def test_a_pulled_cable_is_null_and_offline_at_once_however_slow_states_are(tmp_path: Path) -> None:
    async with (
        mosquitto() as broker,
        probe(broker.port, f"{BASE}/#") as looking,
        stage(config(broker.port, every=3600.0), tmp_path) as on,
    ):
        await looking.until(lambda seen: seen.topic == AVAILABILITY and seen.payload == b"online")
        count = len(looking.seen)
        on.put(health=Health.OFFLINE)
        await looking.until(lambda seen: is_state(seen, **dict.fromkeys(on.charger.points)), after=count)
        assert (await looking.topic(AVAILABILITY, after=count)).payload == b"offline"
        # And back: what it measures now comes before anybody may believe it.
        count = len(looking.seen)
        on.put(pv_power=11.0)
        await looking.until(lambda seen: seen.topic == AVAILABILITY and seen.payload == b"online", after=count)
        assert [seen.topic for seen in looking.seen[count:]] == [STATE, AVAILABILITY]
        assert is_state(looking.seen[count], pv_power=11.0)


async def test_a_device_that_fails_now_and_then_stays_online(tmp_path: Path) -> None:
    async with (
        mosquitto() as broker,
        probe(broker.port, f"{BASE}/#") as looking,
        stage(config(broker.port), tmp_path) as on,
    ):
        await looking.until(lambda seen: is_state(seen, pv_power=290.2))
        on.put(health=Health.FAILING, pv_power=5.0)
        await looking.until(lambda seen: is_state(seen, pv_power=5.0))
        await looking.settle()
        assert looking.on(AVAILABILITY)[-1] == b"online"


async def test_nothing_old_comes_to_who_comes_later(tmp_path: Path) -> None:
    async with mosquitto(persistence=True) as broker:
        async with probe(broker.port, f"{BASE}/#") as looking, stage(config(broker.port), tmp_path) as on:
            await looking.until(lambda seen: is_state(seen, pv_power=290.2))
            on.put(health=Health.OFFLINE)
            await looking.until(lambda seen: is_state(seen, pv_power=None))
            async with probe(broker.port, f"{BASE}/#") as later:
                await later.settle()
                assert {(seen.topic, seen.payload, seen.retain) for seen in later.seen[:2]} == {
                    (BRIDGE, b"online", True),
                    (AVAILABILITY, b"offline", True),
                }
                assert later.on(STATE) == []
        async with probe(broker.port, f"{BASE}/#") as afterwards:
            await afterwards.settle()
            assert afterwards.on(BRIDGE) == [b"offline"]
            assert afterwards.on(AVAILABILITY) == [b"offline"]
            assert afterwards.on(STATE) == []


@pytest.mark.parametrize("kill", [False, True])
async def test_a_device_that_goes_while_the_broker_is_away_is_not_old_when_it_comes_back(
    tmp_path: Path, kill: bool
) -> None:
    async with mosquitto(persistence=True) as broker, stage(config(broker.port), tmp_path) as on:
        async with probe(broker.port, f"{BASE}/#") as looking:
            await looking.until(lambda seen: seen.topic == AVAILABILITY and seen.payload == b"online")
        await broker.stop(kill=kill)
        on.put(health=Health.OFFLINE)
        await broker.start()
        async with probe(broker.port, f"{BASE}/#") as looking:
            await looking.until(lambda seen: seen.topic == BRIDGE and seen.payload == b"online")
            await looking.until(lambda seen: is_state(seen, pv_power=None))
            # Whatever the broker remembers of the time before, it never is online at once with the site.
            online = False
            for seen in looking.seen:
                online = seen.payload == b"online" if seen.topic == AVAILABILITY else online
                assert not (seen.topic == BRIDGE and seen.payload == b"online" and online and not seen.retain)
            assert looking.on(AVAILABILITY)[-1] == b"offline"
            assert not [seen for seen in looking.seen if is_state(seen, pv_power=290.2)]


async def test_a_device_that_leaves_leaves_nothing(tmp_path: Path) -> None:
    async with (
        mosquitto() as broker,
        probe(broker.port, f"{BASE}/#") as looking,
        stage(config(broker.port), tmp_path) as on,
    ):
        await looking.until(lambda seen: seen.topic == AVAILABILITY and seen.payload == b"online")
        count = len(looking.seen)
        on.site.remove(on.charger.name)
        await looking.until(lambda seen: seen.topic == AVAILABILITY and seen.payload == b"", after=count)
        assert looking.on(AVAILABILITY, after=count) == [b"offline", b""]
        async with probe(broker.port, f"{BASE}/#") as later:
            await later.settle()
            assert [seen.topic for seen in later.seen[:-1]] == [BRIDGE]
        # Forgotten only after the broker has it, so that a power cut between the two leaves nothing behind.
        await until(lambda: json.loads((tmp_path / "mqtt-announced.json").read_bytes()) == [])


async def killed(port: int, state: Path, looking: Probe) -> None:
    """A Heliobus whose device answers, ended with -9."""
    script = f"""
import asyncio, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from mqtt_site import config, stage
async def main():
    async with stage(config({port}), Path({str(state)!r})):
        await asyncio.Event().wait()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    await looking.until(lambda seen: seen.topic == AVAILABILITY and seen.payload == b"online")
    process.kill()
    await process.wait()


@pytest.mark.parametrize("here", [False, True])
async def test_after_kill_9_and_a_restart_without_the_device_nothing_is_alive(tmp_path: Path, here: bool) -> None:
    async with mosquitto() as broker, probe(broker.port, f"{BASE}/#") as looking:
        await killed(broker.port, tmp_path, looking)
        # The broker speaks for who cannot any more.
        await looking.until(lambda seen: seen.topic == BRIDGE and seen.payload == b"offline")
        count = len(looking.seen)
        async with stage(config(broker.port), tmp_path, here=here, answers=False):
            await looking.until(lambda seen: seen.topic == BRIDGE and seen.payload == b"online", after=count)
            assert [seen.topic for seen in looking.seen[count:]] == [AVAILABILITY, BRIDGE]
            assert looking.on(AVAILABILITY, after=count) == [b"offline"]
            if here:
                await looking.until(lambda seen: is_state(seen, **dict.fromkeys(device().points)), after=count)
        await looking.settle()
        assert b"online" not in looking.on(AVAILABILITY, after=count)


async def test_states_come_at_most_as_often_as_wanted_and_the_latest_wins(tmp_path: Path) -> None:
    async with (
        mosquitto() as broker,
        probe(broker.port, f"{BASE}/#") as looking,
        stage(config(broker.port, every=0.3), tmp_path) as on,
    ):
        await looking.until(lambda seen: is_state(seen, pv_power=290.2))
        loop = asyncio.get_running_loop()
        began = loop.time()
        for power in range(100):
            on.put(pv_power=power)
            await asyncio.sleep(0)
        await looking.until(lambda seen: is_state(seen, pv_power=99))
        assert len(looking.on(STATE)) <= 2 + (loop.time() - began) / 0.3


async def test_everything_is_told_again_when_somebody_asks(tmp_path: Path) -> None:
    site, charger, session = Site(), device(), Recorded()
    site.introduce(charger)
    site.put(reading(charger))
    accounted = Accounted(Statuses().open("mqtt"), SystemClock())
    part = StatePart(site, Topics("heliobus", "My cabin"), 60.0, Announced(tmp_path), accounted)
    running = asyncio.create_task(part.run(session))
    expected = [(STATE, False), (AVAILABILITY, True)]
    assert [await session.taken() for _ in range(2)] == expected
    part.refresh()
    assert [await session.taken() for _ in range(2)] == expected
    # The same again is nothing new.
    site.put(reading(charger))
    site.put(reading(charger, health=Health.OFFLINE))
    assert [await session.taken() for _ in range(2)] == expected[::-1]
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_an_unchanged_state_is_a_sign_of_life_until_the_device_is_gone(tmp_path: Path) -> None:
    async def day() -> list[float]:
        site, charger, session = Site(), device(), Recorded()
        site.introduce(charger)
        site.put(reading(charger))
        accounted = Accounted(Statuses().open("mqtt"), SystemClock())
        part = StatePart(site, Topics("heliobus", "My cabin"), 1.0, Announced(tmp_path), accounted)
        running = asyncio.create_task(part.run(session))
        await asyncio.sleep(3600)
        site.put(reading(charger, health=Health.OFFLINE))
        await asyncio.sleep(3600)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return [when for topic, when in session.times if topic == STATE]

    times = run_virtual(day())
    assert times == [30.0 * count for count in range(120)] + [3600.0]


async def test_everything_comes_in_its_order_after_each_connect(tmp_path: Path) -> None:
    config_topic = "homeassistant/device/heliobus/tristar_10170296/config"
    wanted = [(AVAILABILITY, b"offline"), (BRIDGE, b"online"), config_topic, STATE, (AVAILABILITY, b"online")]
    async with mosquitto(persistence=True) as broker, probe(broker.port, "#", kept="looking") as looking:
        portal = {"victron": True, "portal": "abc"}
        async with stage(config(broker.port, discovery="homeassistant", **portal), tmp_path):
            for after in (0, 1):
                count = len(looking.seen)
                position = count
                for each in wanted:
                    topic, payload = each if isinstance(each, tuple) else (each, None)
                    seen = await looking.until(
                        lambda seen: seen.topic == topic and payload in (None, seen.payload),  # noqa: B023
                        after=position,
                    )
                    position = looking.seen.index(seen, position) + 1
                assert b"online" not in looking.on(AVAILABILITY, after=count)[:1]
                await looking.topic("N/abc/system/0/Serial")
                if not after:
                    # Another one with the same client_id drives us out, and is gone.
                    await drive_out(broker)


async def drive_out(broker: Broker) -> None:
    line = next(line for line in broker.server.said if "as heliobus-my_cabin-" in line)
    identity = line.split(" as ")[1].split(" ")[0]
    async with probe(broker.port, kept=identity):
        pass


async def test_nats_takes_all_of_it_with_the_old_version(tmp_path: Path) -> None:
    async with nats() as broker, probe(broker.port, f"{BASE}/#") as looking:
        async with stage(config(broker.port), tmp_path) as on:
            await looking.until(lambda seen: is_state(seen, pv_power=290.2))
            await looking.until(lambda seen: seen.topic == AVAILABILITY and seen.payload == b"online")
            async with probe(broker.port, f"{BASE}/#") as later:
                assert (await later.topic(AVAILABILITY)).payload == b"online"
                assert later.on(STATE) == []
            await looking.publish(f"{BASE}/tristar_south/charger_enabled/set", "OFF")
            result = json.loads((await looking.topic(f"{BASE}/tristar_south/charger_enabled/result")).payload)
            assert (result["outcome"], result["value"]) == ("done", "off")
            assert on.obeying.commands[0].value == 0
        await looking.until(lambda seen: seen.topic == BRIDGE and seen.payload == b"offline")
