"""The real daemon killed with -9 at every exchange of a change of settings; its next start sets everything right."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from daemon import COMMAND, environment, heliobus_run
from heliobus.sim.device import Origin, SilenceError
from heliobus.sim.server import serve_tcp
from heliobus.sim.tristar import SimTriStar

pytestmark = pytest.mark.slow

PATIENCE = 40.0
# Store counters, disconnect, two settings, restart.
EXCHANGES = range(5)
PLANNED = {0xE000: round(14.5 * 2**15 / 180), 0xE001: round(13.6 * 2**15 / 180)}


class Killer(SimTriStar):
    """Kills the daemon at its `fatal`th write, before or after doing what it says, and never answers that one."""

    pid = 0
    fatal = -1
    before = False
    written = 0

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        self._meet(lambda: super(Killer, self).write_register(address, word, origin))

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        self._meet(lambda: super(Killer, self).write_coil(address, on, origin))

    def _meet(self, act: object) -> None:
        number, self.written = self.written, self.written + 1
        fatal = number == self.fatal and self.pid
        if not (fatal and self.before):
            act()  # type: ignore[operator]
        if fatal:
            os.kill(self.pid, signal.SIGKILL)
            raise SilenceError


async def test_the_next_start_finishes_it(tmp_path: Path) -> None:
    turn = asyncio.Semaphore(5)

    async def one(fatal: int, before: bool) -> None:
        folder = tmp_path / f"{fatal}-{'before' if before else 'after'}"
        folder.mkdir()
        async with turn:
            await killed_and_started_again(folder, fatal, before)

    async with asyncio.TaskGroup() as tasks:
        for fatal in EXCHANGES:
            for before in (True, False):
                tasks.create_task(one(fatal, before))


async def killed_and_started_again(folder: Path, fatal: int, before: bool) -> None:
    charger = Killer(hour=12.0, cloudiness=0.0, day_of_year=152, soc=0.5)
    charger.advance(120.0)
    factory = dict(charger.eeprom)
    charger.fatal, charger.before = fatal, before
    async with serve_tcp({1: charger}) as server:
        path = write_toml(folder, server.port)
        async with heliobus_run(path, "unix:path=/nonexistent") as daemon:
            await daemon.logged("found Morningstar")
            charger.pid = daemon.pid
            client = await apply(path)
            assert await daemon.ended() == -signal.SIGKILL
            assert client.returncode != 0
        charger.pid = 0
        journal = list((folder / "state" / "control").glob("*.journal.json"))
        assert len(journal) == 1
        async with heliobus_run(path, "unix:path=/nonexistent"):
            async with asyncio.timeout(PATIENCE):
                while journal[0].exists():
                    await asyncio.sleep(0.05)
            charger.advance(60.0)
        stored = {address: charger.eeprom[address] for address in PLANNED}
        untouched = {address: factory[address] for address in PLANNED}
        assert stored in (PLANNED, untouched)
        assert charger.eeprom_writes <= len(PLANNED)
        assert charger.state.faults == 0
        assert not charger.charger.requests.disconnect
        assert charger.stage >= 5, "it charges"
        if charger.eeprom_writes:
            assert charger.resets >= 1


async def apply(path: Path) -> asyncio.subprocess.Process:
    client = await asyncio.create_subprocess_exec(
        *COMMAND,
        "profile",
        "apply",
        "-c",
        str(path),
        "--yes",
        "roof",
        "new",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(None),
    )
    async with asyncio.timeout(PATIENCE):
        await client.wait()
    return client


def write_toml(folder: Path, port: int) -> Path:
    path = folder / "heliobus.toml"
    path.write_text(
        f"""
        [site]
        state = "{folder / "state"}"
        [[device]]
        name = "roof"
        driver = "morningstar-tristar-mppt"
        link = "tcp://127.0.0.1:{port}"
        poll = "500ms"
        control = "on"
        system_voltage = 24
        chemistry = "flooded"
        [device.server]
        nightly_reset = -1
        [profile.new]
        absorption_voltage = 29.0
        float_voltage = 27.2
        [output.venus]
        bus = "unix:path=/nonexistent"
        """
    )
    return path
