"""The ledger of a meter: its energy only grows, resets and glitches leave nothing, and nothing is invented."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from heliobus.ledger import store
from heliobus.ledger.coding import MalformedAccountError, decoded_meter, encoded_meter
from heliobus.ledger.ledger import Ledger
from heliobus.ledger.meter import AGREEMENTS, SLACK, Look, MeterAccount, look_of, metered
from heliobus.model.localtime import local_time
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading, Reason

NOON = 1_795_258_800.0
POLL = 5.0
LOOKS = AGREEMENTS + 1


def followed(account: MeterAccount, start: float, *values: float | None, power: float = 1000.0) -> MeterAccount:
    """The account after one look each POLL seconds."""
    for index, value in enumerate(values):
        account = metered(account, Look(start + index * POLL, value, power))
    return account


def known(value: float = 50_000.0) -> MeterAccount:
    """A meter that was looked at long enough to be believed, until NOON."""
    account = followed(MeterAccount(), NOON - (LOOKS - 1) * POLL, *[value] * LOOKS)
    assert (account.total, account.value, account.time) == (value, value, NOON)
    return account


def test_it_starts_from_the_meters_own_figure_once_that_is_sure() -> None:
    assert followed(MeterAccount(), NOON, 38, 38).total is None
    assert followed(MeterAccount(), NOON, 38, 38, 39).total == 39
    # A first look that was wrong would stay for ever.
    assert followed(MeterAccount(), NOON, 42_949_672, 38, 38, 39).total == 39


def test_increases_count() -> None:
    account = followed(known(), NOON + POLL, 50_001, 50_001, 50_003, 50_006)
    assert (account.total, account.value, account.held) == (50_006, 50_006, None)


@pytest.mark.parametrize("glitch", [0, 3, 9, 10, 20, 49_980, 49_995, 50_030, 51_000, 65_536, 9_999_990])
@pytest.mark.parametrize("looks", [1, 2])
def test_a_glitch_leaves_nothing(glitch: float, looks: int) -> None:
    account = followed(known(), NOON + POLL, *[glitch] * looks, 50_002, 50_004)
    assert (account.total, account.value, account.resets, account.held) == (50_004, 50_004, 0, None)


def test_a_reset_is_recorded_and_the_total_goes_on() -> None:
    account = followed(known(), NOON + POLL, 0, 1)
    assert (account.total, account.resets) == (50_000, 0)
    account = followed(account, NOON + 3 * POLL, 3)
    assert (account.total, account.value, account.resets, account.reset_at) == (50_003, 3, 1, NOON + POLL)
    account = followed(account, NOON + 4 * POLL, 4, 6, 8)
    assert (account.total, account.resets) == (50_008, 1)
    again = followed(replace(account, value=500.0), NOON + 7 * POLL, 0, 0, 0)
    assert (again.total, again.resets) == (50_008, 2)


def test_another_drop_is_a_new_base() -> None:
    account = followed(known(), NOON + POLL, 20_000, 20_001, 20_002)
    # The two that were seen to come are real.
    assert (account.total, account.value, account.resets) == (50_002, 20_002, 0)
    assert followed(account, NOON + 4 * POLL, 20_004).total == 50_004


def test_a_stable_jump_that_was_not_possible_is_a_new_base() -> None:
    account = followed(known(), NOON + POLL, 80_000, 80_000, 80_001)
    assert (account.total, account.value) == (50_001, 80_001)


def test_a_jump_that_was_possible_counts_once_it_is_sure() -> None:
    # Ten hours without us, at 2 kW.
    start = NOON + 36_000
    account = followed(known(), start, 70_000, 70_002)
    assert account.total == 50_000
    account = followed(account, start + 2 * POLL, 70_005)
    assert (account.total, account.value) == (70_005, 70_005)


def test_a_glitch_after_an_outage_leaves_nothing() -> None:
    start = NOON + 36_000
    account = followed(known(), start, 300_000, 70_000, 70_002, 70_005)
    assert account.total == 70_005


def test_a_meter_polled_rarely_still_counts() -> None:
    account = known()
    for hour in range(1, 31):
        account = metered(account, Look(NOON + hour * 3600, 50_000 + 2000 * hour, 2000.0))
    assert account.total is not None and account.total >= 50_000 + 2000 * 28


def test_the_display_rolls_over() -> None:
    account = followed(known(9_999_985), NOON + POLL, 9_999_988, 2, 3, 5)
    assert account.total is not None and 9_999_985 + 8 <= account.total <= 9_999_988 + 12 + 5
    assert account.resets == 0
    account = followed(account, NOON + 5 * POLL, 7, 9, 12)
    assert account.value == 12 and account.held is None


def test_the_same_answer_shown_twice_is_one_look() -> None:
    # Another block was answered in between, and the whole reading came again.
    account = known()
    for seconds in (5.0, 5.1, 5.2, 5.3):
        account = metered(account, Look(NOON + seconds, 80_000, shown=(230.1,)))
    assert account.total == 50_000 and account.held is not None
    # What shows something else is a look of its own.
    for seconds, volt in ((6.0, 230.2), (6.2, 230.0)):
        account = metered(account, Look(NOON + seconds, 80_000, shown=(volt,)))
    assert account.value == 80_000


def test_a_counter_that_was_not_read_changes_nothing() -> None:
    account = known()
    assert metered(account, Look(NOON + 5, None, 3000.0)) is account


def test_a_clock_that_is_stepped_back_invents_nothing() -> None:
    account = followed(known(), NOON - 86_400, 50_001, 50_002)
    assert account.total == 50_002
    account = followed(account, NOON - 2 * 86_400, 5_000_000, 50_003)
    assert account.total == 50_003


@dataclass
class Meter:
    """A meter whose true energy is known, and what its ledger may lack by then."""

    time: float = NOON
    truth: float = 0.0
    counter: float = 812_000.0
    power: float = 0.0
    account: MeterAccount = field(default_factory=MeterAccount)
    saved: MeterAccount = field(default_factory=MeterAccount)
    start: float = 812_000.0
    missing: float = 2.0

    def run(self, seconds: float) -> None:
        energy = self.power * seconds / 3600
        self.time += seconds
        self.truth += energy
        self.counter += energy

    def look(self, value: float | None = None) -> None:
        before = self.account
        shown = self.counter if value is None else value
        self.account = metered(before, Look(self.time, float(int(shown)), round(self.power, 1)))
        if before.total is not None:
            assert self.account.total is not None
            assert self.account.total >= before.total, "it shrank"
            assert self.account.total - self.start <= self.truth + 2, "energy was invented"

    def watch(self, looks: int, power: float) -> None:
        self.power = power
        for _ in range(looks):
            self.run(POLL)
            self.look()

    def glitch(self, value: float) -> None:
        # So little more than it shows, or showed, could be true.
        bases = {self.counter, self.account.value or 0.0}
        if not any(0 <= value - base < 40 for base in bases):
            self.look(value)
        self.run(POLL)
        self.look()

    def reset(self) -> None:
        self.counter = 0.0
        # What it showed before its first look, and while nobody believed it.
        self.missing += 12 + self.power * LOOKS * POLL / 3600

    def absent(self, seconds: float) -> None:
        self.run(seconds)

    def killed(self, seconds: float) -> None:
        self.account = self.saved
        self.run(seconds)

    def save(self) -> None:
        if self.account.total is not None:
            self.saved = decoded_meter(json.loads(encoded_meter(self.account)))


EVENTS = st.one_of(
    st.tuples(st.just("watch"), st.integers(1, 200), st.floats(0, 23_000)),
    st.tuples(st.just("glitch"), st.floats(0, 1e9)),
    st.tuples(st.just("glitch"), st.floats(0, 20)),
    st.tuples(st.just("absent"), st.floats(0, 5 * 86_400)),
    st.tuples(st.just("killed"), st.floats(0, 86_400)),
    st.tuples(st.just("save")),
)


def begin() -> Meter:
    meter = Meter()
    for _ in range(LOOKS):
        meter.look()
        meter.run(POLL)
    meter.save()
    return meter


@settings(max_examples=200, deadline=None)
@given(events=st.lists(EVENTS, max_size=15))
@example(events=[("watch", 20, 23_000.0), ("glitch", 0.0), ("killed", 3600.0), ("watch", 10, 0.0)])
def test_nothing_is_lost_or_invented_by_glitches_outages_and_kills(events: list[tuple[object, ...]]) -> None:
    meter = begin()
    for name, *arguments in events:
        getattr(meter, str(name))(*arguments)
    meter.watch(LOOKS + 1, 0.0)
    assert meter.account.total is not None
    assert meter.account.total - meter.start == pytest.approx(meter.truth, abs=2)
    assert meter.account.resets == 0


@settings(max_examples=200, deadline=None)
@given(events=st.lists(st.one_of(EVENTS, st.tuples(st.just("reset"))), max_size=15))
@example(events=[("reset",), ("glitch", 0.0), ("glitch", 3.0)])
def test_nothing_is_invented_by_resets_either(events: list[tuple[object, ...]]) -> None:
    meter = begin()
    for name, *arguments in events:
        getattr(meter, str(name))(*arguments)
    meter.watch(LOOKS + 1, 0.0)


@settings(max_examples=100, deadline=None)
@given(powers=st.lists(st.floats(0, 23_000), min_size=1, max_size=8), resets=st.sets(st.integers(0, 7)))
def test_resets_under_observation_lose_next_to_nothing(powers: list[float], resets: set[int]) -> None:
    meter = begin()
    done = 0
    for index, power in enumerate(powers):
        if index in resets and meter.counter > 100:
            meter.power = 0.0
            meter.reset()
            done += 1
            meter.watch(LOOKS, 0.0)
        meter.watch(100, power)
    assert meter.account.total is not None
    assert meter.account.resets == done
    assert meter.account.total - meter.start >= meter.truth - meter.missing


def reading(time: float, counter: Value, **values: Value) -> Reading:
    content = {"ac_voltage": 230.0 + time % 7 / 10, "ac_power": 1000.0, "energy_forward_counter": counter, **values}
    return Reading("meter", time, content)


class SetClock:
    def time(self) -> float:
        return NOON


def ledger(path: Path | None) -> Ledger:
    return Ledger(path, local_time("UTC"), SetClock())


def test_a_reading_gets_its_energy(tmp_path: Path) -> None:
    book = ledger(tmp_path / "ledger.json")
    for index in range(LOOKS):
        result = book.apply(reading(NOON + index * POLL, 50_004), "pzem_1")
        settled = index == LOOKS - 1
        assert result.values["energy_forward"] == (50.0 if settled else None)
        assert result.reasons == ({} if settled else {"energy_forward": Reason.INVALID})
    account = book.meter("pzem_1")
    assert account is not None and account.total == 50_004
    assert book.dirty and book.account("pzem_1") is None


def test_one_look_is_shown_where_nothing_is_kept() -> None:
    assert ledger(None).apply(reading(NOON, 38), "pzem_1").values["energy_forward"] == 0.04


@pytest.mark.parametrize("reason", [Reason.OFFLINE, Reason.STALE, Reason.OUT_OF_RANGE])
def test_a_meter_that_says_nothing_has_no_energy(reason: Reason) -> None:
    book = ledger(None)
    book.apply(reading(NOON, 50_000), "pzem_1")
    before = book.meter("pzem_1")
    health = Health.OFFLINE if reason is Reason.OFFLINE else Health.OK
    silent = Reading("meter", NOON, {"energy_forward_counter": None}, {"energy_forward_counter": reason}, health)
    result = book.apply(silent, "pzem_1")
    assert result.values["energy_forward"] is None and result.reasons["energy_forward"] is reason
    assert book.meter("pzem_1") is before


@pytest.mark.parametrize("garbage", ["12", float("nan"), float("inf"), -1.0, 1e300])
def test_garbage_is_no_energy(garbage: Value) -> None:
    book = ledger(None)
    for index in range(LOOKS):
        book.apply(reading(NOON + index * POLL, 50_000), "pzem_1")
    result = book.apply(reading(NOON + 60, garbage), "pzem_1")
    assert result.values["energy_forward"] == 50.0
    book.serialize()


def test_the_energy_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    book = ledger(path)
    for index in range(LOOKS):
        book.apply(reading(NOON + index * POLL, 50_000), "pzem_1")
    book.save()
    assert not book.dirty
    again = ledger(path)
    assert again.load() == ()
    assert again.meter("pzem_1") == book.meter("pzem_1")
    assert again.apply(reading(NOON + 60, 50_002), "pzem_1").values["energy_forward"] == 50.0
    # Its counter was reset while nobody looked.
    for index in range(LOOKS):
        result = again.apply(reading(NOON + 3600 + index * POLL, 4), "pzem_1")
    assert result.values["energy_forward"] == 50.01
    assert again.meter("pzem_1") != book.meter("pzem_1")


def test_the_most_power_may_be_told() -> None:
    assert look_of(reading(NOON, 1, rated_power=2300.0)).rated == 2300.0
    account = followed(known(), NOON)
    jump = [Look(NOON + 3600 + index * POLL, 60_000, rated=2300.0) for index in range(LOOKS)]
    for look in jump:
        account = metered(account, look)
    assert (account.total, account.value) == (50_000, 60_000)
    assert 2300 + SLACK < 10_000


def test_a_file_from_before_there_were_meters_still_loads(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    body = "{}"
    path.write_text(f'{{"version":1,"checksum":"{store._checksum(body)}","accounts":{body}}}\n')
    assert store.load(path) == (store.Books(), ())


GOOD = json.loads(encoded_meter(known()))


@settings(max_examples=200, deadline=None)
@given(index=st.integers(0, len(GOOD) - 1), value=st.none() | st.booleans() | st.floats() | st.integers() | st.text())
def test_any_value_in_any_field(index: int, value: object) -> None:
    fields = list(GOOD)
    fields[index] = value
    try:
        account = decoded_meter(fields)
    except MalformedAccountError:
        return
    assert account.total is not None
    after = metered(account, Look(NOON + 5, 50_000))
    assert after.total is not None and after.total >= account.total


@pytest.mark.parametrize("content", [None, {}, [], [1, 2], "text", [*GOOD, 1]])
def test_what_is_no_account_is_refused(content: object) -> None:
    with pytest.raises(MalformedAccountError):
        decoded_meter(content)
