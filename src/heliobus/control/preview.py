"""What a command would write, for people to look at before it does."""

from collections.abc import Iterable

from heliobus.control.channel import floor_word
from heliobus.control.plant import Plant
from heliobus.control.settings import SettingChange
from heliobus.devices.encode import decode
from heliobus.devices.terminal import TerminalError
from heliobus.devices.writes import Coil, Request
from heliobus.model import vocabulary as v
from heliobus.model.command import Change, Failed
from heliobus.model.point import Value


async def coil_change(plant: Plant, coil: Coil, new: int) -> tuple[Change] | Failed:
    """The coil, with what it reads now."""
    old: int | None = None
    if not coil.momentary:
        try:
            old = int(await plant.terminal.coil(coil))
        except TerminalError as error:
            return Failed(str(error))
    flip = int(coil.inverted)
    old_word = None if old is None else old ^ flip
    return (Change(coil.point.name, f"coil 0x{coil.address:04X}", old, new, old_word, new ^ flip),)


def request_change(request: Request) -> tuple[Change]:
    """A request of the vendor's own: no register is written."""
    return (Change(request.point.name, f"request 0x{request.function:02X}", None, 1, None, 1),)


def setting_changes(changes: Iterable[SettingChange]) -> tuple[Change, ...]:
    """The registers of stored settings."""
    return tuple(
        Change(
            each.register.point.name,
            f"register 0x{each.register.address:04X}",
            each.old,
            each.new,
            each.old_word,
            each.new_word,
        )
        for each in changes
    )


def limit_changes(plant: Plant, name: str, value: Value) -> tuple[Change, ...]:
    """The RAM register of an owner's limit, empty for what writes nothing by itself; other limits may be lower."""
    slave, factors = plant.writes.slave, plant.factors()
    if slave is None or not isinstance(value, int | float):
        return ()
    register = {v.CHARGE_VOLTAGE_LIMIT.name: slave.volts, v.CHARGE_CURRENT_LIMIT.name: slave.amps}.get(name)
    if register is None:
        return ()
    word = floor_word(register, value, factors) if value else slave.release
    if word is None:
        return ()
    new = decode(register, word, factors) if value else 0.0
    place = f"register 0x{register.address:04X}, in RAM, renewed while it holds"
    return (Change(name, place, plant.values.get(name), new, None, word),)
