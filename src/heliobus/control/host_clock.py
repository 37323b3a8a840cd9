"""Whether this machine knows what time it is."""

from datetime import UTC, datetime

from heliobus.model.clock import Clock

EARLIEST_YEAR = 2024
"""A clock that says less was never set."""
STA_UNSYNC = 0x0040
"""adjtimex(2): no time server has set the clock."""
TIMEX_SIZE, STATUS_OFFSET = 512, 40
"""More bytes than struct timex has anywhere; where `status` is on 64-bit Linux."""
STATUS_OFFSET_32 = 20


def is_plausible(clock: Clock) -> bool:
    """Whether `clock` was ever set."""
    return datetime.fromtimestamp(clock.time(), UTC).year >= EARLIEST_YEAR


def is_synchronised() -> bool | None:
    """Whether a time server keeps this machine's clock; None where that cannot be told."""
    try:
        import ctypes  # noqa: PLC0415  rarely needed, and not everywhere
    except ImportError:
        return None
    timex = ctypes.create_string_buffer(TIMEX_SIZE)
    try:
        state = ctypes.CDLL(None).adjtimex(timex)
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    offset = STATUS_OFFSET if ctypes.sizeof(ctypes.c_long) == 8 else STATUS_OFFSET_32
    return not ctypes.c_int.from_buffer(timex, offset).value & STA_UNSYNC
