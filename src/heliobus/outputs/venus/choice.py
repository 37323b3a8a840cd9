"""What the owner may choose on the GX in place of what the config says; localsettings keeps his choice.

Nothing is kept while he has chosen nothing, or has chosen what the config says: then the config holds, also when it
changes.
"""

from collections.abc import Callable, Collection

from heliobus.outputs.venus.item import ACCEPTED, REFUSED
from heliobus.outputs.venus.setting import Keeping, Setting, SettingValue

NO_WORD, NO_NUMBER = "", -1


class Choice:
    """`value` is what the setting `path` says if it is `allowed`, else `configured`.

    `changed` is called at each change.
    """

    def __init__(
        self,
        settings: Keeping,
        path: str,
        configured: int | str,
        allowed: Collection[int | str],
        changed: Callable[[], None],
    ) -> None:
        self.value = configured
        self._settings = settings
        self._path = path
        self._configured = configured
        self._allowed = allowed
        self._changed = changed
        if isinstance(configured, str):
            self._none: int | str = NO_WORD
            setting = Setting(path, NO_WORD)
        else:
            self._none = NO_NUMBER
            setting = Setting(path, NO_NUMBER, NO_NUMBER, max(int(number) for number in allowed))
        settings.follow(setting, self._told)

    async def settle(self) -> None:
        """Wait until the setting was told, or stayed unknown for the time of grace."""
        await self._settings.settle(self._path)

    def write(self, value: object) -> int:
        """Choose `value`; refused if it is not allowed, or while nothing can keep it. Returns ACCEPTED or REFUSED."""
        if not isinstance(value, int | str) or not self._acceptable(value) or not self._settings.present:
            return REFUSED
        self._settings.write(self._path, self._none if value == self._configured else value)
        self._take(value)
        return ACCEPTED

    def close(self) -> None:
        """Follow the setting no more."""
        self._settings.forget(self._path)

    def _acceptable(self, value: SettingValue) -> bool:
        # A bool is an int in Python, but no number on the bus.
        return type(value) is type(self._configured) and value in self._allowed

    def _told(self, value: SettingValue) -> None:
        self._take(value if isinstance(value, int | str) and self._acceptable(value) else self._configured)

    def _take(self, value: int | str) -> None:
        if value != self.value:
            self.value = value
            self._changed()
