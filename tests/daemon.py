"""The real `heliobus` command in a process of its own, with its log at hand."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

PATIENCE = 30.0
COMMAND = (sys.executable, "-m", "heliobus")


class Daemon:
    """A running `heliobus run`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self._news = asyncio.Condition()
        self._reader = asyncio.create_task(self._read())

    @property
    def pid(self) -> int:
        return self.process.pid

    async def _read(self) -> None:
        assert self.process.stderr is not None
        while line := await self.process.stderr.readline():
            async with self._news:
                self.lines.append(line.decode().rstrip())
                self._news.notify_all()

    def matching(self, pattern: str) -> list[str]:
        return [line for line in self.lines if re.search(pattern, line)]

    async def logged(self, pattern: str, times: int = 1) -> str:
        """Wait until the log has `times` lines that match; returns the last of them."""
        try:
            async with asyncio.timeout(PATIENCE), self._news:
                await self._news.wait_for(lambda: len(self.matching(pattern)) >= times)
        except TimeoutError:
            raise AssertionError(f"{pattern!r} is not in the log:\n" + "\n".join(self.lines)) from None
        return self.matching(pattern)[-1]

    async def ended(self) -> int:
        """Wait for the end; returns the exit code."""
        async with asyncio.timeout(PATIENCE):
            code = await self.process.wait()
            await self._reader
        return code

    async def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process.returncode is None:
            self.process.send_signal(number)
        return await self.ended()


@asynccontextmanager
async def heliobus_run(
    config: Path | None,
    bus: str | None,
    *arguments: str,
    command: Sequence[str] = COMMAND,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> AsyncIterator[Daemon]:
    process = await asyncio.create_subprocess_exec(
        *command,
        "run",
        *([] if config is None else ["-c", str(config)]),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=environment(bus) | dict(env or {}),
        cwd=cwd,
    )
    daemon = Daemon(process)
    try:
        yield daemon
    finally:
        if process.returncode is None:
            await daemon.stop(signal.SIGKILL)
        assert not daemon.matching("Traceback"), "\n".join(daemon.lines)


def environment(bus: str | None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DBUS_", "XDG_"))}
    return kept if bus is None else kept | {"DBUS_SESSION_BUS_ADDRESS": bus}


@dataclass(frozen=True)
class Result:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


async def heliobus(
    *arguments: str, bus: str | None = None, cwd: Path | None = None, command: Sequence[str] = COMMAND
) -> Result:
    """Run a command to its end."""
    process = await asyncio.create_subprocess_exec(
        *command,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(bus),
        cwd=cwd,
    )
    try:
        async with asyncio.timeout(PATIENCE):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"heliobus {' '.join(arguments)} does not end") from None
    assert process.returncode is not None
    return Result(process.returncode, out.decode(), err.decode())
