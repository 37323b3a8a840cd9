"""`heliobus pzem`: what its user reads, is asked, and gets as exit code."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from heliobus.cli import pzem
from heliobus.cli.main import COMMANDS
from heliobus.sim.pty_server import serve_pty
from heliobus.sim.pzem import SimPzemAc
from heliobus.sim.serial_units import SerialUnits
from heliobus.sim.virtual_time import run_virtual
from heliobus.site import Site
from heliobus.wire.address import LinkAddress
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.rtu import RtuFramer
from pzem_line import FakeLine, FakeMeter
from socket_site import furnished, serving, typed, typed_beside, write_config
from wire_fakes import FakeLink

Type = Callable[..., Result]
TTY = "/dev/ttyMETER"


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> FakeLine:
    """An empty line that the command reaches in place of any tty."""
    meters = FakeLine()

    def bus(_: LinkAddress) -> Bus:
        return Bus(FakeLink(meters), RtuFramer())

    monkeypatch.setattr(pzem, "make_bus", bus)
    return meters


@pytest.fixture
def type_(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Type:
    monkeypatch.setattr(asyncio, "run", run_virtual)
    config = str(write_config(tmp_path))

    def run(*arguments: str, answer: str | None = None) -> Result:
        return typed("pzem", TTY, "-c", config, *arguments, answer=answer)

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody sits before the terminal."""
    monkeypatch.setattr(pzem, "interactive", lambda: True)


def table(result: Result) -> dict[str, str]:
    assert result.exit_code == 0, result.output
    rows = [row.split(maxsplit=1) for row in result.stdout.splitlines()[1:]]
    return {row[0]: row[1] for row in rows}


def test_it_is_a_command() -> None:
    assert "address" in COMMANDS["pzem"]


def test_the_one_meter_is_shown(line: FakeLine, type_: Type) -> None:
    line.meters.append(FakeMeter(10))
    result = type_()
    assert result.stdout.splitlines()[0] == f"Peacefair PZEM-014/016/004T (AC), address 10, on {TTY}"
    shown = table(result)
    assert shown["ac_voltage"] == "225.70 V" and shown["ac_power"] == "24.4 W"
    assert shown["energy_forward_counter"] == "38 Wh" and shown["set_alarm_power"] == "2300 W"
    assert not line.written(6, 0x42)


def test_a_dc_meter_is_shown_with_its_shunt(line: FakeLine, type_: Type) -> None:
    line.meters.append(FakeMeter(20, ac=False))
    shown = table(type_("--unit", "20"))
    assert shown["dc_voltage"] == "13.44 V" and shown["current_range"] == "100 A"
    assert shown["set_high_voltage_alarm"] == "300.00 V"
    line.meters[:] = [FakeMeter(20, ac=False, shunt=False)]
    assert "not supported" in table(type_())["current_range"]


def test_the_kind_may_be_said(line: FakeLine, type_: Type) -> None:
    line.meters.append(FakeMeter(1, ac=False))
    assert "dc_voltage" in table(type_("--dc"))
    wrong = type_("--ac")
    assert wrong.exit_code == 0 and "not supported" in wrong.stdout


def test_nobody_is_there(line: FakeLine, type_: Type) -> None:
    result = type_()
    assert result.exit_code == 1
    assert result.stderr == (
        "heliobus: fake: no meter answers: an AC meter needs mains, a DC meter 5 V on its RS-485 side, "
        "and A and B may be swapped\n"
    )


def test_several_are_refused(line: FakeLine, type_: Type) -> None:
    line.meters += [FakeMeter(1), FakeMeter(2)]
    line.meters[1].inputs[0] = 0x08DF
    for arguments in ([], ["--set-address", "9", "--yes"], ["--unit", "2", "--reset-energy", "--yes"]):
        result = type_(*arguments)
        assert result.exit_code == 3, result.output
        assert "more than one meter is on this line" in result.stderr and result.stderr.count("\n") == 1
    assert not line.written(6, 0x42)


def test_the_address_is_changed_after_a_question(line: FakeLine, type_: Type, asked: None) -> None:
    line.meters.append(FakeMeter(1))
    result = type_("--set-address", "10", answer="y\n")
    assert result.exit_code == 0, result.output
    assert "The meter at address 1 gets address 10, at once and for good. Go on? [y/N]" in result.stderr
    assert result.stdout.splitlines()[-1] == "Done: it answers at address 10 now. In the config: unit = 10"
    assert line.meters[0].address == 10


def test_a_no_is_a_no(line: FakeLine, type_: Type, asked: None) -> None:
    line.meters.append(FakeMeter(1))
    assert type_("--set-address", "10", answer="n\n").exit_code == 1
    assert type_("--reset-energy", answer="\n").exit_code == 1
    assert not line.written(6, 0x42)


