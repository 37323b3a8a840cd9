"""What docs/control.md shows must work: its TOML, its command lines, its paths and its numbers."""

import re
import tomllib
from pathlib import Path

import click
import pytest

from heliobus import config
from heliobus.cli.main import main
from heliobus.control.controls import controls_of
from heliobus.devices import catalog
from heliobus.model.chemistry import CHEMISTRIES
from heliobus.model.control_options import ControlOptions
from heliobus.model.vocabulary import CONTROL_POINTS
from heliobus.outputs.venus.charger_settings import GROUP, SETTINGS
from heliobus.outputs.venus.paths_control import METER_CONTROL
from heliobus.outputs.venus.paths_identity import IDENTITY
from heliobus.outputs.venus.paths_solarcharger import SOLAR_CHARGER

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "control.md").read_text(encoding="utf-8")
INLINE = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", PAGE, flags=re.DOTALL))
BLOCKS = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
DRIVER = catalog.driver("morningstar-tristar-mppt")
assert DRIVER.writes is not None


def parsed() -> config.Config:
    """The page's examples as one file."""
    document = tomllib.loads("\n".join(BLOCKS)) | {"output": {"venus": {"bus": "unix:path=/nonexistent"}}}
    return config.parse(document, "docs/control.md")


def test_the_config_examples_are_good() -> None:
    assert len(BLOCKS) == 3
    settings = parsed()
    roof, cabin = settings.devices
    assert (cabin.options.on, cabin.options.auto_clock, cabin.options.system_voltage) == (True, True, 24)
    options = roof.options
    assert options.on and (options.system_voltage, options.chemistry.name) == (24, "flooded")
    assert (options.highest_voltage, options.highest_current) == (30.4, 45)
    assert options.top_charge is not None and options.top_charge.voltage == 29.6
    assert options.equalize.allowed
    assert [profile.name for profile in settings.profiles] == ["winter", "holidays", "rest"]
    assert [profile.when is None for profile in settings.profiles] == [False, False, True]


def test_every_key_of_the_config_is_shown() -> None:
    shown = tomllib.loads(BLOCKS[0])["device"][0]
    known = {
        "equalize": {"allowed", "time_limit", "wait_limit", "interval_days", "hottest"},
        "top_charge": {"voltage", "tail_current", "tail_time", "time_limit", "wait_limit"},
        "server": {"nightly_reset", "reset_when_hung", "http_port"},
        "eeprom": {"interval", "daily"},
        "limits": {"voltage", "current"},
    }
    assert {name: set(shown[name]) for name in known} == known
    # The list above is complete: any other key is an error that names those there are.
    for name, keys in known.items():
        document = {"device": [{**shown, name: {**shown[name], "x": 1}}], "output": {"venus": {}}}
        with pytest.raises(config.ConfigError, match="unknown key") as caught:
            config.parse(document, "x")
        assert set(str(caught.value).rpartition("allowed: ")[2].split(", ")) == keys


def test_chemistries_are_listed() -> None:
    (comment,) = re.findall(r"^chemistry = .*# ([^:]*):", PAGE, re.MULTILINE)
    assert comment.split(", ") == list(CHEMISTRIES)


def test_the_site_keys_that_are_named_exist() -> None:
    document = tomllib.loads("\n".join(BLOCKS)) | {"output": {"venus": {}}}
    assert '[site] hemisphere = "south"' in INLINE and "[site.seasons]" in INLINE
    site = {"hemisphere": "south", "seasons": {"winter": "06-15"}}
    assert config.parse(document | {"site": site}, "x").site.seasons.winter == "06-15"


def test_every_command_line_exists() -> None:
    lines = [line.split() for line in INLINE if line.startswith("heliobus ")]
    assert len(lines) > 8
    profiles = {profile.name for profile in parsed().profiles}
    controls = {
        device.name: controls_of(catalog.driver(device.driver), device.options, profiles, network=True)
        for device in parsed().devices
    } | {"NAME": controls_of(catalog.driver("pzem-ac"), ControlOptions(on=True), profiles, network=True)}
    context = click.Context(main)
    for _, name, *rest in lines:
        command = main.get_command(context, name)
        assert command is not None, name
        words = [word for word in rest if word != "|"]
        if isinstance(command, click.Group):
            chosen = words if "|" in rest else words[:1]
            assert {*chosen} <= {*command.commands}, name
            assert len(words) < 3 or "|" in rest or words[2] in profiles
            if "|" in rest:
                assert {*words} == {*command.commands}
        elif name == "set" and len(words) > 1:
            value: object = {"on": 1, "off": 0, "press": 1}.get(words[2], words[2])
            controls[words[0]][words[1]].coerced(float(value) if isinstance(value, str) else value)
        else:
            assert set(words) <= {*controls}


def test_every_d_bus_path_exists() -> None:
    paths = {leaf.path for leaf in SOLAR_CHARGER.leaves} | {constant.path for constant in IDENTITY}
    paths |= {each.path for each in SETTINGS} | {leaf.path for leaf in METER_CONTROL}
    named = {word for text in INLINE for word in re.findall(r"(?<![\w.])/[A-Z][\w/]*", text)}
    assert {"/Mode", "/Control/EqualizeTriggered", "/Link", "/Settings/BmsPresent"} <= {
        path.rstrip("/") for path in named
    }
    for path in named:
        assert path in paths or any(each.startswith(path) for each in paths), path


def test_every_setting_of_a_gx_is_named() -> None:
    for each in SETTINGS[4:]:
        assert (
            f"`{each.path.removeprefix(GROUP)}`" in PAGE
            or f"`{each.path.removeprefix(GROUP)} 1`" in PAGE
            or (each.path == f"{GROUP}Control")
        ), each.path


def test_every_point_that_is_named_exists() -> None:
    controls = controls_of(DRIVER, ControlOptions(on=True), (), network=True)
    known = set(controls) | {point.name for point in CONTROL_POINTS}
    for word in ("control_source", "bms_required"):
        assert word in INLINE and word in known


def test_the_numbers_are_the_codes() -> None:
    slave = DRIVER.writes.slave  # type: ignore[union-attr]
    assert slave is not None
    assert f"renewed every {slave.renewal:g} s" in PAGE
    assert f"faults after {slave.timeout:g} s without" in PAGE
    for address in re.findall(r"0x([0-9A-F]{4})", PAGE.partition("## What is never written")[2]):
        assert int(address, 16) not in {each.address for each in DRIVER.writes.registers()}  # type: ignore[union-attr]


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), target
