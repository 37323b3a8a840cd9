"""Readings: what a device said, when, and why a value is missing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from heliobus.model.day import Days
from heliobus.model.point import Value


class Reason(StrEnum):
    """Why a point has no value."""

    NOT_SUPPORTED = "not supported"
    INVALID = "invalid"
    OUT_OF_RANGE = "out of range"
    STALE = "stale"
    OFFLINE = "offline"


class Health(StrEnum):
    """How a device is doing on its bus."""

    UNKNOWN = "unknown"
    OK = "ok"
    FAILING = "failing"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Reading:
    """One device at one moment, immutable.

    `time` is when its newest answer arrived, in UTC seconds since 1970. `values` holds every point of the device by
    name; a point that is None has its reason in `reasons`. `days` is the ledger's record, newest first.
    """

    device: str
    time: float
    values: Mapping[str, Value]
    reasons: Mapping[str, Reason] = field(default_factory=dict)
    health: Health = Health.OK
    days: Days = ()
