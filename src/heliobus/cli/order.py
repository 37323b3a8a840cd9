"""One command from the terminal: what it would write, the owner's yes where it takes one, and how it ended."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass

import click

from heliobus.cli.commanded import Commanded, Target, check_on, problem, reached
from heliobus.cli.problem import WrongUse
from heliobus.cli.value_text import shown
from heliobus.control.wanted import is_setting
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, ControlKind, Done, Failed, Refused
from heliobus.model.point import Point, Value
from heliobus.outputs.requests import Message

RESTART = "This disconnects and restarts the charger; today's counters on its own display start anew."
STORING = "This changes what the device has stored, and its memory bears a limited number of writes."
BAR = 20


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall be commanded; `label` says it in words where `point` and `value` are not for people."""

    point: str
    value: Value
    label: str = ""

    @property
    def stored(self) -> bool:
        """Whether it changes what the device has stored."""
        return is_setting(self.point)


@dataclass(frozen=True, slots=True)
class Manner:
    """How the user wants it done."""

    dry_run: bool = False
    yes: bool = False
    as_json: bool = False


Prepare = Callable[[Commanded], Awaitable[Wish]]
"""Makes the wish from what the device is. Raises Problem."""


def carry_out(target: Target, prepare: Prepare, manner: Manner) -> None:
    """Show what will be written, ask where it takes a yes, have it done and say how it ended. Raises Problem."""
    try:
        warning = asyncio.run(_attempt(target, prepare, manner, asked=manner.yes, show=True))
        if warning is None:
            return
        # Asked between two visits, so that nobody is kept from the device while the user thinks.
        _confirm(warning)
        asyncio.run(_attempt(target, prepare, manner, asked=True, show=False))
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise SystemExit(130) from None


async def _attempt(target: Target, prepare: Prepare, manner: Manner, *, asked: bool, show: bool) -> str | None:
    """What the user has to say yes to before anything is written, None when it is over."""
    async with reached(target) as device:
        check_on(device)
        wish = await prepare(device)
        changes = await device.plan(wish.point, wish.value)
        if isinstance(changes, Refused) and not manner.dry_run:
            # The command is refused for the same reason, and recorded.
            _report(device, wish, manner, (), await device.command(wish.point, wish.value))
            return None
        if isinstance(changes, Refused | Failed):
            _report(device, wish, manner, (), changes)
            return None
        if show and not manner.as_json:
            for line in change_lines(device, wish, changes):
                click.echo(line)
        if manner.dry_run:
            _report(device, wish, manner, changes, None)
            return None
        if wish.stored and changes and not asked:
            return RESTART if device.restarts else STORING
        progress = Progress(device.name)
        try:
            outcome = await device.command(wish.point, wish.value, progress.say)
        finally:
            progress.end()
        _report(device, wish, manner, changes, outcome)
        return None


def _interactive() -> bool:
    return sys.stdin.isatty()


def _confirm(warning: str) -> None:
    if not _interactive():
        raise WrongUse(f"{warning} Say that you want it with --yes")
    click.confirm(f"{warning} Go on?", abort=True, err=True)


def change_lines(device: Commanded, wish: Wish, changes: tuple[Change, ...]) -> list[str]:
    """What will change, for people: `roof: charger_enabled on → off (coil 0x0002 0 → 1)`."""
    if changes:
        return [f"{device.name}: {change_text(device.point(each.point), each)}" for each in changes]
    if wish.stored:
        return [f"{device.name}: nothing to change, it is stored so already"]
    return [f"{device.name}: {wish.point} → {shown(device.point(wish.point), wish.value)}"]


def change_text(point: Point, change: Change) -> str:
    """One change with its place and raw words."""
    digits = "{}".format if change.place.startswith("coil") else "0x{:04X}".format
    old = "" if change.old is None else f"{shown(point, change.old)} "
    word = "" if change.old_word is None else f"{digits(change.old_word)} "
    return f"{point.name} {old}→ {shown(point, change.new)} ({change.place} {word}→ {digits(change.new_word)})"


def _report(
    device: Commanded, wish: Wish, manner: Manner, changes: tuple[Change, ...], outcome: Done | Refused | Failed | None
) -> None:
    """Say how it ended; None where nothing was tried. Raises Problem unless it is done."""
    if manner.as_json:
        click.echo(json.dumps(_document(device, wish, changes, outcome), indent=2, ensure_ascii=False))
    if isinstance(outcome, Refused | Failed):
        raise problem(device.name, outcome)
    if not manner.as_json:
        click.echo(_ending(device, wish, outcome))


def _ending(device: Commanded, wish: Wish, outcome: Done | None) -> str:
    if outcome is None:
        return f"{device.name}: nothing was written (--dry-run)"
    control = device.controls.get(wish.point)
    told = control is not None and control.kind in (ControlKind.SWITCH, ControlKind.NUMBER)
    if told and isinstance(outcome.value, int | float):
        return f"{device.name}: done, {wish.point} is {shown(device.point(wish.point), outcome.value)}"
    return f"{device.name}: done{', ' + wish.label if wish.label else ''}"


def _document(
    device: Commanded, wish: Wish, changes: tuple[Change, ...], outcome: Done | Refused | Failed | None
) -> Message:
    return {
        "device": device.name,
        "point": wish.point,
        "value": wish.value,
        "changes": [asdict(change) for change in changes],
        "outcome": None if outcome is None else type(outcome).__name__.lower(),
        "why": outcome.why if isinstance(outcome, Refused | Failed) else None,
        "result": outcome.value if isinstance(outcome, Done) else None,
    }


class Progress:
    """How far a change of settings is: one line that moves in a terminal, else a line for each step."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._live = self.live()
        self._shown = False

    @staticmethod
    def live() -> bool:
        """Whether somebody watches."""
        return sys.stderr.isatty()

    async def say(self, message: Message) -> None:
        """Show one message of progress."""
        progress = message.get("progress")
        if not isinstance(progress, dict):
            return
        status = str(progress.get(v.PROFILE_STATUS.name) or "")
        percent = progress.get(v.PROFILE_PROGRESS.name)
        number = float(percent) if isinstance(percent, int | float) else 0.0
        done = round(number / 100 * BAR)
        text = f"{self._name}: [{'#' * done:{BAR}}] {number:3.0f} % {status}"
        self._shown = self._shown or self._live
        # A terminal that is gone must not end what is under way.
        with suppress(OSError):
            if self._live:
                click.echo(f"\r\x1b[K{text}", nl=False, err=True)
            else:
                click.echo(f"{self._name}: {number:.0f} % {status}".rstrip(), err=True)

    def end(self) -> None:
        """Leave the line."""
        if self._shown:
            with suppress(OSError):
                click.echo(err=True)
