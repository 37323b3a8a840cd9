"""`heliobus profile`: look, compare, back up, apply, restore, and profiles as JSON and TOML."""

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus import config as configuration
from heliobus.cli.settings_file import profile_document, read_profile, toml_table
from heliobus.model.command import Failed, Refused
from heliobus.model.control_options import Profile, When
from heliobus.site import Site
from socket_site import DRIVER, FLOAT_CHANGE, STORED, Charger, furnished, serving, typed, typed_beside, write_config

BACKUP = {
    "format": "heliobus settings backup",
    "version": 1,
    "serial": "10170296",
    "driver": DRIVER,
    "system_voltage": 24,
    "time": "2026-06-01T12:00:00+00:00",
    "settings": {
        "set_float_voltage": {"value": 27.4, "unit": "V", "word": 2493, "address": "0xE001"},
        "set_absorption_time": {"value": 7200, "unit": "s", "word": 7200, "address": "0xE002"},
    },
}
WANTED = {"set_float_voltage": 27.4, "set_absorption_time": 7200}


@asynccontextmanager
async def daemon(tmp_path: Path) -> AsyncIterator[tuple[Charger, tuple[str, str]]]:
    """A charger behind a daemon's socket, one change ahead of it, and `-c CONFIG`."""
    site = Site()
    charger = furnished(site)
    charger.changes = (FLOAT_CHANGE,)
    async with serving(site, tmp_path):
        yield charger, ("-c", str(write_config(tmp_path)))


def written(tmp_path: Path, **changes: Any) -> str:
    path = tmp_path / "backup.json"
    path.write_text(json.dumps(BACKUP | changes))
    return str(path)


def test_the_profiles_of_the_config_are_listed(tmp_path: Path) -> None:
    config = ("-c", str(write_config(tmp_path)))
    lines = [" ".join(line.split()) for line in typed("profile", "list", *config).stdout.splitlines()]
    assert lines == [
        "profile when devices settings",
        "winter winter all float_voltage 27.4, absorption_time 7200",
        'my "rest" by hand roof float_voltage 26.8',
    ]
    rows = json.loads(typed("profile", "list", "--json", *config).stdout)
    assert [row["name"] for row in rows] == ["winter", 'my "rest"']
    assert rows[0]["when"] == {"season": "winter"}


