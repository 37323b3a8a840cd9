"""`heliobus sim tracer|pzem|line` in a process of its own, spoken to as a serial port."""

import asyncio
import os
import re
import sys
import termios
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon import COMMAND, PATIENCE
from sim_frames import request, rtu

RECORDING = Path(__file__).parent / "frames" / "epever_tracer" / "recorded-2215bn.json"


@asynccontextmanager
async def simulated(*arguments: str) -> AsyncIterator[list[str]]:
    """Its first lines up to the last hint, while it runs; it must end well when told to."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "sim", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(PATIENCE):
            lines = [(await process.stdout.readline()).decode().rstrip()]
            while not lines[-1].startswith(("heliobus ", "[output.")):
                lines.append((await process.stdout.readline()).decode().rstrip())
        yield lines
    finally:
        process.terminate()
        async with asyncio.timeout(PATIENCE):
            _, err = await process.communicate()
        sys.stderr.write(err.decode())
    assert process.returncode == 0


class Port:
    """A serial port opened by hand."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)

    def tune(self, speed: int) -> None:
        mode = termios.tcgetattr(self.descriptor)
        mode[4] = mode[5] = speed
        termios.tcsetattr(self.descriptor, termios.TCSANOW, mode)

    async def ask(self, frame: bytes, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        received, news = bytearray(), asyncio.Event()

        def readable() -> None:
            received.extend(os.read(self.descriptor, 512))
            if len(received) >= length:
                news.set()

        loop.add_reader(self.descriptor, readable)
        try:
            os.write(self.descriptor, frame)
            await asyncio.wait_for(news.wait(), PATIENCE)
        finally:
            loop.remove_reader(self.descriptor)
        return bytes(received)

    def close(self) -> None:
        os.close(self.descriptor)


def path_of(lines: list[str]) -> str:
    found = re.fullmatch(r"listening: serial:(/dev/\S+)", lines[0])
    assert found, lines
    return found[1]


async def test_a_mixed_line_prints_its_config_and_answers_at_two_speeds() -> None:
    async with simulated("line", "--tracers", "2", "--ac", "1", "--dc", "1") as lines:
        config = tomllib.loads("\n".join(lines[1:]))
        path = path_of(lines)
        assert {device["link"] for device in config["device"]} == {f"serial:{path}"}
        assert [(device["driver"], device["unit"]) for device in config["device"]] == [
            ("epever-tracer", 1),
            ("epever-tracer", 2),
            ("pzem-ac", 10),
            ("pzem-dc", 30),
        ]
        port = Port(path)
        try:
            port.tune(termios.B115200)
            said = await port.ask(rtu(2, request(4, 0x3300, 20)), 45)
            assert said == rtu(2, said[1:-2])
            port.tune(termios.B9600)
            for unit, count in ((10, 10), (30, 8)):
                said = await port.ask(rtu(unit, request(4, 0, count)), 5 + 2 * count)
                assert said == rtu(unit, said[1:-2])
        finally:
            port.close()


async def test_a_recording_is_served() -> None:
    async with simulated("tracer", "--capture", str(RECORDING)) as lines:
        assert lines[1] == f"heliobus read epever-tracer@serial:{path_of(lines)}"
        port = Port(path_of(lines))
        try:
            port.tune(termios.B115200)
            assert await port.ask(rtu(1, request(4, 0x3104, 1)), 7) == bytes.fromhex("0104020510BBAC")
            assert await port.ask(rtu(1, request(3, 0x3000, 1)), 5) == bytes.fromhex("018302C0F1")
        finally:
            port.close()


async def test_meters_over_a_gateway() -> None:
    async with simulated("pzem", "--dc", "1", "--ac", "0", "--wire", "rtu+tcp", "--port", "0") as lines:
        found = re.fullmatch(r"listening: rtu\+tcp://127\.0\.0\.1:(\d+)", lines[0])
        assert found
        assert lines[1].startswith("heliobus read pzem-dc@rtu+tcp://")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(found[1]))
        writer.write(bytes.fromhex("F8030002000131A3"))
        assert await asyncio.wait_for(reader.readexactly(7), PATIENCE) == rtu(0xF8, b"\x03\x02\x00\x01")
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["pzem", "--ac", "0"], "neither"),
        (["line", "--tracers", "0", "--ac", "0", "--dc", "0"], "nothing"),
        (["tracer", "--capture", __file__], "not a capture"),
    ],
)
async def test_wrong_use_is_said(arguments: list[str], complaint: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, "sim", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(PATIENCE):
        _, err = await process.communicate()
    assert process.returncode != 0
    assert complaint in err.decode()
