"""What docs/meters.md and its examples show must work."""

import logging
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from heliobus import config
from heliobus.cli import pzem
from heliobus.config.warnings import warnings
from heliobus.devices import catalog, pzem_ac, pzem_dc
from heliobus.devices.pzem.points import SHUNTS
from heliobus.model.placement import Position
from heliobus.model.role import Role
from socket_site import typed

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "meters.md").read_text(encoding="utf-8")
EXAMPLES = sorted((DOCS / "examples").glob("pzem-*.toml"))


def parsed(document: Mapping[str, Any]) -> config.Config:
    return config.parse(dict(document) | {"output": {"venus": {"bus": "unix:path=/nonexistent"}}}, "example")


def read(path: Path) -> config.Config:
    return parsed(tomllib.loads(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_good_and_linked(path: Path) -> None:
    settings = read(path)
    assert settings.devices
    assert f"(examples/{path.name})" in PAGE
    assert len({device.link.endpoint for device in settings.devices}) == 1


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_config_check_likes_every_example(path: Path) -> None:
    result = typed("config", "check", str(path))
    assert result.exit_code == 0, result.output
    assert ("warning: " in result.stdout) is (path.stem == "pzem-grid")


def test_the_mapping_of_the_earlier_software() -> None:
    before, behind = read(DOCS / "examples" / "pzem-inverter.toml").devices
    assert (before.unit, before.role, before.placement.position) == (10, Role.PV_INVERTER, Position.AC_INPUT_1)
    assert (behind.unit, behind.role, behind.placement.position) == (20, Role.PV_INVERTER, Position.AC_OUTPUT)
    assert before.link == behind.link and before.link.stop == 1 and before.link.baud == 9600


def test_the_page_shows_the_same_mapping() -> None:
    [block] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
    shown = parsed(tomllib.loads(block)).devices
    assert shown == read(DOCS / "examples" / "pzem-inverter.toml").devices


def test_speeds_mix_on_one_line() -> None:
    devices = read(DOCS / "examples" / "pzem-mixed.toml").devices
    assert [device.link.baud for device in devices] == [115200, 115200, 9600, 9600]


def test_the_roles_are_those_there_are() -> None:
    table = PAGE.partition("## Role and position")[2]
    for driver in (pzem_ac.DRIVER, pzem_dc.DRIVER):
        for role in driver.roles:
            usual = " (usual for " if role is driver.role else ""
            assert f"| `{role}`{usual}" in table, role
    listed = re.findall(r"^\| `(\w+)`", table, re.MULTILINE)
    assert sorted(listed) == sorted({*pzem_ac.DRIVER.roles, *pzem_dc.DRIVER.roles})


def test_the_options_are_those_there_are() -> None:
    options = {option for parameter in pzem.command.params for option in parameter.opts if option.startswith("--")}
    named = set(re.findall(r"`(--[a-z-]+)", PAGE))
    assert named <= options
    assert options - named == {"--config", "--verbose"}
    for amperes in SHUNTS:
        assert str(amperes) in PAGE.partition("--set-shunt")[2]


def test_only_a_grid_meter_without_direction_is_warned_about() -> None:
    link = "serial:/dev/ttyUSB0"
    devices = [
        {"driver": "pzem-ac", "link": link, "unit": 1 + at, "role": str(role)}
        for at, role in enumerate(pzem_ac.DRIVER.roles)
    ]
    [warning] = warnings(parsed({"device": devices}))
    assert "role grid, but a pzem-ac meter has no direction" in warning and "\n" not in warning
    assert warnings(parsed({"device": [{"driver": "pzem-dc", "link": link}]})) == ()


def test_the_daemon_says_the_warning(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from heliobus.cli import run

    class Ended:
        def __init__(self, *_: object) -> None:
            pass

        async def run(self) -> None:
            raise asyncio.CancelledError

    monkeypatch.setattr(run, "Installation", Ended)
    with caplog.at_level(logging.WARNING, "heliobus"):
        asyncio.run(run._run(read(DOCS / "examples" / "pzem-grid.toml")))
    assert "utility: role grid, but a pzem-ac meter has no direction" in caplog.text


def test_the_numbers_are_the_codes() -> None:
    assert f"For {pzem_ac.DRIVER.settling:g} seconds after the mains" in PAGE
    assert f"`poll = {pzem_ac.DRIVER.poll_period:g}`" in PAGE
    assert {driver.baud for driver in (pzem_ac.DRIVER, pzem_dc.DRIVER)} == {9600}
    assert catalog.driver("pzem-ac").stop_bits == catalog.driver("pzem-dc").stop_bits == 1
