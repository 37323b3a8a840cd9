"""The config file: good ones as they are meant, and for every wrong one a line that says where and what instead."""

import datetime
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus import config
from heliobus.config import Config, ConfigError, DeviceConfig, SiteConfig, VenusConfig, load, parse
from heliobus.model.control_options import ControlOptions
from heliobus.wire.address import parse_link

ROOF = """
[[device]]
driver = "morningstar-tristar-mppt"
link = "tcp://192.168.1.100"
"""
VENUS = "[output.venus]\n"


@pytest.fixture(autouse=True)
def _no_gx(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(config, "VENUS_VERSION_FILE", tmp_path / "no-such-file")
    monkeypatch.delenv("DBUS_SESSION_BUS_ADDRESS", raising=False)


def read(text: str) -> Config:
    return parse(tomllib.loads(text), "cabin.toml")


def problem(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(text)
    line = str(caught.value)
    assert line.startswith("cabin.toml: ")
    assert "\n" not in line
    return line


def test_the_example_of_the_design() -> None:
    found = read(
        """
        [site]
        name = "cabin"
        timezone = "Europe/Oslo"

        [[device]]
        name = "roof"
        driver = "morningstar-tristar-mppt"
        link = "tcp://192.168.1.100:502"
        unit = 1
        poll = "5s"
        control = "off"

        [output.venus]
        """
    )
    assert found.source == "cabin.toml"
    assert (found.site.name, found.site.timezone) == ("cabin", "Europe/Oslo")
    link = parse_link("tcp://192.168.1.100:502")
    assert found.devices == (DeviceConfig("roof", "morningstar-tristar-mppt", link, 1, 5.0, "roof", ControlOptions()),)
    assert found.venus == VenusConfig(None, False, "reconnect")


def test_the_least_there_is_has_defaults() -> None:
    found = read(ROOF + VENUS)
    [device] = found.devices
    assert (device.name, device.label, device.unit, device.poll, device.control) == ("tristar", "", 1, 5.0, False)
    assert str(device.link) == "tcp://192.168.1.100:502"
    assert found.site == SiteConfig("site", None, config.default_state())


def test_devices_without_a_name_get_one_of_their_own() -> None:
    text = "".join(ROOF + f"unit = {unit}\n" for unit in (1, 2, 3)) + ROOF + 'unit = 4\nname = "shed"\n' + VENUS
    assert [device.name for device in read(text).devices] == ["tristar", "tristar-2", "tristar-3", "shed"]
    many = "".join(ROOF + f'unit = {1 + n % 200}\nlink = "tcp://h{n // 200}"\n' for n in range(320))
    many = many.replace('link = "tcp://192.168.1.100"\n', "")
    assert len({device.name for device in read(many + VENUS).devices}) == 320


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ('"5s"', 5.0),
        ('"500ms"', 0.5),
        ('"2m"', 120.0),
        ('"1h"', 3600.0),
        ('"0.2s"', 0.2),
        ('"1.5 s"', 1.5),
        ("5", 5.0),
        ("0.25", 0.25),
        ("3600", 3600.0),
    ],
)
def test_durations(written: str, seconds: float) -> None:
    [device] = read(ROOF + f"poll = {written}\n" + VENUS).devices
    assert device.poll == pytest.approx(seconds)
    assert isinstance(device.poll, float)


def test_a_serial_link_takes_the_defaults_of_its_driver() -> None:
    text = '[[device]]\ndriver = "morningstar-tristar-mppt"\nlink = "serial:/dev/ttyUSB0"\n'
    [device] = read(text + VENUS).devices
    assert (device.link.kind, device.link.baud, device.link.stop) == ("serial", 9600, 2)
    [device] = read(text.replace("ttyUSB0", "ttyUSB0?stop=1") + VENUS).devices
    assert device.link.stop == 1


def test_the_outputs() -> None:
    found = read(ROOF + '[output.venus]\nbus = "tcp:host=gx"\nsettings_charger = true\non_bus_loss = "exit"\n').venus
    assert found == VenusConfig("tcp:host=gx", True, "exit")
    assert read('[output.venus]\nbus = "x"\n').venus == VenusConfig("x", True, "reconnect")


def test_a_machine_with_a_d_bus_serves_it_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/bus")
    assert read(ROOF).venus == VenusConfig()
    assert "no output" in problem(ROOF + "[output]\n")


def test_on_a_gx_nothing_need_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "version").write_text("v3.60")
    monkeypatch.setattr(config, "VENUS_VERSION_FILE", tmp_path / "version")
    monkeypatch.setattr(config, "default_paths", lambda: (tmp_path / "none.toml",))
    found = load(None)
    assert (found.devices, found.venus) == ((), VenusConfig(None, True, "exit"))
    assert found.site.state == Path("/data/var/lib/heliobus")


