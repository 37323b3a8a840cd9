"""What the Venus output is told at its start, and what it asks of the process it lives in."""

from dataclasses import dataclass, field
from typing import Protocol

from heliobus.model.control_options import ControlOptions


@dataclass(frozen=True, slots=True)
class VenusOptions:
    """How the output joins the D-Bus.

    `bus_address` is a D-Bus address; None means the session bus of the environment, else the system bus.
    `settings_charger` offers the TriStar's address as settings. `exit_on_bus_loss` ends the process when the bus
    goes, as Victron's supervisor expects; without it the output connects again. `hide_firmware` leaves
    /FirmwareVersion invalid: with DVCC on, systemcalc takes a number below 0x010200 for a Victron firmware that is too
    old and raises alarm #48 (venus-consumers.md §4.1).
    """

    bus_address: str | None = None
    settings_charger: bool = True
    exit_on_bus_loss: bool = False
    hide_firmware: bool = False


@dataclass(frozen=True, slots=True)
class ChargerSettings:
    """The charger the owner set up in the GX settings, and what may be done to it. `interval` is in seconds."""

    driver: str
    host: str
    port: int
    interval: float
    unit: int
    control: ControlOptions = field(default_factory=ControlOptions)


class VenusHost(Protocol):
    """The process the output lives in. Both calls return at once."""

    def place(self, settings: ChargerSettings | None) -> None:
        """Poll the charger of `settings` from now on; None means that none is set up."""

    def time_zone(self, name: str) -> None:
        """The site's days follow the time zone `name` (`Europe/Oslo`)."""
