"""Which adapter is behind a tty: a text that stays the same when the kernel numbers its ttys anew."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

SYS = Path("/sys")
DEV = Path("/dev")

_SEQUENCE = "0123456789ABCDEF"


@dataclass(frozen=True, slots=True)
class _Usb:
    """A USB tty: its adapter's ids and serial number, which of the adapter's ports it is, and where that is plugged."""

    vendor: str
    product: str
    serial: str
    port: str
    socket: str

    @property
    def name(self) -> str:
        """`usb-1a86-55d3-5433`: the adapter and its port, wherever it is plugged in."""
        return f"usb-{self.vendor}-{self.product}-{self.serial}{self.port}"


def adapter_of(path: str, *, sys: Path = SYS, dev: Path = DEV) -> str:
    """A stable text for the adapter of the tty at `path`: by its serial number, else by the socket it is plugged into.

    A built-in port is its path. What is not there is the name that udev gave it, if `path` is one, else `path`.
    """
    real = os.path.realpath(path)
    if not Path(real).exists():
        return Path(path).name if f"{dev}/serial/by-" in path else path
    tty = Path(real).name
    usb = _usb(sys, tty)
    if usb is None:
        # The number of a pseudo terminal is worth nothing, but the name somebody gave it may last.
        return path if "/pts/" in real else real
    if _is_unique(sys, tty, usb):
        return usb.name
    return _by_path(dev, real) or f"usb-{usb.vendor}-{usb.product}-at-{usb.socket}{usb.port}"


def _usb(sys: Path, tty: str) -> _Usb | None:
    """What sysfs says of the adapter of `tty`; None unless it is a USB adapter."""
    device = Path(os.path.realpath(sys / "class/tty" / tty / "device"))
    port = ""
    number = _read(device / "port_number")
    if number not in {"", "0"}:
        port = f"-port{number}"
    for place in (device, *device.parents):
        interface = _read(place / "bInterfaceNumber")
        if interface not in {"", "00"}:
            port = f"-if{interface}{port}"
        vendor = _read(place / "idVendor")
        if vendor:
            return _Usb(vendor, _read(place / "idProduct"), _read(place / "serial"), port, place.name)
    return None


def _is_unique(sys: Path, tty: str, usb: _Usb) -> bool:
    """Whether the serial number tells this adapter from others: many cheap ones all carry the same."""
    plain = re.sub(r"[^A-Za-z0-9]", "", usb.serial).upper()
    significant = plain.lstrip("0")
    if len(significant) < 2 or significant in _SEQUENCE:
        return False
    others = (each.name for each in (sys / "class/tty").iterdir() if re.search(r"USB|ACM", each.name))
    return all(other == tty or (found := _usb(sys, other)) is None or found.name != usb.name for other in others)


def _by_path(dev: Path, real: str) -> str | None:
    """The name udev gives the socket; the first one where it gives several."""
    try:
        names = sorted(each.name for each in (dev / "serial/by-path").iterdir() if os.path.realpath(each) == real)
    except OSError:
        return None
    return names[0] if names else None


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
