"""Devices and samples for the history, and the plainest way to roll them up."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from heliobus.model import vocabulary as v
from heliobus.model.device import Device, Identity
from heliobus.model.localtime import LocalTime, local_time
from heliobus.model.point import Point, Value
from heliobus.model.role import Role
from heliobus.outputs.history.buckets import Row
from heliobus.outputs.history.query import History
from heliobus.outputs.history.retention import Limits
from heliobus.outputs.history.writer import Writer
from heliobus.outputs.sampler import Sample

OSLO = local_time("Europe/Oslo")
HOUR, DAY = 3600, 86_400
BEGIN = 1_792_998_000
"""2026-10-26 07:00 UTC, 08:00 in Oslo, the morning after the end of summer time."""
FOR_EVER = Limits(36_500, 36_500, 0, 10**12)
POINTS = (v.PV_POWER, v.BATTERY_VOLTAGE, v.YIELD_TOTAL, v.CHARGER_STATE, v.FAULT_TEXT, v.DEVICE_CLOCK)

Found = tuple[float, float, float, float, int]
"""Lowest, highest, sum, last, count."""


def device(name: str = "roof", label: str = "", key: str = "tristar_1", points: Iterable[Point] = POINTS) -> Device:
    identity = Identity("Morningstar", "TriStar MPPT 60", "1")
    named = {point.name: point for point in points}
    return Device(name, label, "x", "tristar", Role.SOLAR_CHARGER, "nowhere", identity, named, key, 0)


def sample(time: float, owner: Device | None = None, **values: Value) -> Sample:
    """A sample at `time` in seconds."""
    return Sample(owner or device(), round(1000 * time), values)


class Diary:
    """A history that is written to like by the output, only at moments the test says."""

    def __init__(self, path: Path, limits: Limits = FOR_EVER, local: LocalTime = OSLO) -> None:
        self.path = path
        self.local = local
        self.writer = Writer(path, limits)
        self.device = device()

    def write(self, samples: Sequence[Sample], now: float | None = None) -> None:
        """Commit and tend at `now`, else a moment after the last sample."""
        moment = samples[-1].time / 1000 + 1 if now is None else now
        self.writer.write(samples, moment, self.local)
        self.writer.tend(moment, self.local)

    def record(self, values: Iterable[tuple[float, Value]], point: str = "pv_power", commit: int = 6) -> None:
        """Commit so many samples at a time."""
        batch: list[Sample] = []
        for time, value in values:
            batch.append(sample(time, self.device, **{point: value}))
            if len(batch) == commit:
                self.write(batch)
                batch = []
        if batch:
            self.write(batch)

    def reopen(self) -> None:
        self.writer.close()
        self.writer = Writer(self.path, FOR_EVER)

    def __enter__(self) -> "Diary":
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()


def asked(path: Path, point: str, begin: float, end: float, local: LocalTime = OSLO, **how: object) -> list[Row]:
    with History(path, local) as history:
        return history.select(history.devices()[0], [point], begin, end, **how).rows[point]  # type: ignore[arg-type]


def rolled_up(values: Iterable[tuple[float, Value]], bucket: Callable[[float], float]) -> dict[int, Found]:
    """By the beginning of the bucket in ms: what a simple program finds. Of one moment the later one counts."""
    unique: dict[int, float] = {}
    for time, value in values:
        if isinstance(value, int | float):
            unique[round(1000 * time)] = value
    found: dict[int, list[float]] = {}
    for moment, number in sorted(unique.items()):
        found.setdefault(round(1000 * bucket(moment / 1000)), []).append(number)
    return {begin: (min(each), max(each), sum(each), each[-1], len(each)) for begin, each in found.items()}


def local_midnight(local: LocalTime) -> Callable[[float], float]:
    def bucket(time: float) -> float:
        return local(time).replace(hour=0, minute=0, second=0, microsecond=0).timestamp()

    return bucket


def every(seconds: int) -> Callable[[float], float]:
    return lambda time: time // seconds * seconds
