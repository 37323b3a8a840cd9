"""The TriStar as its owner sets it up on the GX: `/Settings/TristarMPPT/*` in localsettings."""

import logging
import re
from functools import partial

from heliobus.outputs.venus.charger_control_settings import CONTROL_SETTINGS, control_of
from heliobus.outputs.venus.charger_group import GROUP, Stored, setting
from heliobus.outputs.venus.host import ChargerSettings, VenusHost
from heliobus.outputs.venus.setting import Keeping, SettingValue

DRIVER = "morningstar-tristar-mppt"

# Interval is in milliseconds.
PLACE_SETTINGS = (
    setting("IPAddress", ""),
    setting("PortNumber", 502, 1, 65535),
    setting("Interval", 5000, 1000, 60000),
    setting("SlaveID", 1, 1, 247),
)
SETTINGS = (*PLACE_SETTINGS, *CONTROL_SETTINGS)
_HOST = re.compile(r"[A-Za-z0-9_.:%-]+")

log = logging.getLogger(__name__)


class ChargerFollower:
    """Hands the charger's settings to the host at every change. It outlives a connection to the bus."""

    def __init__(self, host: VenusHost) -> None:
        self._host = host
        self._values: dict[str, SettingValue] = {}
        self._said: tuple[str, ...] = ()
        self._placed: ChargerSettings | None = None
        self._started = False

    def follow(self, settings: Keeping) -> None:
        """Follow all settings of the charger in `settings`."""
        for each in SETTINGS:
            settings.follow(each, partial(self._told, each.path))

    def _told(self, path: str, value: SettingValue) -> None:
        self._values[path.removeprefix(GROUP)] = value
        if len(self._values) < len(SETTINGS):
            return
        charger, remarks = charger_of(self._values)
        for remark in remarks:
            if remark not in self._said:
                log.warning("%s", remark)
        self._said = remarks
        if not self._started or charger != self._placed:
            self._started, self._placed = True, charger
            self._host.place(charger)


def charger_of(values: dict[str, SettingValue]) -> tuple[ChargerSettings | None, tuple[str, ...]]:
    """The charger that the settings describe, by their names, and what is to be said about them."""
    host = str(values["IPAddress"]).strip()
    if not host:
        return None, (f"no TriStar is set up: write its address to {GROUP}IPAddress",)
    if not _HOST.fullmatch(host):
        return None, (f"{GROUP}IPAddress is {host!r}: neither an IP address nor a host name",)
    stored = Stored(values, SETTINGS)
    port, interval, unit = (stored.whole(name) for name in ("PortNumber", "Interval", "SlaveID"))
    control = control_of(stored)
    return ChargerSettings(DRIVER, host, port, interval / 1000, unit, control), tuple(stored.remarks)
