"""A device that says again what a real one was recorded to say, refusals included, and nothing else."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from heliobus.sim.device import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    READ_BITS,
    READ_WORDS,
    Origin,
    RefusalError,
)
from heliobus.sim.serial_units import SerialDevice
from heliobus.wire.modbus.crc import crc16


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request PDU and its answer PDU."""

    request: bytes
    answer: bytes


class SimRecorded(SerialDevice):
    """Serves recorded exchanges.

    A recorded request gets its recorded answer. Other reads are put together from the words and bits of all of them;
    one address that was refused or never recorded refuses the whole request. Writes are refused. `requests` counts
    every request PDU, `refused` those that were answered with an exception.
    """

    functions = frozenset(range(256))

    def __init__(self, exchanges: Iterable[Exchange], unit: int = 1, baud: int = 115200) -> None:
        super().__init__(unit, baud)
        self._answers = {exchange.request: exchange.answer for exchange in exchanges}
        if not self._answers:
            raise ValueError("it holds no exchanges")
        self._image: dict[int, dict[int, int]] = {}
        for request, answer in self._answers.items():
            self._learn(request, answer)
        self._known = {request[0] for request in self._answers}
        self.requests: Counter[bytes] = Counter()
        self.refused: Counter[bytes] = Counter()

    @property
    def asked_in_vain_again(self) -> list[tuple[int, int]]:
        """(function, address) of reads of one register that were refused more than once."""
        again = [pdu for pdu, times in self.refused.items() if times > 1]
        single = [pdu for pdu in again if pdu[0] in READ_WORDS + READ_BITS and pdu[3:5] == b"\x00\x01"]
        return sorted((pdu[0], int.from_bytes(pdu[1:3], "big")) for pdu in single)

    @property
    def refusals_again(self) -> dict[bytes, int]:
        """Every request PDU that was refused more than once, and how often."""
        return {pdu: times for pdu, times in self.refused.items() if times > 1}

    @property
    def image(self) -> Mapping[int, Mapping[int, int]]:
        """The recorded words and bits: by function, then by address."""
        return self._image

    def advance(self, seconds: float) -> None:
        """A recording does not age."""

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        """As SimDevice, and counted."""
        self.requests[pdu] += 1
        answer = self._answers.get(pdu) or super().answer(pdu, bridged, serial)
        if answer is not None and answer[0] & 0x80:
            self.refused[pdu] += 1
        return answer if self.alive else None

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        """Recorded words."""
        return self._recorded(function, address, count)

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        """Recorded bits."""
        return [bool(bit) for bit in self._recorded(function, address, count)]

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        """Refused."""
        raise RefusalError(ILLEGAL_ADDRESS)

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        """Refused."""
        raise RefusalError(ILLEGAL_ADDRESS)

    def identification(self) -> Mapping[int, str]:
        """Only what was asked just so."""
        raise RefusalError(ILLEGAL_ADDRESS if 0x2B in self._known else ILLEGAL_FUNCTION)

    def other(self, pdu: bytes, origin: Origin) -> bytes:
        """Only what was asked just so."""
        raise RefusalError(ILLEGAL_ADDRESS if pdu[0] in self._known else ILLEGAL_FUNCTION)

    def _learn(self, request: bytes, answer: bytes) -> None:
        function = request[0]
        if answer[0] != function or len(request) != 5:
            return
        address, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
        known = self._image.setdefault(function, {})
        if function in READ_WORDS and answer[1] == 2 * count and len(answer) == 2 + 2 * count:
            for index in range(count):
                known[address + index] = int.from_bytes(answer[2 + 2 * index : 4 + 2 * index], "big")
        elif function in READ_BITS and len(answer) == 2 + (count + 7) // 8:
            for index in range(count):
                known[address + index] = answer[2 + index // 8] >> index % 8 & 1

    def _recorded(self, function: int, address: int, count: int) -> list[int]:
        known = self._image.get(function, {})
        wanted = range(address, address + count)
        if any(index not in known for index in wanted):
            raise RefusalError(ILLEGAL_ADDRESS)
        return [known[index] for index in wanted]


def exchanges_of(records: Iterable[Mapping[str, object]]) -> list[Exchange]:
    """The whole exchanges of RTU records ("request_hex", "response_hex"); others and wrong checksums are left out."""
    found = []
    for record in records:
        frames = [record.get(key) for key in ("request_hex", "response_hex")]
        raws = [bytes.fromhex(frame) for frame in frames if isinstance(frame, str)]
        if len(raws) == 2 and all(len(raw) > 3 and _whole(raw) for raw in raws) and raws[0][0] == raws[1][0]:
            found.append(Exchange(raws[0][1:-2], raws[1][1:-2]))
    return found


def recorded_file(path: Path, unit: int = 1) -> SimRecorded:
    """A recording: JSON, a list of records as `exchanges_of` takes them. Raises ValueError and OSError."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(content, list) or not all(isinstance(record, dict) for record in content):
        raise ValueError("it is not a list of exchanges")
    return SimRecorded(exchanges_of(content), unit)


def _whole(raw: bytes) -> bool:
    return crc16(raw[:-2]) == int.from_bytes(raw[-2:], "little")
