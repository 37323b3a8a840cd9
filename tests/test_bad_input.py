"""What can be wrong at the other end or in the words of the user: one clear line, an exit code, never a traceback."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon import Result, heliobus
from heliobus.sim.capture import SimCapture
from heliobus.sim.faults import Faults
from heliobus.sim.server import serve_tcp
from heliobus.sim.tristar import SimTriStar

DRIVER = "morningstar-tristar-mppt"

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def one_line(result: Result, code: int) -> str:
    assert result.code == code, result
    assert "Traceback" not in result.err
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, lines
    assert result.out == ""
    assert lines[0].startswith("heliobus: ")
    return lines[0]


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[int]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await answer(reader, writer)
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def read(port: int) -> Result:
    return await heliobus("read", f"{DRIVER}@tcp://127.0.0.1:{port}", "--json")


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (f"{DRIVER}@nonsense", "nonsense"),
        (f"{DRIVER}@tcp://", "tcp://"),
        (f"{DRIVER}@tcp://127.0.0.1:99999", "99999"),
        (f"{DRIVER}@serial:/dev/ttyS0?baud=fast", "fast"),
        ("tristar@tcp://127.0.0.1", DRIVER),
    ],
)
async def test_a_device_that_is_written_wrongly(device: str, words: str) -> None:
    assert words in one_line(await heliobus("read", device), 2)


async def test_no_config_and_no_such_device(tmp_path: Path) -> None:
    assert "no config found" in one_line(await heliobus("read", "roof", cwd=tmp_path), 2)
    assert "none.toml" in one_line(await heliobus("run", "-c", str(tmp_path / "none.toml")), 2)


async def test_an_unknown_point() -> None:
    line = one_line(await heliobus("read", f"{DRIVER}@tcp://127.0.0.1", "battery_voltag"), 2)
    assert "did you mean 'battery_voltage'" in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[device]\n", "not valid TOML"),
        ("[[device]]\ndrivr = 'x'\n", "unknown key 'drivr'; did you mean 'driver'?"),
        (f"[[device]]\ndriver = '{DRIVER}'\nlink = 'usb:1'\n", "usb:1"),
        (f"[[device]]\ndriver = '{DRIVER}'\nlink = 'tcp://a'\nunit = 999\n", "999"),
        (f"[[device]]\ndriver = '{DRIVER}'\nlink = 'tcp://a'\npoll = 'often'\n", "often"),
        (f"[[device]]\ndriver = '{DRIVER}'\nlink = 'tcp://a'\ncontrol = 'perhaps'\n", "perhaps"),
        (f"[[device]]\ndriver = '{DRIVER}-600v'\nlink = 'tcp://a'\ncontrol = 'on'\n", "does not take commands"),
    ],
)
async def test_a_config_that_is_wrong(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_text(text)
    checked, ran = await asyncio.gather(heliobus("config", "check", str(path)), heliobus("run", "-c", str(path)))
    for result in (checked, ran):
        line = one_line(result, 2)
        assert words in line
        assert str(path) in line


async def test_a_closed_port() -> None:
    async with serving(_hang) as port:
        pass
    assert "refused" in one_line(await read(port), 1)


async def test_a_host_that_accepts_and_never_answers() -> None:
    async with serving(_hang) as port:
        assert "no answer" in one_line(await read(port), 1)


async def test_garbage() -> None:
    async with serving(_garbage) as port:
        assert "no answer" in one_line(await read(port), 1)


async def test_a_host_that_hangs_up() -> None:
    async with serving(_hang_up) as port:
        assert "no answer" in one_line(await read(port), 1)


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (SimCapture({}), "no TriStar MPPT"),
        (SimCapture({0: 180, 2: 80}, objects={0: "Acme", 1: "Meter 3", 2: "v1"}), "Acme Meter 3"),
        (SimCapture({0: 180, 2: 80}, objects={0: "Morningstar Corp.", 1: "PS-MPPT-40M", 2: "v1"}), "PS-MPPT-40M"),
        (SimCapture({}, ranges=[]), "no TriStar MPPT"),
    ],
)
async def test_a_device_that_is_something_else(device: SimCapture, words: str) -> None:
    async with serve_tcp({1: device}) as server:
        assert words in one_line(await read(server.port), 1)


async def test_a_charger_that_refuses_everything_it_is_asked() -> None:
    faults = Faults(exception=1.0, exception_code=4)
    async with serve_tcp({1: SimTriStar()}, faults=faults) as server:
        one_line(await read(server.port), 1)


async def _hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def _hang_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read(1)


async def _garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while await reader.read(260):
        writer.write(bytes(range(200)))
        await writer.drain()
