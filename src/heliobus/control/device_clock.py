"""What a device's own clock shows, and how wrong it may be."""

from datetime import datetime

WORST = 60.0
"""Seconds by which a clock may be wrong before it is said, and set."""


def parsed(text: object) -> datetime | None:
    """The local time in the text of a device's clock; None if it is none."""
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
