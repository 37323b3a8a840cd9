"""`heliobus set`, through a daemon's socket and without a daemon."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from heliobus.app import StartError
from heliobus.cli import direct
from heliobus.cli.problem import RefusedByGuard
from heliobus.cli.value_text import parse, shown
from heliobus.config import Config, DeviceConfig
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, Control, ControlKind, Failed, Refused
from heliobus.model.point import Value
from heliobus.outputs.requests import Request
from heliobus.site import Site
from socket_site import CONTROLS, DRIVER, FLOAT_CHANGE, Charger, furnished, serving, typed, typed_beside, write_config

LINK = f"{DRIVER}@tcp://192.0.2.4"


@asynccontextmanager
async def daemon(tmp_path: Path) -> AsyncIterator[tuple[Charger, str]]:
    """A charger behind a daemon's socket, and the config to name on the command line."""
    site = Site()
    charger = furnished(site)
    async with serving(site, tmp_path):
        yield charger, str(write_config(tmp_path))


class Alone:
    """What `open_control` gives where no daemon runs; the site is made within the command's own loop."""

    def __init__(self) -> None:
        self.opened: list[str] = []
        self.closed = 0
        self.charger: Charger | None = None
        self.prepare = lambda charger: None

    @asynccontextmanager
    async def __call__(self, config: Config, device: DeviceConfig) -> AsyncIterator[Site]:
        self.opened.append(device.name)
        site = Site()
        self.charger = furnished(site, device.name)
        self.prepare(self.charger)
        try:
            yield site
        finally:
            self.closed += 1


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Alone:
    one = Alone()
    monkeypatch.setattr("heliobus.app.open_control", one)
    return one


async def test_a_switch_is_shown_and_set(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        result = await typed_beside("set", "roof", "charger_enabled", "off", "-c", config)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "roof: charger_enabled on → off (coil 0x0002 0 → 1)",
        "roof: done, charger_enabled is off",
    ]
    [command] = charger.commands
    assert (command.device, command.point, command.value, command.origin) == ("roof", "charger_enabled", 0, "cli")


async def test_dry_run_shows_words_and_touches_nothing(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        charger.changes = (FLOAT_CHANGE,)
        result = await typed_beside("set", "roof", "set_float_voltage", "27.4V", "--dry-run", "-c", config)
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "roof: set_float_voltage 27.20 V → 27.40 V (register 0xE001 0x09AB → 0x09BD)",
        "roof: nothing was written (--dry-run)",
    ]
    assert charger.plans and not charger.commands


