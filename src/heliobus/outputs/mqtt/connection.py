"""One connection to a broker over paho-mqtt: implements `Session`."""

import asyncio
import math
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from heliobus.config.outputs import Tls
from heliobus.outputs.mqtt.dial import HUNG_UP, dial
from heliobus.outputs.mqtt.inbox import Inbox
from heliobus.outputs.mqtt.paho_client import MQTT_5, PahoClient
from heliobus.outputs.mqtt.session import ConnectionLostError, Message, PublishRefusedError
from heliobus.outputs.mqtt.topics import OFFLINE

IN_FLIGHT = 20
"""Messages that are on their way at one time; more wait with those who send them."""
HEADER = 64
"""Bytes that a packet has beside topic and payload, at most."""
FAREWELL = 1.0

REFUSALS = {
    "Bad user name or password": "it does not accept user and password",
    "Not authorized": "it does not let us in: see user, password and certificate, and what it allows",
    "Banned": "it has banned this client",
    "Client identifier not valid": "it does not accept the client_id",
    "Session taken over": "another client has come with the same client_id: give each its own",
}
"""What a broker's reason means to the owner; others are told as they are."""
UNSPOKEN = "Unsupported protocol version"
UNGREETED = "before it said yes: do the port, TLS and certificates fit?"


class UnspokenVersionError(ConnectionLostError):
    """The broker does not speak this version of MQTT. `sure`: it said so, and has not only hung up."""

    def __init__(self, why: str, *, sure: bool) -> None:
        super().__init__(why)
        self.sure = sure


@dataclass(frozen=True, slots=True)
class Settings:
    """What a connection needs. `tls` None is none, `will` the topic on which the broker says `offline` for us.

    `patience` is the seconds until a broker that does not answer is given up.
    """

    host: str
    port: int
    version: int
    client_id: str
    will: str
    tls: Tls | None = None
    user: str = ""
    password: str = field(default="", repr=False)
    keepalive: int = 30
    patience: float = 10.0


async def connect(settings: Settings) -> "Connection":
    """A connection that the broker has accepted. Raises ConnectionLostError."""
    connected = await dial(settings.host, settings.port, settings.tls, settings.patience)
    connection = Connection(PahoClient(connected, settings.client_id, settings.version), settings)
    greeted = False
    try:
        await connection.greet()
        greeted = True
    finally:
        if not greeted:
            connection.abort()
    return connection


