"""`heliobus doctor`: what it says of good and of sick installations, against simulated devices on real sockets."""

import asyncio
import fcntl
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import serial

from daemon import PATIENCE, Result, environment, heliobus, heliobus_run
from heliobus.cli.doctor_charger import charger
from heliobus.cli.doctor_finding import Finding, Level, sick
from heliobus.cli.private_broker import free_port
from heliobus.config import DeviceConfig
from heliobus.devices import catalog
from heliobus.model.control_options import ControlOptions
from heliobus.model.device import Device, Identity
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.sim.http_cgi import serve_http
from heliobus.sim.pty_server import serve_pty
from heliobus.sim.server import TcpServer, serve_tcp
from heliobus.sim.tristar import SimTriStar
from heliobus.wire.address import parse_link
from venus_bus import running_daemon

NAME = "morningstar-tristar-mppt"
DRIVER = catalog.driver(NAME)


async def doctor(*arguments: str, bus: str | None = None, cwd: Path | None = None) -> Result:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from heliobus.cli.doctor import command; command(prog_name='heliobus doctor')",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(bus),
        cwd=cwd,
    )
    async with asyncio.timeout(PATIENCE):
        out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Result(process.returncode, out.decode(), err.decode())


def levels(result: Result) -> list[str]:
    return [line.split()[0] for line in result.out.splitlines()]


def line(result: Result, words: str) -> str:
    found = [each for each in result.out.splitlines() if words in each]
    assert len(found) == 1, result.out + result.err
    return found[0]


def write_config(folder: Path, link: str, *, bus: str = "unix:path=/nonexistent", extra: str = "") -> Path:
    path = folder / "heliobus.toml"
    path.write_text(
        f"[site]\nstate = '{folder / 'state'}'\n[[device]]\nname = 'roof'\ndriver = '{NAME}'\nlink = '{link}'\n{extra}"
        f"\n[output.venus]\nbus = '{bus}'\n"
    )
    return path


def controlled(http_port: int, more: str = "") -> str:
    return f"control = 'on'\nchemistry = 'flooded'\n{more}\n[device.server]\nhttp_port = {http_port}\n"


@asynccontextmanager
async def site(sim: SimTriStar) -> AsyncIterator[tuple[TcpServer, int]]:
    """A charger with its Modbus and its web server; that of Modbus, and the port of the other."""
    async with serve_tcp({1: sim}) as server, serve_http({1: sim}) as web:
        yield server, web.port


async def test_a_good_site_is_good(tmp_path: Path) -> None:
    with running_daemon(tmp_path) as bus:
        async with site(SimTriStar()) as (server, web):
            path = write_config(
                tmp_path,
                f"tcp://127.0.0.1:{server.port}",
                bus=bus.address,
                extra=controlled(web, "system_voltage = 24"),
            )
            result = await doctor("-c", str(path))
            writes = [pdu for _, pdu in server.requests if pdu[0] in (5, 6, 15, 16)]
    assert result.code == 0, result.out + result.err
    assert set(levels(result)) == {"ok"}, result.out
    assert writes == []
    assert "TriStar MPPT 60, serial number 10170296, firmware 1.1.42 answers" in line(result, "serial")
    assert "names of com.victronenergy are allowed" in line(result, "D-Bus")
    assert "no fault, and control is on" in result.out
    assert "web server answers as well (state " in result.out
    assert not (tmp_path / "state").exists(), "a look changes nothing"


async def test_one_device_by_driver_and_link_needs_no_config(tmp_path: Path) -> None:
    async with site(SimTriStar()) as (server, _):
        result = await doctor(f"{NAME}@tcp://127.0.0.1:{server.port}", cwd=tmp_path)
    assert result.code == 0, result.out + result.err
    assert "serial number 10170296" in result.out
    assert "control is off" in result.out


