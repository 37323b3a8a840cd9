"""The ledger as the app uses it: readings in, readings with yields and history out."""

from dataclasses import replace
from pathlib import Path

import pytest

from heliobus.ledger import store
from heliobus.ledger.ledger import POINTS, Ledger
from heliobus.model.localtime import local_time
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading, Reason
from ledger_charger import Charger

OSLO = local_time("Europe/Oslo")
MORNING = 1_795_244_400.0  # 2026-11-21 08:00 in Oslo


class SetClock:
    def __init__(self, now: float) -> None:
        self.now = now

    def time(self) -> float:
        return self.now


def reading(charger: Charger) -> Reading:
    """What a driver makes of the charger."""
    sample = charger.sample(charger.time)
    values: dict[str, Value] = {
        "energy_day_counter": sample.energy_day,
        "energy_total_counter": sample.energy_total,
        "charge_total_counter": sample.charge_total,
        "operating_hours": sample.operating_hours,
        "time_absorption_counter": sample.time_absorption,
        "charger_state": sample.charger_state,
        "pv_voltage": sample.pv_voltage,
        "battery_voltage": sample.battery_voltage,
        "pv_power": sample.power,
        "battery_current": None,
        "charger_error": 0,
        "fault_text": "",
    }
    return Reading("roof", charger.time, values, {"battery_current": Reason.INVALID})


def silent(live: Reading, reason: Reason) -> Reading:
    """The reading when the device no longer answers."""
    health = Health.OFFLINE if reason is Reason.OFFLINE else Health.FAILING
    return replace(live, values=dict.fromkeys(live.values), reasons=dict.fromkeys(live.values, reason), health=health)


def watched(ledger: Ledger, charger: Charger, minutes: int) -> Reading:
    result = ledger.apply(reading(charger), "tristar-1")
    for _ in range(minutes):
        charger.run(60)
        result = ledger.apply(reading(charger), "tristar-1")
    return result


def test_yields_and_days_are_added() -> None:
    charger = Charger(MORNING)
    ledger = Ledger(None, OSLO, SetClock(MORNING))
    result = watched(ledger, charger, 240)
    won = charger.truth // 10 / 100
    assert won > 1
    assert result.values["yield_today"] == pytest.approx(won)
    assert result.values["yield_total"] == pytest.approx(812 + won)
    assert result.days[0] is not None
    assert result.days[0].energy == won * 1000
    assert result.values["pv_voltage"] == 70.0
    assert result.reasons == {"battery_current": Reason.INVALID}
    assert [point.name for point in POINTS] == ["yield_today", "yield_total"]


@pytest.mark.parametrize("reason", [Reason.STALE, Reason.OFFLINE])
def test_no_yield_crosses_once_the_device_is_silent(reason: Reason) -> None:
    charger = Charger(MORNING)
    clock = SetClock(MORNING)
    ledger = Ledger(None, OSLO, clock)
    live = watched(ledger, charger, 240)
    clock.now = charger.time
    result = ledger.apply(silent(live, reason), "tristar-1")
    assert (result.values["yield_today"], result.values["yield_total"]) == (None, None)
    assert (result.reasons["yield_today"], result.reasons["yield_total"]) == (reason, reason)
    assert result.days == live.days
    clock.now += 86_400
    assert ledger.apply(silent(live, reason), "tristar-1").days == (None, live.days[0])


def test_a_device_never_heard() -> None:
    ledger = Ledger(None, OSLO, SetClock(MORNING))
    result = ledger.apply(silent(reading(Charger(MORNING)), Reason.OFFLINE), "tristar-1")
    assert result.values["yield_today"] is None
    assert result.days == ()
    assert not ledger.dirty


def test_a_device_without_a_day_counter_is_left_alone() -> None:
    ledger = Ledger(None, OSLO, SetClock(MORNING))
    battery = Reading("bank", MORNING, {"battery_voltage": 13.2, "soc": 80.0})
    assert ledger.apply(battery, "jbd-1") is battery


