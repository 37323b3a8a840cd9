"""`heliobus devices`: what is supported."""

import json

import click

from heliobus.devices import catalog


@click.command(name="devices")
@click.argument("driver", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(driver: str | None, as_json: bool) -> None:
    """List the drivers, or the points of DRIVER."""
    if driver is None:
        rows = [
            {"driver": each.name, "vendor": each.vendor, "family": each.family, "role": each.role}
            for each in catalog.drivers()
        ]
        _print(rows, as_json)
        return
    try:
        found = catalog.driver(driver)
    except catalog.UnknownDriverError as error:
        raise click.UsageError(str(error.args[0])) from None
    points = [
        {"point": point.name, "unit": point.unit, "kind": point.kind, "about": point.doc}
        for point in found.points().values()
    ]
    _print(points, as_json)


def _print(rows: list[dict[str, str]], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    widths = {key: max(len(key), *(len(row[key]) for row in rows)) for key in rows[0]}
    for row in ({key: key for key in widths}, *rows):
        click.echo("  ".join(f"{row[key]:{width}}" for key, width in widths.items()).rstrip())