async def test_a_broken_config_is_a_problem_and_wrong_use_is_wrong_use(tmp_path: Path) -> None:
    path = write_config(tmp_path, "tcp://127.0.0.1:1", extra="pol = 5\n")
    result = await doctor("-c", str(path))
    assert result.code == 1
    assert levels(result) == ["problem"]
    assert "pol" in result.out
    empty = tmp_path / "empty"
    empty.mkdir()
    missing = await doctor(cwd=empty)
    assert missing.code == 1
    assert "no config found" in missing.out
    assert (await doctor("no-such-driver@tcp://127.0.0.1")).code == 2
    good = write_config(tmp_path, "tcp://127.0.0.1:1")
    unknown = await doctor("barn", "-c", str(good))
    assert unknown.code == 2
    assert "no device 'barn'" in unknown.err


@pytest.mark.slow
async def test_a_server_that_hangs_is_named_with_its_cure_and_one_that_is_silent_altogether_is_not(
    tmp_path: Path,
) -> None:
    async with site(SimTriStar()) as (server, web):
        await server.pause()
        link = f"tcp://127.0.0.1:{server.port}"
        extras = {
            "controlled": controlled(web),
            "read": f"[device.server]\nhttp_port = {web}\n",
            "silent": f"[device.server]\nhttp_port = {free_port()}\n",
        }
        for name in extras:
            (tmp_path / name).mkdir()
        paths = [write_config(tmp_path / name, link, extra=extra) for name, extra in extras.items()]
        cared, read, silent = await asyncio.gather(*(doctor("roof", "-c", str(path)) for path in paths))
    assert {cared.code, read.code, silent.code} == {1}
    said = line(cared, "Modbus server hangs")
    assert said.startswith("problem")
    assert "answers by HTTP (state " in said
    assert "it is restarted by heliobus run, at most once an hour" in said
    assert "switch the charger off and on" in line(read, "Modbus server hangs")
    assert "roof: no answer" in line(silent, "problem  roof")


async def test_a_closed_port(tmp_path: Path) -> None:
    path = write_config(tmp_path, f"tcp://127.0.0.1:{free_port()}")
    result = await doctor("-c", str(path))
    assert result.code == 1
    assert "nothing on port" in line(result, "problem  roof")


async def test_a_host_that_does_not_exist(tmp_path: Path) -> None:
    path = write_config(tmp_path, "tcp://no-such-host.invalid")
    result = await doctor("-c", str(path))
    assert "host no-such-host.invalid is not found" in line(result, "problem  roof")


async def test_something_else_at_the_place_does_not_pass_for_a_hung_server(tmp_path: Path) -> None:
    class Stranger(SimTriStar):
        @staticmethod
        def _product(model: int) -> str:
            return "PS-MPPT-40M"

    async with site(Stranger()) as (server, web):
        path = write_config(tmp_path, f"tcp://127.0.0.1:{server.port}", extra=controlled(web))
        result = await doctor("-c", str(path))
    assert result.code == 1
    assert "PS-MPPT-40M" in line(result, "problem  roof")


async def test_the_web_server_is_missed_before_it_is_needed(tmp_path: Path) -> None:
    async with serve_tcp({1: SimTriStar()}) as server:
        path = write_config(tmp_path, f"tcp://127.0.0.1:{server.port}", extra=controlled(free_port()))
        result = await doctor("-c", str(path))
    assert line(result, "web server").startswith("warning")
    assert "http_port" in line(result, "web server")


async def test_what_keeps_a_charger_under_control_from_being_commanded(tmp_path: Path) -> None:
    sim = SimTriStar(network_writes=False, program=2, system=24)
    sim.advance(30)
    sim.charger.requests.disconnect = True
    sim.state.control[0x5B] = 0x8000
    async with site(sim) as (server, web):
        path = write_config(tmp_path, f"tcp://127.0.0.1:{server.port}", extra=controlled(web, "system_voltage = 48"))
        result = await doctor("-c", str(path))
    assert result.code == 1
    assert line(result, "switch 8").startswith("problem  roof: control is on, but it takes no commands")
    assert line(result, "switches 4, 5 and 6").startswith("warning")
    assert line(result, "system_voltage is 48 in the config, but the charger has 24 V by switches 2 and 3")
    assert line(result, "0x005B fixes the array at 50").startswith("warning")
    assert "heliobus set roof charger_enabled on" in line(result, "told to disconnect")


