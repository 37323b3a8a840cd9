"""A private D-Bus daemon and small consumers of our own, for the tests of the Venus output."""

import asyncio
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbus_fast import Message, MessageType, NameFlag, Variant
from dbus_fast.aio import MessageBus

BUS_ITEM = "com.victronenergy.BusItem"
DAEMON = "org.freedesktop.DBus"
SETTINGS = "com.victronenergy.settings"
PATIENCE = 10.0

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow receive_sender="*"/>
    {own}
  </policy>
</busconfig>
"""


class Daemon:
    """A dbus-daemon of the test's own, on a socket in the test's folder."""

    def __init__(self, folder: Path, own: bool = True) -> None:
        self.address = f"unix:path={folder / 'bus'}"
        self._socket = folder / "bus"
        self._config = folder / "bus.conf"
        self._config.write_text(
            CONFIG.format(socket=self._socket, own='<allow own="*"/>' if own else '<deny own="*"/>')
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("dbus-daemon")
        assert program, "these tests need dbus-daemon: on Debian, apt-get install dbus"
        command = [program, "--nofork", "--nopidfile", "--print-address", f"--config-file={self._config}"]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "dbus-daemon did not start"

    def kill(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process = None
        self._socket.unlink(missing_ok=True)

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._process is not None


@contextmanager
def running_daemon(folder: Path, own: bool = True) -> Iterator[Daemon]:
    daemon = Daemon(folder, own)
    daemon.start()
    try:
        yield daemon
    finally:
        if daemon.running:
            daemon.kill()


class Client:
    """Somebody else on the bus."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._changed = asyncio.Event()

    async def __aenter__(self) -> "Client":
        self.bus = await MessageBus(bus_address=self._address).connect()
        self.bus.add_message_handler(self._hear)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.bus.disconnect()
        await self.bus.wait_for_disconnect()

    async def call(
        self,
        service: str,
        path: str,
        member: str,
        signature: str = "",
        body: list[Any] | None = None,
        interface: str | None = BUS_ITEM,
    ) -> Message:
        message = Message(
            destination=service, path=path, interface=interface, member=member, signature=signature, body=body or []
        )
        async with asyncio.timeout(PATIENCE):
            reply = await self.bus.call(message)
        assert reply is not None
        return reply

    async def value(self, service: str, path: str) -> Any:
        return plain((await self.call(service, path, "GetValue")).body[0])

    async def text(self, service: str, path: str) -> Any:
        return (await self.call(service, path, "GetText")).body[0]

    async def set(self, service: str, path: str, value: Variant) -> int:
        reply = await self.call(service, path, "SetValue", "v", [value])
        assert reply.message_type is MessageType.METHOD_RETURN, reply.body
        assert reply.signature == "i"
        return reply.body[0]

    async def items(self, service: str) -> dict[str, dict[str, Variant]]:
        reply = await self.call(service, "/", "GetItems")
        assert reply.message_type is MessageType.METHOD_RETURN, reply.body
        assert reply.signature == "a{sa{sv}}"
        return reply.body[0]

    async def daemon(self, member: str, signature: str = "", *body: object) -> Any:
        reply = await self.call(DAEMON, "/org/freedesktop/DBus", member, signature, list(body), DAEMON)
        return reply.body[0] if reply.body else None

    async def names(self) -> list[str]:
        return [name for name in await self.daemon("ListNames") if name.startswith("com.victronenergy.")]

    async def own(self, name: str) -> None:
        await self.bus.request_name(name, NameFlag.DO_NOT_QUEUE)

    async def listen(self) -> None:
        await self.daemon("AddMatch", "s", f"type='signal',interface='{BUS_ITEM}'")
        await self.daemon("AddMatch", "s", f"type='signal',sender='{DAEMON}',member='NameOwnerChanged'")

    def _hear(self, message: Message) -> None:
        if message.message_type is MessageType.SIGNAL:
            self.heard(message)
            self.stir()

    def heard(self, message: Message) -> None:
        """A signal came."""

    def stir(self) -> None:
        self._changed.set()

    def forget(self) -> None:
        """What was heard until now is no news any more."""
        self._changed.clear()

    async def news(self) -> None:
        """Wait for a signal since `forget`."""
        await self._changed.wait()

    def heed(self) -> None:
        """From now on signals are news to `next_signal`."""
        self._changed.clear()

    async def next_signal(self) -> None:
        """Wait for a signal that came after `heed`."""
        async with asyncio.timeout(PATIENCE):
            await self._changed.wait()

    async def until(self, what: Callable[[], object]) -> None:
        """Wait for `what` to become true; it is looked at after each signal."""
        async with asyncio.timeout(PATIENCE):
            while not what():
                self._changed.clear()
                if what():
                    return
                await self._changed.wait()

    async def until_served(self, service: str) -> None:
        await self.daemon("AddMatch", "s", f"type='signal',sender='{DAEMON}',member='NameOwnerChanged'")
        async with asyncio.timeout(PATIENCE):
            while True:
                self.heed()
                if await self.daemon("NameHasOwner", "s", service):
                    return
                await self._changed.wait()


