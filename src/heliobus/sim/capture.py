"""A device that serves a recorded register image, for proving a driver against what a real device once said."""

from collections.abc import Iterable, Mapping, Sequence

from heliobus.sim.device import (
    ILLEGAL_ADDRESS,
    ILLEGAL_FUNCTION,
    ILLEGAL_VALUE,
    Origin,
    RefusalError,
    SimDevice,
)


class SimCapture(SimDevice):
    """Serves `words` (address to word) in holding and input registers; what is not recorded reads 0.

    `ranges`: (first, last) pairs that are served, all others refuse with exception 2; None serves every address.
    `input_words`: separate input registers, where the device has them. `max_registers`: longer requests are refused
    with `too_long_code`. `objects`: the strings of 43/14. `writable`: addresses that FC 06 and 16 change.
    """

    def __init__(
        self,
        words: Mapping[int, int],
        *,
        input_words: Mapping[int, int] | None = None,
        ranges: Iterable[tuple[int, int]] | None = None,
        objects: Mapping[int, str] | None = None,
        coils: Mapping[int, bool] | None = None,
        max_registers: int = 125,
        too_long_code: int = ILLEGAL_VALUE,
        writable: Iterable[int] = (),
    ) -> None:
        self.words = dict(words)
        self.input_words = self.words if input_words is None else dict(input_words)
        self.coils = None if coils is None else dict(coils)
        self._ranges = None if ranges is None else tuple(ranges)
        self._objects = objects
        self._max_registers = max_registers
        self._too_long_code = too_long_code
        self._writable = frozenset(writable)

    def advance(self, seconds: float) -> None:
        """A recording does not age."""

    def read_words(self, function: int, address: int, count: int) -> Sequence[int]:
        """The recorded words."""
        if count > self._max_registers:
            raise RefusalError(self._too_long_code)
        if address + count > 0x10000 or not self._served(address, count):
            raise RefusalError(ILLEGAL_ADDRESS)
        words = self.input_words if function == 4 else self.words
        return [words.get(index, 0) for index in range(address, address + count)]

    def read_bits(self, function: int, address: int, count: int) -> Sequence[bool]:
        """The recorded coils."""
        if self.coils is None:
            raise RefusalError(ILLEGAL_FUNCTION)
        return [self.coils.get(index, False) for index in range(address, address + count)]

    def write_register(self, address: int, word: int, origin: Origin) -> None:
        """Change a word that was declared writable."""
        if address not in self._writable:
            raise RefusalError(ILLEGAL_ADDRESS)
        self.words[address] = word

    def identification(self) -> Mapping[int, str]:
        """The recorded strings."""
        if self._objects is None:
            raise RefusalError(ILLEGAL_FUNCTION)
        return self._objects

    def _served(self, address: int, count: int) -> bool:
        if self._ranges is None:
            return True
        return any(first <= address and address + count - 1 <= last for first, last in self._ranges)
