"""What `heliobus doctor` looks at on the way to a device: its host, its port, its tty, and who answers there."""

import asyncio
import socket
from collections.abc import AsyncIterator

from heliobus.cli.doctor_charger import charger
from heliobus.cli.doctor_finding import Finding, Level, ok, problem, warning
from heliobus.cli.problem import Problem
from heliobus.cli.session import Said, session
from heliobus.config import DeviceConfig
from heliobus.devices import catalog
from heliobus.devices.morningstar import http_cgi
from heliobus.devices.morningstar.http_cgi import HttpCgiError
from heliobus.devices.morningstar.points import CHARGE_STATE
from heliobus.wire.holder import holder_of
from heliobus.wire.line_settings import LineSettings
from heliobus.wire.link import LinkError
from heliobus.wire.serial_link import SerialLink
from heliobus.wire.tcp_link import TcpLink

CONNECT_TIME = 5.0
PATIENCE = 60.0
"""Seconds for a first whole reading; a serial line with several silent tries takes half of it."""
PAUSE = 0.2
"""A small server is given this time between two connections."""


async def device(config: DeviceConfig) -> AsyncIterator[Finding]:
    """All about one device, as it is found out."""
    name = config.name
    way = await (_serial(config) if config.link.kind == "serial" else _network(config))
    if way.level is Level.PROBLEM:
        yield await _hung(config) or way
        return
    yield way
    await asyncio.sleep(PAUSE)
    try:
        async with asyncio.timeout(PATIENCE), session(config) as one:
            said = await one.next()
    except TimeoutError:
        yield problem(f"{name}: no whole reading within {PATIENCE:g} s", _remedy(config))
        return
    except Problem as error:
        silent = error.message.startswith(f"{name}: no answer")
        yield (await _hung(config) if silent else None) or problem(error.message, _remedy(config))
        return
    identity = said.device.identity
    serial = f", serial number {identity.serial}" if identity.serial else ""
    version = f", firmware {identity.firmware}" if identity.firmware else ""
    yield ok(f"{name}: {identity.vendor} {identity.model}{serial}{version} answers")
    if _has_server(config, said):
        yield await _fallback(config)
    for finding in charger(config, said.device, said.reading):
        yield finding


async def _network(config: DeviceConfig) -> Finding:
    link, name = config.link, config.name
    try:
        await asyncio.get_running_loop().getaddrinfo(link.host, link.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return problem(f"{name}: host {link.host} is not found ({why})", "check its name, or write its IP address")
    one = TcpLink(str(link), link.host, link.port)
    try:
        await one.open(CONNECT_TIME)
    except LinkError as error:
        return problem(f"{name}: {error}", _network_remedy(str(error), link.port))
    finally:
        one.close()
    return ok(f"{name}: {link} takes connections")


def _network_remedy(why: str, port: int) -> str:
    if "refused" in why:
        return f"there is a machine at this address, but nothing on port {port}: check address and port"
    return "check that it has power, its network cable and its address"


async def _serial(config: DeviceConfig) -> Finding:
    link, name = config.link, config.name
    one = SerialLink(link.path, LineSettings(link.baud, link.bits, link.parity, link.stop))
    try:
        await one.open(CONNECT_TIME)
    except LinkError as error:
        why = str(error)
        if "in use" in why:
            user = holder_of(link.path)
            return problem(f"{name}: {why}", f"end what uses it{f': {user}' if user else ''}")
        return problem(f"{name}: {why}", "check the path and the adapter")
    finally:
        one.close()
    other = holder_of(link.path)
    if other is not None:
        return warning(f"{name}: {link.path} is also open in {other}", "end it: two masters spoil each other's answers")
    return ok(f"{name}: {link.path} can be opened and belongs to no other program")


def _remedy(config: DeviceConfig) -> str:
    """What to look at when it does not answer as it should."""
    link = config.link
    if link.kind == "serial":
        return f"check cable, baud rate ({link.baud}), unit id ({config.unit}) and driver, and that it has power"
    return f"check that unit id {config.unit} and driver are right, and that no other program asks the same device"


async def _hung(config: DeviceConfig) -> Finding | None:
    """It is silent by Modbus: whether its web server shows that only its Modbus server hangs."""
    writes = catalog.driver(config.driver).writes
    if config.link.kind != "tcp" or writes is None or writes.server_reset is None:
        return None
    try:
        state = await _http_state(config)
    except HttpCgiError as error:
        if error.code is None:
            return None
        state = str(error)
    return problem(
        f"{config.name}: its Modbus server hangs: it is silent, but answers by HTTP ({state})", _cure(config)
    )


def _cure(config: DeviceConfig) -> str:
    if config.options.on and config.options.server.reset_when_hung:
        return "it is restarted by heliobus run, at most once an hour"
    return 'switch the charger off and on, or set control = "on" and heliobus run restarts it when that happens'


def _has_server(config: DeviceConfig, said: Said) -> bool:
    writes = catalog.driver(said.device.driver).writes
    return config.link.kind == "tcp" and writes is not None and writes.has_server(said.device.identity)


async def _fallback(config: DeviceConfig) -> Finding:
    port = config.options.server.http_port
    try:
        state = await _http_state(config)
    except HttpCgiError as error:
        return warning(
            f"{config.name}: its web server does not answer on port {port} ({error})",
            "if its Modbus server hangs one day, it cannot be restarted from here; check http_port in [device.server]",
        )
    return ok(f"{config.name}: its web server answers as well ({state})")


async def _http_state(config: DeviceConfig) -> str:
    """The charge state by HTTP, in words. Raises HttpCgiError."""
    registers = catalog.driver(config.driver).registers
    address = next(register.address for register in registers if register.point is CHARGE_STATE)
    port = config.options.server.http_port
    (word,) = await http_cgi.read_registers(config.link.host, port, config.unit, address, 1)
    return f"state {CHARGE_STATE.text(word)}"
