"""The text that is scraped: Prometheus text format 0.0.4 and OpenMetrics 1.0.0.

Written here because the official client needs OpenSSL even to be imported.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_LABEL = {ord("\\"): "\\\\", ord('"'): '\\"', ord("\n"): "\\n"}
_HELP = {ord("\\"): "\\\\", ord("\n"): "\\n"}
_SUFFIXES = {"counter": "_total", "info": "_info"}
"""What OpenMetrics takes off the name of a family of this type."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric: `kind` is gauge, counter or info; `series` holds labels, ready to be written, with values."""

    name: str
    kind: str
    doc: str
    series: list[tuple[str, float]] = field(default_factory=list)


def labels(pairs: Mapping[str, str]) -> str:
    """`{site="cabin",device="…"}`, empty for none."""
    written = ",".join(f'{key}="{value.translate(_LABEL)}"' for key, value in pairs.items())
    return f"{{{written}}}" if written else ""


def render(families: Iterable[Family], *, open_metrics: bool = False) -> bytes:
    """The page; families without a series are left out."""
    lines = [line for family in families if family.series for line in _lines(family, open_metrics)]
    if open_metrics:
        lines.append("# EOF")
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def wants_open_metrics(accept: str) -> bool:
    """Whether a client with this `Accept` header prefers OpenMetrics to the plain text format."""
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for offer in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in offer.split(";"))
        versions = [each.removeprefix("version=") for each in parameters if each.startswith("version=")]
        # A version that is not ours is no offer we can keep.
        if kind in weights and (kind == "text/plain" or not versions or versions[0] in ("1.0.0", "0.0.1")):
            weights[kind] = max(weights[kind], _weight(parameters))
    return weights["application/openmetrics-text"] > weights["text/plain"]


def _weight(parameters: list[str]) -> float:
    try:
        return next((float(each[2:]) for each in parameters if each.startswith("q=")), 1.0)
    except ValueError:
        return 0.0


def _lines(family: Family, open_metrics: bool) -> Iterator[str]:
    name, kind = family.name, family.kind
    if open_metrics:
        name = name.removesuffix(_SUFFIXES.get(kind, ""))
    elif kind == "info":
        kind = "gauge"
    doc = family.doc.translate(_LABEL if open_metrics else _HELP)
    yield f"# HELP {name} {doc}"
    yield f"# TYPE {name} {kind}"
    for written, value in family.series:
        yield f"{family.name}{written} {value!r}"
