"""The samples of one device in one hour, from the journal and from blocks."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from heliobus.model.point import Value
from heliobus.outputs.history.coding import DamagedBlockError

Column = Sequence[Value]


@dataclass(frozen=True, slots=True)
class Samples:
    """`times` are UTC ms; `columns` has, by the id of the series, a value for each of them."""

    times: Sequence[int]
    columns: Mapping[int, Column]


NOTHING = Samples((), {})


def joined(parts: Sequence[Samples]) -> Samples:
    """All samples in order of time; of several of one moment the newest value counts, that of the latest part."""
    times = [time for part in parts for time in part.times]
    found: dict[int, list[int]] = {}
    for index, time in enumerate(times):
        found.setdefault(time, []).append(index)
    series = dict.fromkeys(number for part in parts for number in part.columns)
    columns: dict[int, Column] = {}
    for number in series:
        column: list[Value] = []
        for part in parts:
            column += part.columns.get(number) or [None] * len(part.times)
        columns[number] = column
    in_order = sorted(found)
    if in_order == times:
        return Samples(times, columns)
    indexes = [found[time] for time in in_order]
    return Samples(
        in_order, {number: [_newest(column, each) for each in indexes] for number, column in columns.items()}
    )


def _newest(column: Column, indexes: Sequence[int]) -> Value:
    return next((column[index] for index in reversed(indexes) if column[index] is not None), None)


def journal_bytes(samples: Samples) -> bytes:
    """What one commit has of a device in an hour."""
    return json.dumps([samples.times, samples.columns], separators=(",", ":")).encode()


def journal_samples(payload: bytes) -> Samples:
    """What `journal_bytes` wrote. Raises DamagedBlockError."""
    try:
        times, columns = json.loads(payload)
        return Samples(times, {int(number): column for number, column in columns.items()})
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise DamagedBlockError("it is no record of the journal") from error
