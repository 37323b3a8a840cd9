"""The way from the command line to a device when no daemon runs: this process is the master for one command."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress

import click

from heliobus.cli.problem import Problem, control_off
from heliobus.config import Config, DeviceConfig
from heliobus.model import vocabulary as v
from heliobus.outputs.requests import Message, Request, Requests, Say
from heliobus.site import Site

OpenControl = Callable[[Config, DeviceConfig], AbstractAsyncContextManager[Site]]
"""Holds the state directory and gives a site whose one device is under control and has answered."""

RENEWED = frozenset(
    point.name
    for point in (
        v.CHARGE_VOLTAGE_LIMIT,
        v.CHARGE_CURRENT_LIMIT,
        v.TOP_CHARGE,
        v.BMS_REQUIRED,
        v.REMOTE_NETWORK_MODE,
        v.REMOTE_CHARGE_VOLTAGE,
        v.REMOTE_CHARGE_CURRENT,
    )
)
"""What the charger forgets unless it is told again and again."""


class Direct:
    """Answers as the daemon would, except for what needs somebody who stays."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests

    async def ask(self, request: Request, say: Say) -> Message:
        """The last line of the answer; `say` is given those before it."""
        why = refusal(request) if request.op in ("command", "plan") else None
        return {"outcome": "refused", "why": why} if why else await self._requests.answer(request, say)


def refusal(request: Request) -> str | None:
    """Why a command cannot be given without a daemon; None if it can."""
    if request.point in RENEWED:
        return f"{request.point} holds only while the daemon renews it: start it with heliobus run"
    if request.point == v.EQUALIZE_REQUESTED.name and request.value:
        return "an equalize begins only while the daemon runs, which watches its time and the battery's temperature"
    return None


@asynccontextmanager
async def opened(
    config: Config, device: DeviceConfig, open_control: OpenControl | None = None
) -> AsyncIterator[Direct]:
    """The device of `config`, opened by this process while the block runs. Raises Problem.

    A command that was begun is finished before the block ends, also when the user or the terminal goes.
    """
    from heliobus.app import StartError  # noqa: PLC0415  the daemon's whole machinery
    from heliobus.app import open_control as real  # noqa: PLC0415

    if not device.options.on:
        raise control_off(device.name)
    try:
        async with (open_control or real)(config, device) as site:
            requests = Requests(site)
            with _ends_in_order():
                try:
                    yield Direct(requests)
                finally:
                    await requests.finish()
    except StartError as error:
        raise Problem(str(error)) from None


@contextmanager
def _ends_in_order() -> Iterator[None]:
    """End on SIGTERM and on a closed terminal as on Ctrl-C: a command that was begun is finished first."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def interrupt() -> None:
        with suppress(OSError):
            click.echo("heliobus: interrupted; what was begun is finished first", err=True)
        task.cancel()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