def test_days_that_did_not_change_are_the_same_objects() -> None:
    charger = Charger(MORNING)
    ledger = Ledger(None, OSLO, SetClock(MORNING))
    first = watched(ledger, charger, 3 * 24 * 60)
    again = ledger.apply(reading(charger), "tristar-1")
    assert again.days is first.days
    charger.run(60)
    later = ledger.apply(reading(charger), "tristar-1")
    assert len(later.days) == 4
    assert all(new is old for new, old in zip(later.days[1:], first.days[1:], strict=True))


def test_garbage_is_not_counted() -> None:
    charger = Charger(MORNING)
    ledger = Ledger(None, OSLO, SetClock(MORNING))
    live = watched(ledger, charger, 60)
    garbage: list[Value] = [float("nan"), float("inf"), "12", 1e300]
    for value in garbage:
        broken = replace(live, values=dict.fromkeys(live.values, value))
        result = ledger.apply(broken, "tristar-1")
        assert result.days == live.days
    negative = replace(live, values={**live.values, "energy_day_counter": -5.0, "charger_error": -1})
    assert ledger.apply(negative, "tristar-1").days == live.days
    ledger.serialize()


def test_another_time_zone() -> None:
    charger = Charger(MORNING)
    ledger = Ledger(None, OSLO, SetClock(MORNING))
    before = watched(ledger, charger, 120)
    ledger.set_local(local_time("Pacific/Honolulu"))
    after = watched(ledger, charger, 1)
    assert after.days[0] is not None
    assert after.days[0].date == "2026-11-20"
    assert after.values["yield_total"] == pytest.approx(before.values["yield_total"], abs=0.03)


def test_save_and_load(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.json"
    charger = Charger(MORNING)
    ledger = Ledger(path, OSLO, SetClock(MORNING))
    assert ledger.load() == ()
    assert not ledger.dirty
    watched(ledger, charger, 2000)
    assert ledger.dirty
    ledger.save()
    assert not ledger.dirty
    again = Ledger(path, OSLO, SetClock(MORNING))
    assert again.load() == ()
    assert again.account("tristar-1") == ledger.account("tristar-1")
    assert watched(again, charger, 10) == watched(ledger, charger, 0)


def test_what_comes_while_the_writer_writes_is_still_unsaved(tmp_path: Path) -> None:
    charger = Charger(MORNING)
    ledger = Ledger(tmp_path / "ledger.json", OSLO, SetClock(MORNING))
    watched(ledger, charger, 5)
    content = ledger.serialize()
    watched(ledger, charger, 1)
    ledger.saved()
    assert ledger.dirty
    assert ledger.serialize() != content


def test_a_write_that_failed_leaves_it_unsaved(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ledger = Ledger(tmp_path / "file" / "ledger.json", OSLO, SetClock(MORNING))
    watched(ledger, Charger(MORNING), 5)
    with pytest.raises(store.LedgerWriteError):
        ledger.save()
    assert ledger.dirty


def test_in_memory_only() -> None:
    ledger = Ledger(None, OSLO, SetClock(MORNING))
    watched(ledger, Charger(MORNING), 5)
    assert ledger.load() == ()
    ledger.save()


def test_restored_from_the_older_file_the_counters_catch_up(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    charger = Charger(MORNING)
    ledger = Ledger(path, OSLO, SetClock(MORNING))
    watched(ledger, charger, 120)
    ledger.save()
    watched(ledger, charger, 60)
    ledger.save()
    path.write_bytes(path.read_bytes()[:-20])
    again = Ledger(path, OSLO, SetClock(MORNING))
    notes = again.load()
    assert len(notes) == 2
    result = watched(again, charger, 1)
    assert result.values["yield_today"] == pytest.approx(charger.truth // 10 / 100)


def test_with_no_file_left_the_devices_counters_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "ledger.json"
    path.write_bytes(b"rot")
    charger = Charger(MORNING)
    charger.run(4 * 3600)
    ledger = Ledger(path, OSLO, SetClock(MORNING))
    assert ledger.load()
    result = watched(ledger, charger, 0)
    assert result.values["yield_total"] == charger.total // 1000
    assert result.values["yield_today"] == pytest.approx(charger.register // 10 / 100)
