"""What is packed comes back the same, and what was touched is noticed."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliobus.outputs.history import schema
from heliobus.outputs.history.blocks import (
    Slot,
    Slots,
    decoded_columns,
    decoded_slots,
    decoded_times,
    decoded_values,
    encoded_times,
    encoded_values,
    slot_of,
)
from heliobus.outputs.history.coding import (
    Cursor,
    DamagedBlockError,
    column,
    numbers_of,
    opened,
    scaled,
    sealed,
    varint,
)
from heliobus.outputs.history.hours import Samples, joined, journal_bytes, journal_samples

WHOLE = st.integers(-(2**40), 2**40)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.integers(-(2**61), 2**61)))
def test_integers_come_back(numbers: list[int]) -> None:
    cursor = Cursor(column(numbers))
    assert numbers_of(cursor, len(numbers)) == numbers


@given(st.integers(-(2**130), 2**130))
def test_single_numbers_come_back(number: int) -> None:
    assert Cursor(varint(number)).varint() == number


@given(st.lists(st.none() | FLOATS), st.integers(0, 9))
def test_any_floats_come_back_exactly(values: list[float | None], decimals: int) -> None:
    assert decoded_values(encoded_values(values, decimals)) == values


@given(st.lists(st.none() | st.integers(-(10**9), 10**9)), st.integers(0, 3))
def test_rounded_values_are_kept_as_integers(numbers: list[int | None], decimals: int) -> None:
    values = [None if number is None else round(number / 10**decimals, decimals) for number in numbers]
    assert scaled(values, decimals) == numbers
    assert decoded_values(encoded_values(values, decimals)) == values


@given(st.lists(st.none() | st.integers(-(2**50), 2**50)))
def test_states_and_counts_come_back_as_integers(values: list[int | None]) -> None:
    found = decoded_values(encoded_values(values, 0))
    assert found == values and all(value is None or isinstance(value, int) for value in found)


@given(st.lists(st.integers(0, 3_599_999), unique=True).map(sorted))
def test_times_come_back(times: list[int]) -> None:
    assert decoded_times(encoded_times(times)) == times


SLOT = st.lists(WHOLE, min_size=1, max_size=8)


@given(st.dictionaries(st.integers(0, 383), SLOT), st.booleans(), st.integers(0, 3))
def test_slots_come_back(numbers: dict[int, list[int]], summed: bool, decimals: int) -> None:
    slots = {place: slot_of(each, summed=summed) for place, each in numbers.items()}
    payload = Slots(decimals, summed, slots).encoded(384)
    found = decoded_slots(payload)
    assert found.at == slots and found.summed == summed
    columns = decoded_columns(payload)
    assert columns.places == sorted(slots)
    assert columns.highs == [slots[place].high / 10**decimals for place in columns.places]


@given(st.dictionaries(st.integers(0, 63), st.lists(FLOATS, min_size=1, max_size=4)), st.booleans())
def test_slots_without_scale_come_back(numbers: dict[int, list[float]], summed: bool) -> None:
    slots = {place: slot_of(each, summed=summed) for place, each in numbers.items()}
    found = decoded_slots(Slots(255, summed, slots).encoded(64)).at
    assert found.keys() == slots.keys()
    for place, slot in slots.items():
        assert found[place][:3] == slot[:3]
        assert found[place].extra == slot.extra or not math.isfinite(slot.extra)


def test_sums_beyond_64_bits_become_doubles() -> None:
    slots = {0: Slot(2, -(2**59), 2**59, 2**63), 1: Slot(1, 0, 0, 0), 2: Slot(1, -(2**62), 2**62, 2**66)}
    found = decoded_slots(Slots(0, True, slots).encoded(3))
    assert found.at == slots and found.decimals == 255


@given(st.sampled_from([0, 1, 2, 255]), st.sampled_from([0, 1, 2, 255]))
def test_slots_of_other_decimals_are_merged_as_what_they_mean(one: int, other: int) -> None:
    def scale(decimals: int) -> float:
        return 1 if decimals == 255 else 10**decimals

    slots = Slots(one, True, {5: Slot(2, 3 * scale(one), 4 * scale(one), 7 * scale(one))})
    slots.put({5: Slot(1, 9 * scale(other), 9 * scale(other), 9 * scale(other))}, other, adding=True)
    columns = decoded_columns(slots.encoded(8))
    assert (columns.counts, columns.lows, columns.highs, columns.extras) == ([3], [3], [9], [16])


@settings(max_examples=300)
@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_flipped_bit_or_another_place_is_noticed(payload: bytes, data: st.DataObject) -> None:
    place = schema.place("raw", 7 << 20 | 3)
    block = sealed(payload, place)
    assert opened(block, place) == payload
    bit = data.draw(st.integers(0, 8 * len(block) - 1))
    touched = bytearray(block)
    touched[bit // 8] ^= 1 << bit % 8
    for bad, where in ((bytes(touched), place), (block, schema.place("raw", 7 << 20 | 4)), (block[:-1], place)):
        with pytest.raises(DamagedBlockError):
            opened(bad, where)


@settings(max_examples=2000)
@given(st.binary(max_size=100))
def test_garbage_is_a_damaged_block_and_nothing_else(payload: bytes) -> None:
    for decode in (decoded_values, decoded_times, decoded_columns, decoded_slots, journal_samples):
        try:
            decode(payload)
        except DamagedBlockError:
            continue


MOMENTS = st.lists(st.integers(0, 40), unique=True, max_size=8)


@given(st.lists(MOMENTS, max_size=4))
def test_of_samples_of_one_moment_the_later_part_counts(times: list[list[int]]) -> None:
    parts = [Samples(each, {9: [number] * len(each)}) for number, each in enumerate(times)]
    expected = {time: number for number, each in enumerate(times) for time in each}
    found = joined(parts)
    assert dict(zip(found.times, found.columns.get(9, ()), strict=True)) == expected
    assert list(found.times) == sorted(found.times)


def test_a_record_of_the_journal_comes_back() -> None:
    samples = Samples([1, 2], {3: [1.1, None], 4: [7, 8]})
    assert journal_samples(journal_bytes(samples)) == samples
