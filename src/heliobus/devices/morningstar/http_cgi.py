"""The second door of a TriStar's network server: the CGI of its LiveView pages, for when Modbus TCP hangs.

A GET of `/MBCSV.cgi` carries a Modbus request; the answer is one line of decimal bytes, comma-separated: unit,
function, byte count, bytes; or unit, function | 128, exception code (tristar.md §1.8).
"""

import asyncio
import contextlib
import re

READ_INPUT, WRITE_COIL, REFUSED = 4, 5, 0x80
TIMEOUT = 5.0
"""Seconds for connection and answer together."""
LONGEST = 4096
"""Bytes of an answer that are looked at; the longest proper one has some 600."""
MOST_REGISTERS = 100
_LINE = re.compile(rb"\d{1,3}(?:\s*,\s*\d{1,3})*\s*,?")
_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})")
_HEADERS_END = re.compile(rb"\r?\n\r?\n")


class HttpCgiError(Exception):
    """No proper answer; the text is one line. `code` is the device's exception, `sent` that a request went out."""

    def __init__(self, why: str, *, code: int | None = None, sent: bool = False) -> None:
        super().__init__(why)
        self.code = code
        self.sent = sent


async def read_registers(host: str, port: int, unit: int, address: int, count: int) -> tuple[int, ...]:
    """`count` registers from `address`. Raises HttpCgiError."""
    if not 1 <= count <= MOST_REGISTERS:
        raise ValueError(f"{count} registers are not within 1 to {MOST_REGISTERS}")
    answer = await _get(host, port, query(unit, READ_INPUT, address, count))
    return registers(answer, unit, count)


async def press_coil(host: str, port: int, unit: int, address: int) -> None:
    """Write one coil on, once. Raises HttpCgiError; one that was `sent` without `code` may have taken effect."""
    answer = await _get(host, port, query(unit, WRITE_COIL, address, 0xFF00))
    fields(answer, unit, WRITE_COIL)


def query(unit: int, function: int, address: int, value: int) -> str:
    """The path of a request; `value` is a count of registers, or the word that is written."""
    high, low = divmod(address, 256)
    value_high, value_low = divmod(value, 256)
    return f"/MBCSV.cgi?ID={unit}&F={function}&AHI={high}&ALO={low}&RHI={value_high}&RLO={value_low}"


def registers(answer: bytes, unit: int, count: int) -> tuple[int, ...]:
    """The registers in an HTTP answer. Pure. Raises HttpCgiError."""
    _, _, length, *octets = fields(answer, unit, READ_INPUT)
    if length != 2 * count or len(octets) != length:
        raise HttpCgiError(f"the web server sent {len(octets)} bytes for {count} registers", sent=True)
    return tuple(high << 8 | low for high, low in zip(octets[::2], octets[1::2], strict=True))


def fields(answer: bytes, unit: int, function: int) -> tuple[int, ...]:
    """The numbers of an HTTP answer, at least three, to this unit and function. Pure. Raises HttpCgiError."""
    line = _body(answer).strip()
    if not answer:
        raise HttpCgiError("the web server closed the connection without an answer", sent=True)
    if not _LINE.fullmatch(line):
        raise HttpCgiError("what answers by HTTP is not the web server of a TriStar", sent=True)
    numbers = tuple(int(part) for part in line.replace(b",", b" ").split())
    if any(number > 255 for number in numbers) or len(numbers) < 3 or numbers[0] != unit:
        raise HttpCgiError("the web server sent an answer that fits no request", sent=True)
    if numbers[1] == function | REFUSED:
        raise HttpCgiError(_refusal(function, numbers[2]), code=numbers[2], sent=True)
    if numbers[1] != function:
        raise HttpCgiError(f"the web server answered function {numbers[1]} instead of {function}", sent=True)
    return numbers


def _refusal(function: int, code: int) -> str:
    # Illegal function on a write is how writes over the network are blocked (tristar.md §1.4).
    if function == WRITE_COIL and code == 1:
        return "the charger takes no writes over the network: settings switch 8 is off"
    return f"the charger refused with exception {code}"


def _body(answer: bytes) -> bytes:
    status = _STATUS.match(answer)
    if status is None:
        # A small server may answer without any header.
        return answer
    if status[1] != b"200":
        raise HttpCgiError(f"the web server answered with status {status[1].decode('ascii')}", sent=True)
    end = _HEADERS_END.search(answer)
    return answer[end.end() :] if end else b""


async def _get(host: str, port: int, path: str) -> bytes:
    """The whole answer to a GET, cut at LONGEST. Raises HttpCgiError."""
    where = f"http://{host}:{port}"
    sent = False
    answer = bytearray()
    writer: asyncio.StreamWriter | None = None
    try:
        async with asyncio.timeout(TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port, limit=LONGEST)
            sent = True
            writer.write(f"GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
            await writer.drain()
            while len(answer) < LONGEST and (chunk := await reader.read(LONGEST - len(answer))):
                answer += chunk
    except TimeoutError:
        # A server that keeps the connection has said all it has to say.
        if answer:
            return bytes(answer)
        raise HttpCgiError(f"{where}: no answer within {TIMEOUT:g} s", sent=sent) from None
    except (OSError, UnicodeError) as error:
        raise HttpCgiError(f"{where}: {error}", sent=sent) from None
    finally:
        if writer is not None:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    return bytes(answer)
