"""RTU frames that nobody here asked for, found in bytes by the shapes of the standard functions and their CRC."""

from heliobus.wire.modbus.crc import crc16

MAX_FRAME = 256
_SHORTEST = 4
_LAST_UNIT = 248
_FUNCTIONS = frozenset((1, 2, 3, 4, 5, 6, 15, 16, 22, 23, 43))

Bytes = bytes | bytearray


def is_whole(frame: Bytes) -> bool:
    """Whether `frame` ends with its own checksum."""
    return crc16(bytes(frame[:-2])) == frame[-2] | frame[-1] << 8


def frame_lengths(data: Bytes, at: int = 0) -> tuple[int, ...]:
    """The lengths, shortest first, that a frame which begins at `at` can have; none if none begins there."""
    left = len(data) - at
    if left < _SHORTEST or not 1 <= data[at] <= _LAST_UNIT or data[at + 1] & 0x7F not in _FUNCTIONS:
        return ()
    function = data[at + 1]
    if function & 0x80:
        return (5,)
    if function in (1, 2, 3, 4):
        return tuple(sorted((8, 5 + data[at + 2])))
    if function in (15, 16):
        return (8, 9 + data[at + 6]) if left > 6 else (8,)
    if function == 23:
        return tuple(sorted((5 + data[at + 2], 13 + data[at + 10]))) if left > 10 else (5 + data[at + 2],)
    return ({22: 10, 43: 7}.get(function, 8),)


def find_frames(data: Bytes, *, complete: bool) -> tuple[list[bytes], int]:
    """The valid frames in `data` and how many bytes have been dealt with.

    Unless `complete`, a place is judged only once the longest frame could have ended: what more bytes say never
    changes what has been said.
    """
    frames = []
    at = 0
    end = len(data)
    while at < end and (complete or end - at >= MAX_FRAME):
        for length in frame_lengths(data, at):
            if length <= min(MAX_FRAME, end - at) and is_whole(data[at : at + length]):
                frames.append(bytes(data[at : at + length]))
                at += length
                break
        else:
            at += 1
    return frames, at
