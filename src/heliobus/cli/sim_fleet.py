"""`heliobus sim fleet`: the load of thousands of sites on a store or a broker, to try it before the sites are built."""

import asyncio
import json
import signal
import sys
import time
from contextlib import AbstractAsyncContextManager
from typing import Any

import click

from heliobus.cli.fleet_load import Account, Load, Store, until
from heliobus.cli.problem import Problem, WrongUse
from heliobus.config.outputs import InfluxConfig
from heliobus.config.secret import Secret
from heliobus.sim.fleet import FleetSite

PROGRESS = 5.0
"""Seconds between two lines of progress."""
UNITS = (("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("", 1.0))


def _seconds(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    """A time such as 10s, 500ms, 2m or 1h, above 0."""
    if value is None:
        return None
    for unit, factor in UNITS:
        number = value.removesuffix(unit).strip()
        if value.endswith(unit) and number.replace(".", "", 1).isdecimal() and float(number) > 0:
            return float(number) * factor
    raise click.BadParameter(f"{value!r} is no time such as 10s or 2m")


@click.command()
@click.option("--sites", type=click.IntRange(1, 100_000), default=1000, show_default=True, help="How many.")
@click.option("--devices", type=click.IntRange(1, 50), default=4, show_default=True, help="Devices of a site.")
@click.option("--to", "url", metavar="URL", help="Database that takes the line protocol, http://HOST:PORT.")
@click.option("--api", type=click.Choice(["v1", "v2", "v3"]), default="v1", show_default=True, help="Its API.")
@click.option("--database", default="heliobus", show_default=True, help="Database or bucket.")
@click.option("--token-env", default="", metavar="NAME", help="Environment variable with its token or password.")
@click.option("--mqtt", metavar="URL", help="Broker, mqtt://HOST:PORT.")
@click.option("--prefix", default="heliobus", show_default=True, help="The beginning of all topics.")
@click.option(
    "--every",
    callback=_seconds,
    metavar="TIME",
    default="10s",
    show_default=True,
    help="Time between samples of a device.",
)
@click.option("--duration", callback=_seconds, metavar="TIME", help="Stop after this time; else at Ctrl-C.")
@click.option(
    "--speed",
    type=click.FloatRange(1, 10_000),
    default=1.0,
    show_default=True,
    help="Simulated per real time; ends at the present.",
)
@click.option("--connections", type=click.IntRange(1, 1000), default=32, show_default=True, help="Requests at once.")
@click.option("--json", "as_json", is_flag=True, help="The summary as JSON.")
def fleet(
    sites: int,
    devices: int,
    url: str | None,
    api: str,
    database: str,
    token_env: str,
    mqtt: str | None,
    prefix: str,
    every: float,
    duration: float | None,
    speed: float,
    connections: int,
    as_json: bool,
) -> None:
    """Send what a fleet of sites would send, to a database (--to) or a broker (--mqtt).

    A site is a charger, two batteries and a meter: 140 values. Each has its own moment in every period, and its samples
    go in one request of its own. A summary follows at the end.
    """
    if (url is None) == (mqtt is None):
        raise WrongUse("give --to URL for a database, or --mqtt URL for a broker")
    if speed > 1 and duration is None:
        raise WrongUse("with --speed, give --duration too: the simulated time has to end at the present")
    secret = Secret(variable=token_env)
    if url is not None:
        store = _database(InfluxConfig("fleet", url.rstrip("/"), api, database, token=secret), connections)
    else:
        store = _broker(mqtt or "", secret, prefix, connections)
    begin = time.time() - (speed - 1) * (duration or 0)
    load = Load(
        [FleetSite(number, devices) for number in range(1, sites + 1)],
        every / speed,
        connections,
        lambda seconds: begin + speed * seconds,
    )
    spent = asyncio.run(_run(load, store, duration))
    summary = _summary(load.account, *spent)
    click.echo(json.dumps(summary) if as_json else _words(summary))
    if not load.account.sites:
        raise Problem("nothing was taken")


def _database(config: InfluxConfig, connections: int) -> AbstractAsyncContextManager[Store]:
    try:
        from heliobus.cli import fleet_database  # noqa: PLC0415  brings aiohttp
    except ImportError:
        raise Problem("--to needs aiohttp: pip install 'heliobus[influx]'") from None
    return fleet_database.database(config, connections)


def _broker(url: str, secret: Secret, prefix: str, connections: int) -> AbstractAsyncContextManager[Store]:
    try:
        from heliobus.cli import fleet_broker  # noqa: PLC0415  brings paho-mqtt
    except ImportError:
        raise Problem("--mqtt needs paho-mqtt: pip install 'heliobus[mqtt]'") from None
    return fleet_broker.broker(url, secret, prefix, connections)


async def _run(load: Load, opening: AbstractAsyncContextManager[Store], duration: float | None) -> tuple[float, float]:
    """Seconds that it took, and CPU seconds."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with opening as store:
        begun, cpu = time.perf_counter(), time.process_time()
        show = asyncio.create_task(_progress(load.account))
        try:
            await until(stop, load, store, duration)
        finally:
            show.cancel()
        return time.perf_counter() - begun, time.process_time() - cpu


async def _progress(account: Account) -> None:
    """A line now and then on standard error."""
    before = 0
    while True:
        await asyncio.sleep(PROGRESS)
        rate, before = (account.values - before) / PROGRESS, account.values
        failed = sum(account.errors.values())
        click.echo(f"{rate:,.0f} values/s, {failed} errors, {account.missed} missed slots", file=sys.stderr)


def _summary(account: Account, seconds: float, cpu: float) -> dict[str, Any]:
    middle, slowest = account.latency(0.5), account.latency(0.99)
    return {
        "seconds": round(seconds, 3),
        "requests": account.sites,
        "samples": account.samples,
        "values": account.values,
        "values_per_second": round(account.values / seconds, 1),
        "bytes": account.bytes,
        "missed": account.missed,
        "errors": dict(account.errors),
        "latency_p50": middle,
        "latency_p99": slowest,
        "cpu_seconds": round(cpu, 3),
    }


def _words(summary: dict[str, Any]) -> str:
    said = [
        f"{summary['values']:,} values of {summary['requests']:,} requests in {summary['seconds']:.1f} s: "
        f"{summary['values_per_second']:,.0f} values/s, {summary['bytes'] / 1e6:.1f} MB",
        f"{summary['missed']} missed slots, {sum(summary['errors'].values())} errors",
    ]
    if summary["latency_p50"] is not None:
        said.append(
            f"answered in {1000 * summary['latency_p50']:.1f} ms (half of them), "
            f"{1000 * summary['latency_p99']:.1f} ms (99 of 100)"
        )
    if summary["values"]:
        micro = 1e6 * summary["cpu_seconds"] / summary["values"]
        said.append(f"{summary['cpu_seconds']:.2f} s of CPU here, {micro:.2f} µs a value, the simulation included")
    said += [f"  {count} × {text}" for text, count in summary["errors"].items()]
    return "\n".join(said)
