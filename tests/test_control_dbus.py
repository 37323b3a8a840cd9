"""Commands by D-Bus end to end: the daemon as a process, a real dbus-daemon, a charger on a socket, nothing doubled."""

import json
import math
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Variant

from control_dbus_stage import (
    CHARGER,
    LONG_POLL,
    READ_ONLY,
    SWITCHES,
    Stage,
    at_work,
    happens,
    make_charger,
    since_equalize,
)
from venus_bus import Daemon as BusDaemon
from venus_bus import ItemsConsumer, running_daemon

DISCONNECT, EQUALIZE = 0x0002, 0x0000
BUTTONS = {
    "ResetController": 0x00FF,
    "ResetCommServer": 0x10FF,
    "ClearAlarms": 0x0015,
    "ClearFaults": 0x0014,
    "SaveCounters": 0x0016,
}
GARBAGE = (
    Variant("s", "1"),
    Variant("s", "winter"),
    Variant("s", "x" * 100_000),
    Variant("ai", []),
    Variant("av", [Variant("i", 1), Variant("s", "x")]),
    Variant("ad", [28.4]),
    Variant("a{sv}", {"Value": Variant("i", 1)}),
    Variant("d", math.nan),
    Variant("d", math.inf),
    Variant("d", -math.inf),
    Variant("b", True),
    Variant("b", False),
    Variant("i", -1),
    Variant("d", -27.5),
    Variant("d", 1e308),
    Variant("x", 2**62),
    Variant("t", 2**64 - 1),
)
OWNERS = ("/CustomName", "/Settings/Group", "/Settings/ShowUIControl")


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[BusDaemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


@pytest.fixture
async def stage(tmp_path: Path, bus: BusDaemon) -> AsyncIterator[Stage]:
    async with at_work(tmp_path, bus.address, poll=LONG_POLL) as stage:
        yield stage


async def still_serves(stage: Stage) -> None:
    """GetItems answers, and the log has no traceback."""
    for service in (CHARGER, SWITCHES):
        assert await stage.client.items(service)
    assert not stage.daemon.matching("Traceback"), stage.daemon.lines


@pytest.mark.parametrize(
    ("service", "path", "off", "on"),
    [
        (CHARGER, "/Mode", 4, 1),
        (CHARGER, "/Control/ChargerDisconnect", 1, 0),
        (SWITCHES, "/SwitchableOutput/charger/State", 0, 1),
    ],
)
async def test_the_charger_is_switched_off_and_on_from_every_side(
    stage: Stage, service: str, path: str, off: int, on: int
) -> None:
    for value, disconnected in ((off, True), (on, False)):
        assert await stage.set(path, Variant("i", value), service) == 0
        await stage.shows("/Control/ChargerDisconnect", int(disconnected))
        assert stage.charger.charger.requests.disconnect is disconnected
        await stage.shows("/Mode", 4 if disconnected else 1)
        await stage.shows("/SwitchableOutput/charger/State", int(not disconnected), SWITCHES)
        await stage.shows("/SwitchableOutput/charger/Status", 0 if disconnected else 9, SWITCHES)
        if disconnected:
            await stage.shows("/State", 0)
    assert stage.writes() == [(5, DISCONNECT, 0xFF00), (5, DISCONNECT, 0x0000)]


async def test_nothing_is_shown_before_it_was_read_back(stage: Stage) -> None:
    """The charger confirms the write, but does not do it: the path must go on to say what is so."""
    requests = stage.charger.charger.requests
    ignored = stage.charger.write_coil
    stage.charger.write_coil = lambda address, on, origin: None  # type: ignore[method-assign]
    async with ItemsConsumer(stage.bus, CHARGER) as consumer:
        await consumer.scan()
        assert await consumer.set(CHARGER, "/Mode", Variant("i", 4)) == 0
        await consumer.until(lambda: any(signal.get("/Mode") == 1 for signal in consumer.signals))
        assert all(signal.get("/Mode", 1) == 1 for signal in consumer.signals)
        await stage.shows("/Control/LastResult", lambda text: "reads back" in text)
    assert not requests.disconnect
    stage.charger.write_coil = ignored  # type: ignore[method-assign]


async def test_what_somebody_else_switches_is_seen_without_waiting_for_the_poll(stage: Stage) -> None:
    stage.charger.charger.requests.disconnect = True
    await stage.shows("/Mode", 4)
    await stage.shows("/SwitchableOutput/charger/State", 0, SWITCHES)
    assert stage.writes() == []


@pytest.mark.parametrize(
    ("service", "path"), [(CHARGER, "/Control/EqualizeTriggered"), (SWITCHES, "/SwitchableOutput/equalize/State")]
)
async def test_an_equalize_is_started_shown_and_cancelled(stage: Stage, service: str, path: str) -> None:
    assert await stage.set(path, Variant("i", 1), service) == 0
    await stage.shows("/Control/EqualizeTriggered", 1)
    await stage.shows("/SwitchableOutput/equalize/State", 1, SWITCHES)
    await stage.shows("/SwitchableOutput/equalize/Status", 9, SWITCHES)
    await stage.shows("/Control/EqualizeStatus", lambda text: text in ("running", "waiting for sun"))
    assert stage.charger.charger.requests.equalize
    assert await stage.set(path, Variant("i", 0), service) == 0
    await stage.shows("/Control/EqualizeTriggered", 0)
    await stage.shows("/SwitchableOutput/equalize/State", 0, SWITCHES)
    assert not stage.charger.charger.requests.equalize
    assert stage.writes() == [(5, EQUALIZE, 0xFF00), (5, EQUALIZE, 0x0000)]


async def test_a_guard_refuses_with_2_and_says_why(tmp_path: Path, bus: BusDaemon) -> None:
    charger = make_charger()
    since_equalize(charger, 1)
    async with at_work(tmp_path, bus.address, charger, poll=LONG_POLL) as stage:
        assert await stage.set("/Control/EqualizeTriggered", Variant("i", 1)) == 2
        assert await stage.set("/SwitchableOutput/equalize/State", Variant("i", 1), SWITCHES) == 2
        await stage.shows("/Control/LastResult", lambda text: "the last equalize was 1 days ago" in text)
        await stage.daemon.logged("equalize_requested: refused: the last equalize was 1 days ago", 2)
        assert await stage.set("/Control/EqualizeTriggered", Variant("i", 0)) == 0
        assert await stage.set("/Mode", Variant("i", 3)) == 2
        assert stage.writes() == []


async def test_switch_8_refuses_everything_and_limits_impose_nothing(tmp_path: Path, bus: BusDaemon) -> None:
    charger = make_charger()
    charger.state.switches &= 0x7F
    async with at_work(tmp_path, bus.address, charger, poll=LONG_POLL) as stage:
        for path, value in (
            ("/Mode", Variant("i", 4)),
            ("/Control/EqualizeTriggered", Variant("i", 1)),
            ("/Control/ResetController", Variant("i", 1)),
            ("/Control/ApplyChargeProfile", Variant("s", "rest")),
            ("/Control/ChargeCurrentLimit", Variant("d", 10.0)),
            ("/Link/ChargeVoltage", Variant("d", 27.0)),
        ):
            assert await stage.set(path, value) == 2, path
        await stage.daemon.logged("switch 8")
        assert stage.writes() == []
        await still_serves(stage)


async def test_without_control_nothing_can_be_written(tmp_path: Path, bus: BusDaemon) -> None:
    async with at_work(tmp_path, bus.address, more=READ_ONLY) as stage:
        items = await stage.client.items(CHARGER)
        assert not [path for path in items if path.startswith(("/Control/", "/Link/"))]
        assert SWITCHES not in await stage.client.names()
        for path in items:
            if path not in OWNERS:
                assert await stage.set(path, Variant("i", 4)) == 1, path
        assert stage.writes() == []


@pytest.mark.parametrize("name", sorted(BUTTONS))
async def test_a_button_is_sent_once_and_always_reads_0(stage: Stage, name: str) -> None:
    path, coil = f"/Control/{name}", BUTTONS[name]
    assert await stage.set(path, Variant("i", 0)) == 0
    assert stage.writes() == []
    assert await stage.set(path, Variant("i", 1)) == 0
    assert await stage.client.value(CHARGER, path) == 0
    await stage.shows("/Control/LastResult", lambda text: text.endswith(" 1: done"))
    assert await stage.client.value(CHARGER, path) == 0
    assert await stage.set(path, Variant("i", 0)) == 0
    assert [address for _, address, _ in stage.writes()].count(coil) == 1
    await still_serves(stage)


async def test_a_restart_whose_answer_is_lost_is_not_sent_again(tmp_path: Path, bus: BusDaemon) -> None:
    async with at_work(tmp_path, bus.address, make_charger(reset_answer_lost=True)) as stage:
        assert await stage.set("/Control/ResetController", Variant("i", 1)) == 0
        await stage.shows("/Control/LastResult", lambda text: "done" in text)
        assert stage.charger.resets == 1
        assert stage.writes().count((5, 0x00FF, 0xFF00)) == 1


async def test_no_garbage_reaches_the_charger(stage: Stage) -> None:
    for service in (CHARGER, SWITCHES):
        for path in await stage.client.items(service):
            if "/Daily/" in path or path.endswith(OWNERS):
                continue
            for value in GARBAGE:
                answer = await stage.set(path, value, service)
                assert answer in (1, 2), (path, value)
    assert stage.writes() == []
    await still_serves(stage)


async def test_equal_values_again_and_again_do_nothing(stage: Stage) -> None:
    for service in (CHARGER, SWITCHES):
        items = await stage.client.items(service)
        for path, entry in items.items():
            if "/Daily/" in path or entry["Value"].signature == "ai":
                continue
            answers = {await stage.set(path, entry["Value"], service) for _ in range(3)}
            assert answers <= {0, 1}, path
    assert stage.writes() == []
    await still_serves(stage)


async def test_a_profile_is_applied_with_its_progress_on_show(stage: Stage) -> None:
    async with ItemsConsumer(stage.bus, CHARGER) as consumer:
        await consumer.scan()
        assert consumer.values["/Control/ChargeProfile/LastApplied"] in (None, "")
        for wrong in ("summer", "Rest", " ", "rest\n"):
            assert await consumer.set(CHARGER, "/Control/ApplyChargeProfile", Variant("s", wrong)) == 2, wrong
        consumer.signals.clear()
        assert await consumer.set(CHARGER, "/Control/ApplyChargeProfile", Variant("s", "rest")) == 0
        await consumer.until(lambda: consumer.values["/Control/ChargeProfile/LastApplied"] == "rest")
        await consumer.until(lambda: consumer.values["/Control/ChargeProfile/Progress"] == 100)
        seen = column(consumer, "/Control/ChargeProfile/Progress")
        assert seen == sorted(seen)
        # At most one signal a second leaves the service.
        assert any(0 < percent < 100 for percent in seen), seen
        assert consumer.values["/Control/ChargeProfile/Status"] == "done"
        assert consumer.values["/Control/ChargeProfile/LastError"] in (None, "")
        assert consumer.values["/Control/ChargeProfile/LastAppliedAt"]
        assert await consumer.value(CHARGER, "/Control/ApplyChargeProfile") == ""
        await consumer.until(lambda: consumer.values["/Tristar/SetAbsorptionVoltage"] == pytest.approx(28.0, abs=0.01))
    written = [address for function, address, _ in stage.writes() if function == 6]
    assert sorted(written) == [0xE000, 0xE001]
    assert stage.charger.resets == 1
    assert stage.charger.state.faults == 0
    assert not stage.charger.charger.requests.disconnect
    # Once more: it is so already, and nothing is written.
    before = stage.writes()
    assert await stage.set("/Control/ApplyChargeProfile", Variant("s", "rest")) == 0
    await stage.shows("/Control/ApplyChargeProfile", "")
    assert [each for each in stage.writes() if each not in before] == []


async def test_settings_by_json(stage: Stage) -> None:
    path = "/Control/ApplySettings"
    for wrong in (
        "27",
        "null",
        "[]",
        "{",
        '{"float": 27}',
        '{"set_float_voltage": "27"}',
        '{"set_float_voltage": NaN}',
        '{"set_float_voltage": 1e400}',
        '{"set_float_voltage": true}',
        '{"set_unit_id": 3}',
        "[" * 50_000,
    ):
        assert await stage.set(path, Variant("s", wrong)) == 2, wrong
    # What depends on the charger's other settings is seen once these have been read; it is refused before any write.
    for wrong, why in (("600", " 600 "), ("60", " 60 V"), ("29.9", " 29.9 V")):
        assert await stage.set(path, Variant("s", f'{{"set_float_voltage": {wrong}}}')) in (0, 2), wrong
        await stage.shows("/Control/LastResult", lambda text, why=why: "refused: " in text and why in text)
    assert stage.writes() == []
    wanted = json.dumps({"set_float_voltage": 27.2})
    assert await stage.set(path, Variant("s", wanted)) == 0
    await stage.shows("/Tristar/SetFloatVoltage", lambda volts: abs(volts - 27.2) < 0.01)
    await stage.shows("/Control/ChargeProfile/Status", "done")
    assert stage.charger.eeprom_writes == 1
    assert stage.charger.resets == 1
    await still_serves(stage)


async def test_while_settings_are_written_everything_else_waits(stage: Stage) -> None:
    assert await stage.set("/Control/ApplyChargeProfile", Variant("s", "rest")) == 0
    await happens(lambda: stage.charger.charger.requests.disconnect)
    assert await stage.set("/Mode", Variant("i", 4)) == 2
    assert await stage.set("/Control/ResetController", Variant("i", 1)) == 2
    assert await stage.set("/Control/ApplyChargeProfile", Variant("s", "rest")) == 2
    await stage.shows("/Control/ChargeProfile/LastApplied", "rest")
    await stage.shows("/Mode", 1)
    assert stage.charger.resets == 1


def column(consumer: ItemsConsumer, path: str) -> list[Any]:
    """The values of `path` in the order they were told."""
    return [signal[path] for signal in consumer.signals if signal.get(path) is not None]
