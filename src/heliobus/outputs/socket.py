"""The daemon's local door: a Unix socket beside the ledger, through which the command line asks and commands.

One JSON object a line. A request is {"id": 1, "op": …, "device": …, "point": …, "value": …}, with `op` one of command,
plan, settings, devices and reading. Its answer is one or more lines with the same id; the last has "final": true.
A command's answer ends with its outcome and, before it, tells the progress of a change of charge settings. A line that
is no request is answered with an error.
"""

import asyncio
import json
import logging
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from heliobus.outputs.requests import BadRequestError, Message, Requests, parse
from heliobus.site import Site

log = logging.getLogger("heliobus.socket")

NAME = "control.sock"
LONGEST_PATH = 107
"""Bytes of a path that fit into the system's address of a Unix socket (unix(7))."""
LONGEST_LINE = 64 * 1024
CLIENTS = 16
IDLE, UNREAD, FAREWELL = 600.0, 30.0, 1.0
"""Seconds until a client that asks nothing, does not read its answer, or does not take its end is dropped."""


class _GoneError(Exception):
    """The client does not take what it is told."""


class SocketOutput:
    """Serves the socket at `path`; where it cannot be made, the daemon does without."""

    name = "socket"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._clients: set[asyncio.Task[None]] = set()

    async def run(self, site: Site) -> None:
        """Serve until cancelled. Returns at once, with one line in the log, where there can be no such socket."""
        listener = self._listen()
        if listener is None:
            return
        requests = Requests(site)
        made = self._path.stat()

        async def welcome(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._welcome(requests, reader, writer)

        # Made first and started then: ended between the two, it still is there to be closed.
        server = await asyncio.start_unix_server(welcome, sock=listener, limit=LONGEST_LINE, start_serving=False)
        try:
            await server.start_serving()
            await asyncio.Event().wait()
        finally:
            server.close()
            self._remove(made)
            for task in tuple(self._clients):
                task.cancel()
            await asyncio.gather(*self._clients, return_exceptions=True)
            await requests.close()

    def _listen(self) -> socket.socket | None:
        if len(os.fsencode(self._path)) > LONGEST_PATH:
            log.warning("%s: this path is too long for a socket, so the command line cannot ask the daemon", self._path)
            return None
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # Who holds the lock of this directory is the only daemon here, so a socket found is a left-over.
            with suppress(FileNotFoundError):
                if stat.S_ISSOCK(self._path.lstat().st_mode):
                    self._path.unlink()
            listener.bind(os.fspath(self._path))
            # Nobody can connect before it listens, so at no time is it open to others.
            self._path.chmod(0o600)
            listener.listen(CLIENTS)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            why = error.strerror or error
            log.warning("%s: cannot be made (%s), so the command line cannot ask the daemon", self._path, why)
            return None
        return listener

    def _remove(self, made: os.stat_result) -> None:
        with suppress(OSError):
            if os.path.samestat(made, self._path.lstat()):
                self._path.unlink()

    async def _welcome(self, requests: Requests, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        client = _Client(reader, writer)
        try:
            if len(self._clients) > CLIENTS:
                await client.say({"error": f"{CLIENTS} clients are here already", "final": True})
            else:
                await client.serve(requests)
        except (_GoneError, OSError):
            log.debug("a client of the socket has gone")
        finally:
            self._clients.discard(task)
            await client.close()


class _Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def serve(self, requests: Requests) -> None:
        """Answer one request after the other, until the client has none."""
        while True:
            try:
                async with asyncio.timeout(IDLE):
                    line = await self._reader.readuntil(b"\n")
            except (asyncio.IncompleteReadError, TimeoutError):
                return
            except asyncio.LimitOverrunError:
                await self.say({"id": None, "error": f"a line longer than {LONGEST_LINE} bytes", "final": True})
                return
            await self._answer(line, requests)

    async def _answer(self, line: bytes, requests: Requests) -> None:
        try:
            request = parse(line)
        except BadRequestError as error:
            await self.say({"id": error.id, "error": str(error), "final": True})
            return

        async def say(message: Message) -> None:
            await self.say({"id": request.id, **message})

        await say({**await requests.answer(request, say), "final": True})

    async def say(self, message: Message) -> None:
        """Send one line. Raises _GoneError."""
        self._writer.write(json.dumps(message).encode() + b"\n")
        try:
            async with asyncio.timeout(UNREAD):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            raise _GoneError from error

    async def close(self) -> None:
        """End the connection, whether the client takes the rest or not."""
        self._writer.close()
        try:
            async with asyncio.timeout(FAREWELL):
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self._writer.transport.abort()
