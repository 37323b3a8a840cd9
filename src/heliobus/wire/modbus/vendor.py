"""Functions that the specification leaves to the vendor."""

from dataclasses import dataclass

from heliobus.wire.modbus.answer import BadAnswer, check_answer, fixed_length


@dataclass(frozen=True, slots=True)
class VendorRequest:
    """A vendor's function (PZEM 0x42: reset energy): payload out, payload back.

    `answer_size` is the number of bytes after the function code of a normal answer.
    """

    function: int
    payload: bytes = b""
    answer_size: int = 0
    idempotent: bool = False

    def __post_init__(self) -> None:
        if not 1 <= self.function <= 127:
            raise ValueError(f"function {self.function} is not within 1..127")
        if len(self.payload) > 252 or not 0 <= self.answer_size <= 252:
            raise ValueError("a payload has at most 252 bytes")

    def encode(self) -> bytes:
        """The request PDU."""
        return bytes((self.function,)) + self.payload

    def answer_length(self, head: bytes) -> int | None:
        """Bytes of the answer PDU that begins with `head`."""
        return fixed_length(head, 1 + self.answer_size)

    def decode(self, pdu: bytes) -> bytes:
        """The answer's bytes after the function code."""
        check_answer(pdu, self.function)
        if len(pdu) != 1 + self.answer_size:
            raise BadAnswer(f"answer of {len(pdu)} bytes instead of {1 + self.answer_size}", "length")
        return pdu[1:]