async def test_show_has_values_places_and_words(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        plain = await typed_beside("profile", "show", "roof", *config)
        as_json = await typed_beside("profile", "show", "roof", "--json", *config)
        charger.stored = Failed("no answer")
        failed = await typed_beside("profile", "show", "roof", *config)
        charger.stored = Refused("being written")
        refused = await typed_beside("profile", "show", "roof", *config)
    lines = [" ".join(line.split()) for line in plain.stdout.splitlines()]
    assert lines[1:] == [
        "set_float_voltage 27.20 V register 0xE001 0x09AB",
        "set_absorption_time 7200 s register 0xE002 0x1C20",
    ]
    assert json.loads(as_json.stdout)[0] == {
        "point": "set_float_voltage",
        "value": 27.2,
        "unit": "V",
        "place": "register 0xE001",
        "word": 0x09AB,
    }
    assert (failed.exit_code, failed.stderr) == (1, "heliobus: roof: no answer\n")
    assert (refused.exit_code, refused.stderr) == (3, "heliobus: roof: being written\n")


async def test_diff_with_a_profile_and_with_a_file(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        profile = await typed_beside("profile", "diff", "roof", "winter", *config)
        file = await typed_beside("profile", "diff", "roof", written(tmp_path, serial="99"), "--json", *config)
        charger.changes = ()
        same = await typed_beside("profile", "diff", "roof", "winter", *config)
        nothing = await typed_beside("profile", "diff", "roof", "wintr", *config)
    lines = [" ".join(line.split()) for line in profile.stdout.splitlines()]
    assert lines[1] == "set_float_voltage 27.20 V → 27.40 V register 0xE001 0x09AB 0x09BD"
    assert json.loads(file.stdout)[0]["new"] == 27.4, file.stderr
    assert same.stdout == "roof: no difference\n"
    assert nothing.exit_code == 2 and "did you mean 'winter'?" in nothing.stderr
    assert [(each.point, each.value) for each in charger.plans] == [
        ("apply_profile", "winter"),
        ("apply_settings", json.dumps(WANTED)),
        ("apply_profile", "winter"),
    ]
    assert not charger.commands


async def test_apply_wants_a_yes_and_shows_how_far_it_is(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        charger.steps = (("writing", 40.0), ("restarting", 80.0))
        dry = await typed_beside("profile", "apply", "roof", "winter", "--dry-run", *config)
        asked = await typed_beside("profile", "apply", "roof", "winter", *config)
        assert not charger.commands
        done = await typed_beside("profile", "apply", "roof", "winter", "--yes", *config)
        unknown = await typed_beside("profile", "apply", "roof", "sommer", "--yes", *config)
    assert dry.exit_code == 0 and "0x09AB → 0x09BD" in dry.stdout
    assert asked.exit_code == 2 and "--yes" in asked.stderr
    assert done.exit_code == 0, done.stderr
    assert done.stderr == "roof: 40 % writing\nroof: 80 % restarting\n"
    assert done.stdout.splitlines()[-1] == "roof: done, profile winter is applied"
    assert unknown.exit_code == 2 and "has winter" in unknown.stderr
    assert [(each.point, each.value, each.origin) for each in charger.commands] == [("apply_profile", "winter", "cli")]


async def test_a_terminal_gets_a_bar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("heliobus.cli.order.Progress.live", staticmethod(lambda: True))
    async with daemon(tmp_path) as (charger, config):
        charger.steps = (("writing", 50.0),)
        result = await typed_beside("profile", "apply", "roof", "winter", "--yes", *config)
    assert "\rroof: [##########          ]  50 % writing" in result.stderr
    assert result.stderr.endswith("\n")


async def test_a_backup_can_be_restored(tmp_path: Path) -> None:
    path = tmp_path / "roof.json"
    async with daemon(tmp_path) as (charger, config):
        made = await typed_beside("profile", "backup", "roof", "-o", str(path), *config)
        printed = await typed_beside("profile", "backup", "roof", *config)
        assert made.exit_code == printed.exit_code == 0, made.stderr
        restored = await typed_beside("profile", "restore", "roof", str(path), "--yes", *config)
    document = json.loads(path.read_text())
    assert document["settings"] == json.loads(printed.stdout)["settings"]
    assert (document["serial"], document["system_voltage"], document["driver"]) == ("10170296", 24, DRIVER)
    assert restored.exit_code == 0, restored.stderr
    [command] = charger.commands
    assert command.point == "apply_settings"
    assert json.loads(str(command.value)) == {"set_float_voltage": 27.2, "set_absorption_time": 7200}


async def test_the_backup_of_another_charger_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    file = written(tmp_path, serial="12330481")
    async with daemon(tmp_path) as (charger, config):
        refused = await typed_beside("profile", "restore", "roof", file, "--yes", *config)
        assert not charger.commands
        meant = await typed_beside("profile", "restore", "roof", file, "--yes", "--other-device", *config)
    assert refused.exit_code == 3
    assert "12330481" in refused.stderr and "--other-device" in refused.stderr
    assert meant.exit_code == 0 and len(charger.commands) == 1


async def test_the_backup_of_another_system_voltage_never_fits(tmp_path: Path) -> None:
    file = written(tmp_path, system_voltage=48)
    async with daemon(tmp_path) as (charger, config):
        for more in ((), ("--other-device",)):
            result = await typed_beside("profile", "restore", "roof", file, "--yes", *more, *config)
            assert result.exit_code != 0 and "48 V" in result.stderr
    assert not charger.commands


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff",
        b"[" * 50_000,
        b"{}",
        b'{"format": "heliobus charge profile"}',
        b'{"format": "heliobus charge profile", "version": 1, "name": "x", "settings": {}}',
        b'{"format": "heliobus charge profile", "version": 1, "name": "x", "settings": {"a": "b"}}',
        b'{"format": "heliobus charge profile", "version": 1, "name": "x", "settings": {"a": NaN}}',
        b'{"format": "heliobus charge profile", "version": 1, "name": "x", "settings": {"a": 1}, "devices": 1}',
        b'{"format": "heliobus charge profile", "version": 1, "name": "x", "settings": {"a": 1}, "when": {}}',
        b'{"format": "heliobus charge profile", "version": 2, "name": "x", "settings": {"a": 1}}',
        b'{"format": "heliobus settings backup", "version": 1}',
        json.dumps(BACKUP | {"settings": {"set_float_voltage": {"value": None}}}).encode(),
        json.dumps(BACKUP | {"settings": 5}).encode(),
    ],
)
async def test_files_that_are_none_are_wrong_use_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.json"
    path.write_bytes(content)
    async with daemon(tmp_path) as (charger, config):
        restore = await typed_beside("profile", "restore", "roof", str(path), "--yes", "--other-device", *config)
    imported = typed("profile", "import", str(path))
    for result in (restore, imported):
        assert result.exit_code == 2, (result.stderr, result.exception)
        assert len(result.stderr.splitlines()) == 1
    assert not charger.commands


async def test_a_missing_file_is_wrong_use(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (_, config):
        result = await typed_beside("profile", "restore", "roof", str(tmp_path / "none.json"), "--yes", *config)
    assert result.exit_code == 2 and "none.json" in result.stderr


def test_an_exported_profile_comes_back_as_a_table_for_the_config(tmp_path: Path) -> None:
    config, path = write_config(tmp_path), tmp_path / "winter.json"
    before = configuration.load(config)
    for name in ("winter", 'my "rest"'):
        exported = typed("profile", "export", name, "-o", str(path), "-c", str(config))
        assert exported.exit_code == 0, exported.stderr
        table = typed("profile", "import", str(path)).stdout
        text = config.read_text()
        start = text.index("[profile.winter]")
        config.write_text(text[:start] + table + "[output.venus]\nbus = 'unix:path=/nowhere'\n")
        after = configuration.load(config)
        config.write_text(text)
        assert after.profiles == tuple(each for each in before.profiles if each.name == name)


def test_a_backup_becomes_a_profile(tmp_path: Path) -> None:
    file = written(tmp_path)
    table = tomllib.loads(typed("profile", "import", file).stdout)
    assert table == {"profile": {"backup": {"float_voltage": 27.4, "absorption_time": 7200}}}
    named = tomllib.loads(typed("profile", "import", file, "--name", "as bought").stdout)
    assert list(named["profile"]) == ["as bought"]


@given(
    name=st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20),
    settings=st.dictionaries(
        st.sampled_from(["set_float_voltage", "set_absorption_time", "set_temperature_compensation"]),
        st.floats(-1, 70).map(lambda number: round(number, 5)),
        min_size=1,
    ),
    devices=st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=10), max_size=3),
    when=st.sampled_from([None, When(season="summer"), When(first="12-20", last="01-05")]),
)
def test_any_profile_survives_json_and_toml(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    settings: dict[str, float],
    devices: list[str],
    when: When | None,
) -> None:
    profile = Profile(name, settings, tuple(devices), when)
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps(profile_document(profile)))
    assert read_profile(path, None) == profile
    table = tomllib.loads(toml_table(profile))["profile"][name]
    assert table.pop("devices", []) == devices
    assert table.pop("when", None) == profile_document(profile).get("when")
    assert {f"set_{key}": value for key, value in table.items()} == settings