def test_without_a_terminal_it_takes_a_yes(line: FakeLine, type_: Type) -> None:
    line.meters.append(FakeMeter(1))
    result = type_("--set-address", "10")
    assert (result.exit_code, result.stderr) == (
        2,
        "heliobus: this changes the meter: say that you want it with --yes\n",
    )
    assert not line.frames


@pytest.mark.parametrize(
    "arguments",
    [
        ["--set-address", "0"],
        ["--set-address", "248"],
        ["--set-shunt", "150"],
        ["--set-alarm-power", "0"],
        ["--set-address", "5", "--reset-energy", "--yes"],
        ["--unit", "249"],
    ],
)
def test_wrong_use(line: FakeLine, type_: Type, arguments: list[str]) -> None:
    assert type_(*arguments).exit_code == 2
    assert not line.frames


def test_a_link_that_is_none(tmp_path: Path) -> None:
    result = typed("pzem", "COM3", "-c", str(write_config(tmp_path)))
    assert result.exit_code == 2 and "allowed are tcp://HOST" in result.stderr


def test_an_address_that_is_taken_or_its_own(line: FakeLine, type_: Type) -> None:
    line.meters.append(FakeMeter(1))
    own = type_("--set-address", "1", "--yes")
    assert (own.exit_code, own.stderr) == (3, "heliobus: the meter has address 1 already\n")
    # A Tracer of address 5 does not know the general one.
    line.others = {5: bytes((0x83, 2))}
    taken = type_("--set-address", "5", "--yes")
    assert (taken.exit_code, taken.stderr) == (3, "heliobus: address 5 is taken: something answers there\n")
    assert not line.written(6)


def test_the_shunt_is_changed(line: FakeLine, type_: Type) -> None:
    line.meters.append(FakeMeter(1, ac=False))
    result = type_("--set-shunt", "50", "--yes")
    assert "counts with a shunt of 50 A in place of 100 A" in result.stdout
    assert "energy counter is not rescaled" in result.stdout.splitlines()[-1]
    assert line.meters[0].settings[3] == 1
    line.meters[:] = [FakeMeter(1)]
    refused = type_("--set-shunt", "50", "--yes")
    assert refused.exit_code == 3 and "only a PZEM-017 has" in refused.stderr


def test_the_alarm_is_changed(line: FakeLine, type_: Type) -> None:
    line.meters.append(FakeMeter(1))
    assert "its alarm is at 500 W" in type_("--set-alarm-power", "500", "--yes").stdout
    assert line.meters[0].settings[1] == 500


def test_the_counter_is_set_back(line: FakeLine, type_: Type, asked: None) -> None:
    line.meters.append(FakeMeter(1))
    result = type_("--reset-energy", answer="y\n")
    assert "now 38 Wh, goes back to 0; that cannot be undone" in result.stderr
    assert result.exit_code == 0 and line.meters[0].inputs[5] == 0


def test_another_meter_after_the_question_is_left_alone(
    line: FakeLine, type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.meters.append(FakeMeter(1))

    def swapped(*_: object, **__: object) -> bool:
        line.meters[:] = [FakeMeter(2)]
        return True

    monkeypatch.setattr(pzem, "interactive", lambda: True)
    monkeypatch.setattr("click.confirm", swapped)
    result = type_("--set-address", "10")
    assert (result.exit_code, result.stderr) == (3, "heliobus: another meter is on the line now\n")
    assert not line.written(6)


async def test_a_daemon_keeps_its_line(tmp_path: Path, line: FakeLine) -> None:
    site = Site()
    furnished(site)
    config = str(write_config(tmp_path))
    async with serving(site, tmp_path):
        held = await typed_beside("pzem", "tcp://192.0.2.4", "-c", config)
        other = await typed_beside("pzem", "tcp://192.0.2.5", "--unit", "3", "-c", config)
    for result, endpoint in ((held, "192.0.2.4:502"), (other, "192.0.2.5:502")):
        assert result.exit_code == 3
        assert result.stderr.startswith(f"heliobus: the daemon is the only master of {endpoint}: stop it")
    assert not line.frames


async def test_on_a_tty(tmp_path: Path) -> None:
    meter = SimPzemAc(1, volts=231.4)
    config = str(write_config(tmp_path))
    async with serve_pty(SerialUnits([meter])) as server:
        changed = await typed_beside("pzem", server.path, "--set-address", "10", "--yes", "-c", config)
        shown = await typed_beside("pzem", f"serial:{server.path}", "-c", config)
    assert changed.exit_code == 0, changed.output
    assert meter.unit == 10 and meter.calibrations == 0
    assert shown.exit_code == 0 and "address 10" in shown.stdout and "231.40 V" in shown.stdout
