"""Opens the socket to a broker, TCP and then TLS where it is wanted, without ever holding up the loop."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from heliobus.config.outputs import Tls
from heliobus.outputs.host_names import addresses
from heliobus.outputs.mqtt.session import ConnectionLostError

if TYPE_CHECKING:
    import ssl

HUNG_UP = "it closed the connection"
TLS_TROUBLES = (
    ("WRONG_VERSION_NUMBER", "it does not speak TLS at this port: is it mqtt:// and not mqtts://?"),
    ("CERTIFICATE_REQUIRED", "it wants a certificate of ours: set certificate and key"),
    ("HANDSHAKE_FAILURE", "it refuses TLS with us: does it want a certificate of ours?"),
    ("ALERT_UNKNOWN_CA", "it does not know who signed our certificate: see certificate and key"),
    ("CERTIFICATE_EXPIRED", "it says that our certificate has expired: see certificate and key"),
    ("CERTIFICATE_REVOKED", "it says that our certificate was revoked: see certificate and key"),
    ("CERTIFICATE", "it does not accept our certificate: see certificate and key"),
)
"""A word of OpenSSL's reason, and what it means to the owner. The first that fits counts."""


def explained(error: OSError) -> str:
    """What `error` means to the owner, and what he can do."""
    verdict = getattr(error, "verify_message", "")
    if verdict:
        return f"its certificate does not hold ({verdict}): is ca the authority that signed it, and the clock right?"
    reason = getattr(error, "reason", None) or ""
    for word, meaning in TLS_TROUBLES:
        if word in reason:
            return meaning
    if isinstance(error, socket.gaierror):
        return "there is no machine of this name"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there: is the broker running?"
    if isinstance(error, ConnectionResetError | BrokenPipeError | ConnectionAbortedError) or "EOF" in reason:
        return HUNG_UP
    return error.strerror or str(error) or type(error).__name__


async def dial(host: str, port: int, tls: Tls | None, patience: float) -> socket.socket:
    """A connected socket that never blocks, secured if `tls` is given. Raises ConnectionLostError."""
    try:
        async with asyncio.timeout(patience):
            context = None if tls is None else await asyncio.to_thread(_context, tls)
            plain = await _connected(host, port)
            return plain if context is None else await _secured(plain, context, host)
    except TimeoutError:
        raise ConnectionLostError(f"no answer within {patience:g} s") from None
    except OSError as error:
        raise ConnectionLostError(explained(error)) from None


async def _connected(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure = OSError("it has no address")
    for family, kind, protocol, _, address in await addresses(host, port):
        candidate = socket.socket(family, kind, protocol)
        done = False
        try:
            candidate.setblocking(False)
            candidate.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await loop.sock_connect(candidate, address)
            done = True
        except OSError as error:
            failure = error
        finally:
            if not done:
                candidate.close()
        if done:
            return candidate
    raise failure


def _context(tls: Tls) -> "ssl.SSLContext":
    """Reads the files, so it blocks. Raises ConnectionLostError."""
    import ssl  # noqa: PLC0415  a GX without TLS does without OpenSSL

    try:
        context = ssl.create_default_context(cafile=None if tls.ca is None else str(tls.ca))
    except OSError as error:
        raise ConnectionLostError(f"{tls.ca}: cannot be used as ca: {_why(error)}") from None
    if tls.certificate is not None:
        try:
            # Without a word for it, OpenSSL would ask for the key's on the terminal.
            context.load_cert_chain(tls.certificate, tls.key, password="")
        except OSError as error:
            raise ConnectionLostError(f"{_names(tls)}: cannot be used as certificate: {_why(error)}") from None
    return context


def _names(tls: Tls) -> str:
    return " with ".join(str(each) for each in (tls.certificate, tls.key) if isinstance(each, Path))


def _why(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or "not a certificate in PEM form"


async def _secured(plain: socket.socket, context: "ssl.SSLContext", host: str) -> socket.socket:
    import ssl  # noqa: PLC0415  the daemon may be without it

    loop = asyncio.get_running_loop()
    secured: ssl.SSLSocket | None = None
    done = False
    try:
        secured = context.wrap_socket(plain, server_hostname=host, do_handshake_on_connect=False)
        while not done:
            try:
                secured.do_handshake()
                done = True
            except ssl.SSLWantReadError:
                await _ready(loop.add_reader, loop.remove_reader, secured.fileno())
            except ssl.SSLWantWriteError:
                await _ready(loop.add_writer, loop.remove_writer, secured.fileno())
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionResetError):
                raise ConnectionLostError("it hangs up when we begin TLS: is it mqtt:// and not mqtts://?") from None
        return secured
    finally:
        if not done:
            (secured or plain).close()


async def _ready(add: Callable[..., Any], remove: Callable[[int], Any], descriptor: int) -> None:
    ready = asyncio.Event()
    add(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        remove(descriptor)
