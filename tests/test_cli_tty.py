"""`heliobus run --tty`: a daemon for one adapter."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from daemon import PATIENCE, Daemon, heliobus_run
from heliobus.cli.one_tty import NUMBERS, first_number
from heliobus.sim.pty_server import PtyServer, serve_pty
from heliobus.sim.tracer import SimTracer
from heliobus.sim.tristar import SimTriStar
from venus_bus import Client, running_daemon
from venus_bus import Daemon as BusDaemon


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[BusDaemon]:
    with running_daemon(tmp_path) as daemon:
        yield daemon


def run_tty(tty: str, config: Path, bus: str | None, folder: Path) -> AbstractAsyncContextManager[Daemon]:
    return heliobus_run(config, bus, "--tty", tty, cwd=folder)


async def until_served(client: Client, service: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            client.forget()
            owned = await client.daemon("NameHasOwner", "s", service)
            if owned and await client.value(service, "/Connected") == 1:
                return
            await client.news()


def site(path: Path, more: str = "") -> Path:
    path.write_text(f"[site]\nstate = '{path.parent / 'state'}'\n{more}[output.venus]\non_bus_loss = 'reconnect'\n")
    return path


def device(server: PtyServer, name: str, unit: int, driver: str = "morningstar-tristar-mppt") -> str:
    return f"[[device]]\nname = '{name}'\ndriver = '{driver}'\nlink = 'serial:{server.path}'\nunit = {unit}\n"


async def test_what_answers_is_served_beside_the_main_daemon(tmp_path: Path, bus: BusDaemon) -> None:
    speeds = {1: 9600}
    async with (
        serve_pty({1: SimTriStar(serial="00000001")}, speeds=speeds) as main_line,
        serve_pty({1: SimTriStar(serial="00000002")}, speeds=speeds) as tty_line,
        Client(bus.address) as client,
    ):
        await client.listen()
        path = site(tmp_path / "heliobus.toml", device(main_line, "house", 1))
        async with heliobus_run(path, bus.address) as rest, run_tty(tty_line.path, path, bus.address, tmp_path) as one:
            await until_served(client, "com.victronenergy.solarcharger.tristar_0")
            await until_served(client, f"com.victronenergy.solarcharger.tristar_{NUMBERS}")
            assert not rest.matching("ERROR") and not one.matching("ERROR")
            assert await one.stop() == 0
    assert [each.name for each in (tmp_path / "state" / "tty").iterdir() if each.is_dir()]


async def test_nothing_of_ours_is_exit_code_0_and_one_line(tmp_path: Path) -> None:
    path = site(tmp_path / "heliobus.toml")
    async with serve_pty({}) as server, run_tty(server.path, path, None, tmp_path) as one:
        assert await one.ended() == 0
        assert {pdu[0] for _, pdu in server.requests} <= {1, 2, 3, 4, 43}
    assert len(one.lines) == 1 and "no device that Heliobus knows" in one.lines[0]


async def test_it_ends_with_the_tty(tmp_path: Path, bus: BusDaemon) -> None:
    async with (
        serve_pty({1: SimTracer()}, speeds={1: 115200}) as server,
        run_tty(server.path, site(tmp_path / "heliobus.toml"), bus.address, tmp_path) as one,
    ):
        await one.logged("found EP")
        server.close()
        # The server closes its line once more.
        server._master, server._slave = os.openpty()
        assert await one.ended() == 0
    assert len(one.matching("the tty has gone")) >= 1


async def test_the_config_says_what_is_there(tmp_path: Path, bus: BusDaemon) -> None:
    chargers = {unit: SimTriStar(unit=unit) for unit in (1, 30)}
    async with serve_pty(chargers, speeds={1: 9600, 30: 9600}) as server, Client(bus.address) as client:
        await client.listen()
        path = site(tmp_path / "heliobus.toml", device(server, "far", 30))
        async with run_tty(server.path, path, bus.address, tmp_path) as one:
            await until_served(client, f"com.victronenergy.solarcharger.tristar_{NUMBERS}")
            assert {unit for unit, _ in server.requests} == {30}
            async with run_tty(server.path, path, bus.address, tmp_path) as second:
                assert await second.ended() == 1
            assert "another heliobus" in second.lines[-1] and len(second.matching("^heliobus: ")) == 1
            assert await one.stop() == 0


async def test_a_tty_of_the_main_daemon_is_left_to_it(tmp_path: Path, bus: BusDaemon) -> None:
    async with serve_pty({1: SimTriStar()}, speeds={1: 9600}) as server:
        path = site(tmp_path / "heliobus.toml", device(server, "roof", 1))
        async with heliobus_run(path, bus.address) as rest:
            await rest.logged("found Morningstar")
            async with run_tty(server.path, path, bus.address, tmp_path) as one:
                assert await one.ended() == 0
            assert len(one.lines) == 1 and "served by the daemon" in one.lines[0]


@pytest.mark.parametrize("tty", ["no-such-tty", "/dev/no-such-tty"])
async def test_no_such_tty(tty: str, tmp_path: Path) -> None:
    async with run_tty(tty, site(tmp_path / "heliobus.toml"), None, tmp_path) as one:
        assert await one.ended() == 1
    assert one.lines == [f"heliobus: {tty}: no such tty"]


async def test_a_wrong_config_is_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_text("[[device]\n")
    async with run_tty("ttyX", path, None, tmp_path) as one:
        assert await one.ended() == 2


def test_numbers_stay_with_adapters_and_are_never_shared(tmp_path: Path) -> None:
    folder = tmp_path / "tty"
    first, second = first_number(folder, "usb-a"), first_number(folder, "usb-b")
    assert (first, second) == (NUMBERS, 2 * NUMBERS)
    assert first_number(folder, "usb-a") == first
    (folder / "numbers.json").write_text("[]")
    assert first_number(folder, "usb-c") == NUMBERS


async def test_the_start_script_of_a_gx_gives_the_tty(tmp_path: Path) -> None:
    """The script with run-service.sh and the command replaced by stand-ins that print what they are given."""
    folder = Path(__file__).resolve().parent.parent / "venus" / "serial-starter"
    stand_in = tmp_path / "run-service.sh"
    stand_in.write_text('tty=$1\nstart() { echo "$app" "$@"; }\n')
    text = (folder / "start-heliobus.sh").read_text()
    script = text.replace("/opt/victronenergy/serial-starter/run-service.sh", str(stand_in))
    assert script != text
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", script, "start-heliobus.sh", "ttyUSB3", stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().split()[1:] == ["run", "--tty", "ttyUSB3"]
    service, name, template = (folder / "heliobus.conf").read_text().split()
    assert (service, name) == ("service", template)
    assert "start-heliobus.sh TTY" in (folder / "service-template" / "run").read_text()
