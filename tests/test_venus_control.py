"""Commands by D-Bus: what is written is coerced or refused, carried out once, and shown as it is read back."""

import asyncio
import logging
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Variant

from heliobus.model.command import Control, ControlKind, Done, Failed, Refused
from heliobus.model.vocabulary import BMS_REQUIRED, CHARGE_CURRENT_LIMIT, REMOTE_NETWORK_MODE
from heliobus.outputs.venus.commands import MOST_WAITING
from heliobus.outputs.venus.control_items import wanted
from venus_bus import Client, Daemon, ItemsConsumer, Monitor, running_daemon
from venus_site import (
    COMPANION,
    CONTROLS,
    QUICK,
    SERVICE,
    charger,
    controlled,
    controlled_site,
    output,
    reading,
    serving,
    site_with,
)

BUTTONS = (
    "ResetController",
    "ResetCommServer",
    "ClearAlarms",
    "ClearFaults",
    "ClearChargeCounter",
    "ClearEnergyCounter",
    "ClearVoltageExtremes",
    "ClearServiceReminder",
    "SaveCounters",
)
WRITABLE = {
    SERVICE: {
        "/Mode",
        "/Settings/ChargeCurrentLimit",
        "/Settings/BmsPresent",
        "/Link/NetworkMode",
        "/Link/ChargeVoltage",
        "/Link/ChargeCurrent",
        *(f"/Control/{name}" for name in BUTTONS),
        "/Control/EqualizeTriggered",
        "/Control/ChargerDisconnect",
        "/Control/ChargeVoltageLimit",
        "/Control/ChargeCurrentLimit",
        "/Control/TopCharge",
        "/Control/ApplyChargeProfile",
        "/Control/ApplySettings",
    },
    COMPANION: {f"/SwitchableOutput/{name}/State" for name in ("charger", "equalize", "top_charge")},
}
OWNERS = ("/CustomName", "/Settings/Group", "/Settings/ShowUIControl")
TEXTS = {"/Control/ApplyChargeProfile", "/Control/ApplySettings"}
WORDS = (Variant("s", "1"), Variant("s", "winter"), Variant("s", "a\x07b"))
GARBAGE = (
    Variant("b", True),
    Variant("b", False),
    Variant("d", math.nan),
    Variant("d", math.inf),
    Variant("d", -math.inf),
    Variant("d", -0.5),
    Variant("d", 1e12),
    Variant("i", -(2**31)),
    Variant("i", -1),
    Variant("x", 2**60),
    Variant("t", 2**64 - 1),
    Variant("ai", []),
    Variant("as", []),
    Variant("ad", [28.4]),
    Variant("av", [Variant("i", 1), Variant("s", "x")]),
    Variant("a{sv}", {"a": Variant("i", 1)}),
    Variant("v", Variant("i", 1)),
    Variant("(is)", [1, "x"]),
)
USUAL = (*(Variant("i", number) for number in (0, 1, 2, 4, 5, 99)), *(Variant("d", x) for x in (0.0, 1.0, 27.5)))


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


def is_valid(point: str, value: object) -> bool:
    control = CONTROLS[point]
    kinds = (float, int) if control.kind is ControlKind.NUMBER else (str if control.kind is ControlKind.TEXT else int,)
    return type(value) in kinds and control.coerced(value) == value  # type: ignore[operator]


@pytest.mark.parametrize("service", [SERVICE, COMPANION])
async def test_g12_nothing_but_valid_commands_reaches_the_device(daemon: Daemon, service: str) -> None:
    site, double = controlled_site()
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, service) as consumer:
        await consumer.scan()
        paths = [path for path in await consumer.items(service) if "/Daily/" not in path and not path.endswith(OWNERS)]
        assert set(paths) > WRITABLE[service]
        for path in paths:
            for value in (*GARBAGE, *WORDS, *USUAL):
                before = len(double.commands)
                answer = await consumer.set(service, path, value)
                if path not in WRITABLE[service]:
                    assert answer != 0, (path, value)
                elif value in GARBAGE or (value in WORDS) is not (path in TEXTS):
                    assert answer == 2, (path, value)
                else:
                    assert answer in (0, 2), (path, value)
                if answer != 0:
                    assert len(double.commands) == before, (path, value)
        assert double.commands
        assert [command for command in double.commands if not is_valid(*command)] == []


