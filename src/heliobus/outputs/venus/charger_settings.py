"""The TriStar as its owner sets it up on the GX: `/Settings/TristarMPPT/*` in localsettings."""

import logging
import re
from functools import partial

from heliobus.outputs.venus.host import ChargerSettings, VenusHost
from heliobus.outputs.venus.settings import Setting, Settings, SettingValue

DRIVER = "morningstar-tristar-mppt"
GROUP = "/Settings/TristarMPPT/"

# Interval is in milliseconds.
SETTINGS = (
    Setting(GROUP + "IPAddress", ""),
    Setting(GROUP + "PortNumber", 502, 1, 65535),
    Setting(GROUP + "Interval", 5000, 1000, 60000),
    Setting(GROUP + "SlaveID", 1, 1, 247),
)
_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")

log = logging.getLogger(__name__)


class ChargerFollower:
    """Hands the charger's settings to the host at every change. It outlives a connection to the bus."""

    def __init__(self, host: VenusHost) -> None:
        self._host = host
        self._values: dict[str, SettingValue] = {}
        self._said = ""
        self._placed: ChargerSettings | None = None
        self._started = False

    def follow(self, settings: Settings) -> None:
        """Follow the four settings in `settings`."""
        for setting in SETTINGS:
            settings.follow(setting, partial(self._told, setting.path))

    def _told(self, path: str, value: SettingValue) -> None:
        self._values[path.removeprefix(GROUP)] = value
        if len(self._values) < len(SETTINGS):
            return
        charger, remark = charger_of(self._values)
        if remark and remark != self._said:
            log.warning("%s", remark)
        self._said = remark
        if not self._started or charger != self._placed:
            self._started, self._placed = True, charger
            self._host.place(charger)


def charger_of(values: dict[str, SettingValue]) -> tuple[ChargerSettings | None, str]:
    """The charger that the four settings describe, and what is to be said about them, empty if nothing."""
    host = str(values["IPAddress"]).strip()
    if not host:
        return None, f"no TriStar is set up: write its address to {GROUP}IPAddress"
    if not _HOST.fullmatch(host):
        return None, f"{GROUP}IPAddress is {host!r}: neither an IP address nor a host name"
    numbers: list[int] = []
    remark = ""
    for setting in SETTINGS[1:]:
        value = values[setting.path.removeprefix(GROUP)]
        if isinstance(value, str) or not setting.low <= value <= setting.high:
            # localsettings keeps stored values that are outside of limits set later (venus.md §4.1).
            remark = f"{setting.path} is {value!r}, not {setting.low} to {setting.high}: using {setting.default}"
            value = int(setting.default or 0)
        numbers.append(int(value))
    port, interval, unit = numbers
    return ChargerSettings(DRIVER, host, port, interval / 1000, unit), remark
