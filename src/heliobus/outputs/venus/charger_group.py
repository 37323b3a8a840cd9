"""The group of settings that a charger is set up with, and reading it with what is wrong in it replaced."""

from collections.abc import Iterable, Mapping

from heliobus.outputs.venus.setting import Setting, SettingValue

GROUP = "/Settings/TristarMPPT/"


def setting(name: str, default: SettingValue, low: float = 0, high: float = 0) -> Setting:
    """A setting of the group."""
    return Setting(GROUP + name, default, low, high, always_told=True)


class Stored:
    """The values of `settings`, by name without the group. `remarks` says in words what is wrong with them."""

    def __init__(self, values: Mapping[str, SettingValue], settings: Iterable[Setting]) -> None:
        self._values = values
        self._settings = {each.path.removeprefix(GROUP): each for each in settings}
        self.remarks: list[str] = []

    def number(self, name: str) -> float:
        """The number, or its default if it is none or outside of its bounds."""
        each, value = self._settings[name], self._values[name]
        # localsettings keeps stored values that are outside of limits set later (venus.md §4.1).
        if not isinstance(value, str) and each.low <= value <= each.high:
            return value
        assert isinstance(each.default, int | float)
        self.remark(name, f"not {each.low:g} to {each.high:g}: using {each.default:g}")
        return each.default

    def whole(self, name: str) -> int:
        """The number without decimals."""
        return int(self.number(name))

    def text(self, name: str) -> str:
        """The text, without spaces around it."""
        return str(self._values[name]).strip()

    def remark(self, name: str, words: str) -> None:
        """Say what is wrong with the setting."""
        self.remarks.append(f"{GROUP}{name} is {self._values[name]!r}, {words}")
