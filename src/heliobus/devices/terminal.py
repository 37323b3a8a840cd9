"""Where control reaches a device: fresh reads and single writes, ahead of all polling, and only what is declared."""

from collections.abc import Iterable, Mapping, Sequence

from heliobus.devices.decode import Decoder
from heliobus.devices.driver import Driver, Register
from heliobus.devices.identify import GATEWAY_EXCEPTIONS
from heliobus.devices.plan import Cost, plan
from heliobus.devices.writes import WRITE_SINGLE, ClockSetting, Coil, Request, Span
from heliobus.model.point import Value
from heliobus.wire.bus import Bus, BusError, LinkDown
from heliobus.wire.modbus.answer import ModbusException
from heliobus.wire.modbus.pdu import ReadBits, ReadRegisters, WriteCoil, WriteRegister, WriteRegisters
from heliobus.wire.modbus.vendor import VendorRequest

WriteRequest = WriteRegister | WriteRegisters | WriteCoil | VendorRequest


class TerminalError(Exception):
    """A read or write came to nothing; the text is one line. `sent`: a write may have taken effect all the same."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class RejectedError(TerminalError):
    """The device answered with exception `code`: nothing was changed."""

    def __init__(self, why: str, code: int) -> None:
        super().__init__(why, sent=False)
        self.code = code


class Terminal:
    """The device with id `unit` on `bus`, as `driver` declares it."""

    def __init__(self, bus: Bus, unit: int, driver: Driver, cost: Cost) -> None:
        self.driver = driver
        self.unit = unit
        self._bus = bus
        self._cost = cost
        writes = driver.writes
        self._registers = frozenset(register.address for register in writes.registers()) if writes else frozenset()
        self._coils = frozenset(coil.address for coil in writes.coils) if writes else frozenset()
        self._spans = writes.spans() if writes else frozenset()

    async def words(self, registers: Iterable[Register]) -> dict[str, int]:
        """The raw words of these one-word registers, fresh from the device, by point name. Raises TerminalError."""
        words: dict[str, int] = {}
        for block in plan(registers, self.driver.limits, self._cost):
            answer = await self._read(ReadRegisters(block.address, block.count, block.table))
            words.update({each.point.name: answer[each.address - block.address] for each in block.registers})
        return words

    async def values(self, registers: Iterable[Register], factors: Mapping[str, Value]) -> dict[str, Value]:
        """The values of these registers, fresh from the device, by point name. Raises TerminalError."""
        values: dict[str, Value] = {}
        for block in plan(registers, self.driver.limits, self._cost):
            answer = await self._read(ReadRegisters(block.address, block.count, block.table))
            decoded, _ = Decoder(block).decode(answer, factors)
            values.update(decoded)
        return values

    async def coil(self, coil: Coil) -> bool:
        """What the coil reads now, as its point means it. Raises TerminalError."""
        (on,) = await self._read(ReadBits(coil.address, 1))
        return bool(on) is not coil.inverted

    async def write_word(self, register: Register, word: int, *, once: bool) -> None:
        """Write one register. `once`: never send it again by itself, for what wears or triggers. Raises TerminalError.

        Raises ValueError for a register that is not declared as writable.
        """
        if register.address not in self._registers:
            raise ValueError(f"register 0x{register.address:04X} is not declared as writable")
        await self._write(WriteRegister(register.address, word, idempotent=not once))

    async def write_coil(self, coil: Coil, on: bool) -> None:
        """Write one coil, exactly once; `on` as its point means it. Raises TerminalError, ValueError as above."""
        if coil.address not in self._coils:
            raise ValueError(f"coil 0x{coil.address:04X} is not declared as writable")
        await self._write(WriteCoil(coil.address, on is not coil.inverted))

    async def write_span(self, span: Span, words: Sequence[int]) -> None:
        """Write the registers of `span` in one request, exactly once. Raises TerminalError, ValueError as above."""
        settings = self.driver.writes.settings if self.driver.writes else None
        if settings is not None and settings.function == WRITE_SINGLE and len(words) == span.count == 1:
            await self.write_word(span.registers[0], words[0], once=True)
        else:
            await self._write_run(span.address, span.count, words)

    async def write_clock(self, clock: ClockSetting, words: Sequence[int]) -> None:
        """Write the device's clock in one request, exactly once. Raises TerminalError, ValueError as above."""
        await self._write_run(clock.register.address, clock.register.count, words)

    async def send(self, request: Request) -> None:
        """Send a request of the vendor's own, exactly once. Raises TerminalError, ValueError as above."""
        writes = self.driver.writes
        if writes is None or request not in writes.requests:
            raise ValueError(f"request 0x{request.function:02X} is not declared")
        await self._write(VendorRequest(request.function, request.payload, request.answer_size))

    async def _write_run(self, address: int, count: int, words: Sequence[int]) -> None:
        if (address, count) not in self._spans or len(words) != count:
            raise ValueError(f"{len(words)} registers from 0x{address:04X} are not declared as writable together")
        await self._write(WriteRegisters(address, tuple(words), idempotent=False))

    async def _read(self, request: ReadRegisters | ReadBits) -> tuple[int, ...]:
        try:
            return await self._bus.ask(self.unit, request, timing=self.driver.timing, urgent=True)
        except BusError as error:
            raise TerminalError(str(error), sent=False) from error
        except ModbusException as error:
            raise RejectedError(str(error), error.code) from error

    async def _write(self, request: WriteRequest) -> None:
        try:
            await self._bus.ask(self.unit, request, timing=self.driver.timing, urgent=True)
        except LinkDown as error:
            # A link that goes down under a request that is sent once is reported as no answer instead.
            raise TerminalError(str(error), sent=request.idempotent) from error
        except BusError as error:
            raise TerminalError(str(error), sent=True) from error
        except ModbusException as error:
            if error.code in GATEWAY_EXCEPTIONS:
                # A gateway that got no answer cannot say whether the device took it.
                raise TerminalError(str(error), sent=True) from error
            raise RejectedError(str(error), error.code) from error
