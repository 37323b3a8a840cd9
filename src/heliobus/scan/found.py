"""What a search found, and what it could not look at."""

from dataclasses import dataclass, field

from heliobus.devices.driver import Driver
from heliobus.model.device import Identity
from heliobus.wire.address import LinkAddress, parse_link


@dataclass(frozen=True, slots=True)
class Found:
    """A device of ours: the declaration that fits it, where it answers, and who it said it is."""

    driver: Driver
    link: LinkAddress
    unit: int
    identity: Identity


@dataclass(frozen=True, slots=True)
class Stranger:
    """Something answers at `link` and `unit` that no driver knows; `why` is what the drivers said of it."""

    link: LinkAddress
    unit: int
    why: str


@dataclass(frozen=True, slots=True)
class Passed:
    """A place that was not searched, or not to its end; `why` is one line."""

    place: str
    why: str


@dataclass(slots=True)
class Report:
    """All that is known so far; it is good at any moment, so that an interrupted search can print it.

    `silent` are places that were searched in vain, `shortened` those where only the likely unit ids were tried because
    something was found there, `shared` those on which another master talks.
    """

    found: list[Found] = field(default_factory=list)
    strangers: list[Stranger] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    shortened: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)


def serial_link(path: str, baud: int, stop: int, driver: Driver) -> LinkAddress:
    """The link as the config would have it: it says only what differs from what the driver takes for granted."""
    options = [f"baud={baud}"] if baud != driver.baud else []
    options += [f"stop={stop}"] if stop != driver.stop_bits else []
    text = f"serial:{path}" + (f"?{'&'.join(options)}" if options else "")
    return parse_link(text, baud=driver.baud, stop=driver.stop_bits)
