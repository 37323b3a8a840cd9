"""What DEVICE means on the command line: a name in the config, or DRIVER@LINK."""

from pathlib import Path

from heliobus import config
from heliobus.cli.problem import WrongUse
from heliobus.config import ConfigError, DeviceConfig
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


def _in_config(name: str, path: Path | None) -> DeviceConfig:
    try:
        settings = config.load(path)
    except ConfigError as error:
        raise WrongUse(f"{error}; or name a device as DRIVER@LINK") from None
    for device in settings.devices:
        if device.name == name:
            return device
    names = ", ".join(device.name for device in settings.devices)
    raise WrongUse(f"no device {name!r} in {settings.source}; there are {names}, or DRIVER@LINK")
