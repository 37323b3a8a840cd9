"""The line protocol: what is written is read back by a parser made from InfluxDB's reference, whatever names hold."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from heliobus.model.point import Value
from heliobus.outputs.influx.lines import RESERVED, Row, line, lines

# "Line protocol reference", "Data types and format": a number without a suffix is a float.
FLOAT = re.compile(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?")
NAMES = st.text(max_size=12)
ANY = st.one_of(st.none(), st.floats(), st.integers(), st.text(max_size=20))


@dataclass
class Read:
    measurement: str
    tags: dict[str, str] = field(default_factory=dict)
    fields: dict[str, float | str] = field(default_factory=dict)
    time: int = 0


class Parser:
    """One line, by "Syntax description", "Special characters" and "Comments" of the reference."""

    def __init__(self, text: str) -> None:
        assert text and "\n" not in text and not text.startswith("#")
        self._text = text
        self._at = 0

    def read(self) -> Read:
        found = Read(self._until(", ", escapable=", "))
        while self._next() == ",":
            key = self._until("=", escapable=",= ")
            assert self._next() == "="
            value = self._until(", ", escapable=",= ")
            assert key and value and key not in found.tags, "a tag twice, or empty"
            found.tags[key] = value
        # `_next` has taken the blank that ends the tags.
        while True:
            key = self._until("=", escapable=",= ")
            assert self._next() == "="
            assert key and key not in found.fields
            found.fields[key] = self._value()
            if self._next() == " ":
                break
        found.time = int(self._text[self._at :])
        return found

    def _next(self) -> str:
        self._at += 1
        return self._text[self._at - 1]

    def _until(self, ends: str, *, escapable: str) -> str:
        taken = ""
        while self._text[self._at] not in ends:
            character = self._next()
            if character == "\\" and self._text[self._at] in escapable:
                character = self._next()
            taken += character
        return taken

    def _value(self) -> float | str:
        if self._text[self._at] != '"':
            number = FLOAT.match(self._text, self._at)
            assert number is not None
            self._at = number.end()
            assert self._text[self._at] in ", ", "a type suffix"
            return float(number.group())
        self._at += 1
        taken = ""
        while (character := self._next()) != '"':
            taken += self._next() if character == "\\" and self._text[self._at] in '\\"' else character
        return taken


def kept(value: Value) -> bool:
    if value is None:
        return False
    if isinstance(value, str):
        return True
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def same(wanted: Value, read: float | str) -> bool:
    if isinstance(wanted, str) or isinstance(read, str):
        assert isinstance(wanted, str) and isinstance(read, str)
        return len(wanted) == len(read) and all(
            have == want or (have == " " and not want.isprintable()) for want, have in zip(wanted, read, strict=True)
        )
    return read == float(wanted or 0)


def key_of(name: str) -> str:
    """What becomes of a name: no control characters, no backslash, no blanks around it."""
    clean = "".join(" " if ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u2028\u2029" else c for c in name)
    return clean.strip().replace("\\", "/")


@given(NAMES, st.dictionaries(NAMES, NAMES, max_size=4), st.dictionaries(NAMES, ANY, max_size=5), st.integers())
@example("solar charger,#1", {"a=b": "x\\", "name": "Dach, Süd = 1"}, {"t": 'say "so"\\', "n\n": 412}, 0)
@example("#comment", {"a\\": "b", "a/": "c"}, {"x": 1.5}, 1)
@example("m", {}, {"x": 'a\\"', "y": "\n# next=1 1\n"}, 1)
def test_everything_is_read_back(
    measurement: str, tags: Mapping[str, str], fields: Mapping[str, Value], time: int
) -> None:
    text = line(measurement, tags, fields, time)
    wanted: dict[str, Value] = {}
    for name, value in fields.items():
        if key_of(name) not in RESERVED and kept(value):
            wanted.setdefault(key_of(name), value)
    if text is None:
        assert not wanted
        return
    # No server may take a part of it for another line, nor for the end of a text.
    assert len(text.splitlines()) == 1
    read = Parser(text).read()
    assert read.time == time
    assert read.measurement == (key_of(measurement).lstrip("#").strip() or "unnamed")
    assert set(read.fields) == set(wanted)
    assert all(same(value, read.fields[name]) for name, value in wanted.items())
    expected: dict[str, str] = {}
    for name, value in tags.items():
        if key_of(name) not in RESERVED and key_of(value):
            expected.setdefault(key_of(name), key_of(value))
    assert read.tags == expected


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (412, "412.0"),
        (0, "0.0"),
        (27.31, "27.31"),
        (-0.03, "-0.03"),
        (1e-7, "1e-07"),
        (1e22, "1e+22"),
        (10**30, "1e+30"),
    ],
)
def test_numbers_are_always_floats(value: float, written: str) -> None:
    assert line("m", {}, {"x": value}, 5) == f"m x={written} 5"


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf, 10**400])
def test_what_is_not_measured_is_left_out(value: Value) -> None:
    assert line("m", {}, {"x": value, "y": 1}, 5) == "m y=1.0 5"
    assert line("m", {"a": "b"}, {"x": value}, 5) is None
    assert lines([Row("m", {}, {"x": value}, 5), Row("m", {}, {"y": 1}, 6)]) == b"m y=1.0 6"
    assert lines([Row("m", {}, {"x": value}, 5)]) == b""


def test_tags_are_sorted_and_none_is_empty() -> None:
    assert line("m", {"site": "Hut 7", "device": "a_1", "model": " ", "": "x"}, {"y": 1}, 5) == (
        "m,device=a_1,site=Hut\\ 7 y=1.0 5"
    )
    assert lines([Row("m", {"name": "\ud800"}, {"x": 1}, 5)]) == b"m,name=? x=1.0 5"
