"""How a unit on a serial line is spoken to: its speed and the frame of its characters."""

from dataclasses import dataclass
from typing import Literal

Parity = Literal["N", "E", "O"]


def frame_silence(baud: int, bits: int = 8, parity: str = "N", stop: int = 1) -> float:
    """Seconds of quiet line between frames: 3.5 characters, and never less than 1.75 ms (V1.02 §2.5.1.1)."""
    character = (1 + bits + (parity != "N") + stop) / baud
    return max(3.5 * character, 0.00175)


@dataclass(frozen=True, slots=True)
class LineSettings:
    """Speed in bit/s, data bits, parity and stop bits."""

    baud: int = 9600
    bits: int = 8
    parity: Parity = "N"
    stop: int = 1

    @property
    def silence(self) -> float:
        """Seconds of quiet line that must lie between two Modbus RTU frames."""
        return frame_silence(self.baud, self.bits, self.parity, self.stop)
