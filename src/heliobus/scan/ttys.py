"""The serial ports of this machine: which there are, their lasting names, and who has them open."""

import os
from pathlib import Path

from heliobus.wire.holder import holder_of

PATTERNS = ("ttyUSB*", "ttyACM*", "ttyXRUSB*", "ttyAMA*", "ttySC*", "ttymxc*", "ttyO[0-9]*", "rfcomm*")
LASTING = ("serial/by-id", "serial/by-path")
"""Names that stay with the adapter, or with the socket it is in where the adapter has no serial number."""
CONSOLES = Path("/sys/class/tty/console/active")
PSEUDO_TERMINALS = "/dev/pts/"


def ttys(devices: Path = Path("/dev"), consoles: Path = CONSOLES) -> tuple[str, ...]:
    """The ttys that can have an adapter or a line, by their lasting names; consoles are none."""
    taken = _consoles(consoles)
    real = sorted(path for pattern in PATTERNS for path in devices.glob(pattern) if path.name not in taken)
    return tuple(stable_path(str(path), devices) for path in real)


def stable_path(tty: str, devices: Path = Path("/dev")) -> str:
    """The name under /dev/serial that leads to `tty`, or `tty` itself where there is none."""
    for folder in LASTING:
        for link in sorted(_links(devices / folder)):
            if same_tty(str(link), tty):
                return str(link)
    return tty


def same_tty(one: str, other: str) -> bool:
    """Whether both paths lead to the same tty."""
    return os.path.realpath(one) == os.path.realpath(other)


def other_program(tty: str) -> str | None:
    """Another program that has `tty` open, locked or not, as far as this user may see it.

    The program behind a pseudo-terminal has it open too, so nothing is said of those.
    """
    return None if os.path.realpath(tty).startswith(PSEUDO_TERMINALS) else holder_of(tty)


def _links(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _consoles(path: Path) -> frozenset[str]:
    try:
        return frozenset(path.read_text(encoding="ascii").split())
    except OSError:
        return frozenset()