@pytest.mark.parametrize("path", sorted(WRITABLE[SERVICE]))
async def test_without_the_control_no_path_takes_anything(daemon: Daemon, path: str) -> None:
    site = site_with(charger())
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        if path == "/Mode":
            assert await client.set(SERVICE, path, Variant("i", 4)) == 1
        else:
            assert path not in await client.items(SERVICE)


@pytest.mark.parametrize(
    ("path", "value", "command"),
    [
        ("/Mode", Variant("i", 4), ("charger_enabled", 0)),
        ("/Control/ChargerDisconnect", Variant("i", 1), ("charger_enabled", 0)),
        ("/Control/EqualizeTriggered", Variant("i", 1), ("equalize_requested", 1)),
        ("/Control/EqualizeTriggered", Variant("y", 1), ("equalize_requested", 1)),
        ("/Control/TopCharge", Variant("i", 1), ("top_charge", 1)),
        ("/Control/ChargeVoltageLimit", Variant("d", 28.2), ("charge_voltage_limit", 28.2)),
        ("/Control/ChargeVoltageLimit", Variant("i", 28), ("charge_voltage_limit", 28.0)),
        ("/Control/ChargeCurrentLimit", Variant("d", 20.5), ("charge_current_limit", 20.5)),
        ("/Control/ApplyChargeProfile", Variant("s", "winter"), ("apply_profile", "winter")),
        ("/Control/ApplySettings", Variant("s", "{}"), ("apply_settings", "{}")),
        ("/Settings/ChargeCurrentLimit", Variant("d", 20.0), ("charge_current_limit", 20.0)),
        ("/Settings/BmsPresent", Variant("i", 1), ("bms_required", 1)),
        ("/Link/NetworkMode", Variant("i", 13), ("remote_network_mode", 13)),
        ("/Link/ChargeVoltage", Variant("d", 28.2), ("remote_charge_voltage", 28.2)),
        ("/Link/ChargeCurrent", Variant("i", 0), ("remote_charge_current", 0.0)),
    ],
)
async def test_what_is_written_is_commanded_and_shown_when_it_is_so(
    daemon: Daemon, path: str, value: Variant, command: tuple[str, object]
) -> None:
    site, double = controlled_site()
    double.hold = asyncio.Event()
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        before = dict(consumer.values)
        assert await consumer.set(SERVICE, path, value) == 0
        await double.until(1)
        assert double.commands == [command]
        assert type(double.commands[0][1]) is type(command[1])
        assert await consumer.value(SERVICE, path) == before[path]
        double.hold.set()
        if path not in TEXTS:
            await consumer.until(lambda: consumer.values[path] == value.value)
        assert consumer.values["/Control/ApplyChargeProfile"] == ""


async def test_mode_and_disconnect_are_two_sides_of_one_switch(daemon: Daemon) -> None:
    site, double = controlled_site()
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        assert await consumer.set(SERVICE, "/Mode", Variant("i", 4)) == 0
        await consumer.until(lambda: consumer.values["/Control/ChargerDisconnect"] == 1)
        assert consumer.texts["/Mode"] == "off"
        assert consumer.texts["/Control/ChargerDisconnect"] == "yes"
        assert await consumer.set(SERVICE, "/Control/ChargerDisconnect", Variant("i", 0)) == 0
        await consumer.until(lambda: consumer.values["/Mode"] == 1)
        for wrong in (0, 2, 3, 5):
            assert await consumer.set(SERVICE, "/Mode", Variant("i", wrong)) == 2
        assert double.commands == [("charger_enabled", 0), ("charger_enabled", 1)]


async def test_an_equal_value_is_accepted_and_does_nothing(daemon: Daemon) -> None:
    site, double = controlled_site()
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        for path, value in (
            ("/Mode", Variant("i", 1)),
            ("/Control/EqualizeTriggered", Variant("i", 0)),
            ("/Control/ChargeVoltageLimit", Variant("i", 0)),
            ("/Settings/ChargeCurrentLimit", Variant("d", 60.0)),
            ("/Control/ApplyChargeProfile", Variant("s", "")),
        ):
            assert await client.set(SERVICE, path, value) == 0
        assert double.commands == []


