"""What TARGET means to `heliobus scan`, and which places a daemon has for itself."""

from collections.abc import Iterable
from pathlib import Path

from heliobus import config
from heliobus.cli.daemon import OLD_DAEMON, START_TIME, connected
from heliobus.cli.problem import Problem, WrongUse
from heliobus.config import ConfigError
from heliobus.outputs.requests import Message, Request
from heliobus.scan import NetworkRangeError, Speed, Target, hosts, stable_path, ttys
from heliobus.scan.network import LAN, is_range, own_networks
from heliobus.wire.address import LinkAddress, LinkAddressError, parse_link

DEVICES = Path("/dev")
SERVED = "the daemon is its only master; heliobus read asks it"


def targets(texts: Iterable[str]) -> tuple[Target, ...]:
    """The places that `texts` name, each once; all ttys of this machine if there are none. Raises WrongUse."""
    found: dict[str, Target] = {}
    for text in tuple(texts) or ttys():
        for target in _targets(text):
            found.setdefault(target.link.endpoint, target)
    return tuple(found.values())


def _targets(text: str) -> list[Target]:
    try:
        if is_range(text):
            names = hosts(text, own_networks())
            many = len(names) > 1 or text == LAN
            return [Target(parse_link(f"tcp://{name}"), one_of_many=many) for name in names]
        if text.startswith("/"):
            return [_tty(text)]
        if "/" not in text and (DEVICES / text).exists():
            return [_tty(str(DEVICES / text))]
        link = parse_link(text)
    except (NetworkRangeError, LinkAddressError) as error:
        raise WrongUse(f"{error}, a tty, {LAN}, or a range such as 192.168.1.0/24") from None
    if link.kind != "serial":
        return [Target(link)]
    return [_tty(link.path, Speed(link.baud, link.stop) if "?" in text else None)]


def _tty(path: str, speed: Speed | None = None) -> Target:
    return Target(parse_link(f"serial:{stable_path(path)}"), speed)


async def held(path: Path | None) -> "Held":
    """What the daemon of this machine holds, if one runs. Raises Problem."""
    try:
        settings = config.load(path)
    except ConfigError:
        state, endpoints = config.default_state(), frozenset[str]()
    else:
        state, endpoints = settings.site.state, frozenset(each.link.endpoint for each in settings.devices)
    async with connected(state, START_TIME) as client:
        if client is None:
            return Held(frozenset(), frozenset())
        message = await client.ask(Request("devices", id=1), _ignore)
    try:
        addresses = frozenset(_bus(str(each["address"])) for each in message["devices"])  # type: ignore[attr-defined]
    except (KeyError, TypeError):
        raise Problem(OLD_DAEMON) from None
    return Held(endpoints, addresses)


class Held:
    """The buses of a daemon: those of its config, and those of what it serves besides."""

    def __init__(self, endpoints: frozenset[str], addresses: frozenset[str]) -> None:
        self._endpoints = endpoints
        self._addresses = addresses

    def has(self, link: LinkAddress) -> bool:
        """Whether the daemon is the master of this bus."""
        return link.endpoint in self._endpoints or _bus(link.describe(1)) in self._addresses


def _bus(address: str) -> str:
    return address.rpartition(", ")[0]


async def _ignore(_: Message) -> None:
    """Nothing here takes long enough to report."""