async def test_json_says_it_all_in_one_document(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (_, config):
        done = await typed_beside("set", "roof", "charger_enabled", "off", "--json", "-c", config)
        refused = await typed_beside("set", "roof", "equalize_requested", "on", "--json", "-c", config)
    document = json.loads(done.stdout)
    assert (document["outcome"], document["result"], document["why"]) == ("done", 0, None)
    assert document["changes"][0]["place"] == "coil 0x0002"
    document = json.loads(refused.stdout)
    assert (document["outcome"], document["why"], refused.exit_code) == ("refused", "equalize is locked", 3)
    assert refused.stderr == "heliobus: roof: equalize is locked\n"


async def test_exit_codes(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        charger.outcome = Failed("no answer")
        failed = await typed_beside("set", "roof", "charger_enabled", "off", "-c", config)
        charger.outcome = Refused("settings switch 8 is off")
        refused = await typed_beside("set", "roof", "charger_enabled", "off", "-c", config)
        outside = await typed_beside("set", "roof", "charge_voltage_limit", "33", "-c", config)
        wrong = await typed_beside("set", "roof", "charger_enabled", "perhaps", "-c", config)
    assert (failed.exit_code, failed.stderr) == (1, "heliobus: roof: no answer\n")
    assert (refused.exit_code, refused.stderr) == (3, "heliobus: roof: settings switch 8 is off\n")
    assert outside.exit_code == 3 and "0 to 32" in outside.stderr
    assert wrong.exit_code == 2 and "on or off" in wrong.stderr


async def test_without_a_point_all_that_can_be_commanded_is_listed(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (_, config):
        result = await typed_beside("set", "roof", "-c", config)
        as_json = await typed_beside("set", "roof", "--json", "-c", config)
    lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
    assert lines[0] == "roof: Morningstar TriStar MPPT 60 10170296, Modbus TCP 192.0.2.4, unit 1"
    assert "charger_enabled switch on or off on" in lines
    assert "equalize_requested switch on or off off locked: equalize is locked" in lines
    assert "reset_controller button press" in lines
    assert "charge_voltage_limit number 0 to 32 V, or none none" in lines
    assert "set_float_voltage setting 0 to 90 V 27.20 V" in lines
    assert "set_temperature_compensation setting -1 to 0 V/°C ---" in lines
    assert not [line for line in lines if line.startswith("remote_")], "not for people"
    rows = {row["point"]: row for row in json.loads(as_json.stdout)}
    assert set(rows) == {each.point.name for each in CONTROLS if not each.dynamic}
    assert rows["charge_voltage_limit"]["high"] == 32.0 and rows["charger_enabled"]["high"] is None


async def test_words_that_mean_nothing_get_a_hint(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        point = await typed_beside("set", "roof", "charger_enable", "off", "-c", config)
        device = await typed_beside("set", "rof", "charger_enabled", "off", "-c", config)
        value = await typed_beside("set", "roof", "reset_controller", "-c", config)
        option = await typed_beside("set", "roof", "charger_enabled", "off", "--dryrun", "-c", config)
    assert point.exit_code == 2 and "did you mean 'charger_enabled'?" in point.stderr
    assert "reset_controller" in point.stderr and len(point.stderr.splitlines()) == 1
    assert device.exit_code == 2 and "did you mean 'roof'?" in device.stderr
    assert value.exit_code == 2 and "takes press" in value.stderr
    assert option.exit_code == 2
    assert not charger.commands


async def test_negative_values_are_no_options(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        result = await typed_beside("set", "roof", "set_temperature_compensation", "-0.03", "--yes", "-c", config)
    assert result.exit_code == 0, result.stderr
    assert [command.value for command in charger.commands] == [-0.03]


async def test_a_stored_setting_is_not_changed_without_a_yes(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        charger.changes = (FLOAT_CHANGE,)
        asked = await typed_beside("set", "roof", "set_float_voltage", "27.4", "-c", config)
        assert asked.exit_code == 2 and "--yes" in asked.stderr and "restarts the charger" in asked.stderr
        assert "set_float_voltage 27.20 V → 27.40 V" in asked.stdout
        assert not charger.commands
        charger.changes = ()
        same = await typed_beside("set", "roof", "set_float_voltage", "27.2", "-c", config)
        assert same.exit_code == 0 and "stored so already" in same.stdout
        charger.changes = (FLOAT_CHANGE,)
        charger.steps = (("writing", 40.0),)
        done = await typed_beside("set", "roof", "set_float_voltage", "27.4", "--yes", "-c", config)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == "roof: 40 % writing\n"
    assert done.stdout.splitlines()[-1] == "roof: done, set_float_voltage is 27.40 V"


@pytest.mark.parametrize(("answer", "code", "commands"), [("y\n", 0, 1), ("n\n", 1, 0)])
async def test_in_a_terminal_it_asks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, commands: int
) -> None:
    monkeypatch.setattr("heliobus.cli.order._interactive", lambda: True)
    async with daemon(tmp_path) as (charger, config):
        charger.changes = (FLOAT_CHANGE,)
        result = await typed_beside("set", "roof", "set_float_voltage", "27.4", "-c", config, answer=answer)
        assert len(charger.commands) == commands
    assert result.exit_code == code
    assert result.stdout.count("27.20 V → 27.40 V") == 1


@pytest.mark.parametrize(
    ("text", "control", "value"),
    [
        ("28.4", v.CHARGE_VOLTAGE_LIMIT, 28.4),
        ("28.4V", v.CHARGE_VOLTAGE_LIMIT, 28.4),
        (" 28.4 v ", v.CHARGE_VOLTAGE_LIMIT, 28.4),
        ("+.5", v.CHARGE_VOLTAGE_LIMIT, 0.5),
        ("-1", v.CHARGE_VOLTAGE_LIMIT, -1.0),
        ("28.4 A", v.CHARGE_VOLTAGE_LIMIT, None),
        ("28,4", v.CHARGE_VOLTAGE_LIMIT, None),
        ("nan", v.CHARGE_VOLTAGE_LIMIT, None),
        ("inf", v.CHARGE_VOLTAGE_LIMIT, None),
        ("1e3", v.CHARGE_VOLTAGE_LIMIT, None),
        ("", v.CHARGE_VOLTAGE_LIMIT, None),
        ("None", v.CHARGE_VOLTAGE_LIMIT, 0.0),
        ("off", v.CHARGE_CURRENT_LIMIT, 0.0),
        ("none", v.BATTERY_VOLTAGE, None),
        ("0.5m", v.EQUALIZE_TIME_LEFT, 30.0),
        ("90 min", v.EQUALIZE_TIME_LEFT, 5400.0),
        ("2h", v.EQUALIZE_TIME_LEFT, 7200.0),
        ("2d", v.EQUALIZE_TIME_LEFT, None),
        ("2h", v.BATTERY_VOLTAGE, None),
        ("bulk", v.CHARGER_STATE, 3),
        ("3", v.CHARGER_STATE, 3.0),
    ],
)
def test_numbers_as_people_write_them(text: str, control: v.Point, value: Value) -> None:
    number = Control(control, ControlKind.NUMBER, 0.0, 60.0)
    if value is None:
        with pytest.raises(ValueError, match="takes"):
            parse(text, number)
    else:
        assert parse(text, number) == value


@pytest.mark.parametrize("text", ["on", "YES", "true", "1", " On"])
def test_on(text: str) -> None:
    assert parse(text, CONTROLS[0]) == 1
    assert parse({"on": "off", "YES": "no", "true": "False", "1": "0"}.get(text, "OFF"), CONTROLS[0]) == 0


def test_no_limit_is_not_a_limit_of_0() -> None:
    assert shown(v.CHARGE_CURRENT_LIMIT, 0.0) == "none"
    assert shown(v.CHARGE_CURRENT_LIMIT, 12.0) == "12.00 A"
    assert shown(v.CHARGE_CURRENT_LIMIT, None) == "---"
    assert shown(v.BATTERY_CURRENT, 0.0) == "0.00 A"


def test_buttons_and_texts() -> None:
    assert parse("press", CONTROLS[2]) == 1
    with pytest.raises(ValueError, match="press"):
        parse("off", CONTROLS[2])
    assert parse(" on ", CONTROLS[5]) == " on "


# Without a daemon.


def test_without_a_daemon_the_device_is_opened_for_the_command(tmp_path: Path, alone: Alone) -> None:
    result = typed("set", "roof", "charger_enabled", "off", "-c", str(write_config(tmp_path)))
    assert result.exit_code == 0, result.stderr
    assert "roof: done, charger_enabled is off" in result.stdout
    assert alone.charger is not None and [each.origin for each in alone.charger.commands] == ["cli"]
    assert (alone.opened, alone.closed) == (["roof"], 1)


@pytest.mark.parametrize("point", ["charge_voltage_limit", "charge_current_limit", "top_charge", "bms_required"])
def test_what_must_be_renewed_is_refused_without_a_daemon(point: str) -> None:
    why = direct.refusal(Request("command", "roof", point, 1))
    assert why is not None and "heliobus run" in why


def test_limits_end_with_three_without_a_daemon(tmp_path: Path, alone: Alone) -> None:
    for more in ((), ("--dry-run",)):
        result = typed("set", "roof", "charge_voltage_limit", "28", "-c", str(write_config(tmp_path)), *more)
        assert result.exit_code == 3 and "only while the daemon renews it" in result.stderr
    assert alone.charger is not None and not alone.charger.commands


def test_an_equalize_can_be_ended_but_not_begun_without_a_daemon() -> None:
    assert direct.refusal(Request("command", "roof", "equalize_requested", 1)) is not None
    assert direct.refusal(Request("command", "roof", "equalize_requested", 0)) is None
    assert direct.refusal(Request("settings", "roof")) is None


def test_control_that_is_off_is_refused_before_anything_is_opened(tmp_path: Path, alone: Alone) -> None:
    result = typed("set", "shed", "charger_enabled", "off", "-c", str(write_config(tmp_path)))
    assert result.exit_code == 3 and 'set control = "on"' in result.stderr
    assert not alone.opened


def test_a_link_is_commanded_only_by_who_says_so(tmp_path: Path, alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setattr("heliobus.config.default_state", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    silent = typed("set", LINK, "charger_enabled", "off")
    assert silent.exit_code == 2 and "--control" in silent.stderr
    assert not alone.opened
    allowed = typed("set", LINK, "charger_enabled", "off", "--control")
    assert allowed.exit_code == 0, allowed.stderr
    assert alone.opened == ["tristar"]
    by_name = typed("set", "roof", "charger_enabled", "off", "--control", "-c", str(write_config(tmp_path)))
    assert by_name.exit_code == 2 and "DRIVER@LINK" in by_name.stderr


async def test_a_link_that_the_daemon_has_goes_through_the_daemon(tmp_path: Path, alone: Alone) -> None:
    async with daemon(tmp_path) as (charger, config):
        result = await typed_beside("set", LINK, "charger_enabled", "off", "--control", "-c", config)
        other = await typed_beside(
            "set", f"{DRIVER}@tcp://192.0.2.9", "charger_enabled", "off", "--control", "-c", config
        )
    assert result.exit_code == 0, result.stderr
    assert [command.device for command in charger.commands] == ["roof"]
    assert other.exit_code == 1 and "a daemon runs here" in other.stderr
    assert not alone.opened


def test_a_device_that_cannot_be_opened_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @asynccontextmanager
    async def fail(config: Config, device: DeviceConfig) -> AsyncIterator[Site]:
        raise StartError("roof does not answer")
        yield

    monkeypatch.setattr("heliobus.app.open_control", fail)
    result = typed("set", "roof", "charger_enabled", "off", "-c", str(write_config(tmp_path)))
    assert (result.exit_code, result.stderr) == (1, "heliobus: roof does not answer\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_command_is_finished_first(tmp_path: Path, alone: Alone, number: int) -> None:
    def interrupt(charger: Charger) -> None:
        async def command(command: object) -> Failed:
            os.kill(os.getpid(), number)
            for _ in range(20):
                await asyncio.sleep(0)
            charger.ended.set()
            assert not alone.closed, "the device is still open"
            return Failed("whatever")

        charger.command = command  # type: ignore[method-assign, assignment]

    alone.prepare = interrupt  # type: ignore[assignment]
    result = typed("set", "roof", "charger_enabled", "off", "-c", str(write_config(tmp_path)))
    assert result.exit_code == 130
    assert "finished first" in result.stderr
    assert alone.charger is not None and alone.charger.ended.is_set()
    assert alone.closed == 1


def test_a_guard_has_its_own_exit_code() -> None:
    assert RefusedByGuard("no").exit_code == 3


def test_the_commands_bring_no_rich() -> None:
    import subprocess

    code = "import sys, heliobus.cli.set, heliobus.cli.profile; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_change_without_an_old_word(tmp_path: Path, alone: Alone) -> None:
    def unknown(charger: Charger) -> None:
        charger.changes = (Change("reset_controller", "coil 0x00FF", None, 1, None, 1),)

    alone.prepare = unknown  # type: ignore[assignment]
    result = typed("set", "roof", "reset_controller", "press", "-c", str(write_config(tmp_path)))
    assert result.stdout.splitlines() == ["roof: reset_controller → pressed (coil 0x00FF → 1)", "roof: done"]
