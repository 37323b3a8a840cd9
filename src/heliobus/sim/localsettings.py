"""A stand-in of Victron's localsettings on a D-Bus, for tests and the demo. Source: venus.md §4 (tried with 1.76)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dbus_fast import Message, MessageType, NameFlag, RequestNameReply, Variant
from dbus_fast.aio import MessageBus

NAME = "com.victronenergy.settings"
BUS_ITEM = "com.victronenergy.BusItem"
SETTINGS = "com.victronenergy.Settings"

STARTS_WITH_UNDERSCORE = -2
UNKNOWN_TYPE = -3
INVALID_PATH = -4
OTHER_TYPE = -5
INVALID_DEFAULT = -6
DEFAULT_OUTSIDE = -7
IS_A_GROUP = -8
OUTSIDE_SETTINGS = -9
REFUSED = -1

INSTANCE = re.compile(r"/Settings/Devices/[^/]+/ClassAndVrmInstance")
_ELEMENT = re.compile(r"[A-Za-z0-9_]+")
_CLASS_AND_NUMBER = re.compile(r"([a-z]+):(\d+)")
_KINDS = {"i": "i", "d": "f", "s": "s"}

SettingValue = int | float | str


@dataclass(slots=True)
class StoredSetting:
    """One line of settings.xml. `kind` is i, f or s; limits of 0 and 0 are none."""

    kind: str
    value: SettingValue
    default: SettingValue
    low: float = 0
    high: float = 0

    @property
    def limited(self) -> bool:
        """Whether there are limits."""
        return self.kind != "s" and not self.low == self.high == 0


class _CallError(Exception):
    """The call raises over D-Bus."""


class LocalSettings:
    """The settings service at `address`. `settings` is what was stored before; it is changed in place.

    With `items_changed` changes are also announced by ItemsChanged on the root.
    """

    def __init__(
        self, address: str, settings: dict[str, StoredSetting] | None = None, items_changed: bool = False
    ) -> None:
        self.settings = {} if settings is None else settings
        self._address = address
        self._items_changed = items_changed
        self._bus: MessageBus | None = None

    async def start(self) -> None:
        """Own the name. Raises OSError when it is taken."""
        self._bus = await MessageBus(bus_address=self._address).connect()
        self._bus.add_message_handler(self._answer)
        if await self._bus.request_name(NAME, NameFlag.DO_NOT_QUEUE) is not RequestNameReply.PRIMARY_OWNER:
            await self.stop()
            raise OSError(f"another program already serves {NAME}")

    async def stop(self) -> None:
        """Leave the bus; the settings stay stored."""
        if self._bus is not None:
            self._bus.disconnect()
            await self._bus.wait_for_disconnect()  # type: ignore[no-untyped-call]
            self._bus = None

    def change(self, path: str, value: SettingValue) -> int:
        """Change a setting as somebody on the bus would. Returns 0 or a negative number."""
        setting = self.settings[path]
        new = _converted(setting.kind, value)
        if new is None or (setting.limited and not setting.low <= float(new) <= setting.high):
            return REFUSED
        if INSTANCE.fullmatch(path):
            numbered = self._free_instance(path, str(new))
            if numbered is None:
                return REFUSED
            new = numbered
        if new != setting.value:
            setting.value = new
            self._announce(path, {"Value": _variant(new), "Text": Variant("s", str(new))})
        return 0

    def add(self, path: str, default: SettingValue, kind: str, low: float = 0, high: float = 0) -> int:
        """Add a setting, or give it a new default and new limits. Returns 0 or a negative number."""
        error = self._path_error(path)
        if error:
            return error
        if kind not in ("i", "f", "s"):
            return UNKNOWN_TYPE
        value = _converted(kind, default)
        if value is None or (INSTANCE.fullmatch(path) and not _CLASS_AND_NUMBER.fullmatch(str(value))):
            return INVALID_DEFAULT
        new = StoredSetting(kind, value, value, low, high)
        if new.limited and not low <= float(value) <= high:
            return DEFAULT_OUTSIDE
        old = self.settings.get(path)
        if old is not None:
            if old.kind != kind:
                return OTHER_TYPE
            new.value = old.value
        elif INSTANCE.fullmatch(path):
            new.value = self._free_instance(path, str(value)) or value
        if new != old:
            self.settings[path] = new
            self._announce(path, _entry(new))
        return 0

    def _path_error(self, path: str) -> int:
        if not path.startswith("/Settings/"):
            return OUTSIDE_SETTINGS
        elements = path.split("/")[2:]
        if any(element.startswith("_") for element in elements):
            return STARTS_WITH_UNDERSCORE
        if any("-" in element or "." in element for element in elements):
            raise _CallError(f"Invalid object path {path!r}")
        if not all(_ELEMENT.fullmatch(element) for element in elements):
            return INVALID_PATH
        return IS_A_GROUP if self._is_group(path) else 0

    def _is_group(self, path: str) -> bool:
        start = path.rstrip("/") + "/"
        return path in ("/", "/Settings") or any(known.startswith(start) for known in self.settings)

    def _free_instance(self, path: str, wanted: str) -> str | None:
        """`wanted`, or the same class with the next number that no other device has."""
        match = _CLASS_AND_NUMBER.fullmatch(wanted)
        if match is None:
            return None
        taken = {s.value for other, s in self.settings.items() if other != path and INSTANCE.fullmatch(other)}
        number = int(match[2])
        while f"{match[1]}:{number}" in taken:
            number += 1
        return f"{match[1]}:{number}"

    def _announce(self, path: str, change: dict[str, Variant]) -> None:
        if self._bus is None:
            return
        self._bus.send(Message.new_signal(path, BUS_ITEM, "PropertiesChanged", "a{sv}", [change]))
        if self._items_changed:
            self._bus.send(Message.new_signal("/", BUS_ITEM, "ItemsChanged", "a{sa{sv}}", [{path: change}]))

    def _answer(self, message: Message) -> Message | bool | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        calls = {SETTINGS: self._call_settings, BUS_ITEM: self._call_item}
        call = calls.get(message.interface or "")
        if call is None:
            return None
        try:
            answer = call(message.path or "/", message.member or "", message.body)
        except _CallError as error:
            return Message.new_error(message, "org.freedesktop.DBus.Python.ValueError", str(error))
        if answer is None:
            what = f"{message.path} has no {message.interface}.{message.member}"
            return Message.new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", what)
        signature, value = answer
        return Message.new_method_return(message, signature, [value])

    def _call_settings(self, path: str, member: str, body: list[Any]) -> tuple[str, object] | None:
        if not self._is_group(path):
            return None
        match member:
            case "AddSettings":
                return "aa{sv}", [self._add_one(path, declaration) for declaration in body[0]]
            case "AddSetting" | "AddSilentSetting":
                group, name, default, kind, low, high = body
                full = "/".join([path.rstrip("/"), group.strip("/"), name.strip("/")]).replace("//", "/")
                if _KINDS.get(default.signature) is None:
                    return "i", UNKNOWN_TYPE
                return "i", self.add(full, default.value, kind, low.value, high.value)
            case "RemoveSettings":
                return "ai", [self._remove(path, name) for name in body[0]]
        return None

    def _add_one(self, group: str, declaration: dict[str, Variant]) -> dict[str, Variant]:
        path = declaration["path"].value
        full = path if group == "/" else f"{group}/{path.strip('/')}"
        default = declaration["default"]
        kind = _KINDS.get(default.signature, "")
        low, high = (declaration[name].value if name in declaration else 0 for name in ("min", "max"))
        error = self.add(full, default.value, kind, low, high)
        answer = {"error": Variant("i", error), "path": Variant("s", path)}
        if error == 0:
            answer["value"] = _variant(self.settings[full].value)
        return answer

    def _remove(self, group: str, path: str) -> int:
        full = path if group == "/" else f"{group}/{path.strip('/')}"
        return 0 if self.settings.pop(full, None) is not None else REFUSED

    def _call_item(self, path: str, member: str, body: list[Any]) -> tuple[str, object] | None:
        setting = self.settings.get(path)
        if setting is None:
            return self._call_group(path, member) if self._is_group(path) else None
        match member:
            case "GetValue":
                return "v", _variant(setting.value)
            case "GetText":
                return "s", str(setting.value)
            case "GetDefault":
                return "v", _variant(setting.default)
            case "GetMin":
                return "v", _variant(setting.low)
            case "GetMax":
                return "v", _variant(setting.high)
            case "SetValue":
                return "i", self.change(path, body[0].value)
            case "SetDefault":
                if INSTANCE.fullmatch(path):
                    raise _CallError("ClassAndVrmInstance has no default to go back to")
                return "i", self.change(path, setting.default)
        return None

    def _call_group(self, path: str, member: str) -> tuple[str, object] | None:
        start = len(path.rstrip("/")) + 1
        match member:
            case "GetItems" if path == "/":
                return "a{sa{sv}}", {known: _entry(setting) for known, setting in self.settings.items()}
            case "GetValue":
                return "v", Variant("a{sv}", {known[start:]: _variant(s.value) for known, s in self._below(path)})
            case "GetText":
                return "v", Variant("a{ss}", {known[start:]: str(s.value) for known, s in self._below(path)})
        return None

    def _below(self, path: str) -> Iterator[tuple[str, StoredSetting]]:
        start = path.rstrip("/") + "/"
        return ((known, setting) for known, setting in self.settings.items() if known.startswith(start))


def _converted(kind: str, value: object) -> SettingValue | None:
    """`value` as localsettings converts it: "2" and 2.9 into an int become 2. None where it cannot."""
    if not isinstance(value, int | float | str):
        return None
    try:
        if kind == "i":
            return int(value)
        return float(value) if kind == "f" else str(value)
    except (ValueError, OverflowError):
        return None


def _variant(value: SettingValue) -> Variant:
    if isinstance(value, str):
        return Variant("s", value)
    return Variant("d", value) if isinstance(value, float) else Variant("i", value)


def _entry(setting: StoredSetting) -> dict[str, Variant]:
    return {
        "Value": _variant(setting.value),
        "Text": Variant("s", str(setting.value)),
        "Min": _variant(setting.low),
        "Max": _variant(setting.high),
        "Default": _variant(setting.default),
    }
