"""What a device serves and what it refused: learned once, and remembered over outages. Pure."""

from dataclasses import dataclass, field

from heliobus.devices.driver import Recognised
from heliobus.devices.image import Image
from heliobus.wire.modbus.pdu import ReadBits, ReadDeviceIdentification, ReadRegisters

Request = ReadRegisters | ReadBits | ReadDeviceIdentification


@dataclass(slots=True)
class Learned:
    """Of the device `who`: the requests it once answered, and those it refused as not supported."""

    who: tuple[str | None, ...] = ()
    served: set[Request] = field(default_factory=set)
    refused: set[Request] = field(default_factory=set)

    def apply(self, image: Image) -> None:
        """Part the blocks of `image` as those that were refused were parted, without asking for them again."""
        waiting = list(image.slots)
        while waiting:
            slot = waiting.pop()
            if slot.request in self.refused:
                waiting.extend(image.refuse(slot))
            slot.served = slot.request in self.served


def who(recognised: Recognised) -> tuple[str | None, ...]:
    """What tells a device, and what it serves, from another one at its place: a new firmware may serve more."""
    identity = recognised.identity
    return recognised.driver.name, identity.vendor, identity.model, identity.serial, identity.firmware
