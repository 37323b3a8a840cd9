"""What `heliobus scan` prints: a table, the config tables, and what to do where nothing answers."""

from collections.abc import Iterable

import click

from heliobus.cli import columns
from heliobus.cli.scan_tables import Registered, link_text, table
from heliobus.scan import Found, Report

HINTS = (
    "nothing answers there. On RS-485, in this order:",
    "  - swap A and B: the marks of makers contradict each other",
    "  - does the device have power? A PZEM needs 5 V on its RS-485 side, an AC one mains as well",
    "  - another unit id: --units 1-247 or --all tries them all",
    "  - no other master on the line (display, Wi-Fi dongle, parallel adapter), ground connected, one line end to end",
    "  - an adapter whose driver turns the line around: some with an Exar chip do not under cdc-acm (ttyACM)",
)
NO_TTY = "no tty of an adapter on this machine; name one, or tcp://HOST, or lan for the own network"
HEADS = ("driver", "model", "serial number", "unit", "baud", "link", "in the config")


def show(report: Report, registered: Registered, *, written: bool) -> None:
    """Print the report for people; devices on stdout, all else on stderr. Tables that are `written` are not shown."""
    names = {id(found): registered.name_of(found) for found in report.found}
    if report.found:
        columns.show([HEADS, *(_row(found, names[id(found)]) for found in report.found)])
    for line in _remarks(report):
        click.echo(line, err=True)
    new = [found for found in report.found if names[id(found)] is None]
    if new and not written:
        click.echo("\n" + "\n".join(table(found) for found in new), nl=False)


def document(report: Report, registered: Registered) -> dict[str, object]:
    """The report as JSON."""
    new = [found for found in report.found if registered.name_of(found) is None]
    return {
        "found": [_entry(found, registered) for found in report.found],
        "unknown": [{"link": str(each.link), "unit": each.unit, "why": each.why} for each in report.strangers],
        "passed_over": [{"place": each.place, "why": each.why} for each in report.passed],
        "silent": report.silent,
        "likely_units_only": report.shortened,
        "other_master": report.shared,
        "toml": "\n".join(table(found) for found in new),
    }


def _row(found: Found, name: str | None) -> tuple[str, ...]:
    identity, serial = found.identity, found.link.kind == "serial"
    baud = str(found.link.baud) if serial else ""
    link = link_text(found)
    return found.driver.name, identity.model, identity.serial or "", str(found.unit), baud, link, name or "no"


def _entry(found: Found, registered: Registered) -> dict[str, object]:
    identity, link = found.identity, found.link
    serial = link.kind == "serial"
    return {
        "driver": found.driver.name,
        "vendor": identity.vendor,
        "model": identity.model,
        "serial": identity.serial,
        "firmware": identity.firmware,
        "unit": found.unit,
        "link": link_text(found),
        "address": link.describe(found.unit),
        "baud": link.baud if serial else None,
        "stop": link.stop if serial else None,
        "name": registered.name_of(found),
        "toml": table(found),
    }


def _remarks(report: Report) -> Iterable[str]:
    for each in report.strangers:
        yield f"{each.link} unit {each.unit}: something answers that no driver knows: {each.why}"
    for place in report.shortened:
        yield f"{place}: only unit ids 1 to 6 were tried, since something was found there; --all tries all"
    for place in report.shared:
        yield f"{place}: another master talks on this line; answers may be lost"
    for skipped in report.passed:
        yield f"{skipped.place}: not searched: {skipped.why}"
    ttys = [place for place in report.silent if place.startswith("/")]
    for place in report.silent:
        if place not in ttys:
            yield f"{place}: takes connections, but nothing that Heliobus knows answers; --all tries all unit ids"
    if ttys:
        yield f"{', '.join(ttys)}: {HINTS[0]}"
        yield from HINTS[1:]
