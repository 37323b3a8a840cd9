"""The newest values of a device in a file: a JSON object, and for EPever Tracers that of the older EPever monitor.

That program's file is `ep_tracer_<id>.log` with lines `key:value`, the id being the unit number (epever-pzem-peers.md
§1.2). Its state of charge is in percent there, its status words are shown as the device sends them.
"""

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from heliobus.model.device import Device
from heliobus.model.localtime import LocalTime
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.outputs.files import rows
from heliobus.outputs.files.daily import file_names

SOURCE = b'{"source":"heliobus",'
"""How each of our JSON files begins."""
TRACERS = "epever-"
KEYS: Mapping[str, tuple[str, float]] = {
    "pvvolt": ("pv_voltage", 1),
    "pvamps": ("pv_current", 1),
    "bavolt": ("battery_voltage", 1),
    "baamps": ("battery_current", 1),
    "baperc": ("soc_estimate", 1),
    "batemp": ("battery_probe_temperature", 1),
    "bastat": ("battery_status", 1),
    "dcvolt": ("load_voltage", 1),
    "dcamps": ("load_current", 1),
    "epstat": ("charging_status", 1),
    "eptemp1": ("controller_temperature", 1),
    "eptemp2": ("power_stage_temperature", 1),
    # That file ends here; these are the rest of its program's checks.
    "pvwatt": ("pv_power", 1),
    "bawatt": ("battery_power", 1),
    "dcwatt": ("load_power", 1),
    "pvkwhtotal": ("energy_total_counter", 1),
    "dckwhtotal": ("load_energy_total", 1),
    "pvkwhtoday": ("energy_day_counter", 0.001),
    "dckwhtoday": ("load_energy_today", 1),
}
"""Key of the file → point, and what its value is multiplied by."""
SEED_NAME = re.compile(r"ep_tracer_[a-z0-9_]+\.log")
_UNIT = re.compile(r"unit (\d+)$")


def json_text(device: Device, reading: Reading, local: LocalTime) -> bytes:
    """The JSON file: who it is, how it is, when it last answered (null: never), and all columns of a row."""
    moment = rows.moment(local(reading.time)) if reading.time > 0 else ""
    head = {"source": "heliobus", "device": device.name, "key": device.key, "health": reading.health.value}
    cells = {**rows.cells(device, moment, reading.values), rows.TIME: moment or None}
    return rows.json_line({**head, **cells})


def seed_text(reading: Reading) -> bytes:
    """The lines of the older program; what is not measured has a key and no value. `time` is in UTC seconds."""
    lines = [f"{key}:{_number(reading.values.get(point), times)}\n" for key, (point, times) in KEYS.items()]
    lines.append(f"time:{reading.time:.0f}\n" if reading.time > 0 else "time:\n")
    return "".join(lines).encode("ascii")


def names(devices: Sequence[Device]) -> Mapping[str, tuple[str, ...]]:
    """The files of each device, by its name."""
    seeds: dict[str, str] = {}
    for device in sorted(devices, key=lambda each: each.number):
        if device.driver.startswith(TRACERS):
            wanted = f"ep_tracer_{_id(device)}"
            # The same unit on another line: the number belongs to the device that was known first.
            taken = f"{wanted}.log" in seeds.values()
            seeds[device.name] = (
                f"{wanted}_{re.sub('[^a-z0-9]', '_', device.key.lower())}.log" if taken else f"{wanted}.log"
            )
    plain = file_names(devices)
    return {
        device.name: (f"{plain[device.name]}.json", *([seeds[device.name]] if device.name in seeds else []))
        for device in devices
    }


def contents(device: Device, reading: Reading, local: LocalTime, files: Iterable[str]) -> Mapping[str, bytes]:
    """What stands in each of the device's `files`."""
    return {name: seed_text(reading) if name.endswith(".log") else json_text(device, reading, local) for name in files}


def replace(path: Path, content: bytes) -> None:
    """Put `content` in place of `path` in one step. Blocks. Raises OSError.

    Nothing is synced: it is written anew every second, and after a power cut at the next start.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    # Made anew, never followed: the directory may be one in which others can plant links.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def left_over(folder: Path) -> list[Path]:
    """Files in `folder` that are snapshots of ours. Blocks. Raises OSError."""
    return [path for path in folder.iterdir() if _ours(path)] if folder.is_dir() else []


def _ours(path: Path) -> bool:
    if path.is_symlink() or not path.is_file() or path.stat().st_uid != os.geteuid():
        return False
    if path.suffix == ".json":
        with path.open("rb") as file:
            return file.read(len(SOURCE)) == SOURCE
    return SEED_NAME.fullmatch(path.name) is not None


def _id(device: Device) -> int:
    """The unit number, as that program counts; without one the device's own number from 1."""
    unit = _UNIT.search(device.address)
    return int(unit[1]) if unit is not None else device.number + 1


def _number(value: Value, times: float) -> str:
    return "" if value is None else str(value if times == 1 or isinstance(value, str) else round(value * times, 6))
