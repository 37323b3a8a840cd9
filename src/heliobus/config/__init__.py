"""The config file: TOML into dataclasses. Errors name file, table, key, what was found and what is allowed."""

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from heliobus.config import control, dates, outputs, placement, profiles
from heliobus.config.outputs import NONE, OutputsConfig
from heliobus.config.table import ConfigError, Table, line
from heliobus.config.totals import TotalConfig, totals
from heliobus.devices import catalog
from heliobus.devices.driver import Driver
from heliobus.model.control_options import NORTH, ControlOptions, Profile, Seasons
from heliobus.model.localtime import UnknownTimeZoneError, local_time
from heliobus.model.placement import UNPLACED, Placement
from heliobus.model.role import Role
from heliobus.wire.address import FORMS, LinkAddress, LinkAddressError, parse_link

__all__ = [
    "SETTINGS_DEVICE",
    "UNNAMED",
    "Config",
    "ConfigError",
    "DeviceConfig",
    "SiteConfig",
    "TotalConfig",
    "VenusConfig",
    "default_paths",
    "default_state",
    "load",
    "on_venus_os",
    "parse",
]

VENUS_VERSION_FILE = Path("/opt/victronenergy/version")
FILE_NAME = "heliobus.toml"
SETTINGS_DEVICE = "charger"
"""Name of the device that is set up in the settings of a GX."""
UNNAMED = "site"
"""What a site is called that has no name."""
UNCONTROLLED = ControlOptions()


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One `[[device]]`: `poll` is the period in seconds of what changes fast, `options` all about its control.

    `role` None is the driver's usual one; `placement` is where a meter sits.
    """

    name: str
    driver: str
    link: LinkAddress
    unit: int = 1
    poll: float = 5.0
    label: str = ""
    options: ControlOptions = UNCONTROLLED
    role: Role | None = None
    placement: Placement = UNPLACED

    @property
    def control(self) -> bool:
        """Whether it may be commanded."""
        return self.options.on


@dataclass(frozen=True, slots=True)
class SiteConfig:
    """`[site]`: its name, its time zone (None: the machine's), where its ledger lives and when its seasons begin.

    Devices are numbered from `first_number`, which is not in the file: a second daemon of a machine has its own.
    """

    name: str
    timezone: str | None
    state: Path
    seasons: Seasons = NORTH
    first_number: int = 0


@dataclass(frozen=True, slots=True)
class VenusConfig:
    """`[output.venus]`: which D-Bus, whether a charger is set up in localsettings, what happens when the bus goes.

    `hide_firmware` keeps a GX with DVCC from taking the charger's firmware for an old Victron one.
    """

    bus: str | None = None
    settings_charger: bool = False
    on_bus_loss: str = "reconnect"
    hide_firmware: bool = False


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file. `source` names it for people; `outputs` are all but Venus."""

    source: str
    site: SiteConfig
    devices: tuple[DeviceConfig, ...]
    venus: VenusConfig | None
    profiles: tuple[Profile, ...] = ()
    totals: tuple[TotalConfig, ...] = ()
    outputs: OutputsConfig = NONE


def on_venus_os() -> bool:
    """Whether this machine is a Victron GX."""
    return VENUS_VERSION_FILE.exists()


def default_paths() -> tuple[Path, ...]:
    """Where a config is looked for, in this order."""
    if on_venus_os():
        return (Path("/data/conf") / FILE_NAME,)
    return (Path(FILE_NAME), Path.home() / ".config/heliobus" / FILE_NAME, Path("/etc/heliobus") / FILE_NAME)


def load(path: Path | None) -> Config:
    """The config at `path`, or at the first of `default_paths`. On a GX it may be missing. Raises ConfigError."""
    found = path or next((each for each in default_paths() if each.is_file()), None)
    if found is None:
        if on_venus_os():
            return parse({"output": {"venus": {}}}, "the defaults of a GX")
        places = ", ".join(str(each) for each in default_paths())
        raise ConfigError(f"no config found: looked for {places}; write one as the README shows, or name it with -c")
    return parse(_read(found), str(found))


def parse(document: Mapping[str, object], source: str) -> Config:
    """The config in `document`, a parsed TOML file that `source` names for people. Raises ConfigError."""
    root = Table(document, source, "")
    root.only("site", "device", "total", "profile", "output")
    site = _site(root.table("site"))
    devices = _devices(root.tables("device"))
    output = root.table("output")
    output.only("venus", *outputs.KEYS)
    # A GX is always served, and without any [output] table so is every machine with a D-Bus.
    wants_venus = output.has("venus") or on_venus_os() or (not root.has("output") and _d_bus_there())
    venus = _venus(output.table("venus"), lonely=not devices) if wants_venus else None
    if not devices and not (venus and venus.settings_charger):
        raise ConfigError(f"{source}: no [[device]] table, so there is nothing to do")
    if venus and venus.settings_charger and any(device.name == SETTINGS_DEVICE for device in devices):
        raise ConfigError(f'{source}: name is "{SETTINGS_DEVICE}", which is that of the charger in the GX settings')
    others_wanted = outputs.outputs(output)
    if venus is None and not others_wanted:
        raise ConfigError(
            f"{source}: no output: there is no D-Bus here; add [output.venus] with bus = 'ADDRESS', or one of "
            + ", ".join(f"[output.{each}]" for each in outputs.KEYS)
        )
    names = [device.name for device in devices]
    if venus and venus.settings_charger:
        names.append(SETTINGS_DEVICE)
    others = {device.name for device in devices if _role(device) is not Role.SOLAR_CHARGER}
    chargers = [name for name in names if name not in others]
    sums = totals(root.tables("total"), chargers, names)
    if others_wanted.mqtt is not None:
        outputs.check_topics(source, [*names, *(each.name for each in sums)])
    return Config(
        source,
        site,
        devices,
        venus,
        profiles.profiles(root.table("profile"), names),
        sums,
        others_wanted,
    )


def _role(device: DeviceConfig) -> Role:
    return device.role or catalog.driver(device.driver).role


def _d_bus_there() -> bool:
    return bool(os.environ.get("DBUS_SESSION_BUS_ADDRESS")) or on_venus_os()


def _read(path: Path) -> Mapping[str, object]:
    try:
        import tomllib  # noqa: PLC0415  missing on a GX, where tomli takes its place
    except ImportError:
        import tomli as tomllib  # type: ignore[import-not-found,no-redef,unused-ignore]  # noqa: PLC0415
    try:
        with path.open("rb") as file:
            document: Mapping[str, object] = tomllib.load(file)
            return document
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits or a tower of brackets does not even get as far as a TOMLDecodeError.
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def _site(table: Table) -> SiteConfig:
    table.only("name", "timezone", "state", "hemisphere", "seasons")
    zone = table.text("timezone", "")
    if zone:
        try:
            local_time(zone)
        except UnknownTimeZoneError as error:
            raise table.error("timezone", zone, f"a name like Europe/Oslo ({error})") from None
    state = table.text("state", "")
    place = _directory(table, state) if state else default_state()
    return SiteConfig(table.text("name", UNNAMED), zone or None, place, dates.seasons(table))


def _directory(table: Table, state: str) -> Path:
    try:
        path = Path(state).expanduser()
        possible = b"\0" not in os.fsencode(path)
    except (RuntimeError, ValueError):
        possible = False
    if not possible:
        raise table.error("state", state, "the path of a directory")
    return path


def default_state() -> Path:
    """Where the ledger lives unless the config says otherwise."""
    if on_venus_os():
        return Path("/data/var/lib/heliobus")
    if os.geteuid() == 0:
        return Path("/var/lib/heliobus")
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local/state") / "heliobus"


def _devices(tables: list[Table]) -> tuple[DeviceConfig, ...]:
    devices: list[DeviceConfig] = []
    for table in tables:
        device = _device(table, {each.name for each in devices})
        for other in devices:
            _check_neighbours(table, device, other)
        devices.append(device)
    return tuple(devices)


def _check_neighbours(table: Table, device: DeviceConfig, other: DeviceConfig) -> None:
    """Devices on one tty may differ in speed, but their unit ids tell them apart; one endpoint has one protocol."""
    if other.link.endpoint != device.link.endpoint:
        return
    if other.link.kind != device.link.kind:
        raise table.error("link", str(device.link), f"{other.link}, as {other.name!r} has it")
    if other.unit == device.unit:
        where = device.link.path or str(device.link)
        raise table.error("unit", device.unit, f"another one, for this one at {where} is {other.name!r}")


def _device(table: Table, taken: set[str]) -> DeviceConfig:
    table.only("name", "driver", "link", "unit", "poll", *placement.KEYS, *control.KEYS)
    driver = _driver(table)
    label = table.text("name", "")
    if label in taken:
        raise table.error("name", label, "a name that no other device has")
    name = label or next(each for each in _names(driver.short) if each not in taken)
    text = table.text("link", None, FORMS)
    try:
        link = parse_link(text, baud=driver.baud, stop=driver.stop_bits)
    except LinkAddressError as error:
        raise ConfigError(f"{table.where()}: link: {line(str(error))}") from None
    role = placement.role(table, driver)
    return DeviceConfig(
        name=name,
        driver=driver.name,
        link=link,
        unit=table.integer("unit", 1, 1, 247),
        poll=table.seconds("poll", driver.poll_period, 0.2, 3600),
        label=label,
        options=control.options(table, driver),
        role=role if table.has("role") else None,
        placement=placement.placement(table, role),
    )


def _names(short: str) -> Iterator[str]:
    yield short
    yield from (f"{short}-{number}" for number in itertools.count(2))


def _driver(table: Table) -> Driver:
    name = table.text("driver", "")
    try:
        return catalog.driver(name)
    except catalog.UnknownDriverError:
        allowed = "one of " + ", ".join(each.name for each in catalog.drivers())
        raise (table.error("driver", name, allowed) if name else table.missing("driver", allowed)) from None


def _venus(table: Table, *, lonely: bool) -> VenusConfig:
    table.only("bus", "settings_charger", "on_bus_loss", "hide_firmware")
    usual = "exit" if on_venus_os() else "reconnect"
    return VenusConfig(
        bus=table.text("bus", "") or None,
        settings_charger=table.flag("settings_charger", lonely),
        on_bus_loss=table.choice("on_bus_loss", usual, ("exit", "reconnect")),
        hide_firmware=table.flag("hide_firmware", False),
    )
