"""The way from the command line to the daemon, and what may be wrong on it."""

import asyncio
import fcntl
import json
import socket
from pathlib import Path

import pytest

from heliobus.cli.daemon import Client, connect
from heliobus.cli.problem import Problem
from heliobus.outputs.requests import Message, Request
from heliobus.outputs.socket import NAME
from heliobus.site import Site
from socket_site import DRIVER, serving, typed_beside, write_config


async def test_no_daemon_no_client(tmp_path: Path) -> None:
    assert await connect(tmp_path / "never made") is None
    (tmp_path / "lock").touch()
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(tmp_path / NAME))
    assert await connect(tmp_path) is None


async def test_a_daemon_without_a_socket_is_named_in_words(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Problem, match="another heliobus works with this state directory"):
            await connect(tmp_path, patience=0)


async def test_a_daemon_that_is_just_starting_is_waited_for(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        waiting = asyncio.create_task(connect(tmp_path, patience=60))
        await asyncio.sleep(0)
        async with serving(Site(), tmp_path), asyncio.timeout(10):
            client = await waiting
            assert client is not None
            await client.close()


async def answered(line: bytes, tmp_path: Path) -> Message:
    """What a client makes of a daemon that says `line` and goes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(line)
        writer.close()

    async def say(_: Message) -> None:
        """Nobody looks."""

    server = await asyncio.start_unix_server(answer, tmp_path / NAME)
    client = await connect(tmp_path)
    assert isinstance(client, Client)
    try:
        return await client.ask(Request("command", "roof", "charger_enabled", 0), say)
    finally:
        await client.close()
        server.close()
        await server.wait_closed()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"", "ended before it answered; whether the command was carried out"),
        (b'{"final": tr', "ended before it answered"),
        (b'{"progress": {}}\n', "ended before it answered"),
        (b"[]\n", "does not understand"),
        (b"nonsense\n", "does not understand"),
        (b'{"final": true, "error": "op is none"}\n', "op is none"),
    ],
)
async def test_a_daemon_that_answers_badly_is_a_problem_in_words(tmp_path: Path, line: bytes, why: str) -> None:
    with pytest.raises(Problem, match=why):
        await answered(line, tmp_path)


@pytest.mark.parametrize("devices", [None, [{}], [{"driver": "x"}], [{"driver": DRIVER, "controls": 5}]])
async def test_a_daemon_of_another_version_is_a_problem_in_words(tmp_path: Path, devices: object) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(json.dumps({"final": True, "devices": devices}).encode() + b"\n")
        writer.close()

    config = write_config(tmp_path)
    server = await asyncio.start_unix_server(answer, tmp_path / NAME)
    result = await typed_beside("set", "roof", "-c", str(config))
    server.close()
    await server.wait_closed()
    assert result.exit_code == 1 and "does not understand: restart it" in result.stderr
