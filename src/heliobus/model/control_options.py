"""What the owner allows and wishes of the control of one device; the config is read into these."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from heliobus.model.chemistry import UNKNOWN_CHEMISTRY, Chemistry


@dataclass(frozen=True, slots=True)
class EqualizeOptions:
    """Equalize is locked until it is `allowed`. `interval` is in days, `hottest` in °C, times in seconds.

    `time_limit` bounds the equalize itself, `wait_limit` a request that finds no sun.
    """

    allowed: bool = False
    time_limit: float = 3 * 3600.0
    wait_limit: float = 24 * 3600.0
    interval: float = 7.0
    hottest: float = 45.0


@dataclass(frozen=True, slots=True)
class TopChargeOptions:
    """Charge to `voltage` (actual volts) until the current stays below `tail_current` for `tail_time` seconds.

    `time_limit` bounds the time at the voltage, `wait_limit` the whole, in seconds; `tolerance` is in volts.
    """

    voltage: float
    tail_current: float = 2.0
    tail_time: float = 300.0
    time_limit: float = 7200.0
    wait_limit: float = 12 * 3600.0
    tolerance: float = 0.1


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Care of the network server: local hour of its nightly restart (-1: none), restart if it hangs, its HTTP port."""

    nightly_reset: int = 3
    reset_when_hung: bool = True
    http_port: int = 80


@dataclass(frozen=True, slots=True)
class EepromOptions:
    """How often stored settings may be changed: seconds between two changes, and changes a day."""

    interval: float = 3600.0
    daily: int = 4


@dataclass(frozen=True, slots=True)
class ControlOptions:
    """All about the control of one device. Volts and amperes are those of the actual battery.

    `system_voltage` is the nominal voltage the owner confirms, None while he has not; settings are not written then.
    `highest_voltage` and `highest_current` narrow every limit and every setting, None where the owner says nothing.
    `auto_clock`: the device's own clock is set when it is wrong, without a command.
    """

    on: bool = False
    system_voltage: int | None = None
    chemistry: Chemistry = UNKNOWN_CHEMISTRY
    highest_voltage: float | None = None
    highest_current: float | None = None
    equalize: EqualizeOptions = EqualizeOptions()
    top_charge: TopChargeOptions | None = None
    server: ServerOptions = ServerOptions()
    eeprom: EepromOptions = EepromOptions()
    auto_clock: bool = True


@dataclass(frozen=True, slots=True)
class When:
    """When a profile is due by itself: a season's name, or from `first` to `last` (MM-DD each year, or YYYY-MM-DD)."""

    season: str = ""
    first: str = ""
    last: str = ""


@dataclass(frozen=True, slots=True)
class Profile:
    """Named charge settings, by point name (`set_float_voltage`), in actual volts, seconds, days, °C.

    `devices` are the names of the devices it is for; empty means all. `when` None: applied by hand only.
    """

    name: str
    settings: Mapping[str, float] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    when: When | None = None


@dataclass(frozen=True, slots=True)
class Seasons:
    """First days (MM-DD) of spring, summer, autumn and winter at the site."""

    spring: str = "03-01"
    summer: str = "06-01"
    autumn: str = "09-01"
    winter: str = "12-01"


NORTH = Seasons()
SOUTH = Seasons("09-01", "12-01", "03-01", "06-01")
