"""Processes beside the benchmark: started, asked, measured from outside, and always stopped again."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
LONGEST_LINE = 2**24
STOP_TIME = 10.0


class Side:
    """A process that answers each line it is sent with one line of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def next_line(self) -> Any:
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"process {self.pid} ended with {await self._process.wait()}")
        return json.loads(line)

    async def ask(self, question: str) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(question.encode() + b"\n")
        return await self.next_line()


@asynccontextmanager
async def running(
    *command: str | Path, environment: Mapping[str, str] | None = None, log: Path | None = None
) -> AsyncIterator[Side]:
    """The process of `command`; what it writes to standard error goes to the file `log`."""
    errors = None if log is None else log.open("wb")
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
        env={**os.environ, **(environment or {})},
        limit=LONGEST_LINE,
    )
    try:
        yield Side(process)
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_TIME):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if errors is not None:
            errors.close()


def script(name: str, *arguments: object) -> tuple[str, ...]:
    """The command that runs a script of this folder."""
    return (sys.executable, str(HERE / name), *map(str, arguments))


async def answer_questions(answer: Callable[[str], object]) -> None:
    """Inside such a process: answer what comes on standard input until it ends."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        say(answer(line.decode().strip()))


def say(value: object) -> None:
    """One line of JSON."""
    print(json.dumps(value), flush=True)


def cpu_seconds(pid: int) -> float:
    """User and system time of the process so far, all threads, from the scheduler's nanosecond account."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9


def memory(pid: int) -> dict[str, float]:
    """VmRSS and VmHWM in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM")}
