"""Host names of servers: a look-up that hangs holds up neither the ledger nor the end of the daemon."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from heliobus.outputs.host_names import addresses
from heliobus.outputs.influx.resolver import OwnThreadResolver
from heliobus.outputs.mqtt.dial import dial
from servers import name_loopback

NOWHERE = "nowhere.invalid"


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Set while a look-up of NOWHERE hangs, which it does to the end of the test."""
    begun, end = threading.Event(), threading.Event()
    look_up = socket.getaddrinfo

    def hang(host: str, *about: object, **more: object) -> object:
        if host == NOWHERE and not more.get("flags"):
            begun.set()
            end.wait(60)
        return look_up(host, *about, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    yield begun
    end.set()


async def test_numbers_and_names_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    name_loopback(monkeypatch, "broker.example")
    for host in ("127.0.0.1", "broker.example"):
        assert [address[4][:2] for address in await addresses(host, 80)] == [("127.0.0.1", 80)]
    with pytest.raises(OSError):
        await addresses(NOWHERE, 80)


@pytest.mark.parametrize(
    "connect", [lambda: dial(NOWHERE, 1883, None, 60.0), lambda: OwnThreadResolver().resolve(NOWHERE, 8086)]
)
async def test_a_look_up_that_hangs_leaves_the_thread_of_the_ledger_free_and_the_process_to_end(
    hanging: threading.Event, connect: Callable[[], Awaitable[object]]
) -> None:
    # As the daemon has it.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    connecting = asyncio.ensure_future(connect())
    async with asyncio.timeout(5):
        while not hanging.is_set():
            await asyncio.sleep(0.01)
        assert await asyncio.to_thread(lambda: "saved") == "saved"
    assert [each.daemon for each in threading.enumerate() if each.name == "heliobus-apart"] == [True]
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
