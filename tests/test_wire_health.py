"""Health, back-off, statistics and trace: the small state of the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.model.reading import Health
from heliobus.wire.backoff import Backoff
from heliobus.wire.health import HealthMachine
from heliobus.wire.statistics import BusStatistics, UnitStatistics
from heliobus.wire.trace import Frame, Trace


def test_three_misses_then_offline_then_back():
    machine = HealthMachine()
    assert machine.state is Health.UNKNOWN
    first = machine.hit(0)
    assert (first.before, first.after, first.broke, first.healed) == (Health.UNKNOWN, Health.OK, False, False)
    assert machine.hit(1) is None
    failing = machine.miss(2, "timeout")
    assert (failing.after, failing.broke, failing.healed) == (Health.FAILING, False, False)
    assert machine.miss(3, "timeout") is None
    broke = machine.miss(4, "no answer within 1 s")
    assert (broke.after, broke.broke, broke.why, broke.lasted) == (Health.OFFLINE, True, "no answer within 1 s", 2)
    assert machine.miss(9, "timeout") is None
    healed = machine.hit(64)
    assert (healed.before, healed.after, healed.broke, healed.healed) == (Health.OFFLINE, Health.OK, False, True)
    assert healed.lasted == 60


def test_a_hit_forgives_earlier_misses():
    machine = HealthMachine()
    for now in range(0, 30, 3):
        machine.miss(now, "x")
        machine.miss(now + 1, "x")
        machine.hit(now + 2)
        assert machine.state is Health.OK


def test_a_device_never_seen_goes_offline_too():
    machine = HealthMachine()
    assert [machine.miss(now, "x") is not None for now in range(4)] == [True, False, True, False]
    assert machine.state is Health.OFFLINE


def test_probes_every_5_seconds_rising_to_60():
    machine = HealthMachine()
    delays = []
    for now in range(9):
        machine.miss(now, "x")
        delays.append(machine.probe_delay())
    assert delays == [0, 0, 5, 10, 20, 40, 60, 60, 60]
    machine.hit(10)
    assert machine.probe_delay() == 0
    for now in range(3):
        machine.miss(11 + now, "x")
    assert machine.probe_delay() == 5


@given(st.lists(st.booleans(), max_size=60))
def test_breaks_and_heals_take_turns(hits):
    machine = HealthMachine()
    told = []
    for now, hit in enumerate(hits):
        change = machine.hit(now) if hit else machine.miss(now, "x")
        if change is not None and (change.broke or change.healed):
            told.append("broke" if change.broke else "healed")
    assert told == ["broke", "healed"] * (len(told) // 2) + ["broke"] * (len(told) % 2)


def test_backoff_doubles_to_its_ceiling_and_starts_over():
    backoff = Backoff(first=1, ceiling=8, jitter=0)
    assert [backoff.next() for _ in range(6)] == [1, 2, 4, 8, 8, 8]
    backoff.reset()
    assert backoff.next() == 1


def test_backoff_jitter():
    asked = []

    def uniform(low, high):
        asked.append((low, high))
        return high

    backoff = Backoff(first=1, ceiling=10, jitter=0.5, uniform=uniform)
    assert [backoff.next() for _ in range(5)] == [1.5, 3, 6, 10, 10]
    assert set(asked) == {(0.5, 1.5)}
    assert 0.8 <= Backoff(first=1).next() <= 1.2


def test_latency_rises_at_once_and_falls_slowly():
    unit = UnitStatistics()
    assert unit.timeout(0.1, 2) == 2
    unit.answered(0.1)
    assert unit.timeout(0.1, 2) == pytest.approx(0.4)
    unit.answered(0.3)
    assert unit.timeout(0.1, 2) == pytest.approx(1.2)
    unit.answered(0.1)
    assert 1.1 < unit.timeout(0.1, 2) < 1.2
    for _ in range(200):
        unit.answered(0.01)
    assert unit.timeout(0.1, 2) == 0.1


def test_timeout_moves_to_the_ceiling_with_each_miss_and_back_with_an_answer():
    unit = UnitStatistics()
    unit.answered(0.05)
    seen = []
    for _ in range(5):
        seen.append(unit.timeout(0.1, 1))
        unit.missed(seen[-1])
    assert seen == pytest.approx([0.2, 0.4, 0.8, 1, 1])
    unit.answered(0.05)
    assert unit.timeout(0.1, 1) == pytest.approx(0.2)


def test_load_of_the_last_minute():
    bus = BusStatistics()
    assert bus.load(1000) == 0
    bus.busy(1000, 1006)
    bus.busy(1010, 1012)
    assert bus.load(1060) == pytest.approx(8 / 60)
    assert bus.load(1200) == 0
    bus.busy(2000, 2600)
    assert bus.load(2600) == 1
    assert len(bus._slices) <= 14


def test_units_are_made_when_first_asked_for():
    bus = BusStatistics()
    assert bus.unit(3) is bus.unit(3)
    assert list(bus.units) == [3]


def test_trace_keeps_the_last_frames_and_tells_listeners():
    trace = Trace(3)
    heard = []
    stop = trace.subscribe(heard.append)
    for number in range(5):
        trace.add(float(number), "tx", bytes((number,)))
    stop()
    stop()
    trace.add(5.0, "rx", b"x")
    assert [frame.time for frame in trace.frames()] == [3, 4, 5]
    assert trace.frames()[-1] == Frame(5.0, "rx", b"x")
    assert [frame.time for frame in heard] == [0, 1, 2, 3, 4]


def test_trace_is_bounded_by_default():
    trace = Trace()
    for _ in range(1000):
        trace.add(0.0, "rx", b"")
    assert len(trace.frames()) == 256
