"""Passwords and tokens: from a file, from the environment or from the config, and never in a log."""

import os
from dataclasses import dataclass
from pathlib import Path

from heliobus.config.table import Table


class SecretError(ValueError):
    """The secret cannot be had now; the text says why, and never what it is."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is to be had, read when it is needed so that a changed file acts at the next connection."""

    _value: str = ""
    file: str = ""
    variable: str = ""

    def __repr__(self) -> str:
        return f"<secret from {self.file or self.variable or 'the config'}>" if self else "<no secret>"

    def __bool__(self) -> bool:
        return bool(self._value or self.file or self.variable)

    def reveal(self) -> str:
        """The secret, empty if there is none. Raises SecretError."""
        if self.file:
            path = Path(os.path.expandvars(self.file)).expanduser()
            try:
                return path.read_text(encoding="utf-8").rstrip("\r\n")
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else "not a text"
                raise SecretError(f"{path}: cannot be read: {why}") from None
        if self.variable:
            found = os.environ.get(self.variable)
            if found is None:
                raise SecretError(f"the environment has no {self.variable}")
            return found
        return self._value


NO_SECRET = Secret()


def keys(name: str) -> tuple[str, str, str]:
    """The keys under which the secret `name` may stand in a table."""
    return (name, f"{name}_file", f"{name}_env")


def secret(table: Table, name: str) -> Secret:
    """The secret `name` of `table`. Raises ConfigError, which does not show it."""
    given = [key for key in keys(name) if table.has(key)]
    if len(given) > 1:
        raise table.error(given[1], "…", f"one of {' or '.join(given)}, not both")
    plain, file, variable = keys(name)
    return Secret(table.hidden_text(plain), table.text(file, ""), table.text(variable, ""))