class Connection:
    """Implements `Session`. Whoever has it calls `close` or `abort` when he is done."""

    def __init__(self, client: PahoClient, settings: Settings) -> None:
        loop = asyncio.get_running_loop()
        self._client = client
        self._settings = settings
        self._loop = loop
        self._greeted: asyncio.Future[None] = loop.create_future()
        self._ended = asyncio.Event()
        self._why = ""
        self._parting = ""
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._pending: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self._queues: list[tuple[tuple[str, ...], Inbox]] = []
        self._largest, self._qos, self._retains = math.inf, 2, True
        self._watch: asyncio.TimerHandle | None = None

    @property
    def version(self) -> str:
        """The version of MQTT, for people."""
        return "MQTT 5" if self._settings.version == MQTT_5 else "MQTT 3.1.1"

    async def greet(self) -> None:
        """Say who we are and wait for the broker's yes. Raises ConnectionLostError."""
        client, settings = self._client, self._settings
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message = self._on_message
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_open = self._on_socket_open
        client.on_socket_close = self._on_socket_close
        client.on_socket_register_write = self._on_writable_wanted
        client.on_socket_unregister_write = self._on_writable_unwanted
        if settings.user or settings.password:
            client.username_pw_set(settings.user, settings.password or None)
        client.will_set(settings.will, OFFLINE, qos=1, retain=True)
        client.greet(settings.host, settings.port, settings.keepalive)
        try:
            async with asyncio.timeout(settings.patience):
                await self._greeted
        except TimeoutError:
            raise ConnectionLostError(f"it takes the connection but says nothing for {settings.patience:g} s") from None
        self._look_after()

    async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
        """Send; with `qos` 1 wait for the broker's yes. Raises PublishRefusedError, ConnectionLostError."""
        async with self._slots:
            self._check()
            if len(topic) + len(payload) + HEADER > self._largest:
                raise PublishRefusedError(f"it takes no more than {self._largest:g} bytes at once")
            sent = self._client.publish(topic, payload, min(qos, self._qos), retain and self._retains)
            if sent.rc != paho.MQTT_ERR_SUCCESS:
                self._end("it takes no more messages")
                self._check()
            (reason,) = await self._answered(sent.mid)
        if reason.is_failure:
            raise PublishRefusedError(reason.getName())

    async def subscribe(self, *filters: str) -> asyncio.Queue[Message]:
        """What comes on these topics from now on, the oldest dropped when nobody takes it. Raises as `publish`."""
        self._check()
        entry = (filters, Inbox())
        # Before the answer, because kept messages may come together with it.
        self._queues.append(entry)
        wanted: list[Any]
        if self._settings.version == MQTT_5:
            wanted = [(each, SubscribeOptions(qos=1)) for each in filters]
        else:
            wanted = [(each, 1) for each in filters]
        _, number = self._client.subscribe(wanted)
        reasons = await self._answered(number or 0)
        refused = [name for name, reason in zip(filters, reasons, strict=False) if reason.is_failure]
        if refused:
            self._queues.remove(entry)
            raise PublishRefusedError(f"no subscription to {', '.join(refused)}: {reasons[0].getName()}")
        return entry[1]

    async def watch(self) -> None:
        """Wait until the connection is gone. Raises ConnectionLostError then."""
        await self._ended.wait()
        raise ConnectionLostError(self._why)

    async def close(self) -> None:
        """Say good-bye, so that the broker does not say `offline` for us, and end."""
        if not self._ended.is_set():
            self._client.disconnect()
            try:
                async with asyncio.timeout(FAREWELL):
                    await self._ended.wait()
            except TimeoutError:
                self.abort()
        self.abort()

    def abort(self) -> None:
        """End without a word."""
        self._end(self._why or "we have ended the connection")

    async def _answered(self, number: int) -> list[ReasonCode]:
        """What the broker says to packet `number`. Raises ConnectionLostError."""
        answer: asyncio.Future[list[ReasonCode]] = self._loop.create_future()
        self._pending[number] = answer
        try:
            async with asyncio.timeout(self._settings.patience):
                return await answer
        except TimeoutError:
            self._end(f"it has not answered for {self._settings.patience:g} s")
            raise ConnectionLostError(self._why) from None
        finally:
            self._pending.pop(number, None)

    def _check(self) -> None:
        if self._ended.is_set():
            raise ConnectionLostError(self._why)

    def _look_after(self) -> None:
        """Pings, and notices that no ping comes back."""
        if self._ended.is_set():
            return
        self._judge(self._client.loop_misc(), "it does not answer any more")
        self._watch = self._loop.call_later(self._settings.keepalive / 6, self._look_after)

    def _read(self) -> None:
        while not self._ended.is_set():
            self._judge(self._client.loop_read(), HUNG_UP)
            if self._client.crowded:
                self._end("it sends messages at QoS 2, which we have not asked for")
            if not self._client.decrypted:
                return

    def _write(self) -> None:
        self._judge(self._client.loop_write(), HUNG_UP)

    def _judge(self, code: int, why: str) -> None:
        """End if paho has ended: `why` is told if nobody knows better."""
        if self._client.socket() is None and not self._ended.is_set():
            if code == paho.MQTT_ERR_PROTOCOL:
                why = "it sends what is not MQTT"
            self._end(self._parting or self._client.trouble or why)

    def _end(self, why: str) -> None:
        if self._ended.is_set():
            return
        self._why = why
        self._ended.set()
        if self._watch is not None:
            self._watch.cancel()
        if not self._greeted.done():
            # Old brokers close, or send rubbish, when they hear a version that they do not know.
            known = self._parting or self._client.trouble not in ("", HUNG_UP)
            failure = ConnectionLostError(why) if known else UnspokenVersionError(f"{why} {UNGREETED}", sure=False)
            self._greeted.set_exception(failure)
            self._greeted.exception()
        for answer in self._pending.values():
            if not answer.done():
                answer.set_exception(ConnectionLostError(why))
        self._client.hang_up()

    def _on_socket_open(self, _client: paho.Client, _user: object, opened: Any) -> None:
        self._loop.add_reader(opened.fileno(), self._read)

    def _on_socket_close(self, _client: paho.Client, _user: object, closing: Any) -> None:
        self._loop.remove_reader(closing.fileno())
        self._loop.remove_writer(closing.fileno())

    def _on_writable_wanted(self, _client: paho.Client, _user: object, waiting: Any) -> None:
        self._loop.add_writer(waiting.fileno(), self._write)

    def _on_writable_unwanted(self, _client: paho.Client, _user: object, waiting: Any) -> None:
        if waiting.fileno() >= 0:
            self._loop.remove_writer(waiting.fileno())

    def _on_connect(
        self, _client: paho.Client, _user: object, _flags: object, reason: ReasonCode, properties: Properties | None
    ) -> None:
        if self._greeted.done():
            return
        if reason.is_failure:
            name = reason.getName()
            if name == UNSPOKEN:
                self._greeted.set_exception(UnspokenVersionError(f"it does not speak {self.version}", sure=True))
            else:
                self._greeted.set_exception(ConnectionLostError(REFUSALS.get(name, f"it refuses us: {name}")))
            return
        self._largest = getattr(properties, "MaximumPacketSize", math.inf)
        self._qos = getattr(properties, "MaximumQoS", 2)
        self._retains = bool(getattr(properties, "RetainAvailable", 1))
        self._slots = asyncio.Semaphore(max(1, min(IN_FLIGHT, getattr(properties, "ReceiveMaximum", IN_FLIGHT))))
        self._greeted.set_result(None)

    def _on_disconnect(
        self, _client: paho.Client, _user: object, flags: Any, reason: ReasonCode, _properties: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            name = reason.getName()
            self._parting = REFUSALS.get(name, f"it ended the connection: {name}")

    def _on_publish(
        self, _c: paho.Client, _user: object, number: int, reason: ReasonCode, _p: Properties | None
    ) -> None:
        self._settle(number, [reason])

    def _on_subscribe(
        self, _client: paho.Client, _user: object, number: int, reasons: list[ReasonCode], _properties: object
    ) -> None:
        self._settle(number, reasons)

    def _settle(self, number: int, reasons: list[ReasonCode]) -> None:
        answer = self._pending.get(number)
        if answer is not None and not answer.done():
            answer.set_result(reasons)

    def _on_message(self, _client: paho.Client, _user: object, message: paho.MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return
        # Our sessions begin clean, so what the broker sends again has come before: no command is carried out twice.
        if message.dup:
            return
        lasts = getattr(message.properties, "MessageExpiryInterval", math.inf)
        taken = Message(topic, bytes(message.payload), message.retain, self._loop.time() + lasts)
        for filters, queue in self._queues:
            if any(paho.topic_matches_sub(each, topic) for each in filters):
                queue.leave(taken)
