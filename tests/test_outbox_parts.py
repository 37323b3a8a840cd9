"""Blocks, frames and sets of numbers: pure, and held against models."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.outputs.outbox.block import DamagedBlockError, pack, unpack
from heliobus.outputs.outbox.frames import MARK, framed, frames_in
from heliobus.outputs.outbox.intervals import Intervals, runs
from heliobus.outputs.outbox.record import Entry, Record
from heliobus.outputs.outbox.segment import opened, sealed

CONTENT = st.one_of(
    st.binary(max_size=60),
    st.from_regex(rb"[a-c]{1,3},x=[0-9]{1,2} v=-?[0-9]{1,3}(\.[0-9]{1,3})?(,w=-?0\.0{0,3})?", fullmatch=True),
    st.sampled_from([b"", b"\n", b" ", b"1.2.3", b"-", b"--5", b"1e-5", b"\x00 1", b"0x1f -0 +7", b"1.", b".5"]),
)


def entries(contents: list[bytes], times: list[int], first: int = 1) -> list[Entry]:
    return [
        Entry(first + index, Record(time, content))
        for index, (content, time) in enumerate(zip(contents, times, strict=True))
    ]


@given(st.lists(st.tuples(CONTENT, st.integers(-(1 << 62), 1 << 62)), min_size=1, max_size=30), st.integers(1, 1 << 60))
def test_a_block_gives_back_what_went_in(items: list[tuple[bytes, int]], first: int) -> None:
    given_entries = entries([content for content, _ in items], [time for _, time in items], first)
    assert unpack(pack(given_entries)) == given_entries


def test_numbers_of_samples_are_laid_in_columns() -> None:
    chance = random.Random(1)
    contents = [b"solar,device=a v=%.2f,i=%.1f" % (chance.gauss(27, 0.1), chance.gauss(9, 1)) for _ in range(300)]
    packed = pack(entries(contents, list(range(0, 3_000_000, 10_000))))
    assert len(packed) < sum(map(len, contents)) / 8


@given(st.binary(max_size=200))
def test_garbage_is_no_block(garbage: bytes) -> None:
    with pytest.raises(DamagedBlockError):
        unpack(garbage)


@pytest.mark.parametrize("where", range(0, 2000, 17))
def test_a_flipped_bit_in_a_block_is_seen(where: int) -> None:
    block, content = sealed(entries([b"v=%d" % each for each in range(500)], list(range(500))), 1, 0)
    where %= len(content)
    damaged = content[:where] + bytes((content[where] ^ 0x10,)) + content[where + 1 :]
    with pytest.raises(DamagedBlockError):
        opened(block, damaged)
    assert len(opened(block, content)) == 500


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=10), st.data())
def test_frames_are_found_behind_a_damaged_one(bodies: list[tuple[int, bytes]], data: st.DataObject) -> None:
    frames = [framed(kind, body) for kind, body in bodies]
    found, damaged = frames_in(b"".join(frames))
    assert ([(frame.kind, frame.body) for frame in found], damaged) == (bodies, 0)
    if not frames:
        return
    bad = data.draw(st.integers(0, len(frames) - 1))
    where = data.draw(st.integers(0, len(frames[bad]) - 1))
    spoilt = bytearray(frames[bad])
    spoilt[where] ^= data.draw(st.integers(1, 255))
    found, damaged = frames_in(b"".join([*frames[:bad], bytes(spoilt), *frames[bad + 1 :]]))
    assert [(frame.kind, frame.body) for frame in found] == bodies[:bad] + bodies[bad + 1 :]
    assert damaged == (bad < len(bodies) - 1)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), min_size=1, max_size=4))
def test_a_torn_end_is_cut_at_every_byte(bodies: list[tuple[int, bytes]]) -> None:
    whole = b"".join(framed(kind, body) for kind, body in bodies[:-1])
    last = framed(*bodies[-1])
    for length in range(len(last)):
        found, damaged = frames_in(whole + last[:length])
        assert [(frame.kind, frame.body) for frame in found] == bodies[:-1]
        assert damaged == 0


@given(st.binary(max_size=300))
def test_any_bytes_are_frames_or_none(garbage: bytes) -> None:
    frames_in(garbage)
    frames_in(MARK + garbage)


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=12),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 20)), max_size=12),
)
def test_intervals_are_a_set(added: list[tuple[int, int]], removed: list[tuple[int, int]]) -> None:
    model: set[int] = set()
    intervals, at = Intervals(), 0
    for gap, length in added:
        first, at = at + gap, at + gap + length + 1
        intervals.append(first, at - 1)
        model |= set(range(first, at))
    for first, length in removed:
        gone = model & set(range(first, first + length + 1))
        assert intervals.count(first, first + length) == len(gone)
        assert intervals.remove(first, first + length) == len(gone)
        model -= gone
        assert intervals.total == len(model)
        assert list(intervals) == list(runs(sorted(model)))
        assert intervals.first == min(model, default=None)
        assert all((number in intervals) == (number in model) for number in range(100))
