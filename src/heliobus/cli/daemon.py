"""The way from the command line to the daemon of the same machine: its socket beside the ledger."""

import asyncio
import fcntl
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from heliobus.cli.problem import Problem
from heliobus.outputs.requests import Message, Request, Say
from heliobus.outputs.socket import LONGEST_PATH, NAME

OLD_DAEMON = "the daemon answers in a way that this version does not understand: restart it"
LONGEST_ANSWER = 1024 * 1024
SILENCE = 600.0
"""Seconds without a line after which the daemon is given up; the slowest change of settings reports more often."""
START_TIME = 3.0
"""Seconds a daemon, or another command, is given between taking the lock and serving or ending."""
PAUSE = 0.1


class Client:
    """A connection to the daemon."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def ask(self, request: Request, say: Say) -> Message:
        """The last line of the answer; `say` is given those before it. Raises Problem."""
        try:
            self._writer.write(json.dumps(asdict(request)).encode() + b"\n")
            await self._writer.drain()
            while True:
                async with asyncio.timeout(SILENCE):
                    message = _message(await self._reader.readline())
                if message.get("final") is True:
                    break
                await say(message)
        except TimeoutError:
            raise Problem(f"the daemon has said nothing for {SILENCE:.0f} s") from None
        except ConnectionError:
            raise Problem(_ended(request)) from None
        except EOFError:
            raise Problem(_ended(request)) from None
        if "error" in message:
            raise Problem(f"the daemon cannot answer: {message['error']}")
        return message

    async def close(self) -> None:
        """End the connection."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


def _ended(request: Request) -> str:
    unknown = "; whether the command was carried out is in its log" if request.op == "command" else ""
    return f"the daemon ended before it answered{unknown}"


def _message(line: bytes) -> Message:
    if not line.endswith(b"\n"):
        raise EOFError
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise Problem(OLD_DAEMON)
    return message


@asynccontextmanager
async def connected(state: Path, patience: float = START_TIME) -> AsyncIterator[Client | None]:
    """A connection to the daemon of this state directory while the block runs; None when no daemon runs."""
    client = await connect(state, patience)
    try:
        yield client
    finally:
        if client is not None:
            await client.close()


async def connect(state: Path, patience: float = START_TIME) -> Client | None:
    """A connection to the daemon of this state directory, None when none runs. Raises Problem.

    `patience` is how many seconds somebody may hold the state directory without taking commands.
    """
    deadline = asyncio.get_running_loop().time() + patience
    while True:
        client = await _knock(state / NAME)
        if client is not None or not _held(state / "lock"):
            return client
        if asyncio.get_running_loop().time() >= deadline:
            raise Problem(
                f"{state}: another heliobus works with this state directory and takes no commands: "
                "wait for the command that is under way, or restart the daemon if it is of an older version"
            )
        await asyncio.sleep(PAUSE)


async def _knock(path: Path) -> Client | None:
    if len(os.fsencode(path)) > LONGEST_PATH:
        return None
    try:
        return Client(*await asyncio.open_unix_connection(path, limit=LONGEST_ANSWER))
    except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
        return None
    except PermissionError:
        raise Problem(f"{path}: belongs to the user the daemon runs as: run this command as that user") from None
    except OSError as error:
        raise Problem(f"{path}: cannot be reached: {error.strerror or error}") from None


def _held(lock: Path) -> bool:
    try:
        with lock.open("rb") as file:
            # Shared, so that it never keeps another command from asking at the same moment.
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except PermissionError:
        raise Problem(f"{lock}: belongs to another user: run this command as the user of the daemon") from None
    except OSError:
        return False
    return False
