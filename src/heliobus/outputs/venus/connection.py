"""A private connection to the D-Bus daemon that survives a slow daemon and says when it is lost.

dbus-fast writes at once when its queue is empty, also into a full socket, and then closes the connection (EAGAIN).
So messages wait here, one at a time, until the socket takes them.
"""

import asyncio
import os
import select
from collections import deque
from collections.abc import Sequence
from typing import Any

from dbus_fast import AuthError, DBusError, Message, MessageType
from dbus_fast.aio import MessageBus

DAEMON = "org.freedesktop.DBus"
DAEMON_PATH = "/org/freedesktop/DBus"
ANSWER_TIME = 10.0
CLOSING_TIME = 2.0
SYSTEM_BUS = "unix:path=/run/dbus/system_bus_socket"
_HUNG_UP = select.POLLHUP | select.POLLERR | select.POLLNVAL

_LOSSES = (OSError, EOFError, ValueError, AuthError, DBusError)


class BusLostError(Exception):
    """The D-Bus cannot be reached, is gone, or takes no messages any more."""


class CallError(Exception):
    """A call was answered with an error, or not at all. `name` is the D-Bus name of the error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text or name)
        self.name = name


class Connection(MessageBus):
    """One connection. Make it with `connect_to`; close it with `close`."""

    def __init__(self, address: str, stall: float) -> None:
        try:
            super().__init__(bus_address=address)
        except OSError:
            # dbus-fast up to 4.x opens the socket here, and leaves it open.
            self._close_socket()
            raise
        self._stall = stall
        self._stalled = False
        self._waiting: deque[tuple[Message, asyncio.Future[None]]] = deque()
        self._busy = False
        self._alarm: asyncio.TimerHandle | None = None
        self._ready = select.poll()
        self._ending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Connect and say hello."""
        async with asyncio.timeout(ANSWER_TIME):
            await self.connect()
        assert self._fd is not None
        self._file = self._fd
        self._ready.register(self._file, select.POLLOUT)
        self._ending = asyncio.create_task(self.wait_for_disconnect())  # type: ignore[no-untyped-call]
        self._ending.add_done_callback(self._drop_waiting)

    async def lost(self) -> None:
        """Wait until the connection ends, then raise BusLostError."""
        assert self._ending is not None
        await asyncio.wait({self._ending})
        if self._stalled:
            raise BusLostError("it takes no messages any more")
        raise BusLostError(str(self._ending.exception() or "") or "it closed the connection")

    async def close(self) -> None:
        """End the connection; the daemon then drops its name."""
        if self._alarm is not None:
            self._alarm.cancel()
        if self._ending is not None:
            self.disconnect()
            await asyncio.wait({self._ending}, timeout=CLOSING_TIME)
        self._close_socket()

    def send(self, msg: Message) -> "asyncio.Future[None]":  # type: ignore[override]
        """Send when the socket takes it; the future is done when it has, or when the connection is lost."""
        future: asyncio.Future[None] = self._loop.create_future()
        if not self.connected:
            future.set_result(None)
            return future
        if not msg.serial:
            msg.serial = self.next_serial()
        self._waiting.append((msg, future))
        if not self._busy:
            self._pump()
        return future

    async def ask(
        self, destination: str, path: str, method: str, signature: str = "", body: Sequence[object] = ()
    ) -> list[Any]:
        """The answer to a call of `method` (`interface.Member`). Raises CallError, BusLostError."""
        if not self.connected:
            raise BusLostError("it closed the connection")
        interface, _, member = method.rpartition(".")
        message = Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
        try:
            async with asyncio.timeout(ANSWER_TIME):
                reply = await self.call(message)
        except TimeoutError:
            raise CallError("org.freedesktop.DBus.Error.NoReply", f"no answer from {destination}") from None
        except _LOSSES as error:
            raise BusLostError(str(error)) from error
        if reply is None:
            raise BusLostError("it closed the connection")
        if reply.message_type is MessageType.ERROR:
            raise CallError(reply.error_name or "", str(reply.body[0]) if reply.body else "")
        return reply.body

    async def ask_daemon(self, member: str, signature: str, *body: object) -> Any:
        """The daemon's answer to a call. Raises CallError, BusLostError."""
        answer = await self.ask(DAEMON, DAEMON_PATH, f"{DAEMON}.{member}", signature, body)
        return answer[0] if answer else None

    def _close_socket(self) -> None:
        for part in (getattr(self, "_stream", None), getattr(self, "_sock", None)):
            if part is not None:
                part.close()

    def _pump(self) -> None:
        while self._waiting and self.connected:
            events = sum(event for _, event in self._ready.poll(0))
            if events & _HUNG_UP:
                # The reader ends the connection when it comes to the end of what was sent.
                return
            if not events:
                self._busy = True
                self._arm()
                self._loop.add_writer(self._file, self._resume)
                return
            message, future = self._waiting.popleft()
            try:
                sent = super().send(message)
            except OSError:
                # dbus-fast closed the connection while writing, then stumbled over the closed socket.
                if self._writer is not None and self._writer.fut is not None:
                    _settle(self._writer.fut, future)
                return
            if not sent.done():
                self._busy = True
                self._arm()
                sent.add_done_callback(lambda sent, future=future: self._sent(sent, future))  # type: ignore[misc]
                return
            _settle(sent, future)
        self._busy = False

    def _resume(self) -> None:
        self._loop.remove_writer(self._file)
        self._disarm()
        self._pump()

    def _sent(self, sent: "asyncio.Future[Any]", future: "asyncio.Future[None]") -> None:
        _settle(sent, future)
        self._disarm()
        self._pump()

    def _arm(self) -> None:
        if self._alarm is None:
            self._alarm = self._loop.call_later(self._stall, self._give_up)

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _give_up(self) -> None:
        self._stalled = True
        self.disconnect()

    def _drop_waiting(self, ending: "asyncio.Task[None]") -> None:
        if not ending.cancelled():
            ending.exception()
        self._disarm()
        for _, future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()


def _settle(sent: "asyncio.Future[Any]", future: "asyncio.Future[None]") -> None:
    if sent.done() and not sent.cancelled():
        sent.exception()
    if not future.done():
        future.set_result(None)


def bus_address(wanted: str | None) -> str:
    """The address of `wanted`, else of the session bus of the environment, else of the system bus."""
    found = wanted or os.environ.get("DBUS_SESSION_BUS_ADDRESS") or os.environ.get("DBUS_SYSTEM_BUS_ADDRESS")
    return found or SYSTEM_BUS


async def connect_to(address: str, stall: float) -> Connection:
    """A new connection to the daemon at `address`. Raises BusLostError."""
    try:
        connection = Connection(address, stall)
    except _LOSSES as error:
        raise BusLostError(f"cannot reach it at {address}: {error}") from error
    try:
        await connection.start()
    except _LOSSES as error:
        await connection.close()
        raise BusLostError(f"cannot reach it at {address}: {error}") from error
    return connection
