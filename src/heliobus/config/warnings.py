"""What a config allows and yet may not be meant: lines for its owner, which stop nothing."""

from collections.abc import Iterator
from urllib.parse import urlsplit

from heliobus.config import UNNAMED, Config, DeviceConfig
from heliobus.devices import catalog
from heliobus.model.role import Role
from heliobus.model.vocabulary import ENERGY_REVERSE


def warnings(settings: Config) -> tuple[str, ...]:
    """One line each, by name of what it is about."""
    return (*(_no_direction(device) for device in settings.devices if _is_one_way_grid_meter(device)), *_open(settings))


def _open(settings: Config) -> Iterator[str]:
    outputs = settings.outputs
    if outputs.mqtt is not None:
        if settings.site.name == UNNAMED:
            yield "mqtt: the site has no name; another Heliobus without one has the same topics: set name in [site]"
        if outputs.mqtt.password and not outputs.mqtt.encrypted and not _is_loopback(outputs.mqtt.host):
            yield f"mqtt: the password goes to {outputs.mqtt.host} in the clear: use mqtts://"
    for influx in outputs.influx:
        host = urlsplit(influx.url).hostname or ""
        if (influx.password or influx.token) and influx.url.startswith("http:") and not _is_loopback(host):
            yield f"{influx.name}: the password or token goes to {host} in the clear: use https://"
    if outputs.web is not None and not _is_loopback(outputs.web.host):
        yield f"web: listens on {outputs.web.host}, so whoever reaches this machine can read all values"


def _is_loopback(host: str) -> bool:
    return host in ("localhost", "::1") or host.startswith("127.")


def _is_one_way_grid_meter(device: DeviceConfig) -> bool:
    driver = catalog.driver(device.driver)
    return (device.role or driver.role) is Role.GRID_METER and ENERGY_REVERSE.name not in driver.points()


def _no_direction(device: DeviceConfig) -> str:
    return (
        f"{device.name}: role grid, but a {device.driver} meter has no direction: energy that is fed into the grid is "
        "shown and counted as drawn from it, and an ESS would act on it; use it only where nothing is fed in"
    )