async def test_a_backup_with_gaps_is_none(tmp_path: Path) -> None:
    async with daemon(tmp_path) as (charger, config):
        for stored in ((), (STORED[0], replace(STORED[1], value=None))):
            charger.stored = stored
            result = await typed_beside("profile", "backup", "roof", "-o", str(tmp_path / "b.json"), *config)
            assert result.exit_code == 1 and "no backup" in result.stderr
    assert not (tmp_path / "b.json").exists()


async def test_a_charger_that_is_not_known_yet_cannot_be_backed_up(tmp_path: Path) -> None:
    site = Site()
    furnished(site, "shed", values={})
    async with serving(site, tmp_path):
        config = ("-c", str(write_config(tmp_path)))
        result = await typed_beside("profile", "backup", "shed", *config)
    assert result.exit_code == 1 and "nominal voltage" in result.stderr


def test_without_a_daemon_the_settings_are_read_directly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chargers: list[Charger] = []

    @asynccontextmanager
    async def open_control(*_: object) -> AsyncIterator[Site]:
        site = Site()
        chargers.append(furnished(site))
        chargers[-1].changes = (FLOAT_CHANGE,)
        yield site

    monkeypatch.setattr("heliobus.app.open_control", open_control)
    config = ("-c", str(write_config(tmp_path)))
    shown = typed("profile", "show", "roof", *config)
    assert shown.exit_code == 0 and "0x09AB" in shown.stdout, shown.stderr
    applied = typed("profile", "apply", "roof", "winter", "--yes", *config)
    assert applied.exit_code == 0, applied.stderr
    assert [each.value for each in chargers[-1].commands] == ["winter"]


async def test_a_daemon_that_stops_leaves_no_doubt_where_to_look(tmp_path: Path) -> None:
    site = Site()
    charger = furnished(site)
    charger.changes = (FLOAT_CHANGE,)
    charger.gate.clear()
    async with serving(site, tmp_path):
        config = ("-c", str(write_config(tmp_path)))
        typing = asyncio.create_task(typed_beside("profile", "apply", "roof", "winter", "--yes", *config))
        await charger.begun.wait()
    result = await typing
    assert result.exit_code == 1 and "whether the command was carried out is in its log" in result.stderr
