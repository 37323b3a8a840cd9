"""Coils: switches that are read back, and buttons that are pressed exactly once."""

import asyncio
import logging

from heliobus.control.plant import Plant
from heliobus.devices.driver import Register, Table
from heliobus.devices.terminal import RejectedError, TerminalError
from heliobus.devices.writes import Coil, Effect
from heliobus.model.command import Done, Failed, Outcome
from heliobus.model.point import Value

log = logging.getLogger("heliobus.control")

RETURN_TIME = 60.0
"""How long a device may be away after a restart, in seconds."""
ASKING_PAUSE = 1.0


class Switches:
    """The coils of one device."""

    def __init__(self, plant: Plant) -> None:
        self._plant = plant

    async def set(self, coil: Coil, on: bool) -> Outcome:
        """Turn a switch `on` or off and read it back. A coil that is so already is not written."""
        terminal = self._plant.terminal
        try:
            if await terminal.coil(coil) is on:
                return Done(int(on))
            try:
                await terminal.write_coil(coil, on)
            except RejectedError:
                raise
            except TerminalError as error:
                if not error.sent:
                    raise
            after = await terminal.coil(coil)
            if after is on and coil.effect is not None and not await self._follows(coil.effect, on):
                word = coil.point.text(int(not on))
                return Failed(
                    f"{coil.point.name} reads back {coil.point.text(int(on))}, but what it switches is {word}"
                )
        except TerminalError as error:
            return Failed(str(error))
        finally:
            self._look()
        if after is on:
            return Done(int(on))
        return Failed(f"{coil.point.name} was written, but reads back {coil.point.text(int(after))}")

    async def _follows(self, effect: Effect, on: bool) -> bool:
        """Whether the device shows what the switch says. Raises TerminalError."""
        register, terminal = effect.register, self._plant.terminal
        for _ in range(round(effect.time / ASKING_PAUSE)):
            try:
                words = await terminal.words((register,))
            except RejectedError:
                # Models that do not show it are believed.
                return True
            if bool(words[register.point.name] >> effect.bit & 1) is on:
                return True
            await asyncio.sleep(ASKING_PAUSE)
        return False

    async def press(self, coil: Coil) -> Outcome:
        """Press a button, once, whatever becomes of the answer."""
        plant = self._plant
        shown_before = self._evidence(coil)
        lost = ""
        try:
            await plant.terminal.write_coil(coil, True)
        except RejectedError as error:
            return Failed(str(error))
        except TerminalError as error:
            if not error.sent:
                return Failed(str(error))
            lost = str(error)
        try:
            if coil.restarts:
                return await self._await_return(coil, lost, shown_before)
        finally:
            self._look()
        if lost:
            return Failed(f"{coil.point.name} was sent once, but its answer is lost ({lost}); it is not sent again")
        return Done(1)

    async def _await_return(self, coil: Coil, lost: str, shown_before: bool) -> Outcome:
        """Wait until the device answers after a restart, and tell by what it shows if it did restart."""
        registers = self._plant.terminal.driver.registers
        wanted = registers[0].point if coil.evidence is None else coil.evidence[0]
        register = next(each for each in registers if each.point == wanted)
        try:
            async with asyncio.timeout(RETURN_TIME):
                value = await self._value_when_back(register)
        except TimeoutError:
            return Failed(f"{coil.point.name} was sent once; nothing has answered for {RETURN_TIME:.0f} s since")
        if not lost or coil.evidence is None or shown_before or _bit(value, coil.evidence[1]):
            return Done(1)
        return Failed(f"{coil.point.name} was sent once and its answer is lost; the device shows no restart")

    async def _value_when_back(self, register: Register) -> Value:
        plant = self._plant
        while True:
            await asyncio.sleep(ASKING_PAUSE)
            try:
                return (await plant.terminal.values([register], plant.factors()))[register.point.name]
            except TerminalError as error:
                log.debug("%s: not back yet: %s", plant.name, error)

    def _evidence(self, coil: Coil) -> bool:
        if coil.evidence is None:
            return False
        point, bit = coil.evidence
        return _bit(self._plant.values.get(point.name), bit)

    def _look(self) -> None:
        """Have the poller read what a coil changes."""
        plant = self._plant
        names = {each.point.name for each in plant.terminal.driver.registers if each.table is Table.COILS}
        if plant.writes.eeprom is not None:
            names.add(plant.writes.eeprom.state.point.name)
        names.update(coil.effect.register.point.name for coil in plant.writes.coils if coil.effect is not None)
        plant.refresh(names)


def _bit(value: Value, bit: int) -> bool:
    return isinstance(value, int) and bool(value >> bit & 1)
