"""The progress bar of a search, on stderr and only where that is a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from heliobus.scan import Found, Progress, Quiet

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID


@contextmanager
def progress() -> Iterator[Progress]:
    """Shows how far the search is while the block runs; where there is no terminal, or no rich, nothing."""
    if not sys.stderr.isatty():
        yield Quiet()
        return
    try:
        from rich.console import Console  # noqa: PLC0415  brings rich
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn  # noqa: PLC0415  only for a bar
        from rich.progress import Progress as Bars  # noqa: PLC0415  as above
    except ImportError:
        yield Quiet()
        return
    columns = (BarColumn(), TimeRemainingColumn(), TextColumn("{task.description}", markup=False))
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bar(bars)


class _Bar:
    def __init__(self, bars: "RichProgress") -> None:
        self._bars = bars
        self._task: TaskID = bars.add_task("", total=0)

    def expect(self, steps: int) -> None:
        total = self._bars.tasks[self._task].total or 0
        self._bars.update(self._task, total=total + steps)

    def step(self, doing: str) -> None:
        self._bars.update(self._task, advance=1, description=doing)

    def found(self, found: Found) -> None:
        self._bars.console.print(f"{found.identity.model}, unit {found.unit}", markup=False, highlight=False)
