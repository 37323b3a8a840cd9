"""One tty has one owner: the daemon takes it at its start, or says who has it and ends."""

import asyncio
import fcntl
import os
import re
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from daemon import Daemon, heliobus_run
from heliobus.app import Installation, StartError
from heliobus.config import Config, DeviceConfig, SiteConfig
from heliobus.model.reading import Health
from heliobus.sim.pty_server import serve_pty
from heliobus.sim.tristar import SimTriStar
from heliobus.wire.address import make_bus, parse_link
from heliobus.wire.bus import LinkDown, Timing
from heliobus.wire.link import LinkBusy
from heliobus.wire.modbus.pdu import ReadRegisters
from heliobus.wire.serial_link import SerialLink

DRIVER = "morningstar-tristar-mppt"
PATIENCE = 30.0


def config(state: Path, *ttys: str) -> Config:
    devices = tuple(
        DeviceConfig(f"roof{unit}", DRIVER, parse_link(f"serial:{tty}"), unit, 0.2) for unit, tty in enumerate(ttys, 1)
    )
    return Config("a test", SiteConfig("cabin", "UTC", state), devices, None)


def write_config(folder: Path, name: str, tty: str) -> Path:
    path = folder / f"{name}.toml"
    path.write_text(
        f"""
        [site]
        state = "{folder / name}"
        [[device]]
        driver = "{DRIVER}"
        link = "serial:{tty}"
        poll = "0.5s"
        [output.venus]
        bus = "unix:path={folder}/no-bus"
        """
    )
    return path


def in_use(path: str, who: str) -> str:
    return rf"^heliobus: {re.escape(path)} is in use by another program, {who}: stop that program or take this tty"


async def ended_in_one_line(daemon: Daemon, pattern: str) -> None:
    assert await daemon.ended() == 1
    assert len(daemon.matching("in use")) == 1, daemon.lines
    assert not daemon.matching("Traceback")
    assert re.search(pattern, daemon.lines[-1]), daemon.lines


async def test_a_second_daemon_on_one_tty_ends_with_one_clear_line(tmp_path: Path) -> None:
    async with (
        serve_pty({1: SimTriStar()}) as server,
        heliobus_run(write_config(tmp_path, "one", server.path), None) as first,
    ):
        await first.logged("found Morningstar")
        async with heliobus_run(write_config(tmp_path, "two", server.path), None) as second:
            await ended_in_one_line(second, in_use(server.path, rf"\S+ \(pid {first.pid}\)"))
        # Also by another name of the same tty.
        alias = tmp_path / "usb-adapter"
        alias.symlink_to(server.path)
        async with heliobus_run(write_config(tmp_path, "three", str(alias)), None) as third:
            await ended_in_one_line(third, in_use(str(alias), rf"\S+ \(pid {first.pid}\)"))
        assert first.process.returncode is None


async def test_of_two_that_start_at_once_exactly_one_stays(tmp_path: Path) -> None:
    async with serve_pty({1: SimTriStar()}) as server, AsyncExitStack() as stack:
        both = [
            await stack.enter_async_context(heliobus_run(write_config(tmp_path, name, server.path), None))
            for name in ("one", "two")
        ]
        ends = {asyncio.create_task(daemon.ended()): daemon for daemon in both}
        done, left = await asyncio.wait(ends, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        (loser,) = (ends[task] for task in done)
        (winner,) = (ends[task] for task in left)
        assert [task.result() for task in done] == [1]
        assert len(loser.matching("is in use by another program")) == 1
        await winner.logged("found Morningstar")
        assert not winner.matching("in use")
        await winner.stop()
        await asyncio.gather(*left)


async def test_a_tty_that_any_other_program_has_locked(tmp_path: Path) -> None:
    async with serve_pty({1: SimTriStar()}) as server:
        # Locked by this very process, which is not "another program" to itself: so it cannot be named.
        held = os.open(server.path, os.O_RDWR | os.O_NOCTTY)
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StartError) as caught:
            await Installation(config(tmp_path, server.path)).run()
        os.close(held)
        assert str(caught.value).startswith(f"{server.path} is in use by another program: stop that program")
        assert "\n" not in str(caught.value)


async def test_none_of_several_ttys_is_kept_when_one_is_taken(tmp_path: Path) -> None:
    async with serve_pty({1: SimTriStar()}) as one, serve_pty({2: SimTriStar()}) as two:
        holder = SerialLink(two.path)
        await holder.open(1)
        with pytest.raises(StartError, match=re.escape(two.path)):
            await Installation(config(tmp_path, one.path, two.path)).run()
        free = SerialLink(one.path)
        await free.open(1)
        for link in (holder, free):
            link.close()
        await asyncio.sleep(0)


async def test_a_bus_that_has_claimed_its_tty_uses_it_and_one_that_could_not_says_so() -> None:
    async with serve_pty({1: SimTriStar()}) as server:
        ours, theirs = (make_bus(parse_link(f"serial:{server.path}")) for _ in range(2))
        await ours.claim()
        with pytest.raises(LinkBusy, match="in use by another program"):
            await theirs.claim()
        task = asyncio.create_task(ours.run())
        assert len(await ours.ask(1, ReadRegisters(0, 2))) == 2
        assert ours.statistics.reconnects == 0
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await theirs.claim()
        theirs.close()
        await asyncio.sleep(0)


async def test_a_missing_tty_is_no_reason_to_end_and_a_pulled_one_comes_back(tmp_path: Path) -> None:
    """Plugged in after the start, pulled, and plugged in again as another tty."""
    tty = tmp_path / "usb-adapter"
    installation = Installation(config(tmp_path / "state", str(tty)))
    work = asyncio.create_task(installation.run())
    site = installation.site
    mailbox = site.subscribe()

    async def until(health: Health) -> None:
        async with asyncio.timeout(PATIENCE):
            while (reading := site.reading("roof1")) is None or reading.health is not health:
                await mailbox.get()

    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await asyncio.shield(work)
        async with serve_pty({1: SimTriStar()}) as server:
            tty.symlink_to(server.path)
            await until(Health.OK)
            tty.unlink()
        await until(Health.OFFLINE)
        async with serve_pty({1: SimTriStar()}) as server:
            tty.symlink_to(server.path)
            await until(Health.OK)
        assert not work.done()
    finally:
        site.unsubscribe(mailbox)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def test_a_tty_that_is_missing_can_be_claimed_later() -> None:
    bus = make_bus(parse_link("serial:/dev/ttyNONE9"))
    await bus.claim()
    task = asyncio.create_task(bus.run())
    with pytest.raises(LinkDown, match="no such tty"):
        await bus.ask(1, ReadRegisters(0, 1), timing=Timing(0.1, 0.1))
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
