"""What is known of the families that speak this protocol, told apart by the model text (epever.md §1, §6).

A fact has a mark: DOCUMENT (printed by the vendor), CAPTURE (seen in a real frame), OWNER (told by somebody who has
the device), GUESS (one weak source).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """How well a fact is known."""

    DOCUMENT = "vendor's document"
    CAPTURE = "captured frame"
    OWNER = "told by an owner"
    GUESS = "one weak source"


PWM, MPPT = 1, 2
"""Numbers of register 0x3008."""


@dataclass(frozen=True, slots=True)
class Family:
    """`model` matches the model text. `absent` input registers and `max_count` narrow the common table.

    `known` says for each fact that differs from the Tracer's how it is known.
    """

    name: str
    model: re.Pattern[str]
    charging_mode: int = MPPT
    load: bool = True
    batteries: int = 1
    absent: frozenset[int] = frozenset()
    max_count: int | None = None
    known: Mapping[str, Source] = field(default_factory=dict, hash=False)


def _model(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


TRACER_BN = Family("Tracer BN, BP, BPL", _model(r"Tracer-?\d{4}B"), known={"table": Source.CAPTURE})
TRACER_AN = Family(
    "Tracer A, AN, CPN, also G3",
    _model(r"Tracer"),
    known={
        "table": Source.CAPTURE,
        "0x90BF is the largest charge current of a G3": Source.OWNER,
        "0x3108 is the battery voltage of a G3": Source.OWNER,
    },
)
LANDSTAR = Family(
    "LandStar LS-B, ViewStar VS-B (PWM)",
    _model(r"(LS|VS)-?\d"),
    charging_mode=PWM,
    absent=frozenset({0x300D, 0x300F, 0x3202}),
    max_count=12,
    known={
        "no 0x3010, no 0x3202": Source.DOCUMENT,
        "15 registers in one request": Source.CAPTURE,
        "never more than 12 are asked for": Source.OWNER,
        "the charge power may be that of the array": Source.OWNER,
    },
)
XTRA = Family("XTRA-N", _model(r"XTRA"), known={"one instruction with Tracer AN and TriRon": Source.DOCUMENT})
TRIRON = Family("TriRon-N", _model(r"TriRon"), known={"also sold as Tracer AN": Source.OWNER})
ITRACER = Family("iTracer", _model(r"(iTracer|IT)-?\d"), known={"same map": Source.DOCUMENT})
ETRACER = Family(
    "eTracer",
    _model(r"(eTracer|ET)-?\d"),
    known={"same map": Source.DOCUMENT, "32-bit and most block reads fail on a ET6415BND": Source.OWNER},
)
DUORACER = Family(
    "DuoRacer DR-N",
    _model(r"(DuoRacer|DR)-?\d"),
    load=False,
    batteries=2,
    known={
        "0x310D, 0x310E are current and power of the second battery": Source.OWNER,
        "0x311A is the state of charge of the main battery": Source.OWNER,
    },
)
OTHER = Family("another EPever charger", _model(r""), known={"same map": Source.GUESS})

FAMILIES = (TRACER_BN, ITRACER, ETRACER, TRACER_AN, LANDSTAR, XTRA, TRIRON, DUORACER)
OTHER_MAP = _model(r"U-?Power|UP\d|HI\d|IPower|NPower|Tracer-?MT")
"""Models of the vendor that have another map: inverters (base 0x3500), and the generation of the MT-5 display."""


def family_of(model: str) -> Family:
    """The family that `model` belongs to; OTHER for a text that is not known."""
    return next((each for each in FAMILIES if each.model.match(model)), OTHER)
