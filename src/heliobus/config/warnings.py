"""What a config allows and yet may not be meant: lines for its owner, which stop nothing."""

from heliobus.config import Config, DeviceConfig
from heliobus.devices import catalog
from heliobus.model.role import Role
from heliobus.model.vocabulary import ENERGY_REVERSE


def warnings(settings: Config) -> tuple[str, ...]:
    """One line each, by name of the device."""
    return tuple(_no_direction(device) for device in settings.devices if _is_one_way_grid_meter(device))


def _is_one_way_grid_meter(device: DeviceConfig) -> bool:
    driver = catalog.driver(device.driver)
    return (device.role or driver.role) is Role.GRID_METER and ENERGY_REVERSE.name not in driver.points()


def _no_direction(device: DeviceConfig) -> str:
    return (
        f"{device.name}: role grid, but a {device.driver} meter has no direction: energy that is fed into the grid is "
        "shown and counted as drawn from it, and an ESS would act on it; use it only where nothing is fed in"
    )
