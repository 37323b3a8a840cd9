"""The Victron topics through a real broker, with the sequences of tools that were made for a GX."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from heliobus.model.clock import SystemClock
from heliobus.outputs.mqtt.output import MqttOutput
from heliobus.outputs.status import Statuses
from heliobus.outputs.venus.kept import kept
from heliobus.site import Site
from servers import Broker, Probe, mosquitto, probe
from venus_site import VALUES
from victron_broker import CONFIG, PORTAL, SUPPRESS, commanded_site, echo

VOLTAGE = f"N/{PORTAL}/solarcharger/278/Dc/0/Voltage"
SERIAL = f"N/{PORTAL}/system/0/Serial"
COMPLETED = f"N/{PORTAL}/full_publish_completed"


@asynccontextmanager
async def served(site: Site, broker: Broker, state: Path) -> AsyncIterator[None]:
    config = replace(CONFIG, port=broker.port, discovery="", every=0.1)
    output = MqttOutput(config, "Cabin", state, SystemClock(), Statuses())
    task = asyncio.create_task(output.run(site))
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.wait({task})


async def connected(tool: Probe) -> None:
    await tool.topic(SERIAL)


async def test_the_influx_loader_of_victron_finds_portal_name_and_values(tmp_path: Path) -> None:
    site, _ = commanded_site()
    async with mosquitto() as broker, served(site, broker, tmp_path), probe(broker.port, "N/+/#") as tool:
        found = json.loads((await tool.topic(SERIAL)).payload)["value"]
        assert found == PORTAL
        await tool.publish(f"R/{found}/settings/0/Settings/SystemSetup/SystemName", "")
        await tool.publish(f"R/{found}/system/0/Serial", "")
        name = await tool.topic(f"N/{found}/settings/0/Settings/SystemSetup/SystemName")
        assert name.payload == b'{"value":"Cabin"}'
        assert json.loads((await tool.topic(VOLTAGE)).payload) == {"value": VALUES["battery_voltage"]}
        await tool.topic(COMPLETED)
        count = len(tool.seen)
        await tool.publish(f"R/{found}/system/0/Serial", SUPPRESS)
        site.amend("roof", {"battery_voltage": 26.5})
        assert json.loads((await tool.topic(VOLTAGE, after=count)).payload) == {"value": 26.5}
        assert {seen.topic for seen in tool.seen[count:]} <= {VOLTAGE, f"N/{PORTAL}/heartbeat"}


async def test_home_assistant_s_integration_waits_for_its_echo_switches_and_sees_a_pulled_cable(tmp_path: Path) -> None:
    site, double = commanded_site()
    state = f"N/{PORTAL}/switch/50/SwitchableOutput/equalize/State"
    async with mosquitto() as broker, served(site, broker, tmp_path), probe(broker.port, f"N/{PORTAL}/#") as tool:
        await connected(tool)
        await tool.publish(f"R/{PORTAL}/keepalive", echo("client-1"))
        ended = await tool.until(lambda seen: seen.topic == COMPLETED)
        assert json.loads(ended.payload)["full-publish-completed-echo"] == "client-1"
        assert tool.on(state) == [b'{"value":0}']
        await tool.publish(state.replace("N/", "W/", 1), b'{"value": 1}')
        await double.until(1)
        await tool.until(lambda seen: (seen.topic, seen.payload) == (state, b'{"value":1}'))
        site.silence("roof")
        await tool.until(lambda seen: (seen.topic, seen.payload) == (VOLTAGE, b'{"value":null}'))
        # Who comes later hears nothing old: nothing but the serial is kept.
        async with probe(broker.port, f"N/{PORTAL}/#") as late:
            await late.settle()
            kept = [seen.topic for seen in late.seen if seen.retain]
            assert kept == [SERIAL]


async def test_after_a_restart_of_the_broker_nothing_old_comes_back(tmp_path: Path) -> None:
    site, _ = commanded_site()
    async with mosquitto() as broker, served(site, broker, tmp_path):
        async with probe(broker.port, f"N/{PORTAL}/#") as tool:
            await connected(tool)
            await tool.publish(f"R/{PORTAL}/keepalive", "")
            await tool.topic(COMPLETED)
            assert tool.on(VOLTAGE) == [b'{"value":27.53}']
        await broker.stop(kill=True)
        site.silence("roof")
        await broker.start()
        async with probe(broker.port, f"N/{PORTAL}/#") as tool:
            await connected(tool)
            # A tool that goes on as if nothing had happened is told everything, too.
            await tool.publish(f"R/{PORTAL}/keepalive", SUPPRESS)
            await tool.topic(COMPLETED)
            assert tool.on(VOLTAGE) == [b'{"value":null}']


async def test_when_heliobus_ends_its_devices_are_taken_away_from_who_looks(tmp_path: Path) -> None:
    site, _ = commanded_site()
    async with mosquitto() as broker, probe(broker.port, f"N/{PORTAL}/#") as tool:
        async with served(site, broker, tmp_path):
            await connected(tool)
            await tool.publish(f"R/{PORTAL}/keepalive", "")
            await tool.topic(COMPLETED)
            said = {seen.topic for seen in tool.seen if "/278/" in seen.topic or "/50/" in seen.topic}
            count = len(tool.seen)
        await tool.settle()
        assert {seen.topic for seen in tool.seen[count:] if not seen.payload and seen.topic[0] == "N"} == said


async def test_a_command_under_way_ends_with_the_output(tmp_path: Path) -> None:
    site, double = commanded_site()
    double.hold = asyncio.Event()
    async with mosquitto() as broker, probe(broker.port, f"N/{PORTAL}/#") as tool:
        async with served(site, broker, tmp_path):
            await connected(tool)
            await tool.publish(f"W/{PORTAL}/switch/50/SwitchableOutput/equalize/State", '{"value":1}')
            async with asyncio.timeout(5):
                while not double.commands:
                    await asyncio.sleep(0.01)
            assert not double.ended
        assert double.ended == ["equalize_requested"]


async def test_other_outputs_find_the_portal_id_of_the_config_from_the_start(tmp_path: Path) -> None:
    kept(tmp_path).portal("0123456789ab")
    output = MqttOutput(CONFIG, "Cabin", tmp_path, SystemClock(), Statuses())
    gc.collect()
    assert kept(tmp_path).portal() == PORTAL
    del output
