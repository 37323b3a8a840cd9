"""Sets of sequence numbers, kept as intervals: a million waiting records usually are one or two of them."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Interval = tuple[int, int]
"""First and last, both in it."""


def runs(numbers: Iterable[int]) -> Iterator[Interval]:
    """Ascending `numbers` as intervals."""
    first = last = None
    for number in numbers:
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


class Intervals:
    """A set of whole numbers. Numbers are added at its end only, and removed anywhere."""

    def __init__(self, intervals: Iterable[Interval] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        self.total = 0
        for first, last in intervals:
            self.append(first, last)

    @property
    def first(self) -> int | None:
        """The smallest number."""
        return self._firsts[0] if self._firsts else None

    def append(self, first: int, last: int) -> None:
        """Add numbers that are all greater than those in the set."""
        if self._lasts and self._lasts[-1] == first - 1:
            self._lasts[-1] = last
        else:
            self._firsts.append(first)
            self._lasts.append(last)
        self.total += last - first + 1

    def remove(self, first: int, last: int) -> int:
        """Take out what lies between; returns how many that were."""
        low, high = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        if low >= high:
            return 0
        before = [(self._firsts[low], first - 1)] if self._firsts[low] < first else []
        after = [(last + 1, self._lasts[high - 1])] if self._lasts[high - 1] > last else []
        removed = self.count(first, last)
        kept = before + after
        self._firsts[low:high] = [each for each, _ in kept]
        self._lasts[low:high] = [each for _, each in kept]
        self.total -= removed
        return removed

    def count(self, first: int, last: int) -> int:
        """How many numbers lie between."""
        return sum(high - low + 1 for low, high in self.between(first, last))

    def between(self, first: int, last: int) -> list[Interval]:
        """What lies between, as intervals."""
        low, high = bisect_left(self._lasts, first), bisect_right(self._firsts, last)
        return [
            (max(first, self._firsts[index]), min(last, self._lasts[index])) for index in range(low, max(low, high))
        ]

    def __contains__(self, number: int) -> bool:
        index = bisect_left(self._lasts, number)
        return index < len(self._firsts) and self._firsts[index] <= number

    def __iter__(self) -> Iterator[Interval]:
        return iter(list(zip(self._firsts, self._lasts, strict=True)))
