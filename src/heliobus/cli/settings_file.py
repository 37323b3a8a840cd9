"""Files of charge settings: backups, and profiles written as JSON or as a table for the config."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from heliobus.cli.problem import Problem, RefusedByGuard, WrongUse
from heliobus.control.backup import FORMAT as BACKUP_FORMAT
from heliobus.control.backup import BackupError, parse_backup
from heliobus.model.control_options import Profile, When

FORMAT, VERSION = "heliobus charge profile", 1
PREFIX = "set_"
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Place:
    """The charger that settings of a file are for: serial number and nominal voltage."""

    serial: str
    system_voltage: int


def profile_document(profile: Profile) -> dict[str, object]:
    """A profile as JSON; values are actual volts, seconds, days, °C, as in the config."""
    document: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "name": profile.name,
        "settings": dict(profile.settings),
        "devices": list(profile.devices),
    }
    if profile.when is not None:
        document["when"] = _when(profile.when)
    return document


def when_text(when: When | None) -> str:
    """When a profile is due, for people."""
    if when is None:
        return "by hand"
    return when.season or f"{when.first} to {when.last}"


def read_settings(path: Path, place: Place, *, other_device: bool = False) -> Mapping[str, float]:
    """The settings of a backup or an exported profile, by point name, for the charger at `place`. Raises Problem.

    A backup of another charger is taken only with `other_device`.
    """
    content = _content(path)
    document = _document(path, content)
    if document.get("format") == FORMAT:
        return _profile(path, document).settings
    try:
        return parse_backup(
            content, serial=place.serial, system_voltage=place.system_voltage, another_serial=other_device
        )
    except BackupError as error:
        if other_device or document.get("serial") == place.serial:
            raise WrongUse(f"{path}: {error}") from None
        raise RefusedByGuard(f"{path}: {error}; --other-device takes it all the same") from None


def read_profile(path: Path, name: str | None) -> Profile:
    """A profile from an exported one or from a backup; `name` in place of its own. Raises Problem."""
    content = _content(path)
    document = _document(path, content)
    if document.get("format") == FORMAT:
        profile = _profile(path, document)
        return Profile(name or profile.name, profile.settings, profile.devices, profile.when)
    if document.get("format") != BACKUP_FORMAT:
        raise WrongUse(f"{path}: neither a backup of charge settings nor an exported profile")
    volts = document.get("system_voltage")
    if not isinstance(volts, int):
        raise WrongUse(f"{path}: this backup does not say of which nominal voltage it is")
    try:
        settings = parse_backup(content, serial="", system_voltage=volts, another_serial=True)
    except BackupError as error:
        raise WrongUse(f"{path}: {error}") from None
    return Profile(name or path.stem, settings)


def toml_table(profile: Profile) -> str:
    """The `[profile.NAME]` table of the config."""
    lines = [f"[profile.{_key(profile.name)}]"]
    lines += [f"{_key(name.removeprefix(PREFIX))} = {value:.10g}" for name, value in profile.settings.items()]
    if profile.devices:
        lines.append(f"devices = [{', '.join(_text(name) for name in profile.devices)}]")
    if profile.when is not None:
        pairs = ", ".join(f"{key} = {_text(value)}" for key, value in _when(profile.when).items())
        lines.append(f"when = {{ {pairs} }}")
    return "\n".join(lines)


def write_json(document: Mapping[str, object], output: Path | None) -> None:
    """Write `document` to a file, or print it. Raises Problem."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    if output is None:
        click.echo(text)
        return
    try:
        output.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise Problem(f"{output}: cannot be written: {error.strerror}") from None
    click.echo(f"{output}: written", err=True)


def _when(when: When) -> dict[str, str]:
    return {"season": when.season} if when.season else {"from": when.first, "to": when.last}


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise WrongUse(f"{path}: cannot be read: {error.strerror}") from None


def _document(path: Path, content: bytes) -> dict[str, object]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise WrongUse(f"{path}: not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise WrongUse(f"{path}: neither a backup of charge settings nor an exported profile")
    return document


def _profile(path: Path, document: Mapping[str, object]) -> Profile:
    wrong = WrongUse(f"{path}: not an exported profile that this version understands")
    name, settings, devices = document.get("name"), document.get("settings"), document.get("devices", [])
    if document.get("version") != VERSION or not isinstance(name, str) or not isinstance(settings, dict):
        raise wrong
    if not settings or not all(_is_number(each) for each in settings.values()):
        raise wrong
    if not isinstance(devices, list) or not all(isinstance(each, str) for each in devices):
        raise wrong
    return Profile(name, settings, tuple(devices), _read_when(document.get("when"), wrong))


def _read_when(content: object, wrong: WrongUse) -> When | None:
    if content is None:
        return None
    if not isinstance(content, dict) or not all(isinstance(each, str) for each in content.values()):
        raise wrong
    if content.keys() == {"season"}:
        return When(season=content["season"])
    if content.keys() == {"from", "to"}:
        return When(first=content["from"], last=content["to"])
    raise wrong


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _key(name: str) -> str:
    return name if BARE_KEY.fullmatch(name) else _text(name)


def _text(text: str) -> str:
    # JSON's escapes are TOML's too, but for the one sign that JSON leaves alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
