"""What a scrape finds: every value that is measured at that moment, how devices are doing, and how outputs are."""

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from heliobus import __version__
from heliobus.model.device import Device
from heliobus.model.quantity import Kind
from heliobus.model.reading import Health, Reading
from heliobus.outputs.prometheus.exposition import Family, labels
from heliobus.outputs.prometheus.names import help_text, metric
from heliobus.outputs.status import OutputStatus, Statuses
from heliobus.site import Site

ANSWERING = (Health.OK, Health.FAILING)

DEVICE_UP = ("heliobus_device_up", "gauge", "Whether the device answers: 1 yes, 0 no")
DEVICE_INFO = ("heliobus_device_info", "info", "What the device is")
LAST_SUCCESS = ("heliobus_last_success_timestamp_seconds", "gauge", "When the device last answered")
BUILD_INFO = ("heliobus_build_info", "info", "The version of Heliobus")
CPU = ("process_cpu_seconds_total", "counter", "CPU time used, user and system")
MEMORY = ("process_resident_memory_bytes", "gauge", "Resident memory")
DESCRIPTORS = ("process_open_fds", "gauge", "Open file descriptors")


@dataclass(frozen=True, slots=True)
class OutputMetric:
    """A field of OutputStatus as it is scraped; a field that is None gives no series."""

    field: str
    name: str
    kind: str
    doc: str


OUTPUT_METRICS = (
    OutputMetric(
        "connected", "heliobus_output_connected", "gauge", "Whether the output has its other side: 1 yes, 0 no"
    ),
    OutputMetric(
        "waiting", "heliobus_output_waiting_records", "gauge", "Records that the other side has not taken yet"
    ),
    OutputMetric("waiting_bytes", "heliobus_output_waiting_bytes", "gauge", "Room that waiting records take"),
    OutputMetric("oldest", "heliobus_output_oldest_timestamp_seconds", "gauge", "Time of the first record that waits"),
    OutputMetric("sent", "heliobus_output_sent_records_total", "counter", "Records that the other side has taken"),
    OutputMetric(
        "dropped", "heliobus_output_dropped_records_total", "counter", "Records given up for want of room or for age"
    ),
    OutputMetric(
        "refused", "heliobus_output_refused_records_total", "counter", "Records that the other side will not have"
    ),
    OutputMetric("errors", "heliobus_output_errors_total", "counter", "Times that something went wrong"),
    OutputMetric(
        "last_success",
        "heliobus_output_last_success_timestamp_seconds",
        "gauge",
        "When the output last did its work",
    ),
)
FIXED = frozenset(
    {name for name, _, _ in (DEVICE_UP, DEVICE_INFO, LAST_SUCCESS, BUILD_INFO, CPU, MEMORY, DESCRIPTORS)}
    | {each.name for each in OUTPUT_METRICS}
)
"""The names of all metrics that are no points."""


class Scrape:
    """The families of one scrape, by name and in the order in which they first appear."""

    def __init__(self, site_name: str) -> None:
        self._site_name = site_name
        self._families: dict[str, Family] = {}

    @property
    def families(self) -> Iterable[Family]:
        """All that was added."""
        return self._families.values()

    def add(self, name: str, kind: str, doc: str, written: str, value: float) -> None:
        """One series; `written` are its labels."""
        family = self._families.get(name)
        if family is None:
            family = self._families[name] = Family(name, kind, doc)
        family.series.append((written, value))

    def device(self, device: Device, reading: Reading) -> None:
        """How a device is, and its values."""
        own = self._labels(device)
        written = labels(own)
        self.add(*DEVICE_UP, written, int(reading.health in ANSWERING))
        identity = device.identity
        self.add(
            *DEVICE_INFO,
            labels(
                {
                    **own,
                    "vendor": identity.vendor,
                    "model": identity.model,
                    "serial": identity.serial or "",
                    "firmware": identity.firmware or "",
                    "driver": device.driver,
                }
            ),
            1,
        )
        if reading.time > 0:
            self.add(*LAST_SUCCESS, written, round(reading.time, 3))
        for point in device.points.values():
            value = reading.values.get(point.name)
            if value is None or isinstance(value, str) or point.kind is Kind.TEXT:
                continue
            found = metric(point)
            # Rounding takes away what the change of unit adds behind the last figure.
            self.add(
                found.name,
                "counter" if found.counter else "gauge",
                help_text(point),
                written,
                round(value * found.factor, 9),
            )

    def output(self, status: OutputStatus) -> None:
        """How an output is."""
        written = labels({"site": self._site_name, "output": status.name})
        for each in OUTPUT_METRICS:
            value = getattr(status, each.field)
            if value is not None:
                self.add(each.name, each.kind, each.doc, written, float(value))

    def itself(self) -> None:
        """Which Heliobus this is, and what it takes of the machine."""
        self.add(*BUILD_INFO, labels({"site": self._site_name, "version": __version__}), 1)
        self.add(*CPU, "", time.process_time())
        # Elsewhere than on Linux there is no /proc, and the rest is true without it.
        with suppress(OSError, ValueError, IndexError):
            pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
            self.add(*MEMORY, "", pages * os.sysconf("SC_PAGE_SIZE"))
            self.add(*DESCRIPTORS, "", sum(1 for _ in Path("/proc/self/fd").iterdir()))

    def _labels(self, device: Device) -> Mapping[str, str]:
        return {
            "site": self._site_name,
            "device": device.key,
            "name": device.label or device.name,
            "role": device.role.value,
        }


def scrape(site: Site, site_name: str, statuses: Statuses) -> Iterable[Family]:
    """Everything there is to know now. A value that is not measured has no series."""
    found = Scrape(site_name)
    for device, reading in _present(site):
        found.device(device, reading)
    for status in statuses:
        found.output(status)
    found.itself()
    return found.families


def _present(site: Site) -> Iterable[tuple[Device, Reading]]:
    """Each device once: two of the same key would make the whole page invalid, so the one that answers is shown."""
    chosen: dict[str, tuple[Device, Reading]] = {}
    for device in site.devices:
        reading = site.reading(device.name)
        if reading is not None and (device.key not in chosen or reading.health in ANSWERING):
            chosen[device.key] = (device, reading)
    return chosen.values()
