"""Keeps a simulated line up until Ctrl-C and says where it is."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager

import click

from heliobus.cli.problem import WrongUse
from heliobus.sim.device import SimDevice
from heliobus.sim.faults import Faults
from heliobus.sim.pty_server import PtyServer, serve_pty
from heliobus.sim.server import TcpServer, serve_rtu_tcp, serve_tcp

Server = AbstractAsyncContextManager[TcpServer] | AbstractAsyncContextManager[PtyServer]
Hint = Callable[[str], str]
"""What to try, from the link in the config's words."""


def serve(
    devices: Mapping[int, SimDevice],
    wire: str,
    hint: Hint,
    *,
    port: int,
    faults: Faults,
    speed: float,
    close_after_answer: bool = True,
    speeds: Mapping[int, int] | None = None,
) -> None:
    """Serve over `tcp`, `rtu+tcp` or a `pty`, where `speeds` are the bit/s of each unit id.

    Raises WrongUse where the port cannot be used.
    """
    server: Server
    if wire == "pty":
        server = serve_pty(devices, faults=faults, speed=speed, speeds=speeds)
    elif wire == "rtu+tcp":
        server = serve_rtu_tcp(devices, port=port, faults=faults, speed=speed)
    else:
        server = serve_tcp(devices, port=port, faults=faults, speed=speed, close_after_answer=close_after_answer)
    try:
        asyncio.run(_serve(server, wire, hint))
    except OSError as error:
        raise WrongUse(f"port {port} cannot be used: {error.strerror}") from None


async def _serve(opening: Server, wire: str, hint: Hint) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with opening as server:
        where = f"serial:{server.path}" if isinstance(server, PtyServer) else f"{wire}://127.0.0.1:{server.port}"
        click.echo(f"listening: {where}")
        click.echo(hint(where))
        await stop.wait()