async def test_on_and_at_once_off_again_is_off(daemon: Daemon) -> None:
    """The path still shows 0 when the second write comes: it must not be taken for an equal one."""
    site, double = controlled_site()
    double.hold = asyncio.Event()
    async with serving(site, daemon.address, timing=replace(QUICK, pace=3600.0)), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        await client.until_served(COMPANION)
        assert await client.set(COMPANION, "/SwitchableOutput/equalize/State", Variant("i", 1)) == 0
        assert await client.set(SERVICE, "/Control/EqualizeTriggered", Variant("i", 0)) == 0
        double.hold.set()
        await double.until(2)
        # Also when the first is done, but not yet read back or sent.
        assert await client.set(SERVICE, "/Control/EqualizeTriggered", Variant("i", 1)) == 0
        assert await client.set(SERVICE, "/Control/EqualizeTriggered", Variant("i", 0)) == 0
        await double.until(4)
        assert [value for _, value in double.commands] == [1, 0, 1, 0]


@pytest.mark.parametrize("name", BUTTONS)
async def test_a_button_is_pressed_once_and_always_reads_0(daemon: Daemon, name: str) -> None:
    site, double = controlled_site()
    path = f"/Control/{name}"
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        assert await consumer.set(SERVICE, path, Variant("i", 0)) == 0
        assert double.commands == []
        consumer.signals.clear()
        assert await consumer.set(SERVICE, path, Variant("i", 1)) == 0
        await double.until(1)
        assert await consumer.value(SERVICE, path) == 0
        # Who pressed it believes that it is 1 now.
        await consumer.until(lambda: {path: 0} in consumer.signals)
        assert await consumer.set(SERVICE, path, Variant("i", 0)) == 0
        assert await consumer.set(SERVICE, path, Variant("i", 1)) == 0
        await double.until(2)
        assert len(double.commands) == 2


@pytest.mark.parametrize("outcome", [Failed("no answer"), Refused("not now"), RuntimeError("broken"), Done(0)])
async def test_what_did_not_happen_is_shown_again_as_it_was(
    daemon: Daemon, outcome: Failed | Refused | Exception | Done, caplog: pytest.LogCaptureFixture
) -> None:
    site, double = controlled_site()
    double.outcome = outcome
    path = "/SwitchableOutput/equalize/State"
    async with serving(site, daemon.address) as task, ItemsConsumer(daemon.address, COMPANION) as consumer:
        await consumer.scan()
        assert await consumer.set(COMPANION, path, Variant("i", 1)) == 0
        await consumer.until(lambda: consumer.signals)
        assert consumer.signals == [{path: 0}]
        assert not task.done()
        double.outcome = None
        assert await consumer.set(COMPANION, path, Variant("i", 1)) == 0
        await consumer.until(lambda: consumer.values[path] == 1)
    lines = [record.message for record in caplog.records if "equalize_requested" in record.message]
    expected = {
        Failed: ["roof: equalize_requested: not done: no answer"],
        Refused: ["roof: equalize_requested: not done: not now"],
        RuntimeError: ["roof: equalize_requested: the command failed"],
        Done: [],
    }
    assert lines == expected[type(outcome)]


