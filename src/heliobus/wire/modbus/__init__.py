"""A sans-IO Modbus core: bytes in, values out."""
