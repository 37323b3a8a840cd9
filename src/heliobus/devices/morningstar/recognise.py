"""Who is there: a TriStar MPPT 150 V, its 600 V sister with another map, or something else (MS-002582 V11, §1.6, §4.4).

The product code decides. Where a gateway does not pass function 43, the NetBIOS name does, and last the scaling
registers, which are the same in the whole 150 V family.
"""

import re
from collections.abc import Generator
from typing import cast

from heliobus.devices.driver import Ask, Driver, NotOurs, Recognised, Recognition
from heliobus.devices.morningstar.points import MODELS
from heliobus.model.device import Identity
from heliobus.wire.modbus.coding import ascii_low_first, bcd16, version_hex
from heliobus.wire.modbus.pdu import DeviceIdentification, ReadDeviceIdentification, ReadRegisters

VENDOR, PRODUCT = 0, 1
SCALING = ReadRegisters(0x0000, 5, function=4)
IDENTITY = ReadRegisters(0xE0C0, 14, function=3)
NETBIOS = ReadRegisters(0x1029, 8, function=4)
SERIAL_WORDS, MODEL_WORD, HARDWARE_WORD = slice(0, 4), 12, 13
TS_MPPT = re.compile(r"TS-MPPT-\d")
SCALING_150 = (180, 0, 80, 0)
"""V_PU and I_PU of every 150 V model: 180 V, 80 A (its MIB, its captures)."""
PRINTED_SCALINGS = ((0x007B, 0xE041), (0x004E, 0x03A6))
"""V_PU of the specification's two worked examples, which no other device has at this place."""

Words = tuple[int, ...] | None


def recogniser(fits_150: Driver | None, fits_600: Driver | None) -> Recognition:
    """Questions to whatever is there; `fits_150` and `fits_600` are the declarations the verdict may name."""
    scaling = cast(Words, (yield Ask(SCALING)))
    identification = cast(DeviceIdentification | None, (yield Ask(ReadDeviceIdentification(1), optional=True)))
    vendor, product = _texts(identification)
    if vendor and "morningstar" not in vendor.lower():
        found = f"{vendor} {product}".rstrip()
        return NotOurs(f"what answers here is a {found}, not a Morningstar TriStar MPPT")
    if product:
        if TS_MPPT.match(product) is None:
            return NotOurs(f"a Morningstar {product} answers here, which has another register map than a TriStar MPPT")
        high_voltage = "600V" in product
    else:
        kind = yield from _without_product(scaling)
        if isinstance(kind, NotOurs):
            return kind
        high_voltage = kind
    driver = fits_600 if high_voltage else fits_150
    if driver is None:
        other = "morningstar-tristar-mppt-600v" if high_voltage else "morningstar-tristar-mppt"
        return NotOurs(f"this TriStar MPPT needs driver = {other!r}")
    words = cast(Words, (yield Ask(IDENTITY)))
    return Recognised(_identity(product, high_voltage, words, scaling), driver)


def _without_product(scaling: Words) -> Generator[Ask, object, bool | NotOurs]:
    """Whether it is the 600 V model, from the second and third witness."""
    name = _netbios(cast(Words, (yield Ask(NETBIOS, optional=True))))
    if name.startswith("tsmppt600v"):
        return True
    if name.startswith("tsmppt") or _scaled_like_150(scaling):
        return False
    found = (
        "the scaling registers 0 to 3 cannot be read" if scaling is None else f"its registers 0 to 3 read {scaling[:4]}"
    )
    return NotOurs(f"what answers here is no TriStar MPPT: it gives no product code, and {found}")


def _scaled_like_150(scaling: Words) -> bool:
    return scaling is not None and (scaling[:4] == SCALING_150 or scaling[:2] in PRINTED_SCALINGS)


def _texts(identification: DeviceIdentification | None) -> tuple[str, str]:
    if identification is None:
        return "", ""
    objects = identification.objects
    return _ascii(objects.get(VENDOR, b"")), _ascii(objects.get(PRODUCT, b""))


def _ascii(raw: bytes) -> str:
    return raw.decode("ascii", "replace").strip("\0 ")


def _netbios(words: Words) -> str:
    text = ascii_low_first(8).decode(words) if words else None
    return text.lower() if isinstance(text, str) else ""


def _identity(product: str, high_voltage: bool, words: Words, scaling: Words) -> Identity:
    serial = ascii_low_first(4).decode(words[SERIAL_WORDS]) if words else None
    # There is no version 0: an image that was not recorded there reads so.
    hardware = version_hex.decode(words[HARDWARE_WORD:]) if words and words[HARDWARE_WORD] else None
    software = (bcd16.decode(scaling[4:]) or None) if scaling else None
    firmware = ".".join(str(part) for part in (hardware, software) if part is not None)
    return Identity(
        vendor="Morningstar",
        model=_model(product, high_voltage, words),
        serial=serial if isinstance(serial, str) else None,
        firmware=firmware or None,
        hardware=str(hardware) if hardware is not None else None,
    )


def _model(product: str, high_voltage: bool, words: Words) -> str:
    if product:
        return product.replace("TS-MPPT", "TriStar MPPT").replace("-", " ")
    if high_voltage:
        return "TriStar MPPT 600V"
    return MODELS.get(words[MODEL_WORD], "TriStar MPPT") if words else "TriStar MPPT"