async def test_a_refusal_is_answered_with_2_said_once_and_corrected(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    site, double = controlled_site()
    double.why = "settings switch 8 is off"
    path = "/Control/EqualizeTriggered"
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        assert await consumer.set(SERVICE, path, Variant("i", 1)) == 2
        await consumer.until(lambda: {path: 0} in consumer.signals)
        assert await consumer.set(SERVICE, path, Variant("s", "on")) == 2
    assert double.commands == []
    lines = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert lines == [
        "roof: equalize_requested: refused: settings switch 8 is off",
        "roof: equalize_requested: refused: it takes 0 or 1, not 'on'",
    ]


async def test_a_flood_of_commands_is_refused(daemon: Daemon) -> None:
    site, double = controlled_site()
    double.hold = asyncio.Event()
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        answers = [await client.set(SERVICE, "/Control/SaveCounters", Variant("i", 1)) for _ in range(10)]
        assert answers == [0] * MOST_WAITING + [2] * (10 - MOST_WAITING)
        assert await client.set(SERVICE, "/Mode", Variant("i", 4)) == 0
        double.hold.set()
        await double.until(MOST_WAITING + 1)


async def test_commands_under_way_end_with_the_output(daemon: Daemon) -> None:
    site, double = controlled_site()
    double.hold = asyncio.Event()
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        assert await client.set(SERVICE, "/Control/ApplyChargeProfile", Variant("s", "winter")) == 0
        await double.until(1)
        assert double.ended == []
    assert double.ended == ["apply_profile"]


async def test_a_command_outlives_the_d_bus_and_a_new_face_of_its_device(daemon: Daemon) -> None:
    """Half a change of settings would be worse than one that nobody waits for."""
    device = controlled()
    site, double = controlled_site(device)
    double.hold = asyncio.Event()
    task = asyncio.create_task(output(daemon.address).run(site))
    async with Client(daemon.address) as client:
        await client.until_served(SERVICE)
        assert await client.set(SERVICE, "/Mode", Variant("i", 4)) == 0
        await double.until(1)
        site.introduce(replace(device, label="Barn"))
        site.put(reading(device))
        while await client.value(SERVICE, "/CustomName") != "Barn":
            await client.until_served(SERVICE)
    daemon.kill()
    daemon.start()
    async with ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        assert double.ended == []
        double.hold.set()
        await consumer.until(lambda: consumer.values["/Mode"] == 4)
    task.cancel()
    await asyncio.wait({task})


async def test_when_control_is_turned_off_the_service_is_read_only_again(daemon: Daemon) -> None:
    device = controlled()
    site, double = controlled_site(device)
    async with Monitor(daemon.address) as monitor:
        await monitor.start()
        async with serving(site, daemon.address):
            await monitor.until(lambda: {SERVICE, COMPANION} <= set(monitor.services))
            passive = charger()
            site.introduce(passive)
            site.put(reading(passive))
            await monitor.until(
                lambda: (
                    COMPANION not in monitor.services and "/Link/NetworkMode" not in monitor.services[SERVICE]
                    if SERVICE in monitor.services
                    else False
                )
            )
            assert await monitor.set(SERVICE, "/Mode", Variant("i", 4)) == 1
            site.introduce(device)
            site.put(reading(device))
            await monitor.until(lambda: {SERVICE, COMPANION} <= set(monitor.services))
            assert monitor.services[SERVICE]["/Link/NetworkMode"] == 0
    assert double.commands == []
    assert monitor.clashes == []


@pytest.mark.parametrize(
    ("control", "kind", "numbers", "ceiling", "written", "value"),
    [
        (Control(REMOTE_NETWORK_MODE, ControlKind.NUMBER, 0, 255), "i", None, None, 5.0, 5),
        (Control(REMOTE_NETWORK_MODE, ControlKind.NUMBER, 0, 255), "i", None, None, 5.5, None),
        (Control(REMOTE_NETWORK_MODE, ControlKind.NUMBER, 0, 255), "i", None, None, 256, None),
        (Control(BMS_REQUIRED, ControlKind.SWITCH), "i", None, None, 1.0, None),
        (Control(BMS_REQUIRED, ControlKind.SWITCH), "i", {1: 0, 0: 1}, None, 0, 1),
        (Control(BMS_REQUIRED, ControlKind.SWITCH), "i", {1: 1, 0: 4}, None, 4, 0),
        (Control(BMS_REQUIRED, ControlKind.SWITCH), "i", {1: 1, 0: 4}, None, True, None),
        (Control(CHARGE_CURRENT_LIMIT, ControlKind.NUMBER, 0, 30), "d", None, 60.0, 60, 0.0),
        (Control(CHARGE_CURRENT_LIMIT, ControlKind.NUMBER, 0, 30), "d", None, 60.0, 40.0, None),
        (Control(CHARGE_CURRENT_LIMIT, ControlKind.NUMBER, 0, 30), "d", None, 60.0, True, None),
    ],
)
def test_what_is_wanted_by_who_writes(
    control: Control,
    kind: str,
    numbers: dict[int, int] | None,
    ceiling: float | None,
    written: object,
    value: float | None,
) -> None:
    if value is None:
        with pytest.raises(ValueError, match=r"takes"):
            wanted(control, kind, written, numbers, ceiling)  # type: ignore[arg-type]
    else:
        found = wanted(control, kind, written, numbers, ceiling).value  # type: ignore[arg-type]
        assert found == value
        assert type(found) is type(value)
