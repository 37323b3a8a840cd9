"""A table of the config that knows where it stands: errors name file, table, key, what was found, what is allowed."""

import json
import os
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path

A_LEAP_YEAR = "2024"
DATES = '"12-01" for every year, or "2026-12-01"'


class ConfigError(ValueError):
    """The config cannot be used; the text is one line."""


class Table:
    """A table of the document, which knows where it stands for its errors.

    `name` is its dotted name in the file, `path` what people are told, `outer` the table of an array that it is in.
    """

    def __init__(self, content: object, source: str, path: str, name: str = "", outer: str = "") -> None:
        self._source = source
        self._path = path
        self._name = name
        self._outer = outer
        if not isinstance(content, Mapping):
            raise ConfigError(f"{source}: {path} is {_found(content)}; allowed: a table")
        self._content = content

    def where(self) -> str:
        """File and table, for the start of an error."""
        return f"{self._source}: {self._path}" if self._path else self._source

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        return key in self._content

    def names(self) -> tuple[str, ...]:
        """What is in it, in the order of the file."""
        return tuple(self._content)

    def error(self, key: str, found: object, allowed: str) -> ConfigError:
        """The one line about a wrong value."""
        return ConfigError(f"{self.where()}: {key} is {_found(found)}; allowed: {allowed}")

    def missing(self, key: str, allowed: str) -> ConfigError:
        """The one line about a value that must be there."""
        return ConfigError(f"{self.where()}: {key} is missing; allowed: {allowed}")

    def only(self, *known: str) -> None:
        """Refuse keys that mean nothing here, and suggest the nearest one that does."""
        for key in self._content:
            if key not in known:
                import difflib  # noqa: PLC0415  for the error only

                near = difflib.get_close_matches(str(key), known, 1)
                hint = f"did you mean {near[0]!r}? " if near else ""
                found = line(repr(key))
                raise ConfigError(f"{self.where()}: unknown key {found}; {hint}allowed: {', '.join(known)}")

    def table(self, key: str) -> "Table":
        """The table under `key`, empty if it is not there."""
        name = self._inner(key)
        return Table(self._content.get(key, {}), self._source, f"{self._outer}[{name}]", name, self._outer)

    def tables(self, key: str) -> list["Table"]:
        """The array of tables under `key`."""
        content = self._content.get(key, [])
        if not isinstance(content, list):
            raise self.error(key, content, f"tables written [[{key}]]")
        name = self._inner(key)
        paths = (f"[[{name}]] {index}" for index in range(1, len(content) + 1))
        return [Table(each, self._source, path, name, f"{path} ") for each, path in zip(content, paths, strict=True)]

    def text(self, key: str, default: str | None, allowed: str = "a text in quotes") -> str:
        """A text; required if there is no default."""
        value = self._content.get(key, default)
        if value is None:
            raise self.missing(key, allowed)
        if not isinstance(value, str):
            raise self.error(key, value, allowed)
        return value

    def hidden_text(self, key: str) -> str:
        """A text that no error may show; empty if it is not there."""
        value = self._content.get(key, "")
        if not isinstance(value, str):
            raise ConfigError(f"{self.where()}: {key} is not what it has to be; allowed: a text in quotes")
        return value

    def matching(self, key: str, default: str, pattern: str, allowed: str) -> str:
        """A text that all of `pattern` matches."""
        value = self.text(key, default, allowed)
        if not re.fullmatch(pattern, value):
            raise self.error(key, value, allowed)
        return value

    def path(self, key: str) -> Path | None:
        """A path, with ~ and environment variables filled in; None if it is not there."""
        if not self.has(key):
            return None
        text = self.text(key, "")
        try:
            path = Path(os.path.expandvars(text)).expanduser()
            possible = bool(text) and b"\0" not in os.fsencode(path)
        except (RuntimeError, ValueError):
            possible = False
        if not possible:
            raise self.error(key, text, "a path")
        return path

    def pairs(self, key: str) -> dict[str, str]:
        """A table of texts by name; empty if it is not there."""
        inner = self.table(key)
        return {str(name): inner.text(name, "") for name in inner.names()}

    def one_or_more(self, key: str) -> list["Table"]:
        """A table, or an array of them; none if it is not there."""
        if isinstance(self._content.get(key), Mapping):
            return [self.table(key)]
        return self.tables(key)

    def choice(self, key: str, default: str, allowed: tuple[str, ...]) -> str:
        """One of the allowed texts."""
        value = self._content.get(key, default)
        if not isinstance(value, str) or value not in allowed:
            raise self.error(key, value, " or ".join(f'"{each}"' for each in allowed))
        return value

    def texts(self, key: str, allowed: str) -> tuple[str, ...]:
        """An array of texts; empty if it is not there."""
        value = self._content.get(key, [])
        if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
            raise self.error(key, value, allowed)
        return tuple(value)

    def date(self, key: str, default: str | None = None, *, yearly: bool = False) -> str:
        """A date as MM-DD, which is meant every year, or as YYYY-MM-DD unless `yearly`; required without default."""
        allowed = 'a date such as "12-01"' if yearly else f"a date such as {DATES}"
        value = self._content.get(key, default)
        if value is None:
            raise self.missing(key, allowed)
        # TOML has dates of its own; a date with a time of day is one of its kinds, and none of ours.
        text = value.isoformat() if type(value) is date else value
        if not isinstance(text, str) or not _is_date(text) or (yearly and len(text) > len("12-01")):
            raise self.error(key, value, allowed)
        return text

    def flag(self, key: str, default: bool) -> bool:
        """True or false."""
        value = self._content.get(key, default)
        if not isinstance(value, bool):
            raise self.error(key, value, "true or false")
        return value

    def integer(self, key: str, default: int, low: int, high: int) -> int:
        """A whole number within low..high."""
        value = self._content.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, value, f"a whole number from {low} to {high}")
        return value

    def one_of(self, key: str, allowed: tuple[int, ...]) -> int | None:
        """One of the allowed whole numbers, None if it is not there."""
        value = self._content.get(key)
        if value is None:
            return None
        if not isinstance(value, int) or isinstance(value, bool) or value not in allowed:
            raise self.error(key, value, " or ".join(str(each) for each in allowed))
        return value

    def number(self, key: str, default: float | None, low: float, high: float, unit: str = "") -> float:
        """A number within low..high; required if there is no default. `unit` is for the error."""
        allowed = f"a number from {low:g} to {high:g} {unit}".rstrip()
        value = self._content.get(key, default)
        if value is None:
            raise self.missing(key, allowed)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self.error(key, value, allowed)
        return float(value)

    def seconds(self, key: str, default: float, low: float, high: float) -> float:
        """A duration such as "5s", "500ms", "2m", or a number of seconds, within low..high seconds."""
        value = self._content.get(key, default)
        seconds = _seconds(value)
        if seconds is None or not low <= seconds <= high:
            raise self.error(key, value, f'a time from {low} s to {high} s, such as "5s" or "500ms"')
        return float(seconds)

    def _inner(self, key: str) -> str:
        # What is no bare key in TOML is shown as TOML would have it.
        shown = key if re.fullmatch(r"[A-Za-z0-9_-]{1,80}", key) else line(json.dumps(key, ensure_ascii=False))
        return f"{self._name}.{shown}" if self._name else shown


def _is_date(text: str) -> bool:
    if not re.fullmatch(r"([0-9]{4}-)?[0-9]{2}-[0-9]{2}", text):
        return False
    try:
        # 02-29 is a day of some years.
        date.fromisoformat(text if len(text) > len("12-01") else f"{A_LEAP_YEAR}-{text}")
    except ValueError:
        return False
    return True


def _seconds(value: object) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return value
    if isinstance(value, str):
        for suffix, factor in (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0)):
            number = value.removesuffix(suffix).strip()
            if value.endswith(suffix) and number.replace(".", "", 1).isdecimal():
                return float(number) * factor
    return None


def _found(value: object) -> str:
    """`value` as it is written in the file, on one short line."""
    if isinstance(value, str):
        return line(json.dumps(value, ensure_ascii=False))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > 64:
        return "a number of many digits"
    if isinstance(value, Mapping):
        return "a table"
    return "an array" if isinstance(value, list) else line(str(value))


def line(text: str) -> str:
    """`text` on one line of bounded length, without what cannot be printed."""
    shown = "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in text)
    return shown if len(shown) <= 300 else shown[:300] + "…"
