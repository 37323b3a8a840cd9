"""Host names, looked up in a thread of their own: without internet that hangs, and the rest must go on and end."""

import socket
from functools import partial
from typing import Any

from heliobus.outputs.daemon_thread import apart

Address = tuple[int, int, int, str, Any]
"""Family, kind, protocol, canonical name and address, as `socket.getaddrinfo` gives them."""


async def addresses(host: str, port: int, family: int = socket.AF_UNSPEC) -> list[Address]:
    """Where TCP reaches `host`. Raises OSError."""
    look = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
    try:
        # A number needs no thread.
        return list(look(flags=socket.AI_NUMERICHOST))
    except socket.gaierror:
        return list(await apart(look))