# What is written, and words that the line must hold: table, key, found, allowed.
WRONG: list[tuple[str, tuple[str, ...]]] = [
    (
        ROOF + VENUS + "[outputs]\n",
        ("unknown key", "'outputs'", "did you mean 'output'", "site, device, total, profile, output"),
    ),
    (
        ROOF + VENUS + "[site]\ntimezon = 1\n",
        ("[site]", "'timezon'", "did you mean 'timezone'", "name, timezone, state"),
    ),
    (
        ROOF + "pol = 5\n" + VENUS,
        (
            "[[device]] 1",
            "'pol'",
            "did you mean 'poll'",
            "driver, link, unit, poll, role, position, phase, kind, control",
        ),
    ),
    (ROOF + '"a\\nb" = 5\n' + VENUS, ("[[device]] 1", "'a\\nb'", "allowed")),
    (ROOF + "[output.kafka]\n", ("[output]", "'kafka'", "allowed: venus, mqtt, influx")),
    (ROOF + "[output.venus]\nbusses = 1\n", ("[output.venus]", "'busses'", "did you mean 'bus'", "on_bus_loss")),
    (ROOF + ROOF + "unit = true\n" + VENUS, ("[[device]] 2", "unit is true", "a whole number from 1 to 247")),
    *(
        (ROOF + f"unit = {unit}\n" + VENUS, ("[[device]] 1", f"unit is {found}", "a whole number from 1 to 247"))
        for unit, found in (
            ("0", "0"),
            ("248", "248"),
            ("-1", "-1"),
            ("1.5", "1.5"),
            ('"1"', '"1"'),
            ("9" * 400, "a number of many"),
        )
    ),
    *(
        (ROOF + f"poll = {poll}\n" + VENUS, ("[[device]] 1", f"poll is {poll[:30]}", "0.2 s to 3600 s", '"500ms"'))
        for poll in (
            '"5"',
            '"0s"',
            '"2h"',
            '"fast"',
            '""',
            '"-5s"',
            '"s"',
            '"1e3s"',
            "0.1",
            "3601",
            "true",
            "nan",
            "-inf",
        )
    ),
    (ROOF + f"poll = 1{'0' * 400}\n" + VENUS, ("[[device]] 1", "poll is a number of many digits", "0.2 s")),
    (ROOF + f'poll = "{"9" * 400}s"\n' + VENUS, ("[[device]] 1", "poll is", "…", "0.2 s to 3600 s")),
    (ROOF + "poll = [5]\n" + VENUS, ("[[device]] 1", "poll is an array", "0.2 s")),
    (
        ROOF.replace("mppt", "mppt-600v") + 'control = "on"\n' + VENUS,
        ("[[device]] 1", 'control is "on"', 'allowed: "off": this driver does not take commands'),
    ),
    (ROOF + "control = false\n" + VENUS, ("[[device]] 1", "control is false", '"on" or "off"')),
    (ROOF + "name = 5\n" + VENUS, ("[[device]] 1", "name is 5", "a text in quotes")),
    (
        ROOF + 'name = "x"\n' + ROOF + 'unit = 2\nname = "x"\n' + VENUS,
        ("[[device]] 2", 'name is "x"', "no other device"),
    ),
    (ROOF + ROOF + VENUS, ("[[device]] 2", "unit is 1", "tcp://192.168.1.100:502", "'tristar'")),
    ('[[device]]\nlink = "tcp://h"\n', ("[[device]] 1", "driver is missing", "morningstar-tristar-mppt-600v")),
    (
        '[[device]]\ndriver = "tristar"\n',
        ("[[device]] 1", 'driver is "tristar"', "one of", "morningstar-tristar-mppt,"),
    ),
    ("[[device]]\ndriver = 5\n", ("[[device]] 1", "driver is 5", "a text")),
    ('[[device]]\ndriver = "morningstar-tristar-mppt"\n', ("[[device]] 1", "link is missing", "tcp://HOST", "serial:")),
    (
        ROOF.replace("tcp://192.168.1.100", "192.168.1.100") + VENUS,
        ("[[device]] 1", "link", '"192.168.1.100"', "tcp://HOST"),
    ),
    (ROOF.replace("tcp://192.168.1.100", "tcp://h:0") + VENUS, ("[[device]] 1", "link", '"0"', "1..65535")),
    (
        ROOF.replace("tcp://192.168.1.100", "tcp://a\\nb") + VENUS,
        ("[[device]] 1", "link", "host"),
    ),
    (
        ROOF + ROOF.replace("tcp://192.168.1.100", "rtu+tcp://192.168.1.100:502") + "unit = 2\n" + VENUS,
        ("[[device]] 2", 'link is "rtu+tcp://192.168.1.100:502"', "allowed: tcp://192.168.1.100:502"),
    ),
    ('[site]\ntimezone = "Europe/Olso"\n' + ROOF + VENUS, ("[site]", 'timezone is "Europe/Olso"', "Europe/Oslo")),
    ('[site]\ntimezone = "../../etc/passwd"\n' + ROOF + VENUS, ("[site]", "timezone is", "Europe/Oslo")),
    ("[site]\ntimezone = 1\n" + ROOF + VENUS, ("[site]", "timezone is 1", "a text")),
    ("[site]\nname = 1979-05-27\n" + ROOF + VENUS, ("[site]", "name is 1979-05-27", "a text")),
    ('[site]\nstate = "~nobody-of-this-name/x"\n' + ROOF + VENUS, ("[site]", "state is", "path of a directory")),
    ('[site]\nstate = "a\\u0000b"\n' + ROOF + VENUS, ("[site]", 'state is "a\\u0000b"', "path of a directory")),
    ("site = 5\n" + ROOF + VENUS, ("[site] is 5", "allowed: a table")),
    ("device = 5\n" + VENUS, ("device is 5", "[[device]]")),
    ("device = [5]\n" + VENUS, ("[[device]] 1 is 5", "a table")),
    ('[device]\ndriver = "x"\n' + VENUS, ("device is a table", "allowed: tables written [[device]]")),
    (ROOF + "[output]\nvenus = 5\n", ("[output.venus] is 5", "a table")),
    (
        ROOF + '[output.venus]\nsettings_charger = "yes"\n',
        ("[output.venus]", 'settings_charger is "yes"', "true or false"),
    ),
    (
        ROOF + '[output.venus]\non_bus_loss = "die"\n',
        ("[output.venus]", 'on_bus_loss is "die"', '"exit" or "reconnect"'),
    ),
    (ROOF + "[output.venus]\nbus = 5\n", ("[output.venus]", "bus is 5", "a text")),
    (ROOF + 'name = "charger"\n[output.venus]\nsettings_charger = true\n', ('name is "charger"', "GX settings")),
    ("[output.venus]\nsettings_charger = false\n", ("no [[device]] table",)),
    (ROOF, ("no output", "[output.venus]")),
    ("", ("no [[device]] table",)),
]


