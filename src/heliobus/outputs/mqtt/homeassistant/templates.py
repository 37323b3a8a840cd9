"""Templates that make states out of the JSON of a device. What they do not know becomes `None`: unknown. Pure.

Home Assistant keeps the old value when it gets one it cannot take, so every value it might not take is none.
"""

from collections.abc import Iterable, Mapping

LONGEST = 255
"""Characters a state can have."""


def plain(name: str) -> str:
    """The value as it is: a number, or null."""
    return f"{{{{ value_json.{name} }}}}"


def one_of(name: str, options: Iterable[str]) -> str:
    """A word, if it is one of `options`."""
    words = ",".join(_quoted(each) for each in options)
    return f"{{{{ value_json.{name} if value_json.{name} in [{words}] else none }}}}"


def mapped(name: str, meaning: Mapping[str, str]) -> str:
    """What a word means."""
    pairs = ",".join(f"{_quoted(word)}:{_quoted(to)}" for word, to in meaning.items())
    return f"{{{{ {{{pairs}}}.get(value_json.{name}) }}}}"


def text(name: str, otherwise: str = "none") -> str:
    """A text, cut to what a state can have, or what the expression `otherwise` gives."""
    return f"{{{{ value_json.{name}[:{LONGEST}] if value_json.{name} is string else {otherwise} }}}}"


def between(name: str, low: float, high: float) -> str:
    """A number, if it is within bounds."""
    value = f"value_json.{name}"
    return f"{{{{ {value} if {value} is number and {low:.10g} <= {value} <= {high:.10g} else none }}}}"


def attribute(key: str, name: str) -> str:
    """A JSON object with the value under `key`."""
    return f"{{{{ {{{_quoted(key)}: value_json.{name}}} | tojson }}}}"


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
