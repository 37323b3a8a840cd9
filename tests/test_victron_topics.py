"""The Victron topics as a tool made for a GX uses them: keep-alive, full publications, reads, changes. venus.md §6."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from heliobus.model.clock import SystemClock
from heliobus.model.reading import Health
from heliobus.model.role import Role
from heliobus.outputs.mqtt.session import ConnectionLostError, PublishRefusedError
from heliobus.outputs.mqtt.victron.part import KEEP_ALIVE, VictronPart
from heliobus.sim.virtual_time import run_virtual
from heliobus.site import Site
from venus_site import VALUES, charger, controlled_site, meter, offline, reading, site_with, tracer
from victron_broker import CONFIG, NOW, PORTAL, SUPPRESS, Broker, Tool, alive, echo, serving

VOLTAGE = "solarcharger/278/Dc/0/Voltage"
GOLDEN = Path(__file__).parent / "golden"

# Who it is, what it is called, that it is not there, and that no day is known.
NOT_MEASURED = {
    *("/Mgmt/ProcessName", "/Mgmt/ProcessVersion", "/Mgmt/Connection", "/ProductId", "/ProductName", "/Serial"),
    *("/FirmwareVersion", "/HardwareVersion", "/Tristar/Firmware", "/DeviceInstance", "/CustomName", "/NrOfTrackers"),
    *("/Connected", "/History/Overall/DaysAvailable"),
}

Story = Callable[[], Coroutine[Any, Any, None]]


def told(story: Story) -> None:
    run_virtual(story())


def test_nothing_but_the_retained_serial_before_anybody_asks(tmp_path: Path) -> None:
    async def story() -> None:
        site = site_with(charger())
        async with serving(site, tmp_path) as tool:
            site.put(reading(charger(), battery_voltage=27.0))
            await asyncio.sleep(600)
            assert tool.look() == {"system/0/Serial": PORTAL}
            assert tool.broker.retained == {f"N/{PORTAL}/system/0/Serial": f'{{"value":"{PORTAL}"}}'.encode()}
            await alive(tool)
            assert len(tool.broker.retained) == 1

    told(story)


def test_a_keep_alive_brings_everything_then_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(site_with(charger()), tmp_path) as tool:
            news = await alive(tool)
            assert news[VOLTAGE] == VALUES["battery_voltage"]
            assert news["solarcharger/278/DeviceInstance"] == 278
            assert news["solarcharger/278/CustomName"] == "Roof"
            assert news["solarcharger/278/ProductName"] == "Morningstar TriStar MPPT 60"
            assert news["settings/0/Settings/SystemSetup/SystemName"] == "Cabin"
            assert int(NOW) <= news["full_publish_completed"] <= int(NOW) + 1
            topics = [topic for topic, _ in tool.broker.messages if "heartbeat" not in topic]
            assert topics[-1] == f"N/{PORTAL}/full_publish_completed"
            assert (f"N/{PORTAL}/{VOLTAGE}", b'{"value":27.53}') in tool.broker.messages

    told(story)


def test_the_tree_is_that_of_the_d_bus(tmp_path: Path) -> None:
    async def story() -> None:
        site = site_with(charger())
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            root = "solarcharger/278"
            found = {name.removeprefix(root): each for name, each in tool.values.items() if name.startswith(root)}
            golden = json.loads((GOLDEN / "venus-solarcharger.json").read_text(encoding="utf-8"))
            expected = {path: None if kind == "ai" else value for path, (kind, value, _) in golden.items()}
            assert found.keys() == expected.keys()
            own = {"/Mgmt/ProcessVersion", "/DeviceInstance"}
            assert {path: each for path, each in found.items() if path not in own} == {
                path: each for path, each in expected.items() if path not in own
            }

    told(story)


@pytest.mark.parametrize("topic", ["keepalive", "system/0/Serial"])
def test_changes_come_while_somebody_keeps_them_alive_and_for_60_seconds(tmp_path: Path, topic: str) -> None:
    async def story() -> None:
        site = site_with(charger())
        async with serving(site, tmp_path) as tool:
            tool.read(topic)
            await asyncio.sleep(1)
            tool.look()
            site.put(reading(charger(), battery_voltage=27.61))
            await asyncio.sleep(1.1)
            changed = tool.look()
            changed.pop("heartbeat", None)
            assert changed == {VOLTAGE: 27.61}
            await asyncio.sleep(KEEP_ALIVE)
            tool.look()
            site.put(reading(charger(), battery_voltage=27.99))
            await asyncio.sleep(5)
            assert tool.look() == {}

    told(story)


def test_a_quiet_keep_alive_republishes_nothing_and_keeps_the_stream(tmp_path: Path) -> None:
    async def story() -> None:
        site = site_with(charger())
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            for step in range(10):
                await asyncio.sleep(30)
                tool.look()
                tool.keep_alive(SUPPRESS)
                site.put(reading(charger(), battery_voltage=26.0 + step / 10))
                await asyncio.sleep(1.1)
                news = tool.look()
                news.pop("heartbeat", None)
                assert news == {VOLTAGE: 26.0 + step / 10}

    told(story)


def test_who_comes_back_after_a_silence_gets_everything_even_if_he_asks_not_to(tmp_path: Path) -> None:
    async def story() -> None:
        site = site_with(charger())
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            await asyncio.sleep(KEEP_ALIVE + 1)
            site.put(offline(charger()))
            await asyncio.sleep(5)
            assert tool.values[VOLTAGE] == VALUES["battery_voltage"]
            tool.keep_alive(SUPPRESS)
            await asyncio.sleep(0.5)
            tool.look()
            assert tool.values[VOLTAGE] is None

    told(story)


def test_each_echo_is_answered_and_a_flood_costs_three_publications_a_second(tmp_path: Path) -> None:
    async def story() -> None:
        broker = Broker()
        async with serving(site_with(charger()), tmp_path, broker) as tool:
            for number in range(50):
                tool.keep_alive(echo(f"tool-{number}"))
                await asyncio.sleep(0.04)
            await asyncio.sleep(1)
            said = [json.loads(each) for topic, each in broker.messages if topic.endswith("full_publish_completed")]
            assert {each["full-publish-completed-echo"] for each in said} == {f"tool-{n}" for n in range(50)}
            tool.look()
            # Two seconds of asking.
            assert 5 <= tool.counts[VOLTAGE] <= 8

    told(story)


def test_the_heart_beats_every_3_seconds_while_somebody_listens(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(site_with(charger()), tmp_path) as tool:
            tool.keep_alive()
            await asyncio.sleep(30.5)
            tool.look()
            assert tool.counts["heartbeat"] == 11
            assert tool.values["heartbeat"] == int(NOW) + 30
            await asyncio.sleep(300)
            tool.look()
            assert tool.counts["heartbeat"] == 20

    told(story)


def test_reads_of_a_leaf_a_subtree_and_a_service_work_without_a_keep_alive(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(site_with(charger()), tmp_path) as tool:
            tool.look()
            tool.read(VOLTAGE)
            await asyncio.sleep(0.1)
            assert tool.look() == {VOLTAGE: 27.53}
            tool.read("solarcharger/278/Dc")
            await asyncio.sleep(0.1)
            assert tool.look() == {VOLTAGE: 27.53} | {
                "solarcharger/278/Dc/0/Current": 10.21,
                "solarcharger/278/Dc/0/Temperature": 21.5,
            }
            tool.read("solarcharger/278")
            await asyncio.sleep(0.1)
            assert len(tool.look()) > 500
            for nothing in ("solarcharger/278/D", "solarcharger/9/Dc", "solarcharger", "x/y/z", "", "//"):
                tool.read(nothing)
            await asyncio.sleep(0.1)
            assert tool.look() == {}

    told(story)


def test_a_pulled_cable_is_null_at_once_and_never_old_again(tmp_path: Path) -> None:
    async def story() -> None:
        device = charger()
        site = site_with(device)
        measured = {"Dc/0/Voltage", "Dc/0/Current", "Pv/V", "Yield/Power", "Yield/Total", "State", "Tristar/ArrayMode"}
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            numbers = {topic for topic, each in tool.values.items() if each is not None}
            site.silence(device.name)
            await asyncio.sleep(1.1)
            news = tool.look()
            assert news["solarcharger/278/Connected"] == 0
            left = {topic for topic in numbers if tool.values[topic] is not None and topic.startswith("solarcharger")}
            assert {topic.removeprefix("solarcharger/278") for topic in left} <= NOT_MEASURED
            assert not {f"solarcharger/278/{path}" for path in measured} & left
            tool.keep_alive()
            await asyncio.sleep(0.5)
            assert tool.look()[VOLTAGE] is None
        # A new connection, and a new process: the old value is nowhere.
        async with serving(site, tmp_path) as tool:
            assert (await alive(tool))[VOLTAGE] is None
        site = Site()
        site.introduce(device)
        async with serving(site, tmp_path) as tool:
            assert (await alive(tool))[VOLTAGE] is None
            site.put(reading(device))
            await asyncio.sleep(1.1)
            assert tool.look()[VOLTAGE] == 27.53

    told(story)


def test_a_device_that_leaves_has_empty_payloads_on_all_its_topics(tmp_path: Path) -> None:
    async def story() -> None:
        site = site_with(charger(), charger("barn", 1, "20170296"))
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            had = {topic for topic in tool.values if topic.startswith("solarcharger/279/")}
            assert len(had) > 500
            site.remove("barn")
            await asyncio.sleep(1.1)
            assert {topic for topic, each in tool.look().items() if each == "gone"} == had
            await alive(tool)
            assert not had & tool.values.keys()
            assert tool.values[VOLTAGE] == 27.53

    told(story)


def test_a_device_that_changes_takes_away_only_what_it_has_no_more(tmp_path: Path) -> None:
    async def story() -> None:
        site = site_with(tracer())
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            assert tool.values["solarcharger/278/Load/I"] is not None
            device = tracer()
            points = {name: point for name, point in device.points.items() if name != "load_current"}
            site.introduce(tracer(points=points))
            await asyncio.sleep(1.1)
            news = tool.look()
            empty = [topic for topic, content in tool.broker.messages if not content]
            assert empty == [f"N/{PORTAL}/solarcharger/278/Load/I"]
            assert news[VOLTAGE] is None

    told(story)


def test_everything_is_taken_away_when_the_part_ends(tmp_path: Path) -> None:
    async def story() -> None:
        broker = Broker()
        async with serving(site_with(charger()), tmp_path, broker) as tool:
            await alive(tool)
        tool.look()
        own = {"system/0", "settings/0"}
        assert {"/".join(topic.split("/")[:2]) for topic in tool.values if "/" in topic} == own

    told(story)


def test_numbers_stay_with_the_device_whatever_comes_first(tmp_path: Path) -> None:
    async def story() -> None:
        first, second = charger(), tracer()
        async with serving(site_with(first, second), tmp_path) as tool:
            await alive(tool)
            before = {number: tool.values[f"solarcharger/{number}/Serial"] for number in (278, 279)}
        for devices in ((second,), (second, first)):
            async with serving(site_with(*devices), tmp_path) as tool:
                await alive(tool)
                assert tool.values["solarcharger/279/ProductName"] == "EPever Tracer2215BN"
        assert before[278] == "10170296"
        async with serving(site_with(second, first), tmp_path / "lost") as tool:
            await alive(tool)
            assert tool.values["solarcharger/278/ProductName"] == "EPever Tracer2215BN"

    told(story)


def test_without_a_configured_portal_one_is_made_and_stays(tmp_path: Path) -> None:
    async def story() -> None:
        found = []
        for _ in range(2):
            async with serving(site_with(charger()), tmp_path, portal="") as tool:
                found.append(tool.portal)
                assert tool.broker.filters == (f"R/{tool.portal}/#", f"W/{tool.portal}/#")
        assert found[0] == found[1]
        assert len(found[0]) == 12
        assert int(found[0], 16)

    told(story)


def test_meters_and_companions_have_their_own_classes(tmp_path: Path) -> None:
    async def story() -> None:
        site, _ = controlled_site()
        grid = meter(Role.GRID_METER)
        site.introduce(grid)
        site.put(reading(grid))
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            assert tool.values["grid/30/Ac/L1/Power"] == 512.3
            assert tool.values["grid/30/AllowedRoles"] == ["acload", "pvinverter", "genset", "grid"]
            assert tool.values["switch/50/SwitchableOutput/equalize/State"] == 0
            assert tool.values["switch/50/State"] == 0x100

    told(story)


def test_a_lost_connection_ends_the_part_with_its_own_error(tmp_path: Path) -> None:
    async def story() -> None:
        site, broker = site_with(charger()), Broker()
        part = VictronPart(CONFIG, site, tmp_path, SystemClock())
        task = asyncio.create_task(part.run(broker))
        await asyncio.sleep(0.1)
        broker.lost = True
        broker.send(f"R/{PORTAL}/keepalive")
        with pytest.raises(ConnectionLostError, match="it is gone"):
            await task
        again = Broker()
        task = asyncio.create_task(part.run(again))
        await asyncio.sleep(0.1)
        tool = Tool(again)
        assert (await alive(tool))[VOLTAGE] == 27.53
        task.cancel()
        await asyncio.wait({task})

    told(story)


def test_a_broker_that_allows_nothing_of_it_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        broker = Broker()
        broker.closed_topics = frozenset({f"N/{PORTAL}/{VOLTAGE}", f"N/{PORTAL}/system/0/Serial"})
        async with serving(site_with(charger()), tmp_path, broker) as tool:
            news = await alive(tool)
            assert VOLTAGE not in news
            assert "full_publish_completed" in news
        closed = Broker()
        closed.refuses_subscription = True
        part = VictronPart(CONFIG, site_with(charger()), tmp_path, SystemClock())
        with pytest.raises(PublishRefusedError, match="no subscription"):
            await part.run(closed)
        await part.close()

    told(story)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_failing_device_stays_connected_with_what_it_said(tmp_path: Path) -> None:
    async def story() -> None:
        device = charger()
        site = site_with(device)
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            site.put(reading(device, health=Health.FAILING, battery_voltage=None))
            await asyncio.sleep(1.1)
            tool.look()
            assert tool.values["solarcharger/278/Connected"] == 1
            assert tool.values[VOLTAGE] is None
            assert tool.values["solarcharger/278/Pv/V"] == 84.12

    told(story)
