"""Paths that command a device: what is written becomes a command or is refused. Source: venus.md §1.4, rule G12.

A path never takes the written value itself: it shows what the device is read to do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from heliobus.model.command import Control, ControlKind, Done, Outcome
from heliobus.model.point import Value
from heliobus.outputs.venus.commands import Commands
from heliobus.outputs.venus.item import ACCEPTED, REFUSED, Item, Kind
from heliobus.outputs.venus.items import Items

RESTING: dict[ControlKind, Value] = {ControlKind.BUTTON: 0, ControlKind.TEXT: ""}
"""What paths show that have no state of their own; writing it asks for nothing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody wants of a control: `value`, and `shown`, what the path shows once that is so."""

    value: Value
    shown: Value


def wanted(
    control: Control,
    kind: Kind,
    written: object,
    numbers: Mapping[int, int] | None = None,
    ceiling: float | None = None,
) -> Wanted:
    """What is wanted of `control` by who writes `written` to a path of `kind`; `numbers`, `ceiling` as in Leaf.

    Raises ValueError, saying what the path takes.
    """
    if control.kind is ControlKind.TEXT:
        return Wanted(control.coerced(written), "")
    # A bool is an int in Python, but neither a switch nor a number on the bus.
    whole = type(written) is int
    if numbers is not None:
        own = {theirs: own for own, theirs in numbers.items()}
        if not whole or written not in own:
            raise ValueError(f"it takes {_list(own)}, not {written!r}")
        return Wanted(control.coerced(own[written]), written)
    if control.kind is not ControlKind.NUMBER:
        if not whole or written not in (0, 1):
            raise ValueError(f"it takes 0 or 1, not {written!r}")
        resting = control.kind is ControlKind.BUTTON and written == 0
        return Wanted(0 if resting else control.coerced(written), written)
    if ceiling is not None and isinstance(written, int | float) and not isinstance(written, bool):
        if written <= 0:
            raise ValueError(f"0 would mean no limit: write {ceiling:g} for none, or switch the charger off")
        if ceiling <= written <= (control.point.high or ceiling):
            return Wanted(control.coerced(0), ceiling)
    number = control.coerced(written)
    if kind == "i":
        if number != int(number or 0):
            raise ValueError(f"{control.point.name} takes a whole number, not {written!r}")
        number = int(number or 0)
    return Wanted(number, number)


def _list(numbers: Mapping[int, int]) -> str:
    return " or ".join(str(number) for number in sorted(numbers))


class ControlItems:
    """The items of one service that command its device. `wake` has the service send what is to be told."""

    def __init__(self, service: Items, device: str, commands: Commands, wake: Callable[[], None]) -> None:
        self._service = service
        self._device = device
        self._commands = commands
        self._wake = wake

    def open(self, item: Item, control: Control, understand: Callable[[object], Wanted]) -> None:
        """Let `item` take writes for `control`. `understand` raises ValueError for what it does not take."""
        item.write = partial(self._write, item, control, understand)
        item.every_write = True
        if control.kind in RESTING:
            self._service.set(item, RESTING[control.kind])

    def _write(self, item: Item, control: Control, understand: Callable[[object], Wanted], written: object) -> int:
        try:
            aim = understand(written)
        except ValueError as error:
            self._commands.refused(self._device, control, str(error))
            self._correct(item, control)
            return REFUSED
        resting = control.kind in RESTING
        if resting:
            # Who writes believes that the path now shows what he wrote.
            self._correct(item, control)
            if aim.value == RESTING[control.kind]:
                return ACCEPTED
        elif not control.dynamic and self._is_so(item, control, aim):
            if aim.shown != written:
                self._correct(item, control)
            return ACCEPTED
        answer = self._commands.give(self._device, control, aim.value, partial(self._ended, item, control, aim))
        if answer != ACCEPTED or aim.shown != written:
            self._correct(item, control)
        return answer

    def _is_so(self, item: Item, control: Control, aim: Wanted) -> bool:
        """Whether nothing is to be done. What was commanded a moment ago may not be read back yet."""
        last = self._commands.last(self._device, control)
        return item.value is not None and item.value == aim.shown and last in (None, aim.value)

    def _ended(self, item: Item, control: Control, aim: Wanted, outcome: Outcome | None) -> None:
        if not isinstance(outcome, Done) or outcome.value != aim.value:
            self._correct(item, control)

    def _correct(self, item: Item, control: Control) -> None:
        # Who steers by the second is not told again and again: he reads answers, not signals.
        if not control.dynamic:
            self._service.repeat(item)
            self._wake()
