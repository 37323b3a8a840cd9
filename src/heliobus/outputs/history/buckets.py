"""Slots and samples put into the buckets that were asked for; where a device was silent there is a gap."""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from heliobus.outputs.history.coding import Number

Place = Callable[[int], int]
"""UTC ms → UTC ms at which its bucket begins."""
ENOUGH = 8
"""Rows that show how far apart they usually are."""


Entry = tuple[int, int, Number, Number, Number]
"""A slot or a sample as it is kept: UTC ms, how many values, lowest, highest, and their sum or the last of them."""


class Row(NamedTuple):
    """What was measured from `time` (UTC ms) on, until the next row. A row of no samples is a gap, all else None.

    `mean` is None for counters and states, `last` is None for what has a mean; a single sample has both.
    """

    time: int
    minimum: Number | None
    mean: Number | None
    maximum: Number | None
    last: Number | None
    samples: int

    @property
    def value(self) -> Number | None:
        """The one number for this row: the mean, or the last value where a mean makes no sense."""
        return self.last if self.mean is None else self.mean


def gap(time: int) -> Row:
    """From `time` on nothing was measured."""
    return Row(time, None, None, None, None, 0)


def sample(time: int, value: Number | None) -> Row:
    """A row of one value."""
    return gap(time) if value is None else Row(time, value, value, value, value, 1)


def bucketed(entries: Iterable[Entry], place: Place, *, summed: bool) -> list[Row]:
    """One row for each bucket that has entries. `entries` are in order of time."""
    rows: list[Row] = []
    bucket: int | None = None
    count, low, high, extra = 0, 0.0, 0.0, 0.0
    for time, number, least, most, more in entries:
        begin = place(time)
        if begin != bucket:
            if bucket is not None:
                rows.append(_row(bucket, count, low, high, extra, summed=summed))
            bucket, count, low, high, extra = begin, number, least, most, more
            continue
        count += number
        low = least if least < low else low
        high = most if most > high else high
        extra = extra + more if summed else more
    if bucket is not None:
        rows.append(_row(bucket, count, low, high, extra, summed=summed))
    return rows


def _row(time: int, count: int, low: Number, high: Number, extra: Number, *, summed: bool) -> Row:
    return Row(time, low, extra / count if summed else None, high, None if summed else extra, count)


def usual(times: Sequence[int]) -> int:
    """How far apart moments usually are; 0 if there are too few of them to say."""
    if len(times) < ENOUGH:
        return 0
    steps = sorted(after - before for before, after in pairwise(times))
    return steps[len(steps) // 4]


def with_gaps(rows: Sequence[Row], expected: int, patience: float) -> list[Row]:
    """`rows` with a gap wherever the next one comes later than `patience` times what is expected; of gaps only one."""
    expected = max(expected, usual([each.time for each in rows]))
    longest = patience * expected
    result: list[Row] = []
    for each in rows:
        before = result[-1] if result else None
        if before is not None and not (before.samples or each.samples):
            continue
        if before is not None and before.samples and each.samples and each.time - before.time > longest:
            result.append(gap(before.time + expected))
        result.append(each)
    return result
