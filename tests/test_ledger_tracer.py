"""The ledger with an EPever: its day ends at its own midnight, its lifetime counter is fine and may be cleared."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heliobus.ledger.account import Account, points, step
from heliobus.ledger.coding import decoded, encoded, encoded_day
from heliobus.model.localtime import local_time
from ledger_tracer import Tracer, date

LOCAL = local_time("UTC")
START = datetime(2026, 6, 1, 8, tzinfo=UTC).timestamp()
POLL = 60.0
HOUR = 3600.0
STEP = 20.0


class Watch:
    """Follows a tracer, with outages; the account goes through the file now and then."""

    def __init__(self, tracer: Tracer) -> None:
        self.tracer = tracer
        self.account: Account | None = None
        self.gaps = 0
        self.start = tracer.total // 10 * 10

    def look(self) -> Account:
        before = self.account
        self.account = step(before, self.tracer.sample(), LOCAL)
        assert self.account is not None
        assert before is None or self.account.lifetime >= before.lifetime
        won = self.account.lifetime - self.start
        assert won <= self.tracer.truth + STEP
        return self.account

    def observe(self, hours: float) -> Account:
        self.look()
        for _ in range(round(hours * HOUR / POLL)):
            self.tracer.run(POLL)
            self.look()
        return self.look()

    def absent(self, hours: float) -> Account:
        self.tracer.run(hours * HOUR)
        self.gaps += 1
        assert self.account is not None
        past = "[" + ",".join(encoded_day(day) for day in self.account.past) + "]"
        self.account = decoded(json.loads(encoded(self.account, past)))
        return self.look()

    def days(self) -> dict[str, float]:
        account = self.look()
        return {day.date: day.energy for day in (account.day, *account.past)}


def test_the_lifetime_starts_as_the_device_has_it() -> None:
    watch = Watch(Tracer(START))
    account = watch.look()
    assert points(account, START, LOCAL) == {"yield_today": 0.0, "yield_total": 1234.56}


@pytest.mark.parametrize("skew", [0.0, 600.0, -600.0, -50.0])
def test_a_month_of_days(skew: float) -> None:
    watch = Watch(Tracer(START, skew=skew))
    account = watch.observe(30 * 24)
    truth = watch.tracer.days
    shown = watch.days()
    assert set(shown) == set(truth)
    for day, energy in truth.items():
        assert shown[day] == pytest.approx(energy, abs=STEP), day
    assert account.lifetime - watch.start == pytest.approx(watch.tracer.truth, abs=STEP)
    # The device's own lifetime counter was not lost sight of.
    assert account.lifetime == pytest.approx(watch.tracer.total, abs=STEP)


@pytest.mark.parametrize("skew", [0.0, 900.0, -900.0])
def test_outages_over_midnight_lose_nothing(skew: float) -> None:
    watch = Watch(Tracer(START, skew=skew))
    watch.observe(5)
    for hours in (14, 12, 20, 30, 9, 16, 11):
        watch.absent(hours)
        watch.observe(5)
    account = watch.look()
    won = account.lifetime - watch.start
    assert watch.tracer.truth - 2 * STEP * watch.gaps <= won <= watch.tracer.truth + STEP
    for day, energy in watch.days().items():
        # Energy that nobody can date is in the lifetime only.
        assert energy <= watch.tracer.days[day] + STEP


def test_a_short_outage_at_midnight_leaves_both_days_whole() -> None:
    watch = Watch(Tracer(START))
    watch.observe(15.5)
    assert date(watch.tracer.time) == "2026-06-01"
    watch.absent(1)
    watch.observe(14)
    for day, energy in watch.tracer.days.items():
        assert watch.days()[day] == pytest.approx(energy, abs=STEP)


def test_a_day_that_comes_to_the_same_after_an_outage_is_another_day() -> None:
    watch = Watch(Tracer(START))
    watch.observe(1)
    before = watch.look().lifetime
    watch.tracer.day = watch.tracer.sample().energy_day or 0.0
    seen = watch.tracer.day
    # Out over two midnights, and back when the counter shows a little more than it did.
    watch.absent(24)
    while watch.tracer.day < seen + 10:
        watch.tracer.run(POLL)
    account = watch.look()
    assert account.lifetime - before == pytest.approx(watch.tracer.total - 10 - before, abs=3 * STEP)


def test_statistics_that_are_cleared_take_nothing_away() -> None:
    watch = Watch(Tracer(START))
    account = watch.observe(6)
    lifetime, today = account.lifetime, account.day.energy
    watch.tracer.clear()
    account = watch.observe(1)
    won = watch.tracer.total
    assert account.lifetime == pytest.approx(lifetime + won, abs=STEP)
    assert account.day.energy == pytest.approx(today + won, abs=STEP)
    # Also while nobody looked: what was won before it was cleared is lost, nothing is invented.
    watch.tracer.run(HOUR)
    watch.tracer.clear()
    watch.absent(1)
    account = watch.look()
    assert account.lifetime <= watch.start + watch.tracer.truth + STEP


def test_a_clock_that_was_lost_ends_the_day_and_no_more() -> None:
    watch = Watch(Tracer(START))
    watch.observe(4)
    watch.tracer.lose_clock()
    account = watch.observe(4)
    assert account.day.energy == pytest.approx(watch.tracer.truth, abs=2 * STEP)
    watch.observe(3 * 24)
    for day, energy in watch.tracer.days.items():
        assert watch.days()[day] == pytest.approx(energy, abs=2 * STEP)


EVENTS = st.one_of(
    st.tuples(st.just("observe"), st.floats(0.1, 20)),
    st.tuples(st.just("absent"), st.floats(0.02, 80)),
)


@settings(max_examples=40, deadline=None)
@given(skew=st.floats(-3 * HOUR, 3 * HOUR), begin=st.integers(0, 23), events=st.lists(EVENTS, max_size=8))
@example(skew=0.0, begin=4, events=[("observe", 0.1), ("absent", 24.0), ("absent", 48.0)])
def test_nothing_is_lost_or_invented(skew: float, begin: int, events: list[tuple[str, float]]) -> None:
    watch = Watch(Tracer(START + begin * HOUR, skew=skew))
    watch.look()
    for name, hours in events:
        getattr(watch, name)(hours)
    account = watch.observe(0.1)
    assert account.lifetime - watch.start >= watch.tracer.truth - STEP - 2 * STEP * watch.gaps
