"""Real MQTT brokers on free loopback ports, ended with the test, and a client to look at them with."""

import asyncio
import getpass
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from heliobus.cli.private_broker import free_port

PATIENCE = 15.0
USER, PASSWORD = "heliobus", "the-s3cret-of-the-test"


def program(name: str) -> str:
    """The path of a program of one of Debian's packages."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    assert path is not None, f"{name} is missing: install it with scripts/setup (as root) or apt-get"
    return path


def name_loopback(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Let `name` be 127.0.0.1 for this process; a bare machine has no /etc/hosts, not even for localhost."""
    look_up = socket.getaddrinfo

    def found(host: Any, *about: Any, **more: Any) -> Any:
        return look_up("127.0.0.1" if host == name and not more.get("flags") else host, *about, **more)

    monkeypatch.setattr(socket, "getaddrinfo", found)


class Server:
    """A program that says on its standard error when it is ready; what it says goes on being read."""

    def __init__(self, command: Sequence[str], ready: str) -> None:
        self._command = command
        self._ready = ready
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self.said: list[str] = []

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
        )
        ready = asyncio.Event()
        self._reader = asyncio.create_task(self._read(self._process.stderr, ready))
        try:
            async with asyncio.timeout(PATIENCE):
                await ready.wait()
        except TimeoutError:
            await self.stop()
            raise AssertionError(f"{self._command[0]} did not start:\n" + "\n".join(self.said)) from None

    async def stop(self, *, kill: bool = False) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            process.kill() if kill else process.terminate()
        await process.wait()
        assert self._reader is not None
        await self._reader

    async def _read(self, stream: asyncio.StreamReader | None, ready: asyncio.Event) -> None:
        assert stream is not None
        async for line in stream:
            self.said.append(line.decode(errors="replace").rstrip())
            if self._ready in self.said[-1]:
                ready.set()


@dataclass(frozen=True)
class Certificates:
    """Made by `certificates`: an authority, a server for 127.0.0.1, a client, and a client of another authority."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path
    strange: Path
    strange_key: Path
    strange_ca: Path


def certificates(folder: Path) -> Certificates:
    for authority in ("ca", "strange_ca"):
        _openssl(
            *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
            *("-subj", f"/CN={authority}", "-keyout", f"{folder}/{authority}.key", "-out", f"{folder}/{authority}.pem"),
        )
    for name, authority, subject in (
        ("server", "ca", "127.0.0.1"),
        ("client", "ca", "site-0001"),
        ("strange", "strange_ca", "site-0001"),
    ):
        request, extensions = folder / f"{name}.csr", folder / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        _openssl(
            *("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={subject}"),
            *("-keyout", f"{folder}/{name}.key", "-out", f"{request}"),
        )
        _openssl(
            *("x509", "-req", "-in", f"{request}", "-CA", f"{folder}/{authority}.pem", "-days", "2"),
            *("-CAkey", f"{folder}/{authority}.key", "-CAcreateserial", "-extfile", f"{extensions}"),
            *("-out", f"{folder}/{name}.pem"),
        )
    return Certificates(
        ca=folder / "ca.pem",
        server=folder / "server.pem",
        server_key=folder / "server.key",
        client=folder / "client.pem",
        client_key=folder / "client.key",
        strange=folder / "strange.pem",
        strange_key=folder / "strange.key",
        strange_ca=folder / "strange_ca.pem",
    )


def _openssl(*arguments: str) -> None:
    subprocess.run([program("openssl"), *arguments], check=True, capture_output=True)


@dataclass
class Broker:
    """A running broker; `restart` comes back on the same port."""

    port: int
    folder: Path
    server: Server = field(repr=False)

    async def stop(self, *, kill: bool = False) -> None:
        await self.server.stop(kill=kill)

    async def start(self) -> None:
        await self.server.start()

    async def restart(self) -> None:
        await self.stop()
        await self.start()


@asynccontextmanager
async def mosquitto(
    *,
    password: bool = False,
    tls: Certificates | None = None,
    client_certificates: bool = False,
    acl: str = "",
    persistence: bool = False,
    port: int = 0,
) -> AsyncIterator[Broker]:
    """mosquitto for anybody; with `password` for USER only, with `tls` encrypted, with `acl` by that file's rules."""
    with TemporaryDirectory(prefix="mosquitto-") as name:
        folder, port = Path(name), port or free_port()
        lines = [
            # As root it would become another user, who cannot read the folder.
            f"user {getpass.getuser()}",
            f"listener {port} 127.0.0.1",
            f"allow_anonymous {str(not password).lower()}",
            f"persistence {str(persistence).lower()}",
            "log_dest stderr",
            "log_type all",
        ]
        if persistence:
            lines += [f"persistence_location {folder}/", "autosave_interval 1", "autosave_on_changes true"]
        if password:
            subprocess.run(
                [program("mosquitto_passwd"), "-b", "-c", f"{folder}/passwords", USER, PASSWORD],
                check=True,
                capture_output=True,
            )
            lines.append(f"password_file {folder}/passwords")
        if acl:
            (folder / "acl").write_text(acl, encoding="utf-8")
            lines.append(f"acl_file {folder}/acl")
        if tls is not None:
            lines += [f"cafile {tls.ca}", f"certfile {tls.server}", f"keyfile {tls.server_key}"]
            if client_certificates:
                lines += ["require_certificate true", "use_identity_as_username true"]
        config = folder / "mosquitto.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        server = Server([program("mosquitto"), "-c", str(config)], " running")
        try:
            await server.start()
            yield Broker(port, folder, server)
        finally:
            await server.stop()


