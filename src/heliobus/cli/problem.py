"""Errors of the command line: one line that says what, where and what to do."""

from typing import IO, Any

import click

from heliobus.config import SETTINGS_DEVICE


class Problem(click.ClickException):
    """It failed: one line on stderr, exit code 1."""

    exit_code = 1

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line."""
        click.echo(f"heliobus: {self.format_message()}", file=file, err=file is None)


class WrongUse(Problem):
    """Wrong use or wrong config: exit code 2."""

    exit_code = 2


class RefusedByGuard(Problem):
    """A guard said no, before a byte was sent: exit code 3."""

    exit_code = 3


def control_off(name: str) -> RefusedByGuard:
    """Nothing may be commanded of the device of this name, and where that is changed."""
    where = 'set control = "on" for it in the config'
    if name == SETTINGS_DEVICE:
        where = "set /Settings/TristarMPPT/Control to 1 on the GX"
    return RefusedByGuard(f"control of {name} is off: {where}")
