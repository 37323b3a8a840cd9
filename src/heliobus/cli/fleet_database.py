"""A simulated fleet's database: it takes the line protocol."""

import gzip
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp

from heliobus.cli.fleet_load import PATIENCE, Store, StoreError
from heliobus.cli.problem import Problem
from heliobus.config.outputs import InfluxConfig
from heliobus.config.secret import SecretError
from heliobus.outputs.influx import request
from heliobus.outputs.influx.lines import lines
from heliobus.outputs.influx.native import NativeLayout
from heliobus.outputs.influx.verdict import Verdict, advice, verdict, words_of
from heliobus.outputs.sampler import Sample
from heliobus.sim.fleet import FleetSite

PACKED = 1
"""Of zlib's levels the quickest: a fleet has a thousand machines to pack on, this has one."""


@asynccontextmanager
async def database(config: InfluxConfig, connections: int) -> AsyncIterator[Store]:
    """Posts each site's lines in one gzipped request, as a site of its own would. Raises Problem without the token."""
    try:
        headers = {"Content-Encoding": "gzip", **request.credentials(config)}
    except SecretError as error:
        raise Problem(str(error)) from None
    connector = aiohttp.TCPConnector(limit=connections)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        yield _Database(config, session, headers)


class _Database:
    def __init__(self, config: InfluxConfig, session: aiohttp.ClientSession, headers: Mapping[str, str]) -> None:
        self._config = config
        self._session = session
        self._address = request.address(config)
        self._parameters = request.parameters(config)
        self._headers = headers

    async def send(self, site: FleetSite, samples: Sequence[Sample]) -> int:
        layout = NativeLayout(site.name, {})
        body = gzip.compress(lines(layout.rows(samples)), PACKED)
        try:
            async with self._session.post(
                self._address, params=self._parameters, headers=self._headers, data=body
            ) as answer:
                said = words_of(await answer.read())
                if verdict(answer.status, said) is not Verdict.TAKEN:
                    raise StoreError(advice(self._config, answer.status, said))
        except TimeoutError:
            raise StoreError(f"no answer in {PATIENCE:.0f} s") from None
        except aiohttp.ClientError as error:
            raise StoreError(str(error) or type(error).__name__) from None
        return len(body)