@asynccontextmanager
async def nats() -> AsyncIterator[Broker]:
    """nats-server with JetStream, which its MQTT 3.1.1 needs."""
    with TemporaryDirectory(prefix="nats-") as name:
        folder, port = Path(name), free_port()
        config = folder / "nats.conf"
        config.write_text(
            f'server_name: "test"\nlisten: "127.0.0.1:{free_port()}"\n'
            f'jetstream {{ store_dir: "{folder}/store" }}\nmqtt {{ listen: "127.0.0.1:{port}" }}\n',
            encoding="utf-8",
        )
        server = Server([program("nats-server"), "-c", str(config)], "Server is ready")
        try:
            await server.start()
            yield Broker(port, folder, server)
        finally:
            await server.stop()


@dataclass(frozen=True)
class Seen:
    """What came to a probe."""

    topic: str
    payload: bytes
    retain: bool
    qos: int


class Probe:
    """A client that keeps everything it was sent, in order."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._more = asyncio.Condition()
        self.seen: list[Seen] = []

    async def read(self) -> None:
        async for message in self._client.messages:
            payload = message.payload
            assert isinstance(payload, bytes)
            async with self._more:
                self.seen.append(Seen(str(message.topic), payload, message.retain, message.qos))
                self._more.notify_all()

    async def until(self, wanted: Callable[[Seen], bool], *, after: int = 0, patience: float = PATIENCE) -> Seen:
        """The first message from number `after` on that is `wanted`."""
        try:
            async with asyncio.timeout(patience), self._more:
                while True:
                    for each in self.seen[after:]:
                        if wanted(each):
                            return each
                    after = max(after, len(self.seen))
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"did not come; what came: {self.seen}") from None

    async def topic(self, topic: str, *, after: int = 0) -> Seen:
        """The first message on `topic` from number `after` on."""
        return await self.until(lambda seen: seen.topic == topic, after=after)

    def on(self, topic: str, *, after: int = 0) -> list[bytes]:
        """Every payload that came on `topic`."""
        return [seen.payload for seen in self.seen[after:] if seen.topic == topic]

    async def settle(self) -> None:
        """Wait until all that the broker had for us before now has come: our own message comes last."""
        count = len(self.seen)
        await self.publish("probe/settled", b"")
        await self.until(lambda seen: seen.topic == "probe/settled", after=count)

    async def publish(
        self, topic: str, payload: bytes | str, *, qos: int = 1, retain: bool = False, expiry: int | None = None
    ) -> None:
        properties = None
        if expiry is not None:
            properties = Properties(PacketTypes.PUBLISH)
            properties.MessageExpiryInterval = expiry
        await self._client.publish(topic, payload, qos=qos, retain=retain, properties=properties)


@asynccontextmanager
async def probe(
    port: int,
    *filters: str,
    version: int = paho.MQTTv311,
    user: str | None = None,
    password: str | None = None,
    kept: str | None = None,
) -> AsyncIterator[Probe]:
    """A probe that has subscribed to `filters` at QoS 1; called `kept` the broker keeps for it what it misses."""
    client = aiomqtt.Client(
        "127.0.0.1",
        port,
        username=user,
        password=password,
        protocol=aiomqtt.ProtocolVersion(version),
        identifier=kept,
        clean_session=None if version == paho.MQTTv5 else kept is None,
    )
    async with client:
        found = Probe(client)
        wanted = (*filters, "probe/settled")
        if version == paho.MQTTv5:
            await client.subscribe([(each, SubscribeOptions(qos=1)) for each in wanted])
        else:
            await client.subscribe([(each, 1) for each in wanted])
        reader = asyncio.create_task(found.read())
        try:
            yield found
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError, aiomqtt.MqttError):
                await reader
