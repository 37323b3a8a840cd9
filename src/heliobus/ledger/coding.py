"""Accounts as JSON and back. Decoding believes nothing: every type and range is checked."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from heliobus.ledger.account import Account
from heliobus.ledger.energy import EnergyMark
from heliobus.ledger.history import KEPT
from heliobus.ledger.meter import MeterAccount
from heliobus.ledger.sample import LARGEST
from heliobus.ledger.stages import StageMark
from heliobus.model.day import Day

_LATEST = 1e11
_LARGEST_LIFETIME = 1e13


class MalformedAccountError(ValueError):
    """A stored account is not what this program writes."""


def encoded_day(day: Day) -> str:
    """One record as a JSON list, in the order of the fields of Day."""
    return _text(
        [
            day.date,
            day.energy,
            day.max_power,
            day.max_pv_voltage,
            day.min_battery_voltage,
            day.max_battery_voltage,
            day.max_battery_current,
            day.time_bulk,
            day.time_absorption,
            day.time_float,
            day.time_equalize,
            day.errors,
        ]
    )


def encoded(account: Account, past: str) -> str:
    """An account as a JSON object; `past` is its past days, already encoded as a JSON list."""
    energy, stages = account.energy, account.stages
    fields = {
        "lifetime": account.lifetime,
        "anchored": account.anchored,
        "time": account.time,
        "resumed": account.resumed,
        "period": account.period,
        "state": account.state,
        "power": account.power,
        "pending": account.pending,
        "energy": None
        if energy is None
        else [
            energy.time,
            energy.value,
            energy.total,
            energy.charge,
            energy.hours,
            energy.voltage,
            energy.date,
            energy.dawned,
        ],
        "stages": None if stages is None else [stages.time, *stages.timers],
        "extremes": account.extremes,
    }
    return f'{_text(fields)[:-1]},"day":{encoded_day(account.day)},"past":{past}}}'


def decoded(value: object) -> Account:
    """The account that `encoded` wrote. Raises MalformedAccountError."""
    if not isinstance(value, dict):
        raise MalformedAccountError("an account is not an object")
    past = tuple(_day(item) for item in _list(value.get("past"), None))
    day = _day(value.get("day"))
    dates = {record.date for record in (day, *past)}
    if len(dates) != len(past) + 1 or len(dates) > KEPT:
        raise MalformedAccountError("the days are not different days")
    power, pv, lowest, highest = (_optional(item) for item in _list(value.get("extremes"), 4))
    return Account(
        lifetime=_number(value.get("lifetime"), 0, _LARGEST_LIFETIME),
        anchored=_flag(value.get("anchored")),
        time=_number(value.get("time"), -_LATEST, _LATEST),
        resumed=_number(value.get("resumed"), -_LATEST, _LATEST),
        period=_number(value.get("period"), 0),
        state=_integer(value.get("state")),
        power=_optional(value.get("power")),
        pending=_number(value.get("pending"), 0),
        energy=_energy(value),
        stages=_stages(value),
        extremes=(power, pv, lowest, highest),
        day=day,
        past=tuple(sorted(past, key=lambda record: record.date, reverse=True)),
    )


def encoded_meter(account: MeterAccount) -> str:
    """A meter's account as a JSON list. What is held is not believed, and so not kept."""
    return _text([account.total, account.value, account.time, account.power, account.resets, account.reset_at])


def decoded_meter(value: object) -> MeterAccount:
    """The account that `encoded_meter` wrote. Raises MalformedAccountError."""
    total, counter, moment, power, resets, reset_at = _list(value, 6)
    if type(resets) is not int or not 0 <= resets <= LARGEST:
        raise MalformedAccountError("a count is not a whole number")
    return MeterAccount(
        _number(total, 0, _LARGEST_LIFETIME),
        _number(counter, 0),
        _number(moment, -_LATEST, _LATEST),
        _number(power, 0),
        resets=resets,
        reset_at=None if reset_at is None else _number(reset_at, -_LATEST, _LATEST),
    )


def _energy(value: Mapping[str, Any]) -> EnergyMark | None:
    if value.get("energy") is None:
        return None
    moment, counter, total, charge, hours, voltage, day, dawned = _list(value["energy"], 8)
    return EnergyMark(
        _number(moment, -_LATEST, _LATEST),
        _number(counter, 0),
        _optional(total, 0),
        _optional(charge, 0),
        _optional(hours, 0),
        _optional(voltage),
        _date(day),
        None if dawned is None else _flag(dawned),
    )


def _stages(value: Mapping[str, Any]) -> StageMark | None:
    if value.get("stages") is None:
        return None
    moment, absorption, floating, equalize = _list(value["stages"], 4)
    return StageMark(
        _number(moment, -_LATEST, _LATEST), (_optional(absorption, 0), _optional(floating, 0), _optional(equalize, 0))
    )


def _day(value: object) -> Day:
    items = _list(value, 12)
    errors = _list(items[11], None)
    if len(errors) > 4 or any(type(error) is not int for error in errors):
        raise MalformedAccountError("errors are not up to four numbers")
    power, pv, lowest, highest, current = (_optional(item) for item in items[2:7])
    bulk, absorption, floating, equalize = (_number(item, 0) for item in items[7:11])
    return Day(
        _date(items[0]),
        _number(items[1], 0, _LARGEST_LIFETIME),
        power,
        pv,
        lowest,
        highest,
        current,
        bulk,
        absorption,
        floating,
        equalize,
        tuple(errors),
    )


def _date(value: object) -> str:
    if not isinstance(value, str) or len(value) != 10:
        raise MalformedAccountError("a date is not a date")
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError as error:
        raise MalformedAccountError("a date is not a date") from error


def _list(value: object, length: int | None) -> list[Any]:
    if not isinstance(value, list) or (length is not None and len(value) != length):
        raise MalformedAccountError("a list is missing or has the wrong length")
    return value


def _number(value: object, low: float = -LARGEST, high: float = LARGEST) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise MalformedAccountError("a number is missing or out of range")
    return value


def _optional(value: object, low: float = -LARGEST) -> float | None:
    return None if value is None else _number(value, low)


def _integer(value: object) -> int | None:
    if value is not None and type(value) is not int:
        raise MalformedAccountError("a state is not a whole number")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise MalformedAccountError("a flag is neither true nor false")
    return value


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), allow_nan=False)
