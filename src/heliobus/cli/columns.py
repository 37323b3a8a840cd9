"""Plain aligned columns, for people and for scripts."""

from collections.abc import Sequence

import click


def show(table: Sequence[tuple[str, ...]]) -> None:
    """Print rows of equal length, the first of them the heads."""
    widths = [max(len(cell) for cell in column) for column in zip(*table, strict=True)]
    for row in table:
        click.echo("  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
