"""HTTP to one database: posts lines and gives the answer's status and words."""

import asyncio
import gzip
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiohttp

from heliobus import __version__
from heliobus.config.outputs import InfluxConfig
from heliobus.config.secret import SecretError
from heliobus.outputs.daemon_thread import apart
from heliobus.outputs.influx.request import address, credentials, hidden, parameters
from heliobus.outputs.influx.resolver import OwnThreadResolver
from heliobus.outputs.influx.verdict import words_of

if TYPE_CHECKING:
    import ssl

TIMEOUT = aiohttp.ClientTimeout(total=60.0, connect=15.0, sock_read=30.0)
LONGEST_ANSWER = 4096
"""Bytes of an answer that are read."""
HEADERS = {
    "Content-Type": "text/plain; charset=utf-8",
    "Accept-Encoding": "identity",
    "User-Agent": f"heliobus/{__version__}",
}
LEVEL = 3
"""Of gzip: lines shrink to a fifth, for a third of the time that level 6 takes."""


class UnreachableError(Exception):
    """There is no answer; the text says why, without any secret."""


@dataclass(frozen=True, slots=True)
class Answer:
    """`retry_after` is what the server asks for in seconds, 0 if it says nothing."""

    status: int
    words: str
    retry_after: float = 0.0


class Connection:
    """Kept open between requests; opened anew, with its certificates read anew, after any trouble."""

    def __init__(self, config: InfluxConfig) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    async def post(self, body: bytes, *, compressed: bool) -> Answer:
        """Write `body`. Raises UnreachableError."""
        headers = HEADERS | await self._credentials()
        if compressed:
            headers["Content-Encoding"] = "gzip"
            body = await apart(gzip.compress, body, LEVEL, mtime=0)
        try:
            return await self._exchange(body, headers)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            await self.close()
            raise UnreachableError(f"{self._config.url}: {_why(error)}") from None

    async def close(self) -> None:
        """End the connection, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            # TLS ends one turn of the loop later.
            await asyncio.sleep(0)

    async def _exchange(self, body: bytes, headers: dict[str, str]) -> Answer:
        session = await self._opened()
        async with session.post(
            address(self._config),
            params=parameters(self._config),
            data=body,
            headers=headers,
            allow_redirects=False,
        ) as answer:
            # What is longer is not read, which costs no more than the connection.
            said = await apart(_words, self._config, await answer.content.read(LONGEST_ANSWER))
            return Answer(answer.status, said, _seconds(answer.headers.get("Retry-After", "")))

    async def _credentials(self) -> dict[str, str]:
        try:
            found = await apart(credentials, self._config)
        except SecretError as error:
            raise UnreachableError(f"no access to {self._config.url}: {error}") from None
        if not all(value.isascii() and value.isprintable() for value in found.values()):
            raise UnreachableError(f"no access to {self._config.url}: the token has characters that no token has")
        return found

    async def _opened(self) -> aiohttp.ClientSession:
        """Raises OSError where a certificate cannot be read."""
        if self._session is None:
            tls = await apart(_tls, self._config) if self._config.url.startswith("https:") else False
            connector = aiohttp.TCPConnector(limit=1, ssl=tls, resolver=OwnThreadResolver())
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=TIMEOUT, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self._session


def _words(config: InfluxConfig, body: bytes) -> str:
    """The server's own words; a secret is gone before they are shortened, so that no part of it is left."""
    return hidden(config, words_of(hidden(config, body.decode("utf-8", "replace")).encode()))


def _tls(config: InfluxConfig) -> "ssl.SSLContext":
    import ssl  # noqa: PLC0415  4.7 MiB that a config without https does not need

    files = config.tls
    try:
        context = ssl.create_default_context(cafile=None if files.ca is None else str(files.ca))
    except OSError as error:
        raise OSError(f"{files.ca} cannot be used as ca: {_reason(error)}") from None
    if files.certificate is not None:
        try:
            # Without a word for it, OpenSSL would ask for the key's on the terminal.
            context.load_cert_chain(files.certificate, files.key, password="")
        except OSError as error:
            names = " with ".join(str(each) for each in (files.certificate, files.key) if each is not None)
            raise OSError(f"{names} cannot be used as certificate: {_reason(error)}") from None
    return context


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or "it is no certificate in PEM form"


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {error.certificate_error}"
    if isinstance(error, aiohttp.ClientConnectorSSLError) and "WRONG_VERSION_NUMBER" in str(error):
        return "it does not speak TLS at this port: is it http:// and not https://?"
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if not isinstance(cause, OSError):
        return str(cause) or type(cause).__name__
    # asyncio puts its own words in place of the system's.
    if cause.errno is not None and str(cause.strerror).startswith("Connect call failed"):
        return os.strerror(cause.errno)
    text = cause.strerror or str(cause) or type(cause).__name__
    return f"{text}: {cause.filename}" if cause.filename else text


def _seconds(text: str) -> float:
    """Retry-After in seconds; a date is not understood, and is as if nothing were said."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else 0.0