async def test_a_daemon_is_left_the_only_master(tmp_path: Path) -> None:
    sim = SimTriStar(network_writes=False)
    with running_daemon(tmp_path) as bus:
        async with site(sim) as (server, web):
            place = f"{NAME}@tcp://127.0.0.1:{server.port}"
            extra = "poll = '60s'\n" + controlled(web, "system_voltage = 24")
            path = write_config(tmp_path, f"tcp://127.0.0.1:{server.port}", bus=bus.address, extra=extra)
            async with heliobus_run(path, bus.address) as running:
                await running.logged("found Morningstar")
                first = await heliobus("read", "roof", "-c", str(path), "battery_voltage", "control_source")
                asked, knocked = len(server.requests), server.connections_made
                result = await doctor("-c", str(path))
                link = await doctor(place, "-c", str(path))
                again = await heliobus("read", place, "-c", str(path), "battery_voltage", "--json")
                other = await heliobus("read", place, "-c", str(path), "--unit", "7")
                record = await heliobus("record", "roof", "-c", str(path))
                since = server.requests[asked:]
                # The daemon itself goes on looking at the coils every 5 s.
                assert {pdu for _, pdu in since} <= {bytes.fromhex("01 0000 0003")}, "only the daemon knocks"
                assert server.connections_made - knocked <= len(since)
    assert "only master" in result.out
    assert line(result, "left to the daemon").startswith("ok       roof: left to the daemon, which reads it: Morning")
    assert line(result, "switch 8").startswith("problem  roof: control is on, but it takes no commands")
    assert "tristar: left to the daemon" in link.out
    assert result.code == link.code == 1
    assert first.code == 0 and "serial number 10170296, firmware 1.1.42" in first.out, first.err
    assert json.loads(again.out)["points"]["battery_voltage"]["value"] > 20
    assert other.code == record.code == 3
    assert "does not have unit 7: add it to its config, or stop it" in other.err
    assert "stop it to record its frames" in record.err


async def test_what_is_silent_for_the_daemon_is_silent_for_all(tmp_path: Path) -> None:
    async with site(SimTriStar()) as (server, _):
        await server.pause(refuse=True)
        path = write_config(tmp_path, f"tcp://127.0.0.1:{server.port}")
        async with heliobus_run(path, None) as running:
            await running.logged("shown as not connected|no answer")
            result = await doctor("-c", str(path), "roof")
            read = await heliobus("read", "roof", "-c", str(path))
    assert line(result, "does not answer it").startswith("problem  roof: left to the daemon")
    assert read.code == 1 and read.err == "heliobus: roof: has never answered the daemon; its log says why\n"


async def test_a_state_directory_that_cannot_be_used(tmp_path: Path) -> None:
    path = write_config(tmp_path, "tcp://127.0.0.1:1")
    (tmp_path / "state").write_text("a file")
    result = await doctor("-c", str(path))
    assert "is not a directory" in line(result, "problem  state directory")


@pytest.mark.parametrize("own", [True, False])
async def test_the_d_bus(tmp_path: Path, own: bool) -> None:
    with running_daemon(tmp_path, own=own) as bus:
        path = write_config(tmp_path, "tcp://127.0.0.1:1", bus=bus.address)
        result = await doctor("-c", str(path))
        assert line(result, "D-Bus").startswith("ok" if own else "problem  D-Bus")
        bus.kill()
        assert line(await doctor("-c", str(path)), "problem  D-Bus")


async def test_a_tty_in_use_is_named_with_its_user(tmp_path: Path) -> None:
    async with serve_pty({1: SimTriStar()}) as server:
        with serial.Serial(server.path, exclusive=True):
            busy = await doctor(f"{NAME}@serial:{server.path}", cwd=tmp_path)
        assert busy.code == 1
        said = line(busy, "in use by another program")
        assert f"(pid {os.getpid()})" in said
        # The simulator is in this process, which so has the port open all the time.
        free = await doctor(f"{NAME}@serial:{server.path}", cwd=tmp_path)
    assert "is also open in" in line(free, "warning")
    assert "serial number 10170296" in free.out
    assert free.code == 0
    gone = await doctor(f"{NAME}@serial:{server.path}-gone", cwd=tmp_path)
    assert gone.code == 1
    assert "no such tty" in gone.out


