"""A file per device, format and local day, and which of them are old enough to go."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from heliobus.model.device import Device
from heliobus.model.localtime import LocalTime
from heliobus.model.naming import slug
from heliobus.outputs.files import rows
from heliobus.outputs.files.line_file import append
from heliobus.outputs.sampler import Sample

Line = tuple[Path, bytes, bytes]
"""Where a line goes, the header of that file, and the line."""
NAME = re.compile(r"([a-z0-9_-]+(?:\.[a-z0-9_-]+)?)-(\d{4}-\d\d-\d\d)(?:\.\d+)?\.(csv|jsonl)")
BEGINNINGS: Mapping[str, bytes] = {"csv": f"{rows.TIME},".encode(), "jsonl": f'{{"{rows.TIME}":'.encode()}
"""How each file of ours begins."""


def file_names(devices: Iterable[Device]) -> Mapping[str, str]:
    """What files of each device are called, by its name; those that would be called alike get their key too."""
    wanted = {device.name: (slug(device.name), device) for device in devices}
    plain = [name for name, _ in wanted.values()]
    return {
        name: chosen if plain.count(chosen) == 1 else f"{chosen}.{slug(device.key)}"
        for name, (chosen, device) in wanted.items()
    }


def lines(
    folder: Path, formats: Iterable[str], names: Mapping[str, str], local: LocalTime, samples: Iterable[Sample]
) -> list[list[Line]]:
    """What is to be written of each sample: a row belongs to the local day of its own time."""
    found = []
    for sample in samples:
        moment = local(sample.time / 1000)
        cells = rows.cells(sample.device, rows.moment(moment), sample.values)
        stem = f"{names[sample.device.name]}-{moment.date().isoformat()}"
        of_sample: list[Line] = []
        for each in formats:
            path = folder / f"{stem}.{each}"
            if each == "csv":
                of_sample.append(
                    (path, rows.csv_line(rows.columns(sample.device)), rows.csv_line(tuple(cells.values())))
                )
            else:
                of_sample.append((path, b"", rows.json_line(cells)))
        found.append(of_sample)
    return found


def record(samples: Iterable[list[Line]], repaired: Callable[[str], None]) -> tuple[int, OSError | None]:
    """Write the lines of some samples; how many of these were written, and why another was not. Blocks."""
    written, failure = 0, None
    for of_sample in samples:
        try:
            for path, header, line in of_sample:
                note = append(path, header, line)
                if note:
                    repaired(note)
        except OSError as error:
            failure = error
        else:
            written += 1
    return written, failure


def sweep(folder: Path, today: date, keep_days: int) -> list[Path]:
    """Delete our files of days more than `keep_days` ago, and name them. Blocks. Raises OSError.

    The newest `keep_days` days of each device stay in any case: a clock that leapt ahead must not cost the records.
    """
    found: dict[str, dict[date, list[Path]]] = defaultdict(lambda: defaultdict(list))
    for path in folder.iterdir():
        match = NAME.fullmatch(path.name)
        if match is not None and _ours(path, match[3]):
            with suppress(ValueError):
                found[match[1]][date.fromisoformat(match[2])].append(path)
    gone = []
    for of_device in found.values():
        for day in sorted(of_device, reverse=True)[keep_days:]:
            if day < today - timedelta(days=keep_days):
                for path in of_device[day]:
                    path.unlink()
                    gone.append(path)
    return gone


def _ours(path: Path, kind: str) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(BEGINNINGS[kind])) == BEGINNINGS[kind]
