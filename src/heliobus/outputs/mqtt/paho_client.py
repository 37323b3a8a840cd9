"""paho-mqtt's client on a socket that is already connected, made safe against what a bad broker may send."""

import socket

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from heliobus.outputs.mqtt.dial import explained

LARGEST_PACKET = 256 * 1024
"""Bytes of a packet from the broker; paho itself would take 256 MiB."""
UNFINISHED = 20
"""Incoming messages of QoS 2, which we never ask for, that may wait for their end."""
WANTS_MORE = ("SSLWantReadError", "SSLWantWriteError")

MQTT_5, MQTT_3_1_1 = paho.MQTTv5, paho.MQTTv311


class PahoClient(paho.Client):
    """One connection's worth of paho.

    paho opens its socket by itself, and blocks while it does; `_create_socket` gives it ours instead. `_sock_recv` and
    `_sock_send` need a Python with OpenSSL in paho's own form, and do not bound what they take. These three,
    `_sock_close` and `_in_messages`, are no public names of paho-mqtt 2.
    """

    def __init__(self, connected: socket.socket, client_id: str, version: int) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=client_id,
            clean_session=None if version == MQTT_5 else True,
            protocol=MQTTProtocolVersion(version),
            reconnect_on_failure=False,
        )
        self.trouble = ""
        """Why reading or writing failed, for people; empty if it did not."""
        self._connected_socket = connected
        self._version = version

    def greet(self, host: str, port: int, keepalive: int) -> None:
        """Have CONNECT sent as soon as the loop lets it."""
        properties = None
        if self._version == MQTT_5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = LARGEST_PACKET
        self.connect_async(host, port, keepalive, properties=properties)
        self.reconnect()

    def hang_up(self) -> None:
        """Close the socket without a word."""
        self._sock_close()

    @property
    def crowded(self) -> bool:
        """Whether the broker begins more than it ends."""
        return len(self._in_messages) > UNFINISHED

    @property
    def decrypted(self) -> bool:
        """Whether bytes wait that were taken from the system already, which so cannot wake the loop."""
        pending = getattr(self._sock, "pending", None)
        return pending is not None and pending() > 0

    def _create_socket(self) -> socket.socket:
        return self._connected_socket

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > LARGEST_PACKET:
            self.trouble = f"it sends a packet of {bufsize} bytes or more, or does not speak MQTT"
            raise ConnectionAbortedError
        try:
            return self._connected_socket.recv(bufsize)
        except OSError as error:
            raise self._judged(error) from None

    def _sock_send(self, buf: bytes | bytearray) -> int:
        try:
            return self._connected_socket.send(buf)
        except OSError as error:
            raise self._judged(error) from None

    def _judged(self, error: OSError) -> OSError:
        if isinstance(error, BlockingIOError | InterruptedError) or type(error).__name__ in WANTS_MORE:
            return BlockingIOError()
        self.trouble = self.trouble or explained(error)
        return error
