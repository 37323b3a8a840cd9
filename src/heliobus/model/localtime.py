"""Local days by the site's time zone, also where Python's zoneinfo is missing (Venus OS 3.60 to 3.67)."""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

LocalTime = Callable[[float], datetime]
"""UTC seconds since 1970 → local date and time."""


class UnknownTimeZoneError(ValueError):
    """There is no time zone of this name on the machine."""


def local_time(zone: str | None) -> LocalTime:
    """A converter for `zone` (`Europe/Oslo`), or for the machine's own zone when it is None or empty.

    Raises UnknownTimeZoneError. Without zoneinfo the zone becomes that of the whole process, by the C library.
    """
    if not zone:
        return lambda moment: datetime.fromtimestamp(moment).astimezone()
    try:
        import zoneinfo  # noqa: PLC0415  missing on Venus OS 3.60 to 3.67
    except ImportError:
        return _by_c_library(zone)
    try:
        info = zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UnknownTimeZoneError(f"no time zone named {zone!r} on this machine") from error
    return lambda moment: datetime.fromtimestamp(moment, info)


def _by_c_library(zone: str) -> LocalTime:
    # The C library takes a zone it does not know for UTC without a word.
    if not (Path(os.environ.get("TZDIR", "/usr/share/zoneinfo")) / zone).is_file():
        raise UnknownTimeZoneError(f"no time zone named {zone!r} on this machine")
    os.environ["TZ"] = zone
    time.tzset()

    def convert(moment: float) -> datetime:
        return datetime.fromtimestamp(moment, UTC).astimezone()

    return convert
