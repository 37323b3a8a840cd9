"""How samples become rows: the native layout and that of the EPever monitor; rows of a machine without a clock."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from heliobus.config.outputs import InfluxConfig
from heliobus.devices import catalog
from heliobus.model.clock import CLOCK_SET
from heliobus.model.point import Value
from heliobus.model.quantity import Kind
from heliobus.model.role import Role
from heliobus.outputs.influx.clock_care import ROOM, ClockCare
from heliobus.outputs.influx.layouts import layout
from heliobus.outputs.influx.lines import Row, lines
from heliobus.outputs.influx.native import MEASUREMENTS, NativeLayout, fields_of, text_field
from heliobus.outputs.influx.seed import ENERGIES, FIRST, POWERS, SHARED, SeedLayout
from heliobus.outputs.sampler import Sampler
from heliobus.outputs.status import OutputStatus
from heliobus.sim.virtual_time import run_virtual
from heliobus.site import Site
from influx_site import CHARGER_VALUES, FAULTS, fed, introduced, unplugged

TIME = 1_800_000_000.5


def native(site: Site, tags: Mapping[str, str]) -> list[Row]:
    return NativeLayout("Hut 7", tags).rows(Sampler(site, 1.0).look())


def seed(site: Site) -> list[Row]:
    return SeedLayout("solar", site).rows(Sampler(site, 1.0).look())


def written(rows: list[Row]) -> dict[str, Value]:
    (row,) = rows
    return {name: value for name, value in row.fields.items() if value is not None}


# --- native


def test_a_sample_is_one_line_of_its_role() -> None:
    site = Site()
    fed(site, introduced(site, "roof", label="Dach, Süd"), TIME)
    meter = introduced(site, "grid", role=Role.GRID_METER, short="pzem")
    fed(site, meter, TIME + 1, {"ac_voltage": 230.1, "ac_power": -12})
    charger, grid = lines(native(site, {"owner": "me", "site": "not this"})).decode().splitlines()
    assert charger == (
        "solar_charger,device=tracer_0,model=Tracer\\ 4215BN,name=Dach\\,\\ Süd,owner=me,site=Hut\\ 7 "
        "battery_voltage=27.31,battery_current=14.5,pv_voltage=61.0,pv_current=6.7,pv_power=412.0,"
        'charger_state=3.0,charger_state_text="bulk",fault_text="",load_voltage=27.3,load_current=1.5,load_power=41.0,'
        "load_energy_today=0.31,load_energy_total=120.5,yield_today=2.25,yield_total=1000.5,bus_requests=7.0,"
        'soc_estimate=48.0,faults=9.0,faults_text="overcurrent, battery HVD",array_mode=1.0,array_mode_text="sweep" '
        "1800000000500"
    )
    assert grid == (
        "grid_meter,device=pzem_0,model=Tracer\\ 4215BN,name=grid,owner=me,site=Hut\\ 7 "
        "ac_voltage=230.1,ac_power=-12.0 1800000001500"
    )


@pytest.mark.parametrize("name", ["native", "venus", "seed"])
def test_without_texts_only_numbers_are_written(name: str, tmp_path: Path) -> None:
    site = Site()
    fed(site, introduced(site, "roof"), TIME)
    [sample] = Sampler(site, 1.0).look()
    written = {}
    for texts in (True, False):
        config = InfluxConfig("influx", "http://127.0.0.1", layout=name, texts=texts)
        rows = layout(config, "Hut 7", site, tmp_path / str(texts))([sample])
        written[texts] = [each.partition(b" ")[2] for each in lines(rows).splitlines()]
    assert written[False] and not any(b'"' in each for each in written[False])
    assert any(b'"' in each for each in written[True]) is (name != "seed")


def test_every_role_has_a_measurement_of_its_own() -> None:
    assert set(MEASUREMENTS) == set(Role)
    assert len(set(MEASUREMENTS.values())) == len(Role)


def test_no_field_of_any_driver_is_number_and_text() -> None:
    for driver in catalog.drivers():
        kinds: dict[str, type] = {}
        for point in driver.points().values():
            value: Value = "word" if point.kind is Kind.TEXT else 1
            for field, content in fields_of(point, value).items():
                kind = str if isinstance(content, str) else float
                assert kinds.setdefault(field, kind) is kind, (driver.name, field)
                assert point.kind is not Kind.TEXT or field == text_field(point.name)


def test_an_unplugged_device_gives_no_further_rows() -> None:
    site = Site()
    device = introduced(site, "roof")
    sampler = Sampler(site, 1.0)
    assert not sampler.look()
    fed(site, device, TIME)
    assert len(sampler.look()) == 1
    unplugged(site, device)
    assert not sampler.look()


def test_flags_and_texts_that_say_nothing_are_words_too() -> None:
    assert fields_of(FAULTS, 0) == {"faults": 0, "faults_text": "none"}
    assert fields_of(FAULTS, None) == {}


# --- seed


def test_one_charger_is_written_as_the_monitor_did() -> None:
    site = Site()
    fed(site, introduced(site, "roof"), TIME)
    assert lines(seed(site)) == (
        b"solar PVvolt=61.0,PVamps=6.7,BAamps=14.5,DCvolt=27.3,DCamps=1.5,BAvolt=27.31,BAperc=0.48,"
        b"PVwatt=412.0,DCwatt=41.0,PVkwh=1000.5,DCkwh=120.5,PVkwh2d=2.25,DCkwh2d=0.31 1800000000500"
    )


def test_the_fields_are_those_of_the_old_database() -> None:
    assert {*FIRST, *SHARED, *POWERS, *ENERGIES} == {
        *("PVvolt", "PVamps", "PVwatt", "BAvolt", "BAamps", "BAperc", "DCvolt", "DCamps", "DCwatt"),
        *("PVkwh", "DCkwh", "PVkwh2d", "DCkwh2d"),
    }


def test_powers_and_energies_are_sums_volts_and_amps_the_first_ones() -> None:
    site = Site()
    second = introduced(site, "second", 1)
    first = introduced(site, "first", 0)
    meter = introduced(site, "grid", role=Role.GRID_METER, short="pzem")
    fed(site, first, TIME)
    fed(site, second, TIME + 2, {**CHARGER_VALUES, "pv_voltage": 80.0, "pv_power": 900.0, "yield_total": 10.0})
    fed(site, meter, TIME + 9, {"ac_voltage": 230.0})
    rows = seed(site)
    assert rows[0].time == 1_800_000_002_500
    assert rows[0].tags == {}
    fields = written(rows)
    assert (fields["PVvolt"], fields["PVwatt"], fields["PVkwh"]) == (61.0, 1312.0, 1010.5)
    assert (fields["BAperc"], fields["DCwatt"], fields["DCkwh2d"]) == (0.48, 82.0, 0.62)


def test_no_error_value_enters_a_sum() -> None:
    site = Site()
    first, second = introduced(site, "first", 0), introduced(site, "second", 1)
    fed(site, first, TIME)
    fed(site, second, TIME)
    unplugged(site, first)
    fields = written(seed(site))
    assert fields["PVwatt"] == 412.0
    # The battery is one; the array of the other charger is not that of the first.
    assert (fields["BAvolt"], fields["BAperc"]) == (27.31, 0.48)
    assert not {"PVvolt", "PVamps", "BAamps", "DCvolt", "DCamps"} & set(fields)
    # A counter that lost a charger would fall, and leap when it is back.
    assert not {"PVkwh", "PVkwh2d", "DCkwh", "DCkwh2d"} & set(fields)
    assert all(isinstance(value, float) and value >= 0 for value in fields.values())


def test_a_charger_without_load_output_does_not_stop_the_loads_energy() -> None:
    site = Site()
    loads = ("load_voltage", "load_current", "load_power", "load_energy_today", "load_energy_total")
    fed(site, introduced(site, "tracer"), TIME)
    fed(site, introduced(site, "tristar", short="tristar", without=loads), TIME)
    fields = written(seed(site))
    assert (fields["DCkwh"], fields["PVkwh"]) == (120.5, 2001.0)


def test_without_news_of_a_charger_nothing_is_written() -> None:
    site = Site()
    device = introduced(site, "roof")
    meter = introduced(site, "grid", role=Role.GRID_METER, short="pzem")
    sampler, layout = Sampler(site, 1.0), SeedLayout("solar", site)
    fed(site, device, TIME)
    fed(site, meter, TIME, {"ac_voltage": 230.0})
    assert len(layout.rows(sampler.look())) == 1
    unplugged(site, device)
    fed(site, meter, TIME + 10, {"ac_voltage": 230.0})
    assert not layout.rows(sampler.look())


# --- a machine that does not know the time


@dataclass
class SteppedClock:
    """A wall clock that is wrong by `lead` seconds."""

    lead: float

    def time(self) -> float:
        return TIME + asyncio.get_running_loop().time() + self.lead


UNSET = 100.0 - TIME
ROW = Row("m", {}, {"x": 1}, 0)


def test_rows_wait_for_the_clock_and_get_the_right_time() -> None:
    async def scenario() -> None:
        clock, status = SteppedClock(UNSET), OutputStatus("influx")
        care = ClockCare(clock, status)
        right = []
        for _ in range(3):
            right.append(TIME + asyncio.get_running_loop().time())
            assert care.passed([ROW._replace(time=round(1000 * clock.time()))]) == []
            await asyncio.sleep(10)
        late = ROW._replace(time=round(1000 * clock.time()))
        right.append(TIME + asyncio.get_running_loop().time())
        await asyncio.sleep(1)
        clock.lead = 0.0
        good = ROW._replace(time=round(1000 * clock.time()))
        found = care.passed([late, good])
        assert [row.time for row in found] == [*(round(1000 * time) for time in right), good.time]
        assert care.passed([good]) == [good]
        assert status.dropped == 0

    run_virtual(scenario())


def test_a_time_that_cannot_be_known_is_dropped_and_counted() -> None:
    async def scenario() -> None:
        status = OutputStatus("influx")
        # The clock was set after the measurement and before the first look.
        assert ClockCare(SteppedClock(0.0), status).passed([ROW]) == []
        assert status.dropped == 1

    run_virtual(scenario())


@pytest.mark.parametrize("devices", [1, 4])
def test_what_waits_is_bounded_and_spans_all_the_time(devices: int) -> None:
    async def scenario() -> None:
        clock, status = SteppedClock(UNSET), OutputStatus("influx")
        care = ClockCare(clock, status)
        looks = 5000
        for _ in range(looks):
            care.passed([replace_time(clock, number) for number in range(devices)])
            await asyncio.sleep(1)
        clock.lead = 0.0
        found = care.passed([])
        assert ROOM / 4 < len(found) <= ROOM
        assert status.dropped == looks * devices - len(found)
        assert found[0].time == round(1000 * TIME)
        assert found[-1].time > 1000 * (TIME + looks * 0.9)
        assert len({row.measurement for row in found}) == devices
        assert all(row.time >= 1000 * CLOCK_SET for row in found)

    run_virtual(scenario())


def replace_time(clock: SteppedClock, number: int) -> Row:
    return Row(f"m{number}", {}, {"x": 1}, round(1000 * clock.time()))
