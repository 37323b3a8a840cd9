"""What `heliobus doctor` says of a device that the daemon has: the daemon is asked, never the device."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from heliobus.cli.doctor_charger import charger
from heliobus.cli.doctor_finding import Finding, ok, problem
from heliobus.cli.problem import Problem
from heliobus.cli.served import SilentError, served
from heliobus.config import DeviceConfig
from heliobus.model import vocabulary as v


async def device(config: DeviceConfig, path: Path | None) -> AsyncIterator[Finding]:
    """All that the daemon knows about one device."""
    name = config.name
    try:
        async with served(config, path) as known:
            if known is None:
                yield ok(f"{name}: left to the daemon; its log says how it is")
                return
            said = await known.next()
    except SilentError:
        yield problem(
            f"{name}: left to the daemon, and does not answer it",
            f"see its log; or stop it, and heliobus doctor {name} looks for the cause",
        )
        return
    except Problem:
        # Why it takes no questions is told where the daemon was looked for.
        yield ok(f"{name}: left to the daemon; its log says how it is")
        return
    identity = said.device.identity
    serial = f", serial number {identity.serial}" if identity.serial else ""
    yield ok(f"{name}: left to the daemon, which reads it: {identity.vendor} {identity.model}{serial}")
    options = config.options
    if options.on is not known.commandable:
        # It is set up in the settings of a GX, where the voltage is confirmed too.
        volts = said.reading.values.get(v.NOMINAL_VOLTAGE.name)
        options = replace(options, on=known.commandable, system_voltage=volts if isinstance(volts, int) else None)
    for finding in charger(replace(config, options=options), said.device, said.reading):
        yield finding
