"""What `heliobus doctor` finds: one line of plain words each."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and what was seen; `remedy` says what to do, empty where there is nothing to do."""

    level: Level
    seen: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.level:<9}{self.seen}" + (f": {self.remedy}" if self.remedy else "")


def ok(seen: str) -> Finding:
    """All is well."""
    return Finding(Level.OK, seen)


def warning(seen: str, remedy: str) -> Finding:
    """It works, but not as well as it could."""
    return Finding(Level.WARNING, seen, remedy)


def problem(seen: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(Level.PROBLEM, seen, remedy)


def sick(findings: Iterable[Finding]) -> bool:
    """Whether there is a problem among them."""
    return any(finding.level is Level.PROBLEM for finding in findings)
