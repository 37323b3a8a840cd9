"""A client of Victron's localsettings: adds settings, follows them live, survives its absence and its restarts.

Source: venus.md §4.1. Without localsettings every setting simply stays unknown.
"""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Message, MessageType, Variant

from heliobus.outputs.venus.connection import ANSWER_TIME, DAEMON, CallError, Connection
from heliobus.outputs.venus.setting import Setting, SettingValue, Told

SETTINGS = "com.victronenergy.settings"
SETTINGS_INTERFACE = "com.victronenergy.Settings"
BUS_ITEM = "com.victronenergy.BusItem"
RETRY_TIME = 5.0
AWAY = (".NoReply", ".ServiceUnknown", ".NameHasNoOwner", ".Disconnected")
RULES = (
    f"type='signal',sender='{SETTINGS}',interface='{BUS_ITEM}'",
    f"type='signal',sender='{DAEMON}',member='NameOwnerChanged',arg0='{SETTINGS}'",
)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Followed:
    setting: Setting
    told: Told
    value: SettingValue | None = None
    synced: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event)


class Settings:
    """The settings this process follows. `start` first, then keep `run` running."""

    def __init__(self, connection: Connection, grace: float) -> None:
        self._connection = connection
        self._grace = grace
        self._began = 0.0
        self._owner = ""
        self._followed: dict[str, _Followed] = {}
        self._writes: deque[tuple[str, SettingValue]] = deque()
        self._work = asyncio.Event()
        self._troubled = False

    @property
    def present(self) -> bool:
        """Whether localsettings is on the bus."""
        return bool(self._owner)

    async def start(self) -> None:
        """Watch for localsettings. Raises BusLostError."""
        self._began = asyncio.get_running_loop().time()
        self._connection.add_message_handler(self._hear)
        for rule in RULES:
            await self._connection.ask_daemon("AddMatch", "s", rule)
        try:
            self._owner = await self._connection.ask_daemon("GetNameOwner", "s", SETTINGS)
        except CallError:
            log.info("localsettings is not on the D-Bus: device instances and names keep their defaults")

    async def run(self) -> None:
        """Add, read and write what is due, whenever localsettings is there. Raises BusLostError."""
        while True:
            await self._work.wait()
            self._work.clear()
            try:
                await self._synchronise()
            except CallError as error:
                if self.present and not self._troubled:
                    log.warning("localsettings does not answer (%s); trying again", error)
                    self._troubled = True
                asyncio.get_running_loop().call_later(RETRY_TIME, self._work.set)
            else:
                self._troubled = False

    def follow(self, setting: Setting, told: Told) -> None:
        """Add `setting` if it is ours, and tell each new value of it from now on."""
        self._followed[setting.path] = _Followed(setting, told)
        self._work.set()

    def forget(self, path: str) -> None:
        """Follow this setting no more; it stays in localsettings."""
        self._followed.pop(path, None)

    def write(self, path: str, value: SettingValue) -> None:
        """Have localsettings take `value`; if it refuses, the old value is told again."""
        self._writes.append((path, value))
        self._work.set()

    async def settle(self, path: str) -> None:
        """Wait until the setting was told or refused, or localsettings stayed away for the time of grace."""
        followed = self._followed[path]
        left = self._began + self._grace - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(ANSWER_TIME if self.present else max(left, 0.0)):
                await followed.settled.wait()
        except TimeoutError:
            log.debug("no value of %s yet", path)

    async def _synchronise(self) -> None:
        if not self._owner:
            return
        due = [followed for followed in self._followed.values() if not followed.synced]
        ours = [followed for followed in due if followed.setting.default is not None]
        if ours:
            await self._add(ours)
        for followed in due:
            if followed.setting.default is None:
                await self._read(followed)
        while self._writes and self._owner:
            path, value = self._writes[0]
            try:
                answer = await self._ask(path, f"{BUS_ITEM}.SetValue", "v", _variant(value))
            except CallError as error:
                if error.name.endswith(AWAY):
                    raise
                answer = error
            self._writes.popleft()
            if answer != 0:
                log.warning("localsettings refuses %r for %s (%s)", value, path, answer)
                self._tell_again(path)

    async def _add(self, ours: list[_Followed]) -> None:
        body = [_declaration(followed.setting) for followed in ours]
        try:
            answers = await self._ask("/", f"{SETTINGS_INTERFACE}.AddSettings", "aa{sv}", body)
        except CallError as error:
            if not error.name.endswith(("UnknownMethod", "UnknownObject", "UnknownInterface")):
                raise
            for followed in ours:
                await self._add_alone(followed)
            return
        for followed, answer in zip(ours, answers, strict=False):
            self._settle(followed, _plain(answer.get("error")), _plain(answer.get("value")))

    async def _add_alone(self, followed: _Followed) -> None:
        """As localsettings wanted it before it had AddSettings."""
        setting = followed.setting
        group, _, name = setting.path.removeprefix("/Settings/").rpartition("/")
        default = _variant(setting.default if setting.default is not None else 0)
        error = await self._ask(
            "/Settings",
            f"{SETTINGS_INTERFACE}.AddSetting",
            "ssvsvv",
            group,
            name,
            default,
            _letter(setting.default),
            *(_variant(bound) for bound in _bounds(setting)),
        )
        value = await self._ask(setting.path, f"{BUS_ITEM}.GetValue") if error == 0 else None
        self._settle(followed, error, _plain(value))

    async def _read(self, followed: _Followed) -> None:
        try:
            value = await self._ask(followed.setting.path, f"{BUS_ITEM}.GetValue")
        except CallError:
            # Nobody has added it; a signal tells when somebody does.
            value = None
        self._settle(followed, 0, _plain(value))

    def _settle(self, followed: _Followed, error: object, value: object) -> None:
        followed.synced = True
        if error not in (0, None):
            log.warning("localsettings refuses the setting %s (%s)", followed.setting.path, error)
            if followed.setting.always_told and followed.setting.default is not None:
                self._tell(followed, followed.setting.default)
        elif isinstance(value, int | float | str):
            self._tell(followed, value)
        followed.settled.set()

    def _tell(self, followed: _Followed, value: SettingValue) -> None:
        if self._followed.get(followed.setting.path) is not followed:
            return
        if type(value) is not type(followed.value) or value != followed.value:
            followed.value = value
            followed.settled.set()
            followed.told(value)

    def _tell_again(self, path: str) -> None:
        followed = self._followed.get(path)
        if followed is not None and followed.value is not None:
            followed.told(followed.value)

    async def _ask(self, path: str, method: str, signature: str = "", *body: object) -> Any:
        answer = await self._connection.ask(SETTINGS, path, method, signature, body)
        return answer[0] if answer else None

    def _hear(self, message: Message) -> bool | None:
        if message.message_type is MessageType.SIGNAL and message.sender in (DAEMON, self._owner):
            # Not at once: an answer read before this signal wakes its task only in the next turn of the loop.
            asyncio.get_running_loop().call_soon(self._take, message)
        return None

    def _take(self, message: Message) -> None:
        match message.member, message.signature:
            case "NameOwnerChanged", "sss":
                if message.body[0] == SETTINGS:
                    self._owned_by(message.body[2])
            case "PropertiesChanged", "a{sv}":
                self._changed(message.path or "", message.body[0])
            case "ItemsChanged", "a{sa{sv}}":
                for path, change in message.body[0].items():
                    self._changed(path, change)

    def _owned_by(self, owner: str) -> None:
        if bool(owner) is not self.present:
            log.info("localsettings %s", "is there" if owner else "is gone; its last values stay in use")
        self._owner = owner
        for followed in self._followed.values():
            followed.synced = False
        self._work.set()

    def _changed(self, path: str, change: dict[str, Variant]) -> None:
        followed = self._followed.get(path)
        value = _plain(change.get("Value"))
        if followed is not None and isinstance(value, int | float | str):
            self._tell(followed, value)


def _declaration(setting: Setting) -> dict[str, Variant]:
    default = setting.default if setting.default is not None else 0
    declaration = {"path": Variant("s", setting.path), "default": _variant(default)}
    if setting.low or setting.high:
        low, high = _bounds(setting)
        declaration |= {"min": _variant(low), "max": _variant(high)}
    return declaration


def _bounds(setting: Setting) -> tuple[SettingValue, SettingValue]:
    """Of the same kind as the setting itself."""
    if isinstance(setting.default, float):
        return float(setting.low), float(setting.high)
    return int(setting.low), int(setting.high)


def _letter(value: SettingValue | None) -> str:
    if isinstance(value, str):
        return "s"
    return "f" if isinstance(value, float) else "i"


def _variant(value: SettingValue) -> Variant:
    """localsettings knows three kinds only: Int32, Double, String."""
    if isinstance(value, str):
        return Variant("s", value)
    return Variant("d", value) if isinstance(value, float) else Variant("i", value)


def _plain(value: object) -> object:
    return value.value if isinstance(value, Variant) else value
