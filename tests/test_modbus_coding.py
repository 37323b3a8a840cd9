"""Codings against the worked examples of the TriStar's document and its real captures."""

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.wire.modbus import coding

WORD = st.integers(0, 0xFFFF)


@pytest.mark.parametrize(
    ("kind", "words", "value"),
    [
        (coding.u16, [0x2000], 8192),
        (coding.s16, [0xFFFB], -5),
        (coding.s16, [0x8000], -32768),
        (coding.s16, [0x7FFF], 32767),
        (coding.u32, [1, 21481], 87017),
        (coding.u32l, [21481, 1], 87017),
        (coding.s32, [0xFFFF, 0xFFFE], -2),
        (coding.s32l, [0xFFFE, 0xFFFF], -2),
        (coding.s32, [0, 2], 2),
        (coding.bcd16, [0x0042], 42),
        (coding.bcd16, [0x9999], 9999),
        (coding.bcd16, [0], 0),
        (coding.bcd16, [0x004A], None),
        (coding.bcd16, [0xFFFF], None),
        (coding.bits16, [0x8001], 0x8001),
        (coding.bits32, [0x0001, 0x8000], 0x18000),
        (coding.f16, [0x3C00], 1.0),
        (coding.f16, [0xC000], -2.0),
        (coding.f16, [0x7C00], None),
        (coding.f16, [0x7E00], None),
        (coding.f32, [0x4048, 0xF5C3], pytest.approx(3.14, abs=1e-6)),
        (coding.f32, [0x7FC0, 0], None),
        (coding.f32, [0xFF80, 0], None),
        (coding.fixed16_16, [180, 0], 180.0),
        (coding.fixed16_16, [0x007B, 0xE041], pytest.approx(123.876, abs=5e-4)),
        (coding.fixed16_16, [0x004E, 0x03A6], pytest.approx(78.01425, abs=5e-6)),
        (coding.version_hex, [0x0101], "1.1"),
        (coding.version_hex, [0x0A10], "a.10"),
        (coding.ipv4_low_first, [0xA8C0, 0xFD01], "192.168.1.253"),
        (coding.mac_low_first, [0x2000, 0x054A, 0xFE01], "00:20:4a:05:01:fe"),
        (coding.ascii_low_first(4), [0x3130, 0x3332, 0x3534, 0x3736], "01234567"),
        (coding.ascii_low_first(4), [0x3031, 0x3731, 0x3230, 0x3639], "10170296"),
        (coding.ascii_low_first(3), [0x3130, 0x0032, 0x4141], "012"),
        (coding.ascii_low_first(2), [0, 0], None),
        (coding.ascii_low_first(2), [0xFFFF, 0xFFFF], None),
        (coding.ascii_high_first(2), [0x4142, 0x4320], "ABC"),
        (coding.ascii_high_first(1), [0x0741], None),
    ],
)
def test_decode(kind, words, value):
    assert kind.words == len(words)
    assert kind.decode(words) == value


def test_the_documents_voltage_example():
    assert coding.s16.decode([0x0DB0]) * coding.fixed16_16.decode([0x007B, 0xE041]) / 2**15 == pytest.approx(
        13.2465, abs=5e-4
    )


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (coding.u16, 2610.5, (2610,)),
        (coding.u16, 13107.2, (0x3333,)),
        (coding.u16, 52428.8, (0xCCCD,)),
        (coding.s16, -16, (0xFFF0,)),
        (coding.u32, 87017, (1, 21481)),
        (coding.u32l, 87017, (21481, 1)),
        (coding.f16, -2.0, (0xC000,)),
    ],
)
def test_encode(kind, value, words):
    assert kind.encode(value) == words


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (coding.u16, -1),
        (coding.u16, 65536),
        (coding.u16, math.nan),
        (coding.s16, 32768),
        (coding.s16, -32769),
        (coding.u32, 2**32),
        (coding.u32l, -1),
        (coding.f16, 1e6),
        (coding.f16, math.inf),
    ],
)
def test_what_does_not_fit_is_refused(kind, value):
    with pytest.raises(ValueError, match=r"fit|cannot be written"):
        kind.encode(value)


@pytest.mark.parametrize("kind", [coding.u16, coding.s16, coding.u32, coding.u32l, coding.f16])
@given(st.data())
def test_encode_undoes_decode(kind, data):
    words = tuple(data.draw(st.lists(WORD, min_size=kind.words, max_size=kind.words)))
    value = kind.decode(words)
    if value is not None:
        assert kind.encode(value) == words


@given(st.lists(WORD, min_size=4, max_size=4))
def test_no_words_raise_and_none_become_nan(words):
    kinds = [kind for kind in vars(coding).values() if isinstance(kind, coding.Coding)]
    for kind in [*kinds, coding.ascii_low_first(4), coding.ascii_high_first(4)]:
        value = kind.decode(words[: kind.words])
        assert value is None or isinstance(value, str) or math.isfinite(value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_f32_is_the_ieee_number(number):
    assert coding.f32.decode(struct.unpack(">HH", struct.pack(">f", number))) == number
