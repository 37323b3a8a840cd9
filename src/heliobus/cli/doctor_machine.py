"""What `heliobus doctor` looks at on this machine: the state directory, its daemon, the D-Bus."""

import os
import shutil
from pathlib import Path

from heliobus.cli.daemon import connected
from heliobus.cli.doctor_finding import Finding, ok, problem, warning
from heliobus.cli.problem import Problem
from heliobus.config import VenusConfig

STALL = 5.0
LITTLE = 1_000_000
"""Bytes that have to be free on a disk."""
NAME_DENIED = "org.freedesktop.DBus.Error.AccessDenied"
DO_NOT_QUEUE, PRIMARY_OWNER = 4, 1


def state_directory(state: Path) -> Finding:
    """Whether the ledger can be kept there; nothing is created."""
    return folder(f"state directory {state}", state, "set state in [site]")


def folder(what: str, path: Path, remedy: str) -> Finding:
    """Whether files can be kept in `path`; `remedy` is what to do if not. Nothing is created."""
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not there.is_dir():
        return problem(f"{what}: {there} is not a directory", remedy)
    if not os.access(there, os.W_OK | os.X_OK):
        return problem(f"{what}: this user may not write to {there}", f"run as the user of the daemon, or {remedy}")
    if shutil.disk_usage(there).free < LITTLE:
        return problem(f"{what}: the disk is full", "make room, for nothing lasts a restart until then")
    return ok(what + ("" if there == path else ", which does not exist yet, can be made"))


async def daemon(state: Path) -> tuple[Finding, bool]:
    """Whether a daemon works with this state directory, and so is the only master of the site's buses."""
    try:
        async with connected(state, 0.0) as client:
            if client is None:
                return ok("no daemon runs with this state directory, so the devices are asked from here"), False
    except Problem as error:
        return warning("another heliobus works with this state directory", error.message), True
    return ok("the daemon runs; it is the only master of the devices, so it is asked in place of them"), True


async def d_bus(venus: VenusConfig, *, served: bool) -> Finding:
    """Whether the D-Bus is there and lets Heliobus take a name like Victron's own. `served`: by the daemon already."""
    try:
        from heliobus.outputs.venus import connection as dbus  # noqa: PLC0415  brings dbus-fast
    except ImportError:
        return problem("D-Bus: dbus-fast is not installed", "pip install 'heliobus[venus]'")
    address = dbus.bus_address(venus.bus)
    try:
        connection = await dbus.connect_to(address, STALL)
    except dbus.BusLostError as error:
        return problem(
            f"D-Bus: {error}", "start the D-Bus daemon, or set bus in [output.venus] to the address of another"
        )
    try:
        if served:
            return ok(f"D-Bus at {address}")
        name = f"com.victronenergy.heliobus_doctor_{os.getpid()}"
        answer = await connection.ask_daemon("RequestName", "su", name, DO_NOT_QUEUE)
    except dbus.CallError as error:
        remedy = "install the D-Bus policy of Heliobus, or run as root" if error.name == NAME_DENIED else str(error)
        return problem(f"D-Bus at {address}: names of com.victronenergy are not allowed", remedy)
    except dbus.BusLostError as error:
        return problem(f"D-Bus at {address}: {error}", "look at its log")
    finally:
        # The name goes with the connection.
        await connection.close()
    if answer != PRIMARY_OWNER:
        return problem(f"D-Bus at {address}: the name {name} is taken", "end the other heliobus doctor")
    return ok(f"D-Bus at {address}, names of com.victronenergy are allowed")
