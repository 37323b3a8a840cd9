"""The CGI of the TriStar's web server: client and simulator, each from the reference page, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliobus.devices.morningstar import http_cgi
from heliobus.devices.morningstar.http_cgi import HttpCgiError, fields, press_coil, query, read_registers, registers
from heliobus.sim.http_cgi import serve_http
from heliobus.sim.tristar import Behaviour, SimTriStar

HOST = "127.0.0.1"
OK = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"


@asynccontextmanager
async def raw_server(answer: bytes, *, hold: bool = False) -> AsyncIterator[tuple[int, list[bytes]]]:
    """Answers every request with `answer`; its port and what was asked."""
    asked: list[bytes] = []
    release = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        if hold:
            await release.wait()
        writer.close()
        await writer.wait_closed()
        done.set()

    done = asyncio.Event()
    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        release.set()
        if asked:
            await done.wait()
        server.close()
        await server.wait_closed()


async def failure(attempt: Callable[[], object]) -> HttpCgiError:
    with pytest.raises(HttpCgiError) as caught:
        await attempt()  # type: ignore[misc]
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_query_is_as_the_reference_page_writes_it() -> None:
    assert query(1, 4, 0x0032, 1) == "/MBCSV.cgi?ID=1&F=4&AHI=0&ALO=50&RHI=0&RLO=1"
    assert query(247, 5, 0x10FF, 0xFF00) == "/MBCSV.cgi?ID=247&F=5&AHI=16&ALO=255&RHI=255&RLO=0"


async def test_the_request_is_plain_http_that_a_small_server_understands() -> None:
    async with raw_server(OK + b"1,4,2,0,5\r\n") as (port, asked):
        assert await read_registers(HOST, port, 1, 0x32, 1) == (5,)
    assert asked[0].startswith(b"GET /MBCSV.cgi?ID=1&F=4&AHI=0&ALO=50&RHI=0&RLO=1 HTTP/1.0\r\n")


async def test_registers_are_read_from_the_simulated_charger() -> None:
    charger = SimTriStar()
    async with serve_http({1: charger}) as server:
        expected = tuple(charger.read_words(4, 0x18, 16))
        assert await read_registers(HOST, server.port, 1, 0x18, 16) == expected
        assert server.requests == [(1, bytes((4, 0, 0x18, 0, 16)))]


async def test_an_exception_is_told() -> None:
    async with serve_http({1: SimTriStar()}) as server:
        error = await failure(lambda: read_registers(HOST, server.port, 1, 0x0800, 4))
    assert error.code == 2
    assert str(error) == "the charger refused with exception 2"


async def test_a_blocked_write_names_the_switch_and_writes_nothing() -> None:
    charger = SimTriStar(network_writes=False)
    async with serve_http({1: charger}) as server:
        error = await failure(lambda: press_coil(HOST, server.port, 1, 0x10FF))
    assert error.code == 1
    assert "switch 8" in str(error)
    assert charger.network_up


async def test_a_coil_is_pressed_once_and_the_lost_answer_of_a_restart_is_told_as_such() -> None:
    charger = SimTriStar(behaviour=Behaviour(server_restart_seconds=5))
    restarts: list[int] = []
    async with serve_http({1: charger}, restarted=lambda: restarts.append(1)) as server:
        error = await failure(lambda: press_coil(HOST, server.port, 1, 0x10FF))
        assert error.sent
        assert error.code is None
        assert server.requests == [(1, bytes((5, 0x10, 0xFF, 0xFF, 0)))]
        assert not charger.network_up
        assert (await failure(lambda: read_registers(HOST, server.port, 1, 0x32, 1))).code is None
        assert len(server.requests) == 1, "a server that restarts answers nothing"
        charger.advance(6)
        assert len(await read_registers(HOST, server.port, 1, 0x32, 1)) == 1
    assert restarts == [1]


async def test_a_coil_with_an_answer_is_pressed() -> None:
    charger = SimTriStar()
    async with serve_http({1: charger}) as server:
        await press_coil(HOST, server.port, 1, 0x0000)
    assert charger.charger.requests.equalize


async def test_nobody_there_is_told_and_nothing_was_sent() -> None:
    async with serve_http({1: SimTriStar()}) as server:
        port = server.port
    error = await failure(lambda: read_registers(HOST, port, 1, 0x32, 1))
    assert not error.sent
    assert str(error).startswith(f"http://127.0.0.1:{port}: ")


async def test_a_server_that_says_nothing_costs_no_more_than_the_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_cgi, "TIMEOUT", 0.05)
    async with serve_http({1: SimTriStar()}) as server:
        server.silent = True
        error = await failure(lambda: read_registers(HOST, server.port, 1, 0x32, 1))
    assert error.sent
    assert "no answer within 0.05 s" in str(error)


async def test_an_endless_answer_is_cut() -> None:
    async with raw_server(OK + b"1,4,2,0,5," * 10_000) as (port, _):
        error = await failure(lambda: read_registers(HOST, port, 1, 0x32, 1))
    assert error.sent


async def test_a_server_that_keeps_the_connection_is_understood_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_cgi, "TIMEOUT", 0.05)
    async with raw_server(OK + b"1,4,2,0,5\r\n", hold=True) as (port, _):
        assert await read_registers(HOST, port, 1, 0x32, 1) == (5,)
    async with raw_server(OK + b"1,4,2,0", hold=True) as (port, _):
        assert "1 bytes for 1 registers" in str(await failure(lambda: read_registers(HOST, port, 1, 0x32, 1)))


@pytest.mark.parametrize(
    "answer",
    [
        b"1,4,2,0,5",
        b"1,4,2,0,5\r\n",
        OK + b"1,4,2,0,5",
        OK + b" 1, 4, 2, 0, 5,\r\n",
        b"HTTP/1.1 200 OK\nServer: x\n\n1,4,2,0,5\n",
    ],
)
def test_answers_that_mean_the_same(answer: bytes) -> None:
    assert registers(answer, 1, 1) == (5,)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "without an answer"),
        (OK, "not the web server of a TriStar"),
        (b"HTTP/1.0 404 Not Found\r\n\r\n1,4,2,0,5", "status 404"),
        (b"<html>1,4,2,0,5</html>", "not the web server of a TriStar"),
        (b"1,4,2,0", "1 bytes for 1 registers"),
        (b"1,4,2,0,5,6", "3 bytes for 1 registers"),
        (b"1,4,4,0,5,0,6", "4 bytes for 1 registers"),
        (b"2,4,2,0,5", "fits no request"),
        (b"1,4,2,0,256", "fits no request"),
        (b"1,3,2,0,5", "function 3 instead of 4"),
        (b"1,132,2", "exception 2"),
        (b"1,4", "fits no request"),
        (b"1,4,2,-1,5", "not the web server of a TriStar"),
        ("1,4,2,0,٥".encode(), "not the web server of a TriStar"),
    ],
)
def test_answers_that_are_none(answer: bytes, words: str) -> None:
    with pytest.raises(HttpCgiError, match=words):
        registers(answer, 1, 1)


PIECES = st.sampled_from([b"1,", b"4,", b"132,", b"2", b",", b"\r\n", b"HTTP/1.0 200 OK", b" ", b"999", b"\xff", OK])


@given(st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(b"".join)))
def test_garbage_never_becomes_a_value_and_never_another_error(answer: bytes) -> None:
    try:
        words = registers(answer, 1, 1)
    except HttpCgiError as error:
        assert "\n" not in str(error)
    else:
        assert len(words) == 1
        assert 0 <= words[0] <= 0xFFFF
        assert fields(answer, 1, 4)[:3] == (1, 4, 2)


@given(st.integers(1, 247), st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=100))
def test_what_was_sent_is_what_is_read(unit: int, words: list[int]) -> None:
    octets = b"".join(word.to_bytes(2, "big") for word in words)
    line = ",".join(str(number) for number in (unit, 4, len(octets), *octets)).encode()
    assert registers(OK + line, unit, len(words)) == tuple(words)
