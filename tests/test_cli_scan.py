"""`heliobus scan` on simulated lines: pseudo-terminals and sockets of this machine, nothing beyond."""

import fcntl
import json
import os
import signal
import socket
import tomllib
from pathlib import Path

import pytest

from daemon import heliobus, heliobus_run
from heliobus import config
from heliobus.devices import catalog
from heliobus.scan import Options, Quiet, Report, Speed, Target, survey
from heliobus.sim.faults import Faults
from heliobus.sim.pty_server import PtyServer, serve_pty
from heliobus.sim.pzem import SimPzemAc, SimPzemDc
from heliobus.sim.server import serve_rtu_tcp, serve_tcp
from heliobus.sim.tracer import SimTracer
from heliobus.sim.tristar import SimTriStar
from heliobus.wire.address import parse_link
from test_cli import spawn

READS = {1, 2, 3, 4, 43}
BUS = "unix:path=/nonexistent"
"""An address like one of a D-Bus, with which a config without [output] is good."""


async def search(*targets: Target, **options: object) -> Report:
    report = Report()
    drivers = options.pop("drivers", catalog.drivers())
    await survey(targets, Options(drivers, **options), report, Quiet())  # type: ignore[arg-type]
    return report


def tty(server: PtyServer, speed: Speed | None = None) -> Target:
    return Target(parse_link(f"serial:{server.path}"), speed)


def functions(server: PtyServer) -> set[int]:
    return {pdu[0] for _, pdu in server.requests}


async def test_a_mixed_line_is_found_with_reads_alone() -> None:
    tracer, ac, dc = SimTracer(2), SimPzemAc(4), SimPzemDc(5)
    speeds = {2: 115200, 4: 9600, 5: 9600}
    async with serve_pty({2: tracer, 4: ac, 5: dc}, speeds=speeds) as server:
        report = await search(tty(server))
        assert functions(server) <= READS
    found = {each.unit: (each.driver.name, each.link.baud) for each in report.found}
    assert found == {2: ("epever-tracer", 115200), 4: ("pzem-ac", 9600), 5: ("pzem-dc", 9600)}
    assert not report.strangers and not report.silent and not report.passed
    assert report.shortened == [server.path]
    by_unit = {each.unit: each for each in report.found}
    assert by_unit[2].identity.model == "Tracer4215BN" and by_unit[2].identity.serial == "0002201301200045"
    assert by_unit[2].link.text == f"serial:{server.path}"
    assert by_unit[5].link.stop == 1
    assert (ac.writes, dc.writes, ac.calibrations, dc.calibrations) == (0, 0, 0, 0)


async def test_no_question_is_put_twice_and_silent_units_get_one() -> None:
    async with serve_pty({1: SimTriStar()}, speeds={1: 9600}) as server:
        await search(tty(server, Speed(9600, 1)), units=(1, 2, 3))
        asked = [(unit, bytes(pdu)) for unit, pdu in server.requests]
    assert len(asked) == len(set(asked))
    assert [unit for unit, _ in asked if unit != 1] == [2, 3]


async def test_unlikely_ids_are_tried_only_where_nothing_was_found() -> None:
    meters = (catalog.driver("pzem-ac"),)
    async with serve_pty({14: SimPzemAc(14)}, speeds={14: 9600}) as server:
        report = await search(tty(server), drivers=meters)
        assert [each.unit for each in report.found] == [14] and not report.shortened
    async with serve_pty({1: SimPzemAc(1), 14: SimPzemAc(14)}, speeds={1: 9600, 14: 9600}) as server:
        report = await search(tty(server), drivers=meters)
        assert [each.unit for each in report.found] == [1] and report.shortened == [server.path]
        report = await search(tty(server), units=(14, 1), drivers=meters)
        assert [each.unit for each in report.found] == [14, 1] and not report.shortened


async def test_a_noisy_line_still_tells_who_is_there() -> None:
    speeds = dict.fromkeys((1, 2, 3), 9600)
    meters = {unit: SimPzemAc(unit) for unit in speeds}
    async with serve_pty(meters, faults=Faults(flipped=0.15, seed=5), speeds=speeds) as server:
        report = await search(tty(server, Speed(9600, 1)), likely_only=True)
    assert {(each.unit, each.driver.name) for each in report.found} <= {(unit, "pzem-ac") for unit in speeds}
    assert len(report.found) + len(report.strangers) >= 2


async def test_something_else_is_told_and_not_taken() -> None:
    async with serve_pty({1: SimTriStar()}, speeds={1: 115200}) as server:
        report = await search(tty(server, Speed(115200, 1)), units=(1,))
    assert not report.found
    (stranger,) = report.strangers
    assert "Morningstar" in stranger.why


async def test_tcp_both_ways_and_what_is_closed() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        async with serve_tcp({1: SimTriStar()}) as one, serve_rtu_tcp({3: SimTracer(3)}) as two:
            links = [f"tcp://127.0.0.1:{one.port}", f"rtu+tcp://127.0.0.1:{two.port}", f"tcp://127.0.0.1:{port}"]
            report = await search(*(Target(parse_link(each)) for each in links), units=(1, 3))
            assert {pdu[0] for _, pdu in one.requests} <= READS
    assert {(each.driver.name, each.unit) for each in report.found} == {
        ("morningstar-tristar-mppt", 1),
        ("epever-tracer", 3),
    }
    (passed,) = report.passed
    assert passed.place == links[2] and "refused" in passed.why


async def test_one_of_many_hosts_that_refuses_is_no_news() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        link = parse_link(f"tcp://127.0.0.1:{closed.getsockname()[1]}")
        report = await search(Target(link, one_of_many=True))
    assert report == Report()


