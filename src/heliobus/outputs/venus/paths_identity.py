"""Who a device is, on every service. Source: venus.md §2."""

from heliobus import __version__
from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.outputs.venus.leaf import Constant

# Numbers of our own, one a driver, outside of all that Victron's programs know (venus.md §2.3). Never change one.
PRODUCT_IDS = {
    "morningstar-tristar-mppt": 0xBE10,
    "epever-tracer": 0xBE20,
    "epever-duoracer": 0xBE21,
    "pzem-ac": 0xBE30,
    "pzem-dc": 0xBE31,
}

FIRMWARE = "/FirmwareVersion"


def product_name(device: Device) -> str:
    """Vendor and model; never empty, else the GX hides the device."""
    return f"{device.identity.vendor} {device.identity.model}".strip() or device.driver


def firmware_number(text: str | None) -> int | None:
    """`1.1.42` as Victron writes versions: 0x010142, the digits of each part as one byte. None if that cannot be."""
    parts = (text or "").split(".")
    if not 2 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() and len(part) <= 2 for part in parts):
        return None
    return int("".join(part.zfill(2) for part in parts), 16)


def _version(value: Value) -> str:
    digits = f"{value:04x}" if isinstance(value, int) else ""
    digits = digits.zfill(len(digits) + len(digits) % 2)
    return ".".join(f"{int(digits[at : at + 2])}" for at in range(0, len(digits), 2))


def _hex(value: Value) -> str:
    return f"0x{value:X}"


IDENTITY = (
    Constant("/Mgmt/ProcessName", "s", lambda device: "heliobus"),
    Constant("/Mgmt/ProcessVersion", "s", lambda device: __version__),
    Constant("/Mgmt/Connection", "s", lambda device: device.address),
    Constant("/ProductId", "i", lambda device: PRODUCT_IDS.get(device.driver), _hex),
    Constant("/ProductName", "s", product_name),
    Constant(FIRMWARE, "i", lambda device: firmware_number(device.identity.firmware), _version),
    Constant("/HardwareVersion", "s", lambda device: device.identity.hardware),
    Constant("/Serial", "s", lambda device: device.identity.serial),
)
