"""Finds drivers: one module of this package with a `DRIVER` is one device family. Nothing is registered anywhere."""

import importlib
import pkgutil
from functools import cache

import heliobus.devices
from heliobus.devices.driver import Driver


class UnknownDriverError(LookupError):
    """There is no driver of this name; the text says which there are."""


def driver(name: str) -> Driver:
    """The driver called `name` (`morningstar-tristar-mppt`); only its own module is imported."""
    module = name.replace("-", "_")
    if module in _modules():
        found = getattr(importlib.import_module(f"heliobus.devices.{module}"), "DRIVER", None)
        if isinstance(found, Driver) and found.name == name:
            return found
    raise UnknownDriverError(f"no driver {name!r}; there are {', '.join(known.name for known in drivers())}")


@cache
def drivers() -> tuple[Driver, ...]:
    """Every driver, by name."""
    modules = (importlib.import_module(f"heliobus.devices.{name}") for name in _modules())
    found = (getattr(module, "DRIVER", None) for module in modules)
    return tuple(sorted((each for each in found if isinstance(each, Driver)), key=lambda each: each.name))


@cache
def _modules() -> frozenset[str]:
    return frozenset(module.name for module in pkgutil.iter_modules(heliobus.devices.__path__))
