"""Samples of a 12 V charger at local times of 2026, and what an account makes of them."""

from datetime import UTC, datetime

from heliobus.ledger.account import Account, days, step
from heliobus.ledger.sample import Sample
from heliobus.model.localtime import LocalTime, local_time

OSLO = local_time("Europe/Oslo")
BULK, NIGHT = 3, 0


def at(day: int, hour: float, month: int = 11, local: LocalTime = OSLO) -> float:
    """UTC seconds of a local time in 2026."""
    guess = datetime(2026, month, day, tzinfo=UTC).timestamp() + hour * 3600
    offset = local(guess).utcoffset()
    assert offset is not None
    return guess - offset.total_seconds()


def seen(time: float, energy: float | None = None, state: int | None = BULK, **values: float | None) -> Sample:
    """A sample of a 12 V charger."""
    pv = 60.0 if state == BULK else 0.3
    fields: dict[str, float | None] = {"pv_voltage": pv, "battery_voltage": 13.0} | values
    return Sample(time, energy_day=energy, charger_state=state, **fields)  # type: ignore[arg-type]


def kept(*samples: Sample, account: Account | None = None, local: LocalTime = OSLO) -> Account:
    """The account after `samples`."""
    for sample in samples:
        account = step(account, sample, local)
    assert account is not None
    return account


def energies(account: Account, now: float, local: LocalTime = OSLO) -> list[float | None]:
    return [None if day is None else day.energy for day in days(account, now, local)]


def gap(old: float, new: float, charge: float, before: float, after: float, *, state: int = BULK) -> Account:
    """An account after one gap in which the charge counter gained `charge` Ah."""
    start_state = NIGHT if OSLO(before).hour < 8 or OSLO(before).hour >= 16 else BULK
    return kept(
        seen(before, old, start_state, charge_total=6000.0, energy_total=900.0),
        seen(after, new, state, charge_total=6000.0 + charge, energy_total=900.0),
    )