@pytest.mark.parametrize(("text", "words"), WRONG, ids=range(len(WRONG)))
def test_what_is_wrong_is_said_in_one_line(text: str, words: tuple[str, ...]) -> None:
    line = problem(text)
    for word in words:
        assert word in line, line


def test_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_text(ROOF + VENUS)
    assert load(path).source == str(path)
    monkeypatch.setattr(config, "default_paths", lambda: (tmp_path / "none.toml", path))
    assert load(None).source == str(path)
    monkeypatch.setattr(config, "default_paths", lambda: (tmp_path / "none.toml",))
    with pytest.raises(ConfigError, match=r"looked for .*none\.toml"):
        load(None)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    "content", [b"[site", b"a = ", b"\xff\xfe", b"x = 1\nx = 2", b"x = " + b"9" * 5000, b"x = " + b"[" * 100_000]
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: not valid TOML: ")


def test_where_configs_and_state_are_looked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert [path.name for path in config.default_paths()] == ["heliobus.toml"] * 3
    monkeypatch.setattr(config.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert config.default_state() == tmp_path / "heliobus"
    assert read('[site]\nstate = "/var/x"\n' + ROOF + VENUS).site.state == Path("/var/x")


leaves = st.one_of(
    st.booleans(),
    st.integers(),
    st.integers(-(10**500), 10**500),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(
        (
            "morningstar-tristar-mppt",
            "tcp://h",
            "tcp://[::1]:502",
            "serial:/dev/ttyUSB0",
            "5s",
            "on",
            "off",
            "Europe/Oslo",
        )
    ),
    st.just(datetime.datetime(2026, 5, 1, tzinfo=datetime.UTC)),
    st.dates(),
)
keys = st.one_of(
    st.sampled_from(
        (
            "site",
            "device",
            "output",
            "venus",
            "name",
            "driver",
            "link",
            "unit",
            "poll",
            "control",
            "timezone",
            "state",
            "bus",
        )
    ),
    st.text(max_size=8),
)
documents = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=6), max_leaves=15
)
device_tables = st.fixed_dictionaries(
    {},
    optional={
        "driver": st.just("morningstar-tristar-mppt") | leaves,
        "link": st.sampled_from(("tcp://h", "serial:/dev/ttyUSB0"))
        | st.text(max_size=20).map("tcp://".__add__)
        | leaves,
        "name": leaves,
        "unit": leaves,
        "poll": leaves,
        "control": leaves,
    },
)
likely = st.fixed_dictionaries(
    {},
    optional={
        "site": st.dictionaries(st.sampled_from(("name", "timezone", "state")), leaves) | leaves,
        "device": st.lists(device_tables, max_size=4) | leaves,
        "output": st.just({"venus": {}}) | st.dictionaries(st.just("venus"), st.dictionaries(keys, leaves)) | leaves,
    },
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(keys, documents, max_size=5) | likely)
def test_no_document_raises_anything_but_a_config_error_of_one_line(document: dict[str, Any]) -> None:
    try:
        found = parse(document, "f.toml")
    except ConfigError as error:
        assert str(error).startswith("f.toml: ")
        assert str(error).isprintable()
        assert len(str(error)) < 1500
    else:
        assert found.venus is not None
        names = [device.name for device in found.devices]
        assert len(names) == len(set(names))
        assert all(0.2 <= device.poll <= 3600 and 1 <= device.unit <= 247 for device in found.devices)
