"""What DEVICE means on the command line: a name in the config, or DRIVER@LINK."""

from pathlib import Path

from heliobus import config
from heliobus.cli.problem import WrongUse
from heliobus.config import Config, ConfigError, DeviceConfig, TotalConfig
from heliobus.devices import catalog
from heliobus.wire.address import LinkAddressError, parse_link


def find(device: str, unit: int | None, path: Path | None) -> DeviceConfig:
    """The device to talk to. Raises Problem."""
    driver_name, at, link = device.partition("@")
    if not at:
        return _in_config(device, path)
    try:
        driver = catalog.driver(driver_name)
        address = parse_link(link, baud=driver.baud, stop=driver.stop_bits)
    except (catalog.UnknownDriverError, LinkAddressError) as error:
        raise WrongUse(str(error.args[0])) from None
    return DeviceConfig(driver.short, driver.name, address, unit or 1, 1.0)


def total(device: str, path: Path | None) -> TotalConfig | None:
    """The total of this name, None if it is none. Raises Problem."""
    if "@" in device:
        return None
    return next((each for each in _loaded(path).totals if each.name == device), None)


def _loaded(path: Path | None) -> Config:
    try:
        return config.load(path)
    except ConfigError as error:
        raise WrongUse(f"{error}; or name a device as DRIVER@LINK") from None


def _in_config(name: str, path: Path | None) -> DeviceConfig:
    settings = _loaded(path)
    for device in settings.devices:
        if device.name == name:
            return device
    names = ", ".join((*(each.name for each in settings.devices), *(each.name for each in settings.totals)))
    raise WrongUse(f"no device {name!r} in {settings.source}; there are {names}, or DRIVER@LINK")
