"""The outputs of a config, each imported only if it is used."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from heliobus.app.lock import StartError
from heliobus.config.outputs import OutputsConfig
from heliobus.model.clock import Clock
from heliobus.model.localtime import LocalTime
from heliobus.outputs.output import Output
from heliobus.outputs.status import Statuses


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What outputs need of the site's daemon beside the site: its name, its state directory, its clocks."""

    site_name: str
    state: Path
    clock: Clock
    local: Callable[[], LocalTime]
    statuses: Statuses


def make(config: OutputsConfig, around: Surroundings) -> Iterator[Output]:
    """The outputs that `config` wants. Raises StartError where a package that one needs is not installed."""
    if config.mqtt is not None:
        with _packages("mqtt"):
            from heliobus.outputs.mqtt.output import MqttOutput  # noqa: PLC0415  brings paho-mqtt

        yield MqttOutput(config.mqtt, around.site_name, around.state, around.clock, around.statuses)
    for influx in config.influx:
        with _packages("influx"):
            from heliobus.outputs.influx.output import InfluxOutput  # noqa: PLC0415  brings aiohttp

        yield InfluxOutput(influx, around.site_name, around.state, around.clock, around.statuses)
    if config.history is not None:
        from heliobus.outputs.history.output import HistoryOutput  # noqa: PLC0415  brings sqlite3

        yield HistoryOutput(config.history, around.state, around.clock, around.local, around.statuses)
    if config.files is not None:
        from heliobus.outputs.files.output import FilesOutput  # noqa: PLC0415  only who wants it pays

        yield FilesOutput(config.files, around.clock, around.local, around.statuses)
    if config.web is not None:
        with _packages("web"):
            from heliobus.outputs.web.output import WebOutput  # noqa: PLC0415  brings aiohttp

        yield WebOutput(config.web, around.site_name, around.statuses, around.clock)


@contextmanager
def _packages(extra: str) -> Iterator[None]:
    """Says what to install where `[output.<extra>]` needs what is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        # What is missing of Python or of Heliobus itself, pip does not bring.
        if missing == "heliobus" or missing in sys.stdlib_module_names:
            raise
        raise StartError(
            f"[output.{extra}] needs {missing}, which is not installed: pip install 'heliobus[{extra}]'"
        ) from None