async def test_a_directory_held_by_something_that_takes_no_commands_counts_as_a_daemon(tmp_path: Path) -> None:
    path = write_config(tmp_path, "tcp://127.0.0.1:1")
    (tmp_path / "state").mkdir()
    with (tmp_path / "state" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = await doctor("-c", str(path))
    assert line(result, "another heliobus works").startswith("warning")
    assert "roof: left to the daemon" in result.out


# What a reading says, without a device

CONFIG = DeviceConfig("roof", NAME, parse_link("tcp://192.0.2.4"))
CONTROLLED = replace(CONFIG, options=ControlOptions(on=True, system_voltage=24))
IDENTITY = Identity("Morningstar", "TriStar MPPT 60")
WELL: dict[str, Value] = {
    "fault_text": "",
    "general_alarm": 0,
    "charger_enabled": 1,
    "charger_state": 3,
    "fixed_array_voltage": 0.0,
    "fixed_array_percent": 0.0,
    "network_writes": 1,
    "battery_program": 7,
    "model_number": 1,
    "nominal_voltage": 24,
    "system_voltage_evidence": "switches 2 and 3",
}


def seen(config: DeviceConfig, **values: Value) -> list[Finding]:
    device = Device("roof", "roof", NAME, "tristar", DRIVER.role, "here", IDENTITY, DRIVER.points(), "tristar_1", 0)
    return list(charger(config, device, Reading("roof", 0.0, {**WELL, **values})))


def test_nothing_wrong_is_one_line() -> None:
    assert [finding.line for finding in seen(CONFIG)] == ["ok       roof: no fault; control is off, it is only read"]
    assert [finding.line for finding in seen(CONTROLLED)] == ["ok       roof: no fault, and control is on"]


@pytest.mark.parametrize(
    ("config", "values", "level", "words"),
    [
        (CONFIG, {"fault_text": "fault: RTS shorted", "general_alarm": 2}, Level.PROBLEM, "RTS shorted"),
        (CONFIG, {"fault_text": "alarm: current limit"}, Level.WARNING, "current limit"),
        (CONFIG, {"charger_state": 252}, Level.WARNING, "slave control"),
        (CONFIG, {"fixed_array_voltage": 60.0}, Level.WARNING, "0x005A fixes the array at 60.00 V"),
        (CONFIG, {"set_fixed_array_percent": 80.0}, Level.WARNING, "each start of the charger"),
        (CONTROLLED, {"network_writes": 0}, Level.PROBLEM, "switch 8"),
        (CONTROLLED, {"network_writes": None}, Level.PROBLEM, "not known yet"),
        (CONTROLLED, {"battery_program": 2}, Level.WARNING, "switches 4, 5 and 6"),
        (CONTROLLED, {"nominal_voltage": 48}, Level.PROBLEM, "48 V by switches 2 and 3"),
        (
            replace(CONTROLLED, options=ControlOptions(on=True)),
            {},
            Level.WARNING,
            "set system_voltage = 24 for this device",
        ),
        (
            replace(CONTROLLED, options=ControlOptions(on=True)),
            {"nominal_voltage": None},
            Level.WARNING,
            "system_voltage = 12, 24 or 48",
        ),
    ],
)
def test_each_trouble_has_one_line(config: DeviceConfig, values: dict[str, Value], level: Level, words: str) -> None:
    (finding,) = seen(config, **values)
    assert finding.level is level
    assert words in finding.line
    assert finding.remedy
    assert sick([finding]) is (level is Level.PROBLEM)


def test_what_concerns_commands_is_said_only_where_there_are_any() -> None:
    assert seen(CONFIG, network_writes=0, battery_program=2, nominal_voltage=48)[0].level is Level.OK
    serial_line = replace(CONTROLLED, link=parse_link("serial:/dev/ttyUSB0"))
    assert seen(serial_line, network_writes=0)[0].level is Level.OK, "switch 8 is for the network"


def test_nothing_of_an_unknown_value_is_said() -> None:
    assert re.match("ok", seen(CONFIG, **dict.fromkeys(WELL))[0].line)
