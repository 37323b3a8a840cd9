"""What a benchmark gives back, and what it is told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure. `target` is the largest value allowed, None where there is no target."""

    name: str
    value: float
    unit: str
    method: str
    target: float | None = None
    decimals: int = 3

    @property
    def missed(self) -> bool:
        return self.target is not None and self.value > self.target

    def cells(self) -> tuple[str, str, str, str]:
        """Name, value, target, method."""
        value = f"{self.value:.{self.decimals}f} {self.unit}"
        target = "" if self.target is None else f"<= {self.target:g}" + (" MISSED" if self.missed else "")
        return self.name, value, target, self.method


@dataclass(frozen=True, slots=True)
class Plan:
    """How long to measure (s), how often to repeat, where to write, and where dbus-fast without machine code is."""

    folder: Path
    pure: Path
    cpu: float = 30.0
    memory: tuple[float, float] = (30.0, 60.0)
    fleet: float = 60.0
    starts: int = 3
    micro: float = 0.6
