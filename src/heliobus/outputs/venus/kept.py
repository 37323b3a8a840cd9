"""What localsettings keeps on a GX, kept in a file where there is none: device instances, names, choices, portal id.

Source: venus.md §4.2 for the rules of instances, §6 for the portal id.
"""

import asyncio
import json
import logging
import secrets
from pathlib import Path
from threading import Lock
from weakref import WeakSet, WeakValueDictionary

from heliobus import atomic
from heliobus.outputs.venus.setting import Setting, SettingValue, Told

FILE = "venus.json"
VERSION = 1
PORTAL_BYTES = 6

log = logging.getLogger(__name__)


class Kept:
    """The file. What is put is on disk a moment later; a disk that is full or read-only is said once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._portal = ""
        self._values: dict[str, SettingValue] = {}
        self._followers: WeakSet[KeptSettings] = WeakSet()
        self._lock = Lock()
        self._content = b""
        self._written = b""
        self._troubled = False
        self._load()

    def portal(self, configured: str = "") -> str:
        """The portal id: `configured`, else the one used before, else a new one of 12 hex digits."""
        portal = configured or self._portal or secrets.token_hex(PORTAL_BYTES)
        if portal != self._portal:
            self._portal = portal
            self._save()
        return portal

    def value(self, path: str) -> SettingValue | None:
        """What is kept under `path`, None if nothing is."""
        return self._values.get(path)

    def put(self, path: str, value: SettingValue) -> None:
        """Keep `value` under `path`, and tell everybody who follows it."""
        if self._values.get(path) != value:
            self._values[path] = value
            self._save()
        for follower in tuple(self._followers):
            follower.tell(path, value)

    def instance(self, service_class: str, key: str, wanted: int) -> int:
        """The instance of the service `key`, always the same; `wanted` if it is new and none of its class has it."""
        path = f"/Settings/Devices/{key}/ClassAndVrmInstance"
        kept_class, _, digits = str(self._values.get(path, "")).partition(":")
        number = int(digits) if digits.isascii() and digits.isdigit() else wanted
        if kept_class == service_class and digits == str(number):
            return number
        taken = {value for other, value in self._values.items() if other != path}
        while f"{service_class}:{number}" in taken:
            number += 1
        self.put(path, f"{service_class}:{number}")
        return number

    def follow(self, follower: "KeptSettings") -> None:
        """Tell `follower` what is put from now on, while anybody else holds it."""
        self._followers.add(follower)

    def _load(self) -> None:
        for path in (self._path, self._path.with_name(self._path.name + ".bak")):
            try:
                document = json.loads(path.read_bytes())
                if document["version"] != VERSION:
                    raise ValueError(f"its format {document['version']} is not known to this version of Heliobus")
                values = {str(key): _checked(value) for key, value in document["settings"].items()}
                portal = str(document["portal"])
            except FileNotFoundError:
                continue
            except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                log.warning("%s is damaged (%s): device instances may be given anew", path, error)
                continue
            self._portal, self._values = portal, values
            return

    def _save(self) -> None:
        document = {"version": VERSION, "portal": self._portal, "settings": self._values}
        self._content = json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._write()
        else:
            loop.run_in_executor(None, self._write)

    def _write(self) -> None:
        """In a thread: what is newest, once."""
        with self._lock:
            content = self._content
            if content == self._written:
                return
            try:
                atomic.write(self._path, content)
            except atomic.WriteFailedError as error:
                if not self._troubled:
                    what = "cannot be saved, so device instances and names will not outlast this process"
                    log.warning("%s %s: %s", self._path, what, error.reason)
                self._troubled = True
            else:
                self._written, self._troubled = content, False


class KeptSettings:
    """The settings that one user follows in `kept`. Implements `Keeping`; what is known is told at once."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self._told: dict[str, Told] = {}
        kept.follow(self)

    @property
    def present(self) -> bool:
        """A file is always there."""
        return True

    def follow(self, setting: Setting, told: Told) -> None:
        """Tell the value of `setting`, if there is one, and each new one from now on."""
        self._told[setting.path] = told
        value = self._kept.value(setting.path)
        if value is not None:
            told(value)

    def forget(self, path: str) -> None:
        """Follow this setting no more; it stays kept."""
        self._told.pop(path, None)

    def write(self, path: str, value: SettingValue) -> None:
        """Keep `value`."""
        self._kept.put(path, value)

    async def settle(self, path: str) -> None:
        """Everything is known from the start."""

    def tell(self, path: str, value: SettingValue) -> None:
        """Somebody has put `value`."""
        told = self._told.get(path)
        if told is not None:
            told(value)


_OPEN: WeakValueDictionary[Path, Kept] = WeakValueDictionary()


def kept(state: Path) -> Kept:
    """The file of the state directory `state`, one for all outputs of this process: each counts on its numbers."""
    path = state.resolve() / FILE
    found = _OPEN.get(path)
    if found is None:
        found = _OPEN[path] = Kept(path)
    return found


def _checked(value: object) -> SettingValue:
    if isinstance(value, int | float | str):
        return value
    raise TypeError("a setting is neither a number nor a text")
