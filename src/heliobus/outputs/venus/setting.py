"""What an owner may choose outside of the config, and what keeps it: localsettings on a GX, a file elsewhere."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

SettingValue = int | float | str
Told = Callable[[SettingValue], None]


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting under `/Settings`. `default` None means that it belongs to somebody else and is only followed.

    `low` and `high` bound a number; both 0 means no bounds. With `always_told` the default is told if localsettings
    refuses the setting, as it does when another program left one of another type.
    """

    path: str
    default: SettingValue | None
    low: float = 0
    high: float = 0
    always_told: bool = False


class Keeping(Protocol):
    """What keeps settings."""

    @property
    def present(self) -> bool:
        """Whether a setting written now is kept."""

    def follow(self, setting: Setting, told: Told) -> None:
        """Add `setting` if it is ours, and tell each new value of it from now on."""

    def forget(self, path: str) -> None:
        """Follow this setting no more; it stays kept."""

    def write(self, path: str, value: SettingValue) -> None:
        """Keep `value`; if it is refused, the old value is told again."""

    async def settle(self, path: str) -> None:
        """Wait until the setting was told, or cannot be for now."""
