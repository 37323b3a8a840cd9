"""The companion service with a charger's switches, as the GX screen and VRM look at it."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Variant

from heliobus.model.command import Control, ControlKind
from heliobus.model.vocabulary import LOAD_STATE
from heliobus.outputs.venus.switch_tree import switches
from heliobus.sim.localsettings import StoredSetting
from venus_bus import Client, Daemon, ItemsConsumer, Monitor, running_daemon
from venus_site import (
    COMPANION,
    COMPANION_INSTANCE_SETTING,
    CONTROLS,
    INSTANCE_SETTING,
    SERVICE,
    charger,
    controlled,
    controlled_site,
    local_settings,
    offline,
    reading,
    serving,
    site_with,
)

KEPT = "/Settings/Devices/tristar_10170296_switch/SwitchableOutput/equalize/"
EQUALIZE = "/SwitchableOutput/equalize/"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


def locked(*names: str) -> dict[str, Control]:
    return {name: replace(control, locked="no" if name in names else "") for name, control in CONTROLS.items()}


async def test_g3_and_g16_its_instance_is_its_own_and_kept(daemon: Daemon) -> None:
    async with local_settings(daemon.address) as settings, Monitor(daemon.address) as monitor:
        settings.add("/Settings/Devices/relays/ClassAndVrmInstance", "switch:50", "s")
        await monitor.start()
        site, _ = controlled_site()
        async with serving(site, daemon.address):
            await monitor.until(lambda: len(monitor.services) == 2)
            assert monitor.instances == {SERVICE: 278, COMPANION: 51}
        assert settings.settings[COMPANION_INSTANCE_SETTING].value == "switch:51"
        assert settings.settings[INSTANCE_SETTING].value == "solarcharger:278"
        settings.settings.pop("/Settings/Devices/relays/ClassAndVrmInstance")
        async with serving(site, daemon.address):
            await monitor.until(lambda: monitor.instances == {SERVICE: 278, COMPANION: 51})
        assert monitor.clashes == []


async def test_g16_and_g19_two_chargers_without_localsettings(daemon: Daemon) -> None:
    site, _ = controlled_site(controlled(), controlled("shed", 1, "77"))
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site, daemon.address):
            await monitor.until(lambda: len(monitor.services) == 4)
            assert monitor.instances[COMPANION] == 50
            assert monitor.instances[COMPANION.replace("_0", "_1")] == 51
            assert monitor.clashes == []


async def test_g15_a_new_instance_moves_the_companion_only(daemon: Daemon) -> None:
    site, _ = controlled_site()
    async with local_settings(daemon.address) as settings, Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site, daemon.address):
            await monitor.until(lambda: len(monitor.services) == 2)
            settings.change(COMPANION_INSTANCE_SETTING, "switch:7")
            await monitor.until(lambda: monitor.instances.get(COMPANION) == 7)
            assert monitor.appeared.count(SERVICE) == 1
            assert monitor.services[COMPANION][EQUALIZE + "State"] == 0


async def test_g13_and_g14_a_silent_charger_has_no_switches_to_touch(daemon: Daemon) -> None:
    device = controlled()
    site, _ = controlled_site(device)
    async with (
        serving(site, daemon.address),
        ItemsConsumer(daemon.address, COMPANION) as consumer,
        ItemsConsumer(daemon.address, SERVICE) as other,
    ):
        await other.scan()
        await consumer.scan()
        assert consumer.values["/Connected"] == 1
        site.put(offline(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 0)
        assert len(consumer.signals) == 1
        assert consumer.values["/State"] is None
        for name in ("charger", "equalize", "top_charge"):
            assert consumer.values[f"/SwitchableOutput/{name}/State"] is None
            assert consumer.values[f"/SwitchableOutput/{name}/Status"] == 0x20
            assert consumer.values[f"/SwitchableOutput/{name}/Name"]
        # What control says goes on while the charger is silent.
        await other.until(lambda: other.values["/Control/TopCharge"] is None)
        site.amend(device.name, {"top_charge": 0, "equalize_requested": 1})
        await other.until(lambda: other.values["/Control/TopCharge"] == 0)
        await consumer.value(COMPANION, "/Connected")
        assert await consumer.value(COMPANION, "/SwitchableOutput/top_charge/State") is None
        site.put(reading(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 1)
        assert consumer.values["/SwitchableOutput/charger/State"] == 1
        assert consumer.values["/SwitchableOutput/charger/Status"] == 9


@pytest.mark.parametrize(
    ("asked", "stage", "state", "status"),
    [
        (0, 3, 0, 0x00),
        (1, 3, 1, 0x09),
        (1, 7, 1, 0x09),
        (0, 7, 1, 0x80),
        (None, 7, None, None),
        (0, None, 0, 0x00),
    ],
)
async def test_equalize_shows_what_is_asked_and_what_the_charger_does(
    daemon: Daemon, asked: int | None, stage: int | None, state: int | None, status: int | None
) -> None:
    device = controlled()
    site, _ = controlled_site(device)
    site.put(reading(device, equalize_requested=asked, charger_state=stage))
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(COMPANION)
        assert await client.value(COMPANION, EQUALIZE + "State") == state
        assert await client.value(COMPANION, EQUALIZE + "Status") == status
        assert await client.value(COMPANION, "/SwitchableOutput/charger/Status") == 9


async def test_an_equalize_that_the_charger_began_can_be_cancelled(daemon: Daemon) -> None:
    device = controlled()
    site, double = controlled_site(device)
    site.put(reading(device, charger_state=7))
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(COMPANION)
        assert await client.set(COMPANION, EQUALIZE + "State", Variant("i", 1)) == 0
        assert double.commands == []
        assert await client.set(COMPANION, EQUALIZE + "State", Variant("i", 0)) == 0
        await double.until(1)
        assert double.commands == [("equalize_requested", 0)]


async def test_what_is_locked_has_no_switch(daemon: Daemon) -> None:
    site, _ = controlled_site(controlled(controls=locked("equalize_requested", "top_charge")))
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(COMPANION)
        items = await client.items(COMPANION)
        assert {path.split("/")[2] for path in items if path.startswith("/SwitchableOutput/")} == {"charger"}
        assert await client.set(SERVICE, "/Control/EqualizeTriggered", Variant("i", 1)) == 2


@pytest.mark.parametrize(
    "device",
    [charger(), controlled(controls=locked("equalize_requested", "top_charge", "charger_enabled"))],
    ids=["no control", "all locked"],
)
def test_without_switches_there_is_no_companion(device: object) -> None:
    assert switches(device) == ()  # type: ignore[arg-type]


async def test_a_passive_charger_has_one_service(daemon: Daemon) -> None:
    async with serving(site_with(charger()), daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        assert await client.names() == [SERVICE]


async def test_a_switch_the_table_does_not_know_is_named_after_its_point(daemon: Daemon) -> None:
    device = controlled(controls={"load_state": Control(LOAD_STATE, ControlKind.SWITCH)})
    site, _ = controlled_site(device)
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(COMPANION)
        assert await client.value(COMPANION, "/SwitchableOutput/load_state/Name") == "Load state"
        assert await client.value(COMPANION, "/SwitchableOutput/load_state/State") is None


@pytest.mark.parametrize(
    ("leaf", "good", "bad"),
    [
        (
            "ShowUIControl",
            [Variant("i", 0), Variant("i", 4), Variant("i", 1)],
            [Variant("i", 3), Variant("i", -1), Variant("b", True), Variant("d", 1.0), Variant("s", "1")],
        ),
        (
            "CustomName",
            [Variant("s", "x" * 32), Variant("s", "Süd ☀"), Variant("s", "")],
            [Variant("s", "x" * 33), Variant("s", "a\nb"), Variant("i", 1), Variant("ai", [])],
        ),
        ("Group", [Variant("s", "Cabin"), Variant("s", "")], [Variant("s", "x" * 33), Variant("b", False)]),
    ],
)
async def test_the_owners_settings_of_a_switch_are_kept(
    daemon: Daemon, leaf: str, good: list[Variant], bad: list[Variant]
) -> None:
    site, double = controlled_site()
    path = EQUALIZE + "Settings/" + leaf
    async with local_settings(daemon.address) as settings:
        async with serving(site, daemon.address), ItemsConsumer(daemon.address, COMPANION) as consumer:
            await consumer.scan()
            for value in good:
                assert await consumer.set(COMPANION, path, value) == 0
                await consumer.until(lambda value=value: consumer.values[path] == value.value)
            before = consumer.values[path]
            for value in bad:
                assert await consumer.set(COMPANION, path, value) == 2
            assert await consumer.value(COMPANION, path) == before
            assert await consumer.set(COMPANION, path, good[0]) == 0
            await consumer.until(lambda: consumer.values[path] == good[0].value)
        async with serving(site, daemon.address), Client(daemon.address) as client:
            await client.until_served(COMPANION)
            assert await client.value(COMPANION, path) == good[0].value
        assert settings.settings[KEPT + leaf].value == good[0].value
    assert double.commands == []


async def test_a_stored_setting_that_no_switch_may_have_is_not_shown(daemon: Daemon) -> None:
    site, _ = controlled_site()
    stored = {KEPT + "ShowUIControl": StoredSetting("i", 9, 1), KEPT + "CustomName": StoredSetting("s", "x" * 50, "")}
    async with (
        local_settings(daemon.address, stored),
        serving(site, daemon.address),
        Client(daemon.address) as client,
    ):
        await client.until_served(COMPANION)
        assert await client.value(COMPANION, EQUALIZE + "Settings/ShowUIControl") == 1
        assert await client.value(COMPANION, EQUALIZE + "Settings/CustomName") == ""


async def test_without_localsettings_the_owners_settings_hold_while_it_runs(daemon: Daemon) -> None:
    site, _ = controlled_site()
    path = EQUALIZE + "Settings/ShowUIControl"
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, COMPANION) as consumer:
        await consumer.scan()
        assert await consumer.set(COMPANION, path, Variant("i", 0)) == 0
        await consumer.until(lambda: consumer.values[path] == 0)
        assert consumer.texts[path] == "hidden"


async def test_g9_the_companion_says_only_what_changed(daemon: Daemon) -> None:
    device = controlled()
    site, _ = controlled_site(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, COMPANION) as consumer:
        await consumer.scan()
        site.put(reading(device, battery_voltage=27.9))
        site.put(reading(device, charger_enabled=0))
        await consumer.until(lambda: consumer.signals)
        assert consumer.signals == [{"/SwitchableOutput/charger/State": 0, "/SwitchableOutput/charger/Status": 0}]
