"""What tools write below `W/<portal>/`: the same guards as on the D-Bus, and nothing that only looks like a write."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from heliobus.model.command import Failed
from heliobus.model.role import Role
from heliobus.sim.virtual_time import run_virtual
from venus_site import charger, meter, site_with
from victron_broker import ANY_JSON, PORTAL, Broker, alive, commanded_site, serving

EQUALIZE = "switch/50/SwitchableOutput/equalize/State"
NAME = "solarcharger/278/CustomName"

Story = Callable[[], Coroutine[Any, Any, None]]


def told(story: Story) -> None:
    run_virtual(story())


def test_a_write_becomes_a_command_and_shows_what_was_read_back(tmp_path: Path) -> None:
    async def story() -> None:
        site, double = commanded_site()
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            assert tool.values[EQUALIZE] == 0
            tool.write(EQUALIZE, 1)
            await asyncio.sleep(1.1)
            tool.look()
            assert double.commands == [("equalize_requested", 1)]
            assert double.origins == {"mqtt"}
            assert tool.values[EQUALIZE] == 1
            assert tool.values["solarcharger/278/Equalization/Pending"] == 1
            tool.write("solarcharger/278/Control/ChargeCurrentLimit", 40)
            tool.write("solarcharger/278/Mode", 4)
            await asyncio.sleep(1.1)
            assert double.commands[1:] == [("charge_current_limit", 40.0), ("charger_enabled", 0)]

    told(story)


def test_what_steers_every_few_seconds_reaches_the_device_every_time(tmp_path: Path) -> None:
    async def story() -> None:
        site, double = commanded_site()
        async with serving(site, tmp_path) as tool:
            for _ in range(3):
                tool.write("solarcharger/278/Link/ChargeVoltage", 27.2)
                await asyncio.sleep(3)
            assert double.commands == [("remote_charge_voltage", 27.2)] * 3

    told(story)


@pytest.mark.parametrize(
    "content",
    ["1", "", '"1"', "[1]", '{"Value":1}', '{"value":{"value":1}}', '{"value":1', "\xff", '{"value":NaN}', "null"],
)
def test_what_is_no_object_with_a_value_is_ignored(tmp_path: Path, content: str) -> None:
    async def story() -> None:
        site, double = commanded_site()
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            tool.broker.send(f"W/{PORTAL}/{EQUALIZE}", content)
            await asyncio.sleep(1.1)
            news = tool.look()
            news.pop("heartbeat", None)
            assert (news, double.commands) == ({}, [])

    told(story)


@pytest.mark.parametrize("value", [True, 2, 1.5, -1, "1", None, [1], 10**400])
def test_a_value_that_a_switch_does_not_take_is_refused_and_the_truth_told_again(tmp_path: Path, value: object) -> None:
    async def story() -> None:
        site, double = commanded_site()
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            tool.write(EQUALIZE, value)
            await asyncio.sleep(1.1)
            news = tool.look()
            news.pop("heartbeat", None)
            assert (news, double.commands) == ({EQUALIZE: 0}, [])

    told(story)


def test_a_refused_and_a_failed_command_show_the_truth_again(tmp_path: Path) -> None:
    async def story() -> None:
        site, double = commanded_site()
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            double.why = "the battery is too cold"
            tool.write(EQUALIZE, 1)
            await asyncio.sleep(1.1)
            assert tool.look()[EQUALIZE] == 0
            double.why, double.outcome = None, Failed("no answer")
            tool.write(EQUALIZE, 1)
            await asyncio.sleep(1.1)
            assert tool.look()[EQUALIZE] == 0
            assert double.commands == [("equalize_requested", 1)]

    told(story)


def test_old_commands_and_read_only_paths_do_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        site, double = commanded_site()
        broker = Broker()
        async with serving(site, tmp_path, broker) as tool:
            await alive(tool)
            broker.send(f"W/{PORTAL}/{EQUALIZE}", '{"value":1}', retain=True)
            broker.send(f"R/{PORTAL}/solarcharger/278", retain=True)
            for path in ("solarcharger/278/Dc/0/Voltage", "solarcharger/278/Nothing", "x", "", "system/0/Serial"):
                tool.write(path, 1)
            await asyncio.sleep(1.1)
            news = tool.look()
            news.pop("heartbeat", None)
            assert (news, double.commands) == ({}, [])

    told(story)


def test_commands_can_be_switched_off(tmp_path: Path) -> None:
    async def story() -> None:
        site, _ = commanded_site()
        async with serving(site, tmp_path, commands=False) as tool:
            assert tool.broker.filters == (f"R/{PORTAL}/#",)

    told(story)


def test_names_outlast_a_restart_and_do_not_hide_a_new_label_until_one_is_given(tmp_path: Path) -> None:
    async def story() -> None:
        async with serving(site_with(charger()), tmp_path) as tool:
            assert (await alive(tool))[NAME] == "Roof"
        async with serving(site_with(charger(label="West")), tmp_path) as tool:
            assert (await alive(tool))[NAME] == "West"
            tool.write(NAME, "Südseite")
            await asyncio.sleep(1.1)
            assert tool.look()[NAME] == "Südseite"
            for bad in ("a" * 100, "a\nb", 5, None, True):
                tool.write(NAME, bad)
            await asyncio.sleep(1.1)
            assert tool.look().get(NAME, "Südseite") == "Südseite"
        async with serving(site_with(charger()), tmp_path) as tool:
            assert (await alive(tool))[NAME] == "Südseite"

    told(story)


def test_a_meter_whose_role_is_chosen_comes_back_under_another_class(tmp_path: Path) -> None:
    async def story() -> None:
        site = site_with(meter(Role.AC_LOAD))
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            assert tool.values["acload/40/Ac/L1/Power"] == 512.3
            tool.write("acload/40/Position", 0)
            tool.write("acload/40/Role", "pvinverter")
            await asyncio.sleep(1.1)
            tool.look()
            assert not [topic for topic in tool.values if topic.startswith("acload/")]
            assert tool.values["pvinverter/40/Ac/L1/Power"] == 512.3
            tool.write("pvinverter/40/Role", "submarine")
            await asyncio.sleep(1.1)
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            assert tool.values["pvinverter/40/Role"] == "pvinverter"
            tool.write("pvinverter/40/Role", "acload")
            await asyncio.sleep(1.1)
            tool.look()
            assert tool.values["acload/40/Position"] == 0

    told(story)


@settings(max_examples=40, deadline=None)
@given(ANY_JSON)
def test_whatever_is_written_a_switch_is_only_commanded_by_0_and_1(
    tmp_path_factory: pytest.TempPathFactory, value: object
) -> None:
    async def story() -> None:
        site, double = commanded_site()
        async with serving(site, tmp_path_factory.mktemp("state")) as tool:
            tool.broker.send(f"W/{PORTAL}/{EQUALIZE}", json.dumps({"value": value}))
            await asyncio.sleep(0.1)
            assert double.commands in ([], [("equalize_requested", 1)])
            assert bool(double.commands) == (type(value) is int and value == 1)

    told(story)


def test_the_writes_of_the_documentation_do_what_it_says(tmp_path: Path) -> None:
    text = (Path(__file__).parents[1] / "docs" / "victron-topics.md").read_text(encoding="utf-8")
    examples = re.findall(r"-t ([RW]/c0619ab2cd34/\S+) -m '(.*)'", text)
    assert len(examples) >= 5

    async def story() -> None:
        site, double = commanded_site()
        async with serving(site, tmp_path) as tool:
            for topic, content in examples:
                tool.broker.send(topic, content)
            await asyncio.sleep(1.5)
            assert double.commands == [("equalize_requested", 1), ("charge_current_limit", 30.0)]
            tool.look()
            assert tool.counts["solarcharger/278/Yield/Power"] >= 2

    told(story)


def test_half_a_surrogate_pair_harms_neither_the_connection_nor_what_is_kept(tmp_path: Path) -> None:
    async def story() -> None:
        site, _ = commanded_site()
        async with serving(site, tmp_path) as tool:
            await alive(tool)
            tool.write(NAME, "\ud800")
            tool.keep_alive('{"keepalive-options":[{"full-publish-completed-echo":"\\ud800"}]}')
            await asyncio.sleep(1.1)
            news = tool.look()
            assert (news["echo"], news[NAME]) == ("?", "Roof")
            tool.write(NAME, "Barn")
            await asyncio.sleep(1.1)
            assert tool.look()[NAME] == "Barn"

    told(story)
