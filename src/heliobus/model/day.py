"""One local day of a device, as the ledger keeps it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Day:
    """What a charger did on one local day. None means that nothing was measured, never zero.

    `date` is the local date as text (`2026-11-21`). Energy is in Wh, times are in seconds. `errors` holds the last
    four different numbers of the point `charger_error`, newest first.
    """

    date: str
    energy: float = 0.0
    max_power: float | None = None
    max_pv_voltage: float | None = None
    min_battery_voltage: float | None = None
    max_battery_voltage: float | None = None
    max_battery_current: float | None = None
    time_bulk: float = 0.0
    time_absorption: float = 0.0
    time_float: float = 0.0
    time_equalize: float = 0.0
    errors: tuple[int, ...] = ()


Days = tuple[Day | None, ...]
"""Index n is n days ago, index 0 today; None is a day without any record."""
