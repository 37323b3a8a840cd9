"""Which addresses of the own network are asked: private ones only, and never more than a /24 at once.

Pure but for `own_networks`. Private networks: RFC 1918.
"""

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable

LAN = "lan"
PRIVATE = tuple(ipaddress.IPv4Network(each) for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
WIDEST = 24
_GET_ADDRESS, _GET_MASK = 0x8915, 0x891B
_NAME_SIZE, _REQUEST_SIZE = 16, 40
_ADDRESS = slice(20, 24)


class NetworkRangeError(ValueError):
    """A range that is not searched; the text is one line."""


def is_range(text: str) -> bool:
    """Whether `text` means hosts of a network: `lan`, `192.168.1.0/24` or a bare IPv4 address."""
    if text == LAN:
        return True
    try:
        ipaddress.IPv4Interface(text)
    except ValueError:
        return False
    return True


def hosts(text: str, own: Iterable[ipaddress.IPv4Interface]) -> tuple[str, ...]:
    """The hosts of a range, or of all `own` networks for `lan`; this machine itself is none. NetworkRangeError."""
    interfaces = tuple(own)
    if text == LAN:
        networks = [_at_most_24(each) for each in interfaces if is_private(each.network)]
        if not networks:
            raise NetworkRangeError("lan: this machine has no address in a private network")
    else:
        networks = [_network(text)]
    ours = {each.ip for each in interfaces}
    found = dict.fromkeys(host for network in networks for host in network.hosts() if host not in ours)
    return tuple(str(host) for host in found)


def is_private(network: ipaddress.IPv4Network) -> bool:
    """Whether all of it is a private network of RFC 1918."""
    return any(network.subnet_of(each) for each in PRIVATE)


def _network(text: str) -> ipaddress.IPv4Network:
    network = ipaddress.IPv4Interface(text).network
    if not is_private(network):
        raise NetworkRangeError(f"{text}: not a private network (10.x, 172.16.x to 172.31.x, 192.168.x)")
    if network.prefixlen < WIDEST:
        raise NetworkRangeError(f"{text}: too many hosts; a /24 is the most")
    return network


def _at_most_24(interface: ipaddress.IPv4Interface) -> ipaddress.IPv4Network:
    """Its network, or the part of it around this machine."""
    length = max(interface.network.prefixlen, WIDEST)
    return ipaddress.IPv4Network((interface.ip, length), strict=False)


def own_networks() -> tuple[ipaddress.IPv4Interface, ...]:
    """The IPv4 addresses of this machine with their networks (netdevice(7))."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        for _, name in socket.if_nameindex():
            request = struct.pack(f"{_REQUEST_SIZE}s", name.encode()[: _NAME_SIZE - 1])
            try:
                address = fcntl.ioctl(one, _GET_ADDRESS, request)[_ADDRESS]
                mask = fcntl.ioctl(one, _GET_MASK, request)[_ADDRESS]
            except OSError:
                # An interface without an IPv4 address.
                continue
            found.append(ipaddress.IPv4Interface((address, str(ipaddress.IPv4Address(mask)))))
    return tuple(found)
