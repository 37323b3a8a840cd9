"""PZEM meters on a line without a tty: bytes in, bytes out, also of several meters at once."""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from heliobus.wire.modbus.crc import crc16, with_crc
from wire_fakes import Script

FRAMES = Path(__file__).parent / "frames"
GENERAL = 0xF8
AC_CAPTURED = (0x08D1, 0x006C, 0, 0x00F4, 0, 0x0026, 0, 0x01F4, 0x0064, 0)
DC_CAPTURED = (0x0540, 0x000A, 0x000D, 0, 2, 0, 0, 0)


def recorded(family: str, *kinds: str) -> list[dict[str, Any]]:
    """The public frames of `pzem_ac` or `pzem_dc` of these kinds."""
    rows: list[dict[str, Any]] = json.loads((FRAMES / family / "public-frames.json").read_text())["exchanges"]
    return [row for row in rows if row["kind"] in kinds]


class FakeMeter:
    """An AC meter, or a DC meter (`shunt`: with a range register). `mute`: functions whose answers are lost."""

    def __init__(self, address: int = 1, *, ac: bool = True, shunt: bool = True) -> None:
        self.ac = ac
        self.inputs = list(AC_CAPTURED if ac else DC_CAPTURED)
        self.settings = {1: 2300, 2: address} if ac else {0: 30000, 1: 700, 2: address}
        if shunt and not ac:
            self.settings[3] = 0
        self.mute: set[int] = set()
        self.stubborn = False

    @property
    def address(self) -> int:
        return self.settings[2]

    def answer(self, pdu: bytes) -> bytes | None:
        answer = self._answer(pdu)
        return None if pdu[0] in self.mute else answer

    def _answer(self, pdu: bytes) -> bytes:
        function = pdu[0]
        if function == 0x42:
            if not self.stubborn:
                energy = 5 if self.ac else 4
                self.inputs[energy : energy + 2] = [0, 0]
            return pdu
        if function not in (3, 4, 6):
            return bytes((function | 0x80, 1))
        address, value = struct.unpack(">HH", pdu[1:5])
        if function == 6:
            if address not in self.settings:
                return b"\x86\x02"
            if not self.stubborn:
                self.settings[address] = value
            return pdu
        table = self.settings if function == 3 else dict(enumerate(self.inputs))
        places = range(address, address + value)
        if not value or any(place not in table for place in places):
            return bytes((function | 0x80, 2))
        return struct.pack(f">BB{value}H", function, 2 * value, *(table[place] for place in places))


class FakeLine:
    """Meters on one line; where several answer at once their bytes run into each other.

    `others` are the PDUs with which other devices answer everything, by unit.
    """

    def __init__(self, *meters: FakeMeter) -> None:
        self.meters = list(meters)
        self.frames: list[bytes] = []
        self.others: dict[int, bytes] = {}

    def __call__(self, frame: bytes) -> Script:
        self.frames.append(frame)
        assert crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")
        unit, pdu = frame[0], frame[1:-2]
        heard = [each for each in self.meters if unit in (each.address, GENERAL)]
        answers = [with_crc(bytes((unit,)) + pdu) for pdu in (each.answer(pdu) for each in heard) if pdu is not None]
        if unit in self.others:
            answers.append(with_crc(bytes((unit,)) + self.others[unit]))
        if not answers:
            return []
        return [(0.06, _collided(answers))]

    def written(self, *functions: int) -> list[str]:
        """The frames sent so far with these functions."""
        return [frame.hex(" ").upper() for frame in self.frames if frame[1] in functions]


def _collided(answers: Sequence[bytes]) -> bytes:
    """On RS-485 a 0 of one wins over a 1 of another where both drive; meters of one design start at the same time."""
    whole = answers[0]
    for other in answers[1:]:
        size = max(len(whole), len(other))
        whole = bytes(a & b for a, b in zip(whole.ljust(size, b"\xff"), other.ljust(size, b"\xff"), strict=True))
    return whole
