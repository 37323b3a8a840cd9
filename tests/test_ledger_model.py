"""The ledger against an ideal charger whose true energy is known, in any order of what can happen to both."""

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from heliobus.ledger.account import Account, step
from heliobus.ledger.coding import decoded, encoded, encoded_day
from heliobus.model.localtime import LocalTime, local_time
from ledger_charger import Charger

OSLO = local_time("Europe/Oslo")
ZONES = (OSLO, local_time("Atlantic/Azores"), local_time("Asia/Dubai"))
# Winter, and the days on which the clocks change.
STARTS = [datetime(2026, *day, 9, tzinfo=UTC).timestamp() for day in ((11, 20), (3, 28), (10, 24), (12, 31))]
POLL = 60.0
SAVE = 300.0
# Charge times the mean of two voltages is this far from the energy at worst, here where voltage follows power.
ESTIMATE = 0.12
STEP = 40.0
# A reset loses a register step, and a poll's energy where the register is back at its old value by the next look.
RESET = 10 + 1500 * POLL / 3600


def stored(account: Account) -> Account:
    """The account after a way through the file."""
    past = "[" + ",".join(encoded_day(day) for day in account.past) + "]"
    return decoded(json.loads(encoded(account, past)))


@dataclass
class Watch:
    """A driver that watches a charger, and what may be wrong with its lifetime by then, in Wh."""

    charger: Charger
    complete: bool
    offset: float = 0.0
    local: LocalTime = OSLO
    account: Account | None = None
    saved: Account | None = None
    start: float = 0.0
    too_much: float = STEP
    too_little: float = STEP
    truth_when_seen: float = 0.0
    truth_when_saved: float = 0.0
    saved_at: float = 0.0
    reset: bool = False

    def clock(self) -> float:
        return self.charger.time + self.offset

    def look(self) -> None:
        before = self.account
        sample = self.charger.sample(self.clock(), self.complete)
        self.account = step(before, sample, self.local)
        assert self.account is not None
        if before is None:
            self.start = self.account.lifetime - self.charger.truth
        else:
            assert self.account.lifetime >= before.lifetime
        self.truth_when_seen = self.charger.truth
        self.reset = False
        if self.saved is None or self.charger.time - self.saved_at >= SAVE:
            self.saved, self.saved_at = stored(self.account), self.charger.time
            self.truth_when_saved = self.charger.truth
            assert self.saved == self.account
        won = self.account.lifetime - self.start
        assert won <= self.charger.truth + self.too_much
        assert won >= self.charger.truth - self.too_little

    def disturbed(self) -> None:
        """Nothing is known of the energy between the last look and now but by the charge counter."""
        energy = self.charger.truth - self.truth_when_seen
        self.too_much += STEP + ESTIMATE * energy
        self.too_little += STEP + (energy if self.reset or not self.complete else ESTIMATE * energy)

    def observe(self, minutes: int) -> None:
        self.look()
        for _ in range(minutes):
            self.charger.run(POLL)
            self.look()

    def absent(self, minutes: int) -> None:
        self.charger.run(minutes * 60.0)
        self.disturbed()

    def killed(self, minutes: int) -> None:
        if self.saved is not None:
            self.account = self.saved
            self.truth_when_seen = self.truth_when_saved
            self.reset = True  # the one that may have been seen since is forgotten
        self.absent(minutes)

    def step_clock(self, seconds: float) -> None:
        self.offset += seconds
        self.disturbed()

    def unset_clock(self, minutes: int) -> None:
        was = self.offset
        self.offset = 100.0 - self.charger.time
        self.disturbed()
        self.observe(minutes)
        self.offset = was
        self.disturbed()

    def reset_charger(self) -> None:
        self.charger.reset()
        self.reset = True
        self.too_little += RESET + self.charger.truth - self.truth_when_seen
        self.too_much += 20

    def move(self, zone: int) -> None:
        self.local = ZONES[zone]


MINUTES = st.integers(1, 600)
OUTAGE = st.one_of(st.integers(1, 30), st.integers(30, 1200), st.integers(1200, 6000))
WATCHING = st.one_of(
    st.tuples(st.just("observe"), MINUTES),
    st.tuples(st.just("absent"), OUTAGE),
    st.tuples(st.just("killed"), OUTAGE),
    st.tuples(st.just("reset_charger")),
)
WITH_CLOCKS = st.one_of(
    WATCHING,
    st.tuples(st.just("step_clock"), st.floats(-3 * 86_400, 3 * 86_400)),
    st.tuples(st.just("unset_clock"), st.integers(1, 100)),
    st.tuples(st.just("move"), st.integers(0, 2)),
)


def follow(watch: Watch, events: list[tuple[object, ...]]) -> None:
    watch.look()
    for name, *arguments in events:
        getattr(watch, str(name))(*arguments)
    watch.observe(1)
    assert watch.account is not None
    assert len(watch.account.past) <= 30
    # What the days show was won by this charger; the first day may have begun before we looked.
    shown = sum(day.energy for day in (watch.account.day, *watch.account.past))
    assert shown <= watch.charger.truth + watch.too_much


@settings(max_examples=50, deadline=None)
@given(start=st.sampled_from(STARTS), events=st.lists(WITH_CLOCKS, max_size=12))
@example(start=STARTS[0], events=[("observe", 600), ("killed", 960), ("observe", 600)])
@example(start=STARTS[0], events=[("observe", 300), ("reset_charger",), ("absent", 10), ("reset_charger",)])
@example(start=STARTS[0], events=[("step_clock", -49741.0), ("absent", 1669)])
def test_nothing_is_lost_or_invented(start: float, events: list[tuple[object, ...]]) -> None:
    follow(Watch(Charger(start), complete=True), events)


@settings(max_examples=40, deadline=None)
@given(start=st.sampled_from(STARTS), events=st.lists(WATCHING, max_size=12))
def test_nothing_is_invented_where_the_day_counter_is_all_there_is(
    start: float, events: list[tuple[object, ...]]
) -> None:
    follow(Watch(Charger(start), complete=False), events)


@settings(max_examples=12, deadline=None)
@given(
    start=st.sampled_from(STARTS),
    resets=st.sets(st.integers(1, 4000), max_size=6),
    restarts=st.sets(st.integers(1, 4000), max_size=6),
)
@example(start=STARTS[0], resets=set(), restarts=set())
@example(start=STARTS[1], resets={1, 2}, restarts={600})
def test_continuous_observation_gives_the_true_days(start: float, resets: set[int], restarts: set[int]) -> None:
    charger = Charger(start)
    account = None
    true_days: dict[str, float] = defaultdict(float)
    bulk: dict[str, float] = defaultdict(float)
    for minute in range(4000):
        account = step(account, charger.sample(charger.time), OSLO)
        assert account is not None
        if minute in restarts:
            account = stored(account)
        date = OSLO(charger.time).date().isoformat()
        truth, state = charger.truth, charger.state
        if minute in resets:
            charger.reset()
        charger.run(POLL)
        true_days[date] += charger.truth - truth
        bulk[date] += POLL if state == 3 else 0.0
    assert account is not None
    records = {day.date: day for day in (account.day, *account.past)}
    assert list(records) == sorted(true_days, reverse=True)
    for date, truth in true_days.items():
        assert truth - 20 - RESET * len(resets) <= records[date].energy <= truth + 10
        assert abs(records[date].time_bulk - bulk[date]) <= POLL
