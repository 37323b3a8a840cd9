"""Backups of all stored settings as JSON files: made before every change, and by `heliobus profile backup`."""

import asyncio
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from heliobus.atomic import write
from heliobus.model.command import StoredSetting

FORMAT, VERSION = "heliobus settings backup", 1
KEPT = 10


class BackupError(ValueError):
    """A backup that cannot be used for this charger; the text says why."""


@dataclass(frozen=True, slots=True)
class Origin:
    """What a backup is of: the charger's serial number, the driver's name, the nominal voltage, the time (UTC)."""

    serial: str
    driver: str
    system_voltage: int
    time: float


def backup_document(origin: Origin, stored: Iterable[StoredSetting]) -> dict[str, Any]:
    """The JSON document of a backup; values are actual volts, seconds, days, °C."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "serial": origin.serial,
        "driver": origin.driver,
        "system_voltage": origin.system_voltage,
        "time": datetime.fromtimestamp(origin.time, UTC).isoformat(timespec="seconds"),
        "settings": {
            each.point.name: {
                "value": each.value,
                "unit": each.point.unit,
                "word": each.word,
                "address": each.place.split()[-1],
            }
            for each in stored
        },
    }


def parse_backup(
    content: bytes, *, serial: str, system_voltage: int, another_serial: bool = False
) -> Mapping[str, float]:
    """The settings of a backup by point name, for the charger `serial` on `system_voltage`. Raises BackupError.

    `another_serial`: also take the backup of another charger. Values of another system voltage never fit.
    """
    try:
        document = json.loads(content)
        if document["format"] != FORMAT or document["version"] != VERSION:
            raise BackupError("this is not a backup of charge settings, or one of a newer version")
        of, volts = document["serial"], document["system_voltage"]
        if volts != system_voltage:
            raise BackupError(f"this backup is of a {volts} V system, and this charger is on {system_voltage} V")
        if of != serial and not another_serial:
            raise BackupError(f"this backup is of the charger with serial number {of}, not of {serial}")
        return {str(name): _number(name, each["value"]) for name, each in document["settings"].items()}
    except BackupError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BackupError(f"this is not a backup of charge settings ({type(error).__name__})") from error


async def keep(folder: Path | None, key: str, time: float, document: Mapping[str, Any]) -> None:
    """Have `document` on disk among the last `KEPT` backups of the device `key`. Raises OSError."""
    if folder is None:
        return
    content = json.dumps(document, indent=1).encode()
    stamp = datetime.fromtimestamp(time, UTC).strftime("%Y%m%dT%H%M%SZ")
    path = folder / "backups" / f"{key}-{stamp}.json"
    await asyncio.get_running_loop().run_in_executor(None, _keep, path, key, content)


def _keep(path: Path, key: str, content: bytes) -> None:
    write(path, content)
    mine = [each for each in path.parent.iterdir() if each.name.startswith(f"{key}-") and each != path]
    for old in sorted(mine)[: -(KEPT - 1)]:
        old.unlink(missing_ok=True)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise BackupError(f"the value of {name} in this backup is not a number")
    return value
