"""The load output of a charger: its state, its switch, its errors."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from dbus_fast import Variant

from heliobus.model.command import Failed
from heliobus.model.point import Value
from heliobus.outputs.venus.output_status import load_status
from heliobus.outputs.venus.paths_solarcharger import nth_word
from venus_bus import Client, Daemon, ItemsConsumer, running_daemon
from venus_site import LOAD_CONTROLS, charger, controlled_site, offline, reading, serving, site_with, tracer

SERVICE = "com.victronenergy.solarcharger.tracer_0"
SWITCH = "com.victronenergy.switch.tracer_0"
OUTPUT = "/SwitchableOutput/output_1/"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def test_the_switch_works_both_ways(daemon: Daemon) -> None:
    device = tracer(controls=LOAD_CONTROLS)
    site, double = controlled_site(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SWITCH) as consumer:
        await consumer.scan()
        assert consumer.values[OUTPUT + "State"] == 1
        for number, wanted in enumerate((0, 1, 0), 1):
            assert await consumer.set(SWITCH, OUTPUT + "State", Variant("i", wanted)) == 0
            await double.until(number)
            await consumer.until(lambda wanted=wanted: consumer.values[OUTPUT + "State"] == wanted)
            # What the output does is read, not believed.
            assert consumer.values[OUTPUT + "Status"] == 9
        assert double.commands == [("load_enabled", 0), ("load_enabled", 1), ("load_enabled", 0)]
        site.put(reading(device, load_enabled=0, load_state=0, load_current=0.0))
        await consumer.until(lambda: consumer.values[OUTPUT + "Status"] == 0)
        assert consumer.values[OUTPUT + "Current"] == 0.0
        # Switched at the charger itself.
        site.put(reading(device))
        await consumer.until(lambda: consumer.values[OUTPUT + "State"] == 1)
        assert consumer.values[OUTPUT + "Status"] == 9
        site.put(offline(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 0)
        for leaf in ("State", "Current", "Voltage"):
            assert consumer.values[OUTPUT + leaf] is None
        assert consumer.values[OUTPUT + "Status"] == 0x20


@pytest.mark.parametrize(
    "wrong", [Variant("i", 2), Variant("b", True), Variant("s", "1"), Variant("d", 1.0), Variant("ai", [])], ids=str
)
async def test_g12_nothing_else_switches_it(daemon: Daemon, wrong: Variant) -> None:
    site, double = controlled_site(tracer(controls=LOAD_CONTROLS))
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SWITCH)
        assert await client.set(SWITCH, OUTPUT + "State", wrong) == 2
        await client.until_served(SERVICE)
        assert await client.set(SERVICE, "/Control/LoadEnabled", wrong) == 2
        for path in ("Status", "Current", "Voltage", "Name", "Settings/Function", "Settings/ValidFunctions"):
            assert await client.set(SWITCH, OUTPUT + path, Variant("i", 1)) == 1
    assert double.commands == []


async def test_a_switch_that_does_not_obey_goes_back(daemon: Daemon) -> None:
    site, double = controlled_site(tracer(controls=LOAD_CONTROLS))
    double.outcome = Failed("the load mode is not manual")
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SWITCH) as consumer:
        await consumer.scan()
        assert await consumer.set(SWITCH, OUTPUT + "State", Variant("i", 0)) == 0
        await consumer.until(lambda: consumer.signals)
        assert consumer.signals == [{OUTPUT + "State": 1}]


async def test_the_switch_is_in_one_service_only(daemon: Daemon) -> None:
    """From Venus OS 3.70 on both services are scanned; it must not be shown twice."""
    site, double = controlled_site(tracer(controls=LOAD_CONTROLS))
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        await client.until_served(SWITCH)
        assert not [path for path in await client.items(SERVICE) if path.startswith("/SwitchableOutput/")]
        assert await client.value(SERVICE, "/Control/LoadEnabled") == 1
        assert await client.set(SERVICE, "/Control/LoadEnabled", Variant("i", 0)) == 0
        await double.until(1)
    assert double.commands == [("load_enabled", 0)]


@pytest.mark.parametrize("locked", [{}, {"load_enabled": "the load follows the light"}], ids=["off", "locked"])
async def test_without_control_there_is_no_switch(daemon: Daemon, locked: dict[str, str]) -> None:
    controls = {name: replace(LOAD_CONTROLS[name], locked=why) for name, why in locked.items()}
    site, _ = controlled_site(tracer(controls=controls))
    async with serving(site, daemon.address), Client(daemon.address) as client:
        await client.until_served(SERVICE)
        assert await client.names() == [SERVICE]
        assert await client.value(SERVICE, "/Load/State") == 1


@pytest.mark.parametrize(
    ("values", "status"),
    [
        ({}, 0x09),
        ({"load_state": 0}, 0x00),
        ({"load_state": 0, "load_enabled": 1}, 0x00),
        ({"load_state": None}, None),
        ({"error_ids": "epever:e-17"}, 0x09),
        ({"error_ids": "epever:e-17,epever:w-9"}, 0x02),
        ({"error_ids": "epever:w-9, epever:e-8"}, 0x10),
        ({"error_ids": "epever:e-88"}, 0x09),
        ({"error_ids": None}, 0x09),
        ({"load_faults": 16}, 0x08),
        ({"load_faults": 16, "error_ids": "epever:e-8"}, 0x10),
        ({"load_faults": None}, 0x09),
        ({"set_load_mode": 0}, 0x09),
        ({"set_load_mode": 2}, 0x29),
        ({"set_load_mode": 2, "load_state": 0}, 0x20),
        ({"set_load_mode": 2, "error_ids": "epever:w-9"}, 0x02),
    ],
)
def test_the_status_of_the_load(values: dict[str, Value], status: int | None) -> None:
    assert load_status(reading(tracer(), **values)) == status


async def test_the_errors_have_ids(daemon: Daemon) -> None:
    device = tracer()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        assert [consumer.values[f"/Error/{n}/Id"] for n in range(4)] == [None] * 4
        ids = [f"epever:e-{number}" for number in (1, 2, 17, 28, 33)]
        site.put(reading(device, error_ids=",".join(ids)))
        await consumer.until(lambda: consumer.values["/Error/0/Id"])
        assert [consumer.values[f"/Error/{n}/Id"] for n in range(4)] == ids[:4]
        site.put(reading(device, error_ids=ids[4]))
        await consumer.until(lambda: consumer.values["/Error/0/Id"] == ids[4])
        assert [consumer.values[f"/Error/{n}/Id"] for n in range(1, 4)] == [None] * 3


def test_words_of_a_list() -> None:
    assert [nth_word(n)("a, b,,c") for n in range(4)] == ["a", "b", "c", None]
    assert nth_word(0)("") is None


async def test_what_the_load_took_is_of_today(daemon: Daemon) -> None:
    device = tracer()
    site = site_with(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        assert consumer.values["/History/Daily/0/Consumption"] == 0.42
        assert consumer.values["/History/Daily/1/Consumption"] is None
        site.put(reading(device, load_energy_today=0.5))
        await consumer.until(lambda: consumer.signals)
        assert consumer.signals == [{"/History/Daily/0/Consumption": 0.5}]


async def test_a_charger_without_a_load_promises_none(daemon: Daemon) -> None:
    device = charger()
    async with serving(site_with(device), daemon.address), Client(daemon.address) as client:
        await client.until_served("com.victronenergy.solarcharger.tristar_0")
        items = await client.items("com.victronenergy.solarcharger.tristar_0")
    assert not [path for path in items if path.startswith(("/Load/", "/Error/"))]