class ItemsConsumer(Client):
    """Uses GetItems once and ItemsChanged from then on, for one service; keeps every signal."""

    def __init__(self, address: str, service: str) -> None:
        super().__init__(address)
        self.service = service
        self.values: dict[str, Any] = {}
        self.texts: dict[str, str] = {}
        self.signals: list[dict[str, Any]] = []
        self._owner = ""

    async def scan(self) -> None:
        await self.listen()
        await self.until_served(self.service)
        self._owner = await self.daemon("GetNameOwner", "s", self.service)
        self._take(await self.items(self.service))

    def heard(self, message: Message) -> None:
        if message.sender == self._owner and message.interface == BUS_ITEM:
            assert (message.member, message.path) == ("ItemsChanged", "/")
            self.signals.append(self._take(message.body[0]))

    def _take(self, items: dict[str, dict[str, Variant]]) -> dict[str, Any]:
        for path, entry in items.items():
            assert path.startswith("/")
            self.values[path] = plain(entry["Value"])
            self.texts[path] = plain(entry["Text"])
        return {path: self.values[path] for path in items}


class Monitor(Client):
    """Works as velib's DbusMonitor: scans a service when its name appears, and knows services by their owner."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.services: dict[str, dict[str, Any]] = {}
        self.instances: dict[str, int] = {}
        self.appeared: list[str] = []
        self.clashes: list[str] = []
        self._owners: dict[str, str] = {}
        self._scans: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        await self.listen()
        for name in await self.names():
            if name == SETTINGS:
                continue
            await self._scan(name, await self.daemon("GetNameOwner", "s", name))

    def heard(self, message: Message) -> None:
        if message.member == "NameOwnerChanged":
            name, _, owner = message.body
            if not name.startswith("com.victronenergy.") or name == SETTINGS:
                return
            self._forget(name)
            if owner:
                scan = asyncio.ensure_future(self._scan(name, owner))
                self._scans.add(scan)
                scan.add_done_callback(self._scans.discard)
        elif message.member == "ItemsChanged" and message.sender in self._owners:
            tree = self.services[self._owners[message.sender]]
            tree.update({path: plain(entry["Value"]) for path, entry in message.body[0].items()})

    def _forget(self, name: str) -> None:
        self.services.pop(name, None)
        self.instances.pop(name, None)
        self._owners = {owner: known for owner, known in self._owners.items() if known != name}

    async def _scan(self, name: str, owner: str) -> None:
        reply = await self.call(name, "/", "GetItems")
        if reply.message_type is not MessageType.METHOD_RETURN:
            return
        if owner in self._owners:
            self.clashes.append(f"{name} and {self._owners[owner]} on one connection")
        tree = {path: plain(entry["Value"]) for path, entry in reply.body[0].items()}
        instance = tree["/DeviceInstance"]
        service_class = name.split(".")[2]
        for other, number in self.instances.items():
            if number == instance and other.split(".")[2] == service_class:
                self.clashes.append(f"{name} and {other} share {instance}")
        self._owners[owner] = name
        self.services[name] = tree
        self.instances[name] = instance
        self.appeared.append(name)
        self.stir()


def plain(value: Any) -> Any:
    """The Python value of a variant; an empty array is None, as all consumers read it."""
    if isinstance(value, Variant):
        value = value.value
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    return None if value == [] else value
