"""Moments as text."""

from datetime import UTC, datetime


def iso(seconds: float) -> str:
    """UTC `seconds` since 1970 in ISO 8601 with milliseconds (`2026-05-01T10:00:00.000Z`)."""
    moment = datetime.fromtimestamp(round(seconds, 3), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
