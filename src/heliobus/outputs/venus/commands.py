"""Commands written to paths, on their way to their devices. They outlive services and connections."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from heliobus.model.command import Command, Control, Done, Outcome
from heliobus.model.point import Value
from heliobus.outputs.venus.item import ACCEPTED, REFUSED
from heliobus.site import Site

ORIGIN = "venus"
MOST_WAITING = 4
"""Commands to one control that may be under way; no person is faster, and a script that is learns it."""
QUIET = 60.0
"""Seconds between two lines about a control that is written every few seconds."""
LONGEST_WORDS = 300

log = logging.getLogger(__name__)

Target = tuple[str, str]
"""A device's name and the point of one of its controls."""


@dataclass(slots=True)
class _Said:
    """The last line about a control; `words` is empty once it has taken a command again."""

    words: str
    time: float


class Commands:
    """Makes commands of what was written, owns their tasks, and says in the log what did not work."""

    def __init__(self, site: Site, origin: str = ORIGIN) -> None:
        self._site = site
        self._origin = origin
        self._tasks: set[asyncio.Task[Outcome]] = set()
        self._under_way: Counter[Target] = Counter()
        self._last: dict[Target, Value] = {}
        self._said: dict[Target, _Said] = {}

    def last(self, device: str, control: Control) -> Value:
        """What was last commanded of `control`, None if nothing."""
        return self._last.get((device, control.point.name))

    def give(self, device: str, control: Control, value: Value, ended: Callable[[Outcome | None], None]) -> int:
        """Start the command, or refuse it; returns at once. `ended` gets its outcome, None if there is none."""
        command = Command(device, control.point.name, value, self._origin)
        target = (device, command.point)
        why = self._site.refusal(command)
        if why is None and self._under_way[target] >= MOST_WAITING:
            why = f"{MOST_WAITING} commands to it are still under way"
        if why is not None:
            self.refused(device, control, why)
            if not control.dynamic:
                self._site.refused(command, why)
            return REFUSED
        self._last[target] = value
        self._under_way[target] += 1
        task = asyncio.create_task(self._site.command(command))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, device, control, ended))
        return ACCEPTED

    def refused(self, device: str, control: Control, why: str) -> None:
        """Say that what was written is not done, and why."""
        self._say(device, control, f"refused: {why}")

    async def close(self) -> None:
        """End all commands that are still under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(
        self,
        device: str,
        control: Control,
        ended: Callable[[Outcome | None], None],
        task: "asyncio.Task[Outcome]",
    ) -> None:
        target = (device, control.point.name)
        self._tasks.discard(task)
        self._under_way[target] -= 1
        if task.cancelled():
            log.warning("%s: %s: given up, because the output ends", *target)
            return
        error = task.exception()
        if error is not None:
            log.error("%s: %s: the command failed", *target, exc_info=error)
            ended(None)
            return
        outcome = task.result()
        if not isinstance(outcome, Done):
            self._say(device, control, f"not done: {outcome.why}")
        elif target in self._said:
            self._said[target].words = ""
        ended(outcome)

    def _say(self, device: str, control: Control, words: str) -> None:
        target = (device, control.point.name)
        now = asyncio.get_running_loop().time()
        said = self._said.get(target)
        repeated = said is not None and (said.words == words or now - said.time < QUIET)
        if control.dynamic and repeated:
            log.debug("%s: %s: %s", *target, words)
            return
        self._said[target] = _Said(words, now)
        log.warning("%s: %s: %s", *target, words[:LONGEST_WORDS])
