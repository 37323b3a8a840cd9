"""Bytes: links, the bus that owns each of them, and the protocol cores."""
