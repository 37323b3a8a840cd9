"""`[[total]]`: a device of its own that adds up several chargers."""

from collections.abc import Collection
from dataclasses import dataclass

from heliobus.config.table import ConfigError, Table, line


@dataclass(frozen=True, slots=True)
class TotalConfig:
    """One `[[total]]`: its name, and the names of the chargers that it adds up."""

    name: str
    devices: tuple[str, ...]


def totals(tables: list[Table], chargers: Collection[str], taken: Collection[str]) -> tuple[TotalConfig, ...]:
    """The totals over the devices named `chargers`; `taken` are the names of all devices. Raises ConfigError."""
    found: list[TotalConfig] = []
    for table in tables:
        found.append(_total(table, chargers, {*taken, *(each.name for each in found)}))
    return tuple(found)


def _total(table: Table, chargers: Collection[str], taken: Collection[str]) -> TotalConfig:
    table.only("name", "devices")
    name = table.text("name", "total")
    if not name or name in taken:
        raise table.error("name", name, "a name that nothing else has")
    if not chargers:
        raise ConfigError(f"{table.where()}: no [[device]] is a solar charger, so there is nothing to add up")
    allowed = line("names of solar chargers, each once: " + ", ".join(f'"{each}"' for each in chargers))
    chosen = table.texts("devices", allowed)
    if table.has("devices") and not chosen:
        raise table.error("devices", [], f"{allowed}; left out it is all of them")
    for index, device in enumerate(chosen):
        if device not in chargers or device in chosen[:index]:
            raise table.error("devices", device, allowed)
    return TotalConfig(name, chosen or tuple(chargers))
