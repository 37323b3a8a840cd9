"""The CRC-16 of Modbus RTU (Modbus over Serial Line V1.02, §6.2.2): polynomial 0xA001, initial 0xFFFF."""


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
        entries.append(crc)
    return tuple(entries)


_TABLE = _table()


def crc16(frame: bytes) -> int:
    """The checksum of `frame`; on the wire its low byte goes first."""
    crc = 0xFFFF
    for byte in frame:
        crc = (crc >> 8) ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc


def with_crc(frame: bytes) -> bytes:
    """`frame` followed by its checksum as it goes on the wire."""
    return frame + crc16(frame).to_bytes(2, "little")
