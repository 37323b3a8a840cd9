"""A path that belongs to the owner: what he writes is kept by localsettings and survives a restart."""

from collections.abc import Callable

from heliobus.outputs.venus.item import ACCEPTED, REFUSED, Item
from heliobus.outputs.venus.items import Items
from heliobus.outputs.venus.setting import Keeping, Setting, SettingValue

LONGEST_NAME = 64


class StoredItem:
    """`item` shows `setting`, and its default until localsettings says another value.

    A write that is not `acceptable` is refused, as is every write while nothing can keep it if it `must_last`. `wake`
    has the service send what is to be told.
    """

    def __init__(
        self,
        service: Items,
        item: Item,
        setting: Setting,
        settings: Keeping,
        acceptable: Callable[[object], bool],
        wake: Callable[[], None],
        *,
        must_last: bool = True,
    ) -> None:
        self._service = service
        self._item = item
        self._path = setting.path
        self._settings = settings
        self._acceptable = acceptable
        self._wake = wake
        self._must_last = must_last
        service.set(item, setting.default)
        item.write = self._write
        settings.follow(setting, self._told)

    def close(self) -> None:
        """Follow the setting no more."""
        self._settings.forget(self._path)

    def _write(self, value: object) -> int:
        if not isinstance(value, int | str) or not self._acceptable(value):
            return REFUSED
        if self._settings.present:
            self._settings.write(self._path, value)
        elif self._must_last:
            return REFUSED
        self._show(value)
        return ACCEPTED

    def _told(self, value: SettingValue) -> None:
        # Somebody may have written into the settings what this path would have refused.
        if self._acceptable(value):
            self._show(value)

    def _show(self, value: SettingValue) -> None:
        self._service.set(self._item, value)
        self._wake()


def acceptable_name(value: object, longest: int = LONGEST_NAME) -> bool:
    """Whether `value` may name something: a text, not too long, no control characters. Empty takes the name away."""
    if not isinstance(value, str) or len(value) > longest:
        return False
    # JSON may bring half of a surrogate pair, which no file can keep.
    return not any(char < " " or "\x7f" <= char <= "\x9f" or "\ud800" <= char <= "\udfff" for char in value)
