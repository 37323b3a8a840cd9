"""`[[device]]` tables of what was found, and their way into the config file."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from shutil import copymode
from tempfile import NamedTemporaryFile

from heliobus import atomic, config
from heliobus.cli.problem import Problem, WrongUse
from heliobus.config import Config, ConfigError, DeviceConfig
from heliobus.inventory import Inventory
from heliobus.scan import Found

GX_HEAD = "[output.venus]\nsettings_charger = true\n"
"""A GX without a file polls the charger of its settings; it goes on to do so with one."""


def table(found: Found) -> str:
    """The table that the config needs for a device."""
    identity = found.identity
    serial = f", serial number {identity.serial}" if identity.serial else ""
    lines = [
        f"# {_plain(f'{identity.vendor} {identity.model}{serial}')}",
        "[[device]]",
        f"driver = {_quoted(found.driver.name)}",
        f"link = {_quoted(link_text(found))}",
        f"unit = {found.unit}",
    ]
    if len(found.driver.roles) > 1:
        roles = ", ".join(role.value for role in found.driver.roles)
        lines.append(f"role = {_quoted(found.driver.role.value)}  # or another of {roles}")
    return "\n".join(lines) + "\n"


def link_text(found: Found) -> str:
    """The link as people write it."""
    return found.link.text or str(found.link)


class Registered:
    """The devices of the config at `path`, if there is one that can be read."""

    def __init__(self, settings: Config | None) -> None:
        self._devices = () if settings is None else settings.devices
        self._inventory = Inventory(None if settings is None else settings.site.state / "devices.json")
        self._serials = {} if settings is None else dict(self._known())

    def name_of(self, found: Found) -> str | None:
        """The name of the device of the config that this is: by serial number, or by link and unit id."""
        serial = found.identity.serial
        if serial:
            name = self._serials.get((found.driver.name, serial))
            if name is not None:
                return name
        same = (each.name for each in self._devices if _same_place(each, found))
        return next(same, None)

    def _known(self) -> Iterator[tuple[tuple[str, str], str]]:
        path = self._inventory.path
        if path is None or not path.exists() or self._inventory.load() is not None:
            return
        for device in self._devices:
            known = self._inventory.known(f"{device.link}#{device.unit}")
            if known is not None and known.identity.serial:
                yield (known.driver, known.identity.serial), device.name


def _same_place(device: DeviceConfig, found: Found) -> bool:
    return device.link.endpoint == found.link.endpoint and device.unit == found.unit


def registered(path: Path | None) -> Registered:
    """What the config has already; nothing where there is none that can be read."""
    try:
        return Registered(config.load(path))
    except ConfigError:
        return Registered(None)


def config_path(path: Path | None) -> Path:
    """The file to add to: `path`, or the one that would be read, or the one that this user would make."""
    if path is not None:
        return path
    candidates = config.default_paths()
    existing = next((each for each in candidates if each.is_file()), None)
    return existing or candidates[min(1, len(candidates) - 1)]


def add(path: Path, tables: Iterable[str]) -> None:
    """Append `tables` to the config file; what it says already stays byte for byte. Raises Problem.

    Nothing is written unless the result is a good config.
    """
    # A link to a file elsewhere stays one.
    real = path.resolve()
    try:
        before = real.read_bytes()
    except FileNotFoundError:
        before = GX_HEAD.encode() if config.on_venus_os() else b""
    except OSError as error:
        raise WrongUse(f"{path}: cannot be read: {error.strerror}") from None
    content = _appended(before, tables)
    _check(path, content)
    try:
        exists = real.exists()
        atomic.write(real, content)
        if exists:
            copymode(_backup(real), real)
    except OSError as error:
        raise Problem(f"{path}: cannot be written: {error.strerror}") from None


def _appended(before: bytes, tables: Iterable[str]) -> bytes:
    newline = b"\r\n" if b"\r\n" in before else b"\n"
    parts = [before]
    if before and not before.endswith(b"\n"):
        parts.append(newline)
    for number, text in enumerate(tables):
        if before or number:
            parts.append(newline)
        parts.append(text.encode().replace(b"\n", newline))
    return b"".join(parts)


def _check(path: Path, content: bytes) -> None:
    """Raise WrongUse unless `content` would be a good config."""
    with NamedTemporaryFile(suffix=".toml") as draft:
        draft.write(content)
        draft.flush()
        try:
            config.load(Path(draft.name))
        except ConfigError as error:
            raise WrongUse(f"{str(error).replace(draft.name, str(path))}; nothing was written") from None


def _backup(path: Path) -> Path:
    return path.with_name(path.name + ".bak")


def _quoted(text: str) -> str:
    # JSON's escapes are TOML's too, but for the one sign that JSON leaves alone.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")


def _plain(text: str) -> str:
    """Fit for a comment: what a device says of itself may be anything."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)
