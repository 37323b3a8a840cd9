"""What every answer has in common: refusals, bytes that do not fit, and the checks of the usual shapes."""

from collections.abc import Mapping

from heliobus.wire.framer import FaultKind

EXCEPTION_WORDS: Mapping[int, str] = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


class ModbusException(Exception):  # noqa: N818 - the specification's own name for a refusal
    """The device answered with exception `code` (V1.1b3 §7); `words` is its standard name."""

    def __init__(self, code: int, function: int = 0) -> None:
        self.code = code
        self.function = function
        self.words = EXCEPTION_WORDS.get(code, "unknown exception")
        super().__init__(f"{self.words} (exception {code})")


class BadAnswer(Exception):  # noqa: N818 - not an error of ours: what came does not answer what was asked
    """An answer whose bytes do not fit the request; `why` is one line, `kind` what a framer reports it as."""

    def __init__(self, why: str, kind: FaultKind = "content") -> None:
        self.why = why
        self.kind = kind
        super().__init__(why)


def check_answer(pdu: bytes, function: int) -> None:
    """Pass a normal answer of `function`; raise for an exception answer and for anything else."""
    if not pdu:
        raise BadAnswer("empty answer", "length")
    if pdu[0] == function:
        return
    if pdu[0] != function | 0x80:
        raise BadAnswer(f"answer of function {pdu[0]} to function {function}", "function")
    if len(pdu) != 2:
        raise BadAnswer(f"exception answer of {len(pdu)} bytes", "length")
    raise ModbusException(pdu[1], function)


def fixed_length(head: bytes, length: int) -> int | None:
    """The length of an answer that has always `length` bytes, or of an exception."""
    if not head:
        return None
    return 2 if head[0] & 0x80 else length


def counted_length(head: bytes, size: int) -> int | None:
    """The length of an answer that carries its byte count, which must be `size`."""
    if not head:
        return None
    if head[0] & 0x80:
        return 2
    if len(head) < 2:
        return None
    if head[1] != size:
        raise BadAnswer(f"answer with {head[1]} bytes of values instead of {size}", "length")
    return 2 + size


def counted_body(pdu: bytes, function: int, size: int) -> bytes:
    """The `size` bytes of values of an answer that carries its byte count."""
    check_answer(pdu, function)
    if len(pdu) != 2 + size or pdu[1] != size:
        raise BadAnswer(f"answer of {len(pdu)} bytes instead of {2 + size}", "length")
    return pdu[2:]


def check_echo(pdu: bytes, function: int, expected: bytes) -> None:
    """Pass an answer that repeats the head of its request."""
    check_answer(pdu, function)
    if len(pdu) != len(expected):
        raise BadAnswer(f"answer of {len(pdu)} bytes instead of {len(expected)}", "length")
    if pdu != expected:
        raise BadAnswer("the answer confirms another address or value")
