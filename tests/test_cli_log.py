"""`heliobus log`, as its user types it."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.cli.log import command
from heliobus.control.audit import Audit, Record

NOON = 1_780_315_200.0
"""2026-06-01 12:00 UTC, 14:00 in Oslo."""
DEVICE = '[[device]]\nname = "{}"\ndriver = "morningstar-tristar-mppt"\nlink = "tcp://192.0.2.{}"\n'


def record(number: int = 0, **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "time": NOON + 60 * number,
        "device": "roof",
        "key": "tristar_10170296",
        "origin": "cli",
        "point": "charge_voltage_limit",
        "old": 0.0,
        "new": 28.0 + number / 10,
        "result": "done",
        "why": "",
        "value": 28.0 + number / 10,
    }
    return Record(**{**fields, **changes})


class Cabin:
    """A config and a state directory."""

    def __init__(self, folder: Path, *, control: str = "on") -> None:
        self.config = folder / "heliobus.toml"
        self.state = folder / "state"
        self.config.write_text(
            f'[site]\ntimezone = "Europe/Oslo"\nstate = "{self.state}"\n'
            + DEVICE.format("roof", 1)
            + f'control = "{control}"\n'
            + DEVICE.format("barn", 2)
            + "[output.venus]\nbus = 'x'\n"
        )

    def wrote(self, *records: Record) -> None:
        async def write() -> None:
            book = Audit(self.state / "control")
            for each in records:
                await book.record(each)

        asyncio.run(write())

    def log(self, *arguments: str) -> Result:
        return CliRunner().invoke(command, ["-c", str(self.config), *arguments])

    def shown(self, *arguments: str) -> list[str]:
        result = self.log(*arguments)
        assert result.exit_code == 0, result.output
        return result.output.splitlines()


@pytest.fixture
def cabin(tmp_path: Path) -> Cabin:
    return Cabin(tmp_path)


def test_it_is_a_command() -> None:
    assert isinstance(command, click.Command)
    assert command.name == "log"


def test_the_table(cabin: Cabin) -> None:
    cabin.wrote(
        record(),
        record(1, point="equalize_requested", old=0, new=1, value=None, result="refused", why="it is locked"),
        record(2, point="set_float_voltage", old=27.0, new=27.2, value=27.19, origin="schedule", device="barn"),
        record(3, point="reset_controller", old=None, new=1, value=0, result="failed", why="no answer"),
        record(4, point="of_another_version", old=None, new="x", value="x"),
    )
    head, *rows = cabin.shown()
    assert head.split("  ")[0] == "time"
    assert [" ".join(row.split()) for row in rows] == [
        "2026-06-01 14:00:00 cli roof charge_voltage_limit 0.00 V → 28.00 V done",
        "2026-06-01 14:01:00 cli roof equalize_requested off → on refused: it is locked",
        "2026-06-01 14:02:00 schedule barn set_float_voltage 27.00 V → 27.20 V done (now 27.19 V)",
        "2026-06-01 14:03:00 cli roof reset_controller --- → pressed failed: no answer (now ready)",
        "2026-06-01 14:04:00 cli roof of_another_version --- → x done",
    ]
    starts = {row.index("→") and row.index(words) for row, words in zip(rows, ("cli", "cli", "schedule"), strict=False)}
    assert len(starts) == 1


def test_the_newest_and_how_many(cabin: Cabin) -> None:
    cabin.wrote(*map(record, range(30)))
    assert len(cabin.shown()) == 21
    rows = cabin.shown("-n", "2")[1:]
    assert "30.80 V" in rows[0]
    assert "30.90 V" in rows[1]
    assert cabin.log("-n", "0").exit_code == 2


def test_one_device_by_name_or_key(cabin: Cabin) -> None:
    cabin.wrote(record(), record(1, device="barn", key="tristar_2"))
    assert len(cabin.shown("roof")) == len(cabin.shown("tristar_2")) == 2
    assert "barn" in cabin.shown("barn")[1]
    assert cabin.shown("rof") == ["no command to rof has been recorded; devices are roof, barn"]


def test_json(cabin: Cabin) -> None:
    cabin.wrote(record(), record(1, new="a\udc80\x1b[2J", value=None, result="refused", why="no"))
    first, second = json.loads("\n".join(cabin.shown("--json")))
    assert first == {
        "time": "2026-06-01T12:00:00.000Z",
        "device": "roof",
        "key": "tristar_10170296",
        "origin": "cli",
        "point": "charge_voltage_limit",
        "old": 0.0,
        "new": 28.0,
        "result": "done",
        "why": "",
        "value": 28.0,
    }
    assert (second["new"], second["value"]) == ("a\udc80\x1b[2J", None)


@pytest.mark.parametrize(
    ("since", "rows"),
    [
        ("2026-06-01", 3),
        ("2026-06-02", 1),
        ("2026-06-03", 0),
        # Half past eleven UTC is half past one in Oslo, of the next day.
        ("2026-06-02 01:30", 1),
        ("2026-06-02T01:31", 0),
        ("2026-06-01T23:30Z", 1),
        ("2026-06-01T23:31+00:00", 0),
        ("0001-01-01", 3),
        ("9999-12-31", 0),
        ("5000w", 3),
        ("5s", 0),
    ],
)
def test_since(cabin: Cabin, since: str, rows: int) -> None:
    cabin.wrote(record(), record(1), record(time=NOON + 11.5 * 3600))
    assert len(json.loads("\n".join(cabin.shown("--json", "--since", since)))) == rows


@pytest.mark.parametrize(("since", "rows"), [("90s", 1), ("2 m", 1), ("2h", 2), ("2d", 3), ("1w", 4)])
def test_since_an_age(cabin: Cabin, since: str, rows: int) -> None:
    now = time.time()
    cabin.wrote(*(record(time=now - age) for age in (6 * 86400, 47 * 3600, 6000, 10)))
    assert len(cabin.shown("--since", since)) == rows + 1


@pytest.mark.parametrize("since", ["", "yesterday", "2026-13-01", "2y", "-2d", "2026-06-01T25:00", "٢d", "\x1b[2J"])
def test_a_time_that_is_none(cabin: Cabin, since: str) -> None:
    result = cabin.log("--since", since)
    assert result.exit_code == 2
    [line] = result.output.splitlines()
    assert line.startswith("heliobus: --since")
    assert line.isprintable()


def test_nothing_yet(cabin: Cabin, tmp_path: Path) -> None:
    assert cabin.shown() == ["no command has been recorded"]
    assert cabin.shown("--json") == ["[]"]
    assert cabin.shown("roof", "--since", "2d") == ["no command to roof since 2d has been recorded"]
    off = Cabin(tmp_path, control="off")
    [line] = off.shown()
    assert line == f'no command has been recorded; control is off: set control = "on" for a device in {off.config}'


def test_a_config_that_is_wrong(cabin: Cabin, tmp_path: Path) -> None:
    result = CliRunner().invoke(command, ["-c", str(tmp_path / "none.toml")])
    assert result.exit_code == 2
    assert "none.toml: cannot be read" in result.output


def test_a_record_that_cannot_be_read(cabin: Cabin) -> None:
    (cabin.state / "control" / "commands.log").mkdir(parents=True)
    result = cabin.log()
    assert result.exit_code == 1
    assert "commands.log: cannot be read" in result.output
    assert len(result.output.splitlines()) == 1


def test_what_somebody_sent_cannot_touch_the_terminal(cabin: Cabin) -> None:
    cabin.wrote(
        record(origin="mqtt\n\x1b[2J", point="apply_settings", new="\x1b]0;x\x07" + "y" * 5000, result="refused")
    )
    lines = cabin.shown()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert len(lines[1]) < 300


texts = st.text(max_size=12)
values = st.none() | st.integers(-(2**60), 2**60) | st.floats(allow_nan=False, allow_infinity=False) | texts


@settings(max_examples=60, deadline=None)
@given(
    point=st.sampled_from(("charge_voltage_limit", "equalize_requested", "faults", "apply_profile", "fault_text"))
    | texts,
    old=values,
    new=values,
    value=values,
    why=texts,
    device=texts,
    time=st.floats(0, 1e11),
)
def test_every_record_is_one_printable_line(tmp_path_factory: pytest.TempPathFactory, **fields: Any) -> None:
    cabin = Cabin(tmp_path_factory.mktemp("cabin"))
    cabin.wrote(record(**fields))
    lines = cabin.shown()
    assert len(lines) == 2
    assert all(line.isprintable() for line in lines)
    assert len(json.loads("\n".join(cabin.shown("--json")))) == 1