async def test_a_locked_tty_is_left_alone() -> None:
    async with serve_pty({1: SimTriStar()}) as server:
        holder = os.open(server.path, os.O_RDWR | os.O_NOCTTY)
        try:
            fcntl.flock(holder, fcntl.LOCK_EX)
            report = await search(tty(server))
        finally:
            os.close(holder)
        assert not server.requests
    (passed,) = report.passed
    assert passed.why.startswith("in use by")


async def test_the_command_prints_a_table_that_the_config_takes(tmp_path: Path) -> None:
    async with serve_pty({1: SimTriStar(), 2: SimTriStar(serial="00000002")}, speeds={1: 9600, 2: 9600}) as server:
        place = f"serial:{server.path}?baud=9600"
        result = await heliobus("scan", place, "--units", "1,2", bus=BUS, cwd=tmp_path)
        assert result.code == 0, result.err
        table, _, toml = result.out.partition("\n\n")
        assert [line.split()[0] for line in table.splitlines()] == ["driver", *["morningstar-tristar-mppt"] * 2]
        document = tomllib.loads(toml) | {"output": {"venus": {"bus": BUS}}}
        devices = config.parse(document, "what was printed").devices
        assert [(each.link.path, each.unit, each.link.stop) for each in devices] == [
            (server.path, 1, 1),
            (server.path, 2, 1),
        ]
        result = await heliobus("scan", place, "--units", "2", "--json", bus=BUS, cwd=tmp_path)
    found = json.loads(result.out)
    (entry,) = found["found"]
    assert (entry["driver"], entry["serial"], entry["unit"], entry["baud"], entry["name"]) == (
        "morningstar-tristar-mppt",
        "00000002",
        2,
        9600,
        None,
    )
    assert tomllib.loads(found["toml"])["device"][0]["unit"] == 2


async def test_write_adds_a_device_once(tmp_path: Path) -> None:
    path = tmp_path / "heliobus.toml"
    before = f"# my site\n[site]\nstate = '{tmp_path / 'state'}'\n[output.venus]\nbus = '{BUS}'"
    path.write_text(before)
    async with serve_pty({2: SimTriStar()}, speeds={2: 9600}) as server:
        arguments = ("scan", f"serial:{server.path}?baud=9600", "--units", "2", "--write", "-c", str(path))
        first = await heliobus(*arguments)
        assert first.code == 0 and "1 device added" in first.err and "[[device]]" not in first.out
        written = path.read_text()
        second = await heliobus(*arguments)
    assert written.startswith(before)
    (device,) = config.load(path).devices
    assert (device.link.path, device.unit) == (server.path, 2)
    assert second.code == 0 and "nothing to add" in second.err and "tristar" in second.out
    assert path.read_text() == written


async def test_nothing_there_gives_hints_and_exit_code_1(tmp_path: Path) -> None:
    async with serve_pty({}) as server:
        result = await heliobus("scan", f"serial:{server.path}?baud=115200", "--units", "1", cwd=tmp_path)
    assert result.code == 1 and not result.out
    lines = result.err.splitlines()
    assert lines[0].startswith(f"{server.path}: nothing answers")
    assert "swap A and B" in lines[1]
    missing = await heliobus("scan", "/dev/no-such-tty", cwd=tmp_path)
    assert missing.code == 1 and "no such tty" in missing.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("scan", "8.8.8.0/24"), "private"),
        (("scan", "192.168.0.0/16"), "too many hosts"),
        (("scan", "nonsense"), "not understood"),
        (("scan", "tcp://127.0.0.1:1", "--units", "0-3"), "1..247"),
        (("scan", "tcp://127.0.0.1:1", "--units", "9-3"), "backwards"),
    ],
)
async def test_wrong_use(arguments: tuple[str, ...], words: str, tmp_path: Path) -> None:
    result = await heliobus(*arguments, cwd=tmp_path)
    assert result.code == 2 and words in result.err and len(result.err.splitlines()) == 1


async def test_ctrl_c_prints_what_was_found(tmp_path: Path) -> None:
    async with serve_pty({1: SimPzemAc(1)}, speeds={1: 9600}) as server:
        process = await spawn("scan", f"serial:{server.path}?baud=9600", "--all", "--json")
        while not any(unit > 1 for unit, _ in server.requests):
            await _turn()
        process.send_signal(signal.SIGINT)
        out, err = await process.communicate()
    assert process.returncode == 130
    assert [each["unit"] for each in json.loads(out)["found"]] == [1]
    assert "interrupted" in err.decode()


async def test_what_the_daemon_has_is_not_searched(tmp_path: Path) -> None:
    async with serve_tcp({1: SimTriStar()}) as server:
        path = tmp_path / "heliobus.toml"
        path.write_text(
            f"[site]\nstate = '{tmp_path / 'state'}'\n[[device]]\ndriver = 'morningstar-tristar-mppt'\n"
            f"link = 'tcp://127.0.0.1:{server.port}'\n[output.venus]\nbus = '{BUS}'\non_bus_loss = 'reconnect'\n"
        )
        async with heliobus_run(path, None) as daemon:
            await daemon.logged("found Morningstar")
            result = await heliobus("scan", "-c", str(path), f"tcp://127.0.0.1:{server.port}", "--json")
    assert result.code == 1
    (passed,) = json.loads(result.out)["passed_over"]
    assert "the daemon is its only master" in passed["why"]


async def _turn() -> None:
    import asyncio

    await asyncio.sleep(0.02)
