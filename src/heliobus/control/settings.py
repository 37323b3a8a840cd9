"""Stored charge settings as values and as raw words, and what differs between the two. Pure.

Values are those of the actual battery: volts, seconds, days, °C. What differs is decided in raw counts, since a tenth
of a volt is not a whole number of them (tristar.md §2).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from heliobus.devices.driver import Register
from heliobus.devices.encode import encode
from heliobus.devices.writes import Stored
from heliobus.model.command import StoredSetting
from heliobus.model.point import Value

DECIMALS = 5
"""Of stored values: enough to find the same word again, for the smallest step is 2.7 mV."""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """One register whose word changes; the values are what the words stand for, not what was typed."""

    register: Register
    old_word: int
    new_word: int
    old: Value
    new: Value


def place(register: Register) -> str:
    """Where it is stored, in words."""
    return f"register 0x{register.address:04X}"


def by_name(of: Stored) -> dict[str, Register]:
    """The registers of all settings by the name of their point."""
    return {register.point.name: register for register in of.registers}


def malformed(of: Stored, wanted: Mapping[str, object]) -> tuple[str, ...]:
    """What is wrong with `wanted` whatever the device has stored: unknown names, values that are no numbers."""
    known = by_name(of)
    words = [] if wanted else ["there is no setting to change"]
    for name, value in wanted.items():
        if name not in known:
            import difflib  # noqa: PLC0415  for the error only

            near = difflib.get_close_matches(str(name), known, 1, 0.5)
            hint = f": did you mean {near[0]}?" if near else f": there are {', '.join(known)}"
            words.append(f"there is no setting {name!r}{hint}")
        elif not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
            unit = known[name].point.unit
            words.append(f"{name} takes a number{f' in {unit}' if unit else ''}, not {value!r}")
    return tuple(words)


def changes(
    of: Stored, words: Mapping[str, int], wanted: Mapping[str, float], factors: Mapping[str, Value]
) -> tuple[SettingChange, ...]:
    """The settings of `wanted` whose word would differ from `words`, by point name, in the order of the table.

    Raises ValueError for a value that no word stands for, or while what it is scaled by is not known.
    """
    found = []
    for name, register in by_name(of).items():
        if name not in wanted:
            continue
        old, new = words[name], encode(register, wanted[name], factors)
        if old != new:
            values = value_of(register, old, factors), value_of(register, new, factors)
            found.append(SettingChange(register, old, new, *values))
    return tuple(found)


def values_of(of: Stored, words: Mapping[str, int], factors: Mapping[str, Value]) -> dict[str, Value]:
    """What all stored words stand for, by point name."""
    return {name: value_of(register, words[name], factors) for name, register in by_name(of).items()}


def stored(of: Stored, words: Mapping[str, int], factors: Mapping[str, Value]) -> tuple[StoredSetting, ...]:
    """All settings as the device has them, in the order of the table."""
    return tuple(
        StoredSetting(register.point, place(register), words[name], value_of(register, words[name], factors))
        for name, register in by_name(of).items()
    )


def value_of(register: Register, word: int, factors: Mapping[str, Value]) -> Value:
    """What `word` stands for, not rounded for people, so that encoding it gives `word` again."""
    raw = register.coding.decode((word,))
    if not isinstance(raw, int | float) or raw in register.invalid:
        return None
    value = raw * register.scale.constant
    for name in register.scale.factors:
        factor = factors.get(name)
        if not isinstance(factor, int | float):
            return None
        value *= factor
    # Adding zero turns the -0.0 of a negative scale into 0.
    return round(value, DECIMALS) + 0
