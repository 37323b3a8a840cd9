"""A GX that steers the charger: `/Link/*` and the limits it reads, as systemcalc uses them (venus.md §5.4)."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from dbus_fast import Variant

from venus_bus import Daemon, ItemsConsumer, running_daemon
from venus_site import SERVICE, charger, controlled, controlled_site, offline, reading, serving, site_with


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


async def test_what_a_gx_repeats_arrives_every_time(daemon: Daemon) -> None:
    site, double = controlled_site()
    sent = (
        ("/Link/NetworkMode", Variant("i", 13), ("remote_network_mode", 13)),
        ("/Link/ChargeVoltage", Variant("d", 28.2), ("remote_charge_voltage", 28.2)),
        ("/Link/ChargeCurrent", Variant("d", 25.0), ("remote_charge_current", 25.0)),
    )
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        assert consumer.values["/Link/NetworkStatus"] == 4
        for _ in range(3):
            for path, value, _ in sent:
                assert await consumer.set(SERVICE, path, value) == 0
        await double.until(9)
        assert double.commands == [command for _, _, command in sent] * 3
        await consumer.until(lambda: consumer.values["/Link/NetworkStatus"] == 0)
        assert consumer.values["/Link/ChargeVoltage"] == 28.2
        assert await consumer.set(SERVICE, "/Link/NetworkMode", Variant("i", 1)) == 0
        await consumer.until(lambda: consumer.values["/Link/NetworkStatus"] == 4)


async def test_a_silent_charger_leaves_the_gx_nothing_to_stumble_over(daemon: Daemon) -> None:
    """systemcalc ends with a TypeError when there is a ChargeCurrent, but no ChargeCurrentLimit."""
    device = controlled()
    site, _ = controlled_site(device)
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        site.amend(device.name, {"remote_charge_current": 25.0, "remote_network_mode": 13})
        await consumer.until(lambda: consumer.values["/Link/ChargeCurrent"] == 25.0)
        site.put(offline(device))
        await consumer.until(lambda: consumer.values["/Connected"] == 0)
        assert consumer.values["/Link/NetworkMode"] == 0
        # It goes on writing, and control goes on listening.
        site.amend(device.name, {"remote_charge_current": 20.0, "remote_network_mode": 13})
        await consumer.until(lambda: consumer.values["/Link/NetworkMode"] == 13)
        assert consumer.values["/Settings/ChargeCurrentLimit"] is None
        assert consumer.values["/Link/ChargeCurrent"] is None
        site.put(reading(device, remote_charge_current=20.0))
        await consumer.until(lambda: consumer.values["/Link/ChargeCurrent"] == 20.0)
        assert consumer.values["/Settings/ChargeCurrentLimit"] == 60.0


async def test_the_current_limit_of_the_gx_is_the_owners(daemon: Daemon) -> None:
    device = controlled()
    site, double = controlled_site(device)
    path = "/Settings/ChargeCurrentLimit"
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        assert consumer.values[path] == 60.0
        assert await consumer.set(SERVICE, path, Variant("d", 35.0)) == 0
        await consumer.until(lambda: consumer.values[path] == 35.0)
        assert consumer.values["/Control/ChargeCurrentLimit"] == 35.0
        assert await consumer.set(SERVICE, path, Variant("d", 60.0)) == 0
        await consumer.until(lambda: consumer.values[path] == 60.0)
        assert consumer.values["/Control/ChargeCurrentLimit"] == 0.0
        consumer.signals.clear()
        # More than the charger can is no limit either; who wrote it is told what it is.
        assert await consumer.set(SERVICE, path, Variant("d", 70.0)) == 0
        await consumer.until(lambda: {path: 60.0} in consumer.signals)
        for wrong in (0.0, -5.0, 1e6):
            assert await consumer.set(SERVICE, path, Variant("d", wrong)) == 2
        assert [value for _, value in double.commands] == [35.0, 0.0]
        site.put(reading(device, rated_current=None))
        await consumer.until(lambda: consumer.values[path] is None)
        assert await consumer.set(SERVICE, path, Variant("d", 35.0)) == 2


async def test_a_gx_that_is_refused_every_3_seconds_does_not_fill_the_log(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    site, double = controlled_site()
    double.why = "no"
    async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
        await consumer.scan()
        for number in range(20):
            double.why = f"not at {number} V"
            assert await consumer.set(SERVICE, "/Link/ChargeVoltage", Variant("d", 20.0 + number)) == 2
        # Nor does it cost a signal each time.
        assert consumer.signals == []
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) == 1


async def test_systemcalc_finds_no_firmware_that_is_too_old(daemon: Daemon) -> None:
    """1.1.42 as Victron writes versions would raise alarm #48, though this charger obeys."""
    for site, firmware in ((controlled_site()[0], None), (site_with(charger()), 0x010142)):
        async with serving(site, daemon.address), ItemsConsumer(daemon.address, SERVICE) as consumer:
            await consumer.scan()
            assert consumer.values["/FirmwareVersion"] == firmware
            assert consumer.values["/Tristar/Firmware"] == "1.1.42"
