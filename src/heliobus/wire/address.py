"""How a link is written in the config and on the command line, and the bus at that address."""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from heliobus.model.clock import Clock
from heliobus.wire.bus import Bus
from heliobus.wire.framer import Framer
from heliobus.wire.line_settings import LineSettings, Parity
from heliobus.wire.link import Link
from heliobus.wire.modbus.rtu import RtuFramer
from heliobus.wire.modbus.tcp import TcpFramer
from heliobus.wire.serial_link import SerialLink
from heliobus.wire.tcp_link import TcpLink
from heliobus.wire.trace import Trace

Kind = Literal["tcp", "rtu+tcp", "serial"]

DEFAULT_PORT = 502
FORMS = "tcp://HOST[:PORT], rtu+tcp://HOST:PORT or serial:/dev/TTY[?baud=9600&stop=1&parity=N&bits=8]"
_PARITIES: Mapping[str, Parity] = {"N": "N", "E": "E", "O": "O"}
_OPTIONS = ("baud", "stop", "parity", "bits")


class LinkAddressError(ValueError):
    """A link that cannot be understood; the text is one line: what was found, what is allowed."""


@dataclass(frozen=True, slots=True)
class LinkAddress:
    """Where a link leads. `host` and `port` for TCP, the rest for a tty; `text` is what was written.

    `str()` is canonical, with all settings of the line. Devices with the same `endpoint` share one bus.
    """

    kind: Kind
    host: str = ""
    port: int = 0
    path: str = ""
    baud: int = 9600
    stop: int = 1
    parity: Parity = "N"
    bits: int = 8
    text: str = ""

    @property
    def endpoint(self) -> str:
        """What only one bus can hold, however it is spoken to: `192.0.2.4:502`, or the tty under its own name."""
        return os.path.realpath(self.path) if self.kind == "serial" else f"{_bracketed(self.host)}:{self.port}"

    @property
    def settings(self) -> LineSettings | None:
        """How a unit there is spoken to; None for TCP."""
        return LineSettings(self.baud, self.bits, self.parity, self.stop) if self.kind == "serial" else None

    def __str__(self) -> str:
        if self.kind != "serial":
            return f"{self.kind}://{self.endpoint}"
        extras = [("stop", self.stop, 1), ("parity", self.parity, "N"), ("bits", self.bits, 8)]
        options = "".join(f"&{name}={value}" for name, value, usual in extras if value != usual)
        return f"serial:{self.path}?baud={self.baud}{options}"

    def describe(self, unit: int) -> str:
        """For people and for Venus' /Mgmt/Connection: `Modbus TCP 192.0.2.4, unit 1`."""
        if self.kind == "serial":
            return f"Modbus RTU {self.path.removeprefix('/dev/')}, unit {unit}"
        if self.kind == "rtu+tcp":
            return f"Modbus RTU over TCP {self.endpoint}, unit {unit}"
        where = self.host if self.port == DEFAULT_PORT else self.endpoint
        return f"Modbus TCP {where}, unit {unit}"


def parse_link(text: str, *, baud: int = 9600, stop: int = 1, parity: Parity = "N", bits: int = 8) -> LinkAddress:
    """The address that `text` names; the keywords are what a tty uses where `text` does not say. LinkAddressError."""
    scheme, separator, rest = text.strip().partition(":")
    kind = scheme.lower()
    if kind == "serial" and separator:
        return _parse_serial(text, rest, {"baud": baud, "stop": stop, "parity": parity, "bits": bits})
    if kind == "tcp" and rest.startswith("//"):
        host, port = _parse_endpoint(text, rest[2:])
        return LinkAddress("tcp", host, DEFAULT_PORT if port is None else port, text=text)
    if kind == "rtu+tcp" and rest.startswith("//"):
        host, port = _parse_endpoint(text, rest[2:])
        if port is None:
            raise LinkAddressError(f'link "{text}": no port; allowed is rtu+tcp://HOST:PORT')
        return LinkAddress("rtu+tcp", host, port, text=text)
    raise LinkAddressError(f'link "{text}" is not understood; allowed are {FORMS}')


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _parse_endpoint(text: str, endpoint: str) -> tuple[str, int | None]:
    endpoint = endpoint.removesuffix("/")
    if endpoint.startswith("["):
        inside, closed, tail = endpoint[1:].partition("]")
        if not closed or (tail and not tail.startswith(":")):
            raise LinkAddressError(f'link "{text}": an IPv6 address is written [2001:db8::1]:502')
        return _ipv6(text, inside), _parse_port(text, tail[1:]) if tail else None
    host, separator, port = endpoint.partition(":")
    if ":" in port:
        raise LinkAddressError(f'link "{text}": an IPv6 address is written in brackets: [{endpoint}]')
    if not host or any(not (sign.isalnum() or sign in "-._") for sign in host):
        raise LinkAddressError(f'link "{text}": "{host}" is not a host name or an IP address')
    return host.lower(), _parse_port(text, port) if separator else None


def _ipv6(text: str, host: str) -> str:
    address, scope_sign, scope = host.partition("%")
    try:
        packed = socket.inet_pton(socket.AF_INET6, address)
    except OSError:
        raise LinkAddressError(f'link "{text}": "{host}" is not an IPv6 address') from None
    return socket.inet_ntop(socket.AF_INET6, packed) + scope_sign + scope


def _parse_port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65535):
        raise LinkAddressError(f'link "{text}": port "{port}" is not a number within 1..65535')
    return int(port)


def _parse_serial(text: str, rest: str, settings: dict[str, int | str]) -> LinkAddress:
    path, _, query = rest.partition("?")
    if path.startswith("//"):
        path = "/" + path.lstrip("/")
    if not path.startswith("/"):
        raise LinkAddressError(f'link "{text}": "{path}" is not a path such as /dev/ttyUSB0')
    values = {name: str(value) for name, value in settings.items()}
    for option in query.split("&") if query else ():
        name, _, value = option.partition("=")
        if name not in _OPTIONS:
            raise LinkAddressError(f'link "{text}": unknown option "{name}"; allowed are {", ".join(_OPTIONS)}')
        values[name] = value
    parity = _PARITIES.get(values["parity"].upper())
    if parity is None:
        raise LinkAddressError(f'link "{text}": parity "{values["parity"]}" is not N, E or O')
    return LinkAddress(
        "serial",
        path=path,
        baud=_parse_option(text, "baud", values["baud"], 50, 4_000_000),
        stop=_parse_option(text, "stop", values["stop"], 1, 2),
        parity=parity,
        bits=_parse_option(text, "bits", values["bits"], 7, 8),
        text=text,
    )


def _parse_option(text: str, name: str, value: str, low: int, high: int) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and low <= int(value) <= high):
        raise LinkAddressError(f'link "{text}": {name} "{value}" is not a number within {low}..{high}')
    return int(value)


def make_bus(address: LinkAddress, *, trace: Trace | None = None, wall_clock: Clock | None = None) -> Bus:
    """The Modbus bus at `address`; nothing is opened before its first request."""
    link: Link
    framer: Framer
    settings = address.settings
    if settings is not None:
        link = SerialLink(address.path, settings)
        framer = RtuFramer(settings.silence)
    else:
        link = TcpLink(str(address), address.host, address.port)
        framer = TcpFramer() if address.kind == "tcp" else RtuFramer()
    return Bus(link, framer, trace=trace, wall_clock=wall_clock, settings=settings)
