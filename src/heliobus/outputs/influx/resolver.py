"""Looks up the database's name for aiohttp, which by itself would do so where the ledger is saved."""

import socket

from aiohttp.abc import AbstractResolver, ResolveResult

from heliobus.outputs.host_names import addresses


class OwnThreadResolver(AbstractResolver):
    """Looks up by the machine's own means."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses of `host`. Raises OSError."""
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in await addresses(host, port, family)
        ]

    async def close(self) -> None:
        """Nothing is kept."""
