"""What every simulated Modbus device has in common: one PDU in, one PDU (or silence) out.

Function codes and exceptions follow the Modbus Application Protocol V1.1b3; a family says which codes it knows.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from enum import Enum

ILLEGAL_FUNCTION = 1
ILLEGAL_ADDRESS = 2
ILLEGAL_VALUE = 3
READ_BITS = (0x01, 0x02)
READ_WORDS = (0x03, 0x04)
WRITE_COIL = 0x05
WRITE_REGISTER = 0x06
WRITE_REGISTERS = 0x10
IDENTIFICATION = 0x2B


class Origin(Enum):
    """The way a request came in."""

    NETWORK = "network"
    BRIDGED = "bridged"
    SERIAL = "serial"


class RefusalError(Exception):
    """The device answers with a Modbus exception of this code."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class SilenceError(Exception):
    """The device carried the request out, or not, and says nothing."""


class SimDevice(ABC):
    """A simulated device; time passes for it only in `advance`."""

    functions: frozenset[int] = frozenset({1, 2, 3, 4, 5, 6, 0x10, 0x2B})
    max_count = 125

    @property
    def network_up(self) -> bool:
        """Whether its own TCP server runs (a device without one is always up)."""
        return True

    @abstractmethod
    def advance(self, seconds: float) -> None:
        """Let `seconds` of the device's time pass."""

    @abstractmethod
    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        """`count` registers from `address`; raises RefusalError."""

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        """`count` coils or inputs from `address`; raises RefusalError."""
        raise RefusalError(ILLEGAL_FUNCTION)

    def write_coil(self, address: int, on: bool, origin: Origin) -> None:
        """One coil; raises RefusalError or SilenceError."""
        raise RefusalError(ILLEGAL_FUNCTION)

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        """One register; raises RefusalError or SilenceError."""
        raise RefusalError(ILLEGAL_FUNCTION)

    def write_registers(self, address: int, words: Sequence[int], origin: Origin) -> None:
        """Several registers in one request; one by one unless the device takes them only together."""
        for index, word in enumerate(words):
            self.write_register(address + index, word, origin)

    def identification(self) -> Mapping[int, str]:
        """The objects of 43/14, by object id (0-2 basic, 3-6 regular); raises RefusalError where there are none."""
        raise RefusalError(ILLEGAL_FUNCTION)

    def other(self, pdu: bytes, origin: Origin) -> bytes:
        """A function code of the maker's own that `functions` names; the answer PDU."""
        raise RefusalError(ILLEGAL_FUNCTION)

    def answer(self, pdu: bytes, bridged: bool = False, serial: bool = False) -> bytes | None:
        """The answer to one request PDU, None for silence. Never raises on garbage."""
        if not pdu:
            return None
        origin = Origin.SERIAL if serial else Origin.BRIDGED if bridged else Origin.NETWORK
        try:
            if pdu[0] not in self.functions:
                raise RefusalError(ILLEGAL_FUNCTION)
            return self._carry_out(pdu, origin)
        except RefusalError as refusal:
            return bytes((pdu[0] | 0x80, refusal.code))
        except SilenceError:
            return None

    def _carry_out(self, pdu: bytes, origin: Origin) -> bytes:
        function = pdu[0]
        if function == IDENTIFICATION:
            return _identification_answer(pdu, self.identification())
        if function not in (*READ_BITS, *READ_WORDS, WRITE_COIL, WRITE_REGISTER, WRITE_REGISTERS):
            return self.other(pdu, origin)
        if len(pdu) < 5:
            raise RefusalError(ILLEGAL_VALUE)
        address = int.from_bytes(pdu[1:3], "big")
        value = int.from_bytes(pdu[3:5], "big")
        if function in READ_WORDS:
            self._check_count(value, self.max_count)
            words = self.read_words(function, address, value)
            return bytes((function, 2 * value)) + b"".join(word.to_bytes(2, "big") for word in words)
        if function in READ_BITS:
            self._check_count(value, 2000)
            packed = _packed(self.read_bits(function, address, value))
            return bytes((function, len(packed))) + packed
        if function == WRITE_REGISTERS:
            self._write_many(pdu, address, value, origin)
        elif function == WRITE_REGISTER:
            self.write_register(address, value, origin)
        elif value in (0x0000, 0xFF00):
            self.write_coil(address, value == 0xFF00, origin)
        else:
            raise RefusalError(ILLEGAL_VALUE)
        return pdu[:5]

    def _write_many(self, pdu: bytes, address: int, count: int, origin: Origin) -> None:
        self._check_count(count, 123)
        if len(pdu) != 6 + 2 * count or pdu[5] != 2 * count:
            raise RefusalError(ILLEGAL_VALUE)
        words = [int.from_bytes(pdu[at : at + 2], "big") for at in range(6, len(pdu), 2)]
        self.write_registers(address, words, origin)

    @staticmethod
    def _check_count(count: int, limit: int) -> None:
        if not 1 <= count <= limit:
            raise RefusalError(ILLEGAL_VALUE)


def _packed(bits: Sequence[bool]) -> bytes:
    packed = bytearray((len(bits) + 7) // 8)
    for index, bit in enumerate(bits):
        packed[index // 8] |= int(bit) << index % 8
    return bytes(packed)


def _identification_answer(pdu: bytes, objects: Mapping[int, str]) -> bytes:
    """Stream access, read codes 1 (basic) and 2 (Modbus Application Protocol, §6.21).

    Code 2 gives the regular objects alone, as EPever's charge controllers were recorded to answer.
    """
    if len(pdu) < 4 or pdu[1] != 0x0E:
        raise RefusalError(ILLEGAL_FUNCTION)
    kinds = {0x01: range(3), 0x02: range(3, 7)}
    asked = {number: text for number, text in objects.items() if number in kinds.get(pdu[2], ())}
    if not asked:
        raise RefusalError(ILLEGAL_VALUE)
    first = pdu[3] if pdu[3] in asked else 0
    chosen = [(number, text.encode("ascii")) for number, text in sorted(asked.items()) if number >= first]
    answer = bytearray((IDENTIFICATION, 0x0E, pdu[2], 0x01, 0x00, 0x00, len(chosen)))
    for number, text in chosen:
        answer += bytes((number, len(text))) + text
    return bytes(answer)
