"""The installation in this process: devices that change place, settings that change, what is saved and when."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

import heliobus.app.installation as module
from heliobus.app import Installation
from heliobus.config import SETTINGS_DEVICE, Config, DeviceConfig, SiteConfig
from heliobus.model.reading import Health
from heliobus.outputs.venus.host import ChargerSettings
from heliobus.sim.server import TcpServer, serve_tcp
from heliobus.sim.tristar import SimTriStar
from heliobus.site import Site
from heliobus.wire.address import parse_link

DRIVER = "morningstar-tristar-mppt"
PATIENCE = 30.0


def config(state: Path, **places: TcpServer) -> Config:
    devices = tuple(
        DeviceConfig(name, DRIVER, parse_link(f"tcp://127.0.0.1:{server.port}"), 1, 0.5, name)
        for name, server in places.items()
    )
    return Config("a test", SiteConfig("cabin", "UTC", state), devices, None)


@asynccontextmanager
async def running(settings: Config) -> AsyncIterator[Installation]:
    installation = Installation(settings)
    work = asyncio.create_task(installation.run())
    try:
        yield installation
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def until(site: Site, what: Callable[[], bool]) -> None:
    mailbox = site.subscribe()
    async with asyncio.timeout(PATIENCE):
        while not what():
            await mailbox.get()
    site.unsubscribe(mailbox)


def live(site: Site, name: str) -> str | None:
    """The serial number of the device of this name, if it answers."""
    device, reading = site.device(name), site.reading(name)
    return device.identity.serial if device and reading and reading.health is Health.OK else None


async def test_chargers_that_swapped_their_addresses_are_still_themselves(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(serve_tcp({1: SimTriStar(serial="00000001")}))
        two = await stack.enter_async_context(serve_tcp({1: SimTriStar(serial="00000002")}))
        async with running(config(tmp_path, roof=one, shed=two)) as first:
            await until(first.site, lambda: live(first.site, "roof") == "00000001" and bool(live(first.site, "shed")))
            numbers = {device.key: device.number for device in first.site.devices}
        # The router gave each the address of the other: what is known of a place is wrong now.
        known = json.loads((tmp_path / "devices.json").read_text())
        places = list(known["places"])
        known["places"] = dict(zip(places, reversed([known["places"][place] for place in places]), strict=True))
        (tmp_path / "devices.json").write_text(json.dumps(known))
        async with running(config(tmp_path, roof=one, shed=two)) as second:
            site = second.site
            await until(site, lambda: live(site, "roof") == "00000001" and live(site, "shed") == "00000002")
            assert {device.key: device.number for device in site.devices} == numbers


async def test_one_charger_at_two_places_is_shown_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    charger = SimTriStar(serial="00000001")
    async with (
        serve_tcp({1: charger}) as one,
        serve_tcp({1: charger}) as two,
        running(config(tmp_path, roof=one, shed=two)) as installation,
    ):
        site = installation.site
        async with asyncio.timeout(PATIENCE):
            while "is the same device" not in caplog.text:
                await asyncio.sleep(0)
        await until(site, lambda: bool(live(site, "roof") or live(site, "shed")))
        assert len(site.devices) == 1


async def test_settings_that_change_while_the_charger_is_silent_leave_nothing_on_show(tmp_path: Path) -> None:
    async with serve_tcp({1: SimTriStar()}) as server, running(config(tmp_path)) as installation:
        site = installation.site
        installation.place(ChargerSettings(DRIVER, "127.0.0.1", server.port, 1.0, 1))
        await until(site, lambda: live(site, SETTINGS_DEVICE) is not None)
        await server.pause()
        installation.place(ChargerSettings(DRIVER, "127.0.0.1", server.port, 2.0, 1))
        reading = site.reading(SETTINGS_DEVICE)
        assert reading is not None
        assert set(reading.values.values()) == {None}
        assert reading.health is not Health.OK
        await server.resume()
        await until(site, lambda: live(site, SETTINGS_DEVICE) is not None)
        installation.place(None)
        assert site.devices == ()


async def test_a_new_charger_is_remembered_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loop, saved = asyncio.get_running_loop(), asyncio.Event()
    write = module.write_file

    def announced(path: Path, content: bytes) -> None:
        write(path, content)
        if path.name == "devices.json":
            loop.call_soon_threadsafe(saved.set)

    monkeypatch.setattr(module, "write_file", announced)
    async with serve_tcp({1: SimTriStar()}) as server, running(config(tmp_path, roof=server)):
        async with asyncio.timeout(PATIENCE):
            await saved.wait()
        assert json.loads((tmp_path / "devices.json").read_text())["numbers"] == {"tristar_10170296": 0}
