"""A bad line for a simulated day: every value that is shown is one the device had, or it is None."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from devices_stage import TRISTAR, Ear, alone, memory, now, tristar
from heliobus.model.reading import Health, Reading, Reason
from heliobus.model.vocabulary import HEALTH_POINTS
from heliobus.sim.capture import SimCapture
from heliobus.sim.faults import Faults, Framing
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.virtual_time import run_virtual

DAY = 86400.0
PERIOD = 5.0
STATISTICS = {point.name for point in HEALTH_POINTS}
ACCIDENTS = {"late": 0.05, "lost": 0.05, "cut": 0.05, "joined": 0.05, "wrong_unit": 0.05, "garbage": 0.05}


class Ticking(SimCapture):
    """A capture whose day counter of energy counts seconds, modulo 40 000: each value tells when it was read."""

    seconds = 0.0

    def advance(self, seconds: float) -> None:
        self.seconds += seconds

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        self.words[0x44] = int(self.seconds) % 40_000
        return super().read_words(function, address, count)


class Judge:
    """Compares every reading with the first one, which came over a good line, and counts."""

    def __init__(self, truth: Reading, oldest: float) -> None:
        self.truth = dict(truth.values)
        self.oldest = oldest
        self.readings = self.shown = 0

    def __call__(self, reading: Reading) -> None:
        self.readings += 1
        self.shown += reading.values["battery_voltage"] is not None
        for name, value in reading.values.items():
            if name in STATISTICS:
                continue
            if value is None:
                assert name in reading.reasons
            elif name == "energy_day_counter":
                assert isinstance(value, float)
                age = (now() - value) % 40_000
                assert age <= self.oldest, f"a value that is {age} s old"
            else:
                assert value == self.truth[name], name


def faulty(link: MemoryLink, **accidents: Any) -> Faults:
    link.station.faults = Faults(**accidents)
    return link.station.faults


def oldest(framing: Framing, late_seconds: float = 0.0, joined: float = 0.0, **_: float) -> float:
    """How old a value may be: two periods until it is stale, and one more second.

    RTU has no transaction numbers. Where an older answer to the same question comes once more before the right one, or
    later than the driver's ceiling, nothing tells it from the right one: it was true then, and counts as read now.
    """
    if framing is Framing.TCP:
        return 2 * PERIOD + 1 + late_seconds
    return 2 * PERIOD + 1 + late_seconds + (2 * PERIOD if joined else 0)


def suffer(framing: Framing, seconds: float, **accidents: Any) -> tuple[Ear, Judge, Faults]:
    async def run() -> tuple[Ear, Judge, Faults]:
        source = tristar()
        link = memory(Ticking(source.words, objects=source.identification(), coils={}), framing)
        async with alone(link, framing) as ear:
            judge = Judge(await ear.first(), oldest(framing, **accidents))
            ear.on_read = judge
            faults = faulty(link, **accidents)
            await asyncio.sleep(seconds)
            return ear, judge, faults

    return run_virtual(run())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("framing", "seconds", "accidents"),
    [
        # A flipped bit in a TCP stream is TCP's own business: there is no checksum above it.
        (Framing.RTU, DAY, {**ACCIDENTS, "flipped": 0.05, "late_seconds": 1.0}),
        (Framing.RTU, DAY / 4, {**ACCIDENTS, "flipped": 0.05, "late_seconds": 2.5, "seed": 2}),
        (Framing.TCP, DAY, {**ACCIDENTS, "late_seconds": 2.5, "seed": 3}),
    ],
)
def test_a_day_of_faults_never_shows_a_value_the_device_did_not_have(
    framing: Framing, seconds: float, accidents: dict[str, Any]
) -> None:
    ear, judge, faults = suffer(framing, seconds, **accidents)
    assert judge.readings > 0.1 * seconds
    assert judge.shown > 0.9 * judge.readings
    for accident in accidents.keys() - {"late_seconds", "seed"}:
        assert faults.applied[accident] > 0.005 * seconds, accident
    assert ear.last.values["bus_bad_frames"] is None or ear.last.values["bus_bad_frames"] > 100  # type: ignore[operator]
    # Whoever came back was recognised as the same device.
    assert {each.identity.serial for each in ear.recognised_as} == {"10170296"}
    assert {each.driver.name for each in ear.recognised_as} == {TRISTAR.name}
    assert not ear.strangers


@pytest.mark.parametrize("framing", list(Framing))
def test_answers_later_than_the_longest_timeout_are_never_taken_for_the_next(framing: Framing) -> None:
    ear, judge, _ = suffer(framing, 6 * 3600, late=0.2, late_seconds=3.4)
    assert judge.shown > 0.5 * judge.readings
    assert not ear.strangers


@pytest.mark.parametrize("code", [1, 2, 3, 4, 6, 11])
def test_passing_exceptions_take_nothing_away_for_good(code: int) -> None:
    ear, judge, faults = suffer(Framing.TCP, 6 * 3600, exception=0.05, exception_code=code)
    assert faults.applied["exception"] > 100
    assert judge.shown > 0.98 * judge.readings
    assert Reason.NOT_SUPPORTED not in ear.last.reasons.values()
    assert len(ear.recognised_as) <= 3
    assert ear.last.values["battery_voltage"] == 13.43
    assert ear.last.values["set_absorption_voltage"] == 0.0


def test_a_line_that_only_makes_noise_is_offline() -> None:
    ear, judge, _ = suffer(Framing.RTU, 3600, garbage=1.0, cut=1.0)
    assert ear.last.health is Health.OFFLINE
    assert judge.readings < 10
    assert len(ear.silences) == 1


@pytest.mark.parametrize("period", [3.0, 20.0])
def test_a_second_master_on_the_line_is_counted_and_nothing_of_it_is_shown(period: float) -> None:
    ear, judge, faults = suffer(Framing.RTU, 3600, second_master=period)
    assert judge.shown > 0.9 * judge.readings
    assert faults.applied["second_master"] > 100
    assert ear.last.values["bus_foreign_frames"] != 0
