"""The history: how fast ten years are drawn, and what it costs in disk, in writing and in time of the processor.

140 values every 10 s, of a charger, two batteries with 16 cells and a meter, with the noise of real ones.
"""

import math
import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

from figure import Figure, Plan
from heliobus.model import vocabulary as v
from heliobus.model.device import Device, Identity
from heliobus.model.localtime import local_time
from heliobus.model.point import Point, Value
from heliobus.model.quantity import CELL_VOLT
from heliobus.model.role import Role
from heliobus.outputs.history import schema
from heliobus.outputs.history.coding import opened, sealed
from heliobus.outputs.history.levels import DAY_MS, LEVELS, SERIES_BITS
from heliobus.outputs.history.query import select
from heliobus.outputs.history.retention import Limits
from heliobus.outputs.history.writer import Writer
from heliobus.outputs.sampler import Sample

TARGET_MS = 50.0
BEGIN = 1_735_862_400
"""2025-01-03, where blocks of all levels but that of days begin."""
DAY = 86_400
FOR_EVER = Limits(36_500, 36_500, 0, 10**12)
LOCAL = local_time("Europe/Oslo")
CELLS = tuple(Point(f"cell_{number}_voltage", CELL_VOLT, "") for number in range(1, 17))
CHARGER = (
    *(v.BATTERY_VOLTAGE, v.BATTERY_CURRENT, v.BATTERY_POWER, v.BATTERY_TEMPERATURE, v.PV_VOLTAGE, v.PV_CURRENT),
    *(v.PV_POWER, v.CHARGER_STATE, v.CHARGER_ERROR, v.MPP_MODE, v.TARGET_VOLTAGE, v.YIELD_TODAY, v.YIELD_TOTAL),
    *(v.ENERGY_DAY_COUNTER, v.CHARGE_DAY_COUNTER, v.OPERATING_HOURS, v.BUS_REQUESTS, v.BUS_LATENCY, v.BUS_LOAD),
    *(v.LOAD_VOLTAGE, v.LOAD_CURRENT, v.LOAD_POWER, v.LOAD_STATE, v.GENERAL_ALARM, v.HIGH_TEMPERATURE),
    *(v.DAY_POWER_MAX, v.DAY_BATTERY_VOLTAGE_MIN, v.DAY_BATTERY_VOLTAGE_MAX, v.ENERGY_TOTAL_COUNTER),
    *(v.CHARGE_TOTAL_COUNTER, v.TIME_FLOAT_COUNTER, v.TIME_ABSORPTION_COUNTER, v.CHARGER_ENABLED, v.OFF_REASON),
    *(v.RATED_CURRENT, v.NOMINAL_VOLTAGE, v.EEPROM_WRITES, v.CHARGE_VOLTAGE_LIMIT),
)
BATTERY = (
    *(v.BATTERY_VOLTAGE, v.BATTERY_CURRENT, v.BATTERY_POWER, v.BATTERY_TEMPERATURE, v.SOC, v.SOH, v.CAPACITY),
    *(v.CAPACITY_FULL, v.CYCLES, v.CELL_VOLTAGE_MIN, v.CELL_VOLTAGE_MAX, *CELLS, v.MAX_CHARGE_VOLTAGE),
    *(v.MAX_CHARGE_CURRENT, v.MAX_DISCHARGE_CURRENT, v.BUS_REQUESTS, v.BUS_LATENCY, v.BUS_LOAD),
    *(v.GENERAL_ALARM, v.HIGH_VOLTAGE_ALARM, v.LOW_VOLTAGE_ALARM, v.LOW_TEMPERATURE_ALARM, v.FAULT_TEXT),
    *(v.HIGH_POWER_ALARM, v.SHORT_CIRCUIT_ALARM, v.BATTERY_VOLTAGE_MIN),
)
METER = (
    *(v.AC_VOLTAGE, v.AC_CURRENT, v.AC_POWER, v.AC_APPARENT_POWER, v.AC_FREQUENCY, v.AC_POWER_FACTOR),
    *(v.ENERGY_FORWARD, v.ENERGY_FORWARD_COUNTER, v.BUS_REQUESTS, v.BUS_LATENCY, v.BUS_LOAD, v.BUS_TIMEOUTS),
)


def device(name: str, points: tuple[Point, ...]) -> Device:
    identity = Identity("", "", name)
    return Device(name, "", name, name, Role.SOLAR_CHARGER, "", identity, {each.name: each for each in points}, name, 0)


DEVICES = (device("charger", CHARGER), device("bms_1", BATTERY), device("bms_2", BATTERY), device("meter", METER))


class World:
    """What the four devices say each 10 s: sun behind clouds, loads that come and go, noise in the last digits."""

    def __init__(self) -> None:
        self._chance = random.Random(7)
        self._clear, self._soc = 1.0, 50.0
        self._won = self._used = 0.0
        self._requests = 0

    def noise(self, size: float) -> float:
        return self._chance.gauss(0, size)

    def samples(self, now: int) -> list[Sample]:
        hour = now % DAY / 3600
        self._clear = min(1.0, max(0.15, self._clear + self.noise(0.04)))
        sun = max(0.0, math.sin((hour - 6) / 12 * math.pi)) * self._clear
        power, load = 2400 * sun, 180 + 60 * (now // 1800 % 3) + self.noise(6)
        if hour < 0.01:
            self._won = 0.0
        self._won += power / 360e3
        self._used += load / 360e3
        self._soc = min(100.0, max(10.0, self._soc + (power - load) / 36e3))
        self._requests += 12
        volts = 25.6 + self._soc / 50 + (power - load) / 4000
        facts = {"power": power, "load": load, "volts": volts, "sun": sun}
        found = []
        for number, each in enumerate(DEVICES):
            values = {name: self.value(point, facts) for name, point in each.points.items()}
            found.append(Sample(each, 1000 * now + 150 * number + self._chance.randrange(40), values))
        return found

    def value(self, point: Point, facts: dict[str, float]) -> Value:
        power, load, volts = facts["power"], facts["load"], facts["volts"]
        level, size = {
            "battery_voltage": (volts, 0.015),
            "battery_voltage_min": (volts, 0.015),
            "load_voltage": (volts, 0.015),
            "battery_current": (power / volts, 0.08),
            "battery_power": (power, 2.0),
            "battery_temperature": (18 + 4 * facts["sun"], 0.05),
            "pv_voltage": (72.0 if power else 0.3, 0.5),
            "pv_current": (power / 72, 0.03),
            "pv_power": (power, 2.0),
            "charger_state": (3.0 if power else 0.0, 0.0),
            "mpp_mode": (2.0 if power else 0.0, 0.0),
            "yield_today": (self._won, 0.0),
            "energy_day_counter": (1000 * self._won, 0.0),
            "charge_day_counter": (40 * self._won, 0.0),
            "yield_total": (1234 + self._won, 0.0),
            "energy_total_counter": (1234 + self._won, 0.0),
            "soc": (self._soc, 0.0),
            "capacity": (2.8 * self._soc, 0.0),
            "cell_voltage_min": (volts / 8, 0.001),
            "cell_voltage_max": (volts / 8, 0.001),
            "bus_requests": (float(self._requests), 0.0),
            "bus_latency": (20.0, 3.0),
            "bus_load": (12.0, 0.6),
            "load_current": (load / volts, 0.05),
            "load_power": (load, 0.0),
            "ac_voltage": (230.0, 0.7),
            "ac_current": (load / 230, 0.004),
            "ac_power": (load, 0.0),
            "ac_apparent_power": (1.08 * load, 0.5),
            "ac_frequency": (50.0, 0.015),
            "ac_power_factor": (0.93, 0.01),
            "energy_forward": (500 + self._used, 0.0),
            "energy_forward_counter": (1000 * self._used, 0.0),
        }.get(point.name, (volts / 8, 0.0012) if point in CELLS else (7.0, 0.0))
        if point is v.FAULT_TEXT:
            return ""
        measured = round(level + (self.noise(size) if size else 0.0), point.decimals)
        return measured if point.kind == "number" else int(measured)


async def measure(plan: Plan) -> list[Figure]:
    return [*drawn(plan.folder / "ten_years.db", 384 if plan.micro >= 0.6 else 64), *costs(plan)]


def drawn(path: Path, days: int) -> Iterator[Figure]:
    """Ten years of one point each 10 minutes: `days` are written, and their blocks moved until there are ten years."""
    one = device("one", (v.PV_POWER,))
    writer = Writer(path, FOR_EVER)
    chance = random.Random(3)
    for day in range(days):
        begin = BEGIN + day * DAY
        batch = [
            Sample(
                one, 1000 * (begin + 600 * index), {"pv_power": round(sun(index / 6) * chance.uniform(100, 2400), 1)}
            )
            for index in range(144)
        ]
        writer.write(batch, begin + DAY, LOCAL)
        writer.tend(begin + DAY, LOCAL)
    writer.close()
    times = -(-3653 // days)
    repeated(path, days, times)
    end = BEGIN + times * days * DAY
    for name, span in (("ten years", 3650), ("one year", 365)):
        took = []
        for _ in range(15):
            began = time.perf_counter()
            rows = select(path, "one", ["pv_power"], end - span * DAY, end, pixels=1000).rows["pv_power"]
            took.append(time.perf_counter() - began)
        count = sum(row.samples for row in rows)
        method = (
            f"one point each 10 min ({count:,} values) as {len(rows)} rows for 1,000 pixels, file opened anew; median"
        )
        yield Figure(f"drawing {name}", 1000 * median(took), "ms", method, TARGET_MS if span == 3650 else None, 1)


def sun(hour: float) -> float:
    return max(0.0, math.sin((hour - 6) / 12 * math.pi))


def repeated(path: Path, days: int, times: int) -> None:
    """Each block again so many times, `days` later each time; a block does not know the time it begins at."""
    with closing(sqlite3.connect(path)) as connection, connection:
        for level in LEVELS:
            blocks = connection.execute(f"SELECT id, block FROM {level.table}").fetchall()
            for number, block in blocks:
                payload = opened(block, schema.place(level.table, number))
                for again in range(1, times):
                    moved = number + ((again * days * DAY_MS // level.span) << SERIES_BITS)
                    again_sealed = sealed(payload, schema.place(level.table, moved))
                    connection.execute(f"INSERT OR REPLACE INTO {level.table} VALUES (?, ?)", (moved, again_sealed))
        for day, start in connection.execute("SELECT day, start FROM days").fetchall():
            for again in range(1, times):
                later = day + again * days, start + again * days * DAY_MS
                connection.execute("INSERT OR IGNORE INTO days VALUES (?, ?)", later)


def costs(plan: Plan) -> Iterator[Figure]:
    path = plan.folder / "history.db"
    writer, world = Writer(path, FOR_EVER), World()
    hours = 48 if plan.micro >= 0.6 else 6
    used = longest = 0.0
    count, before = 0, written_bytes()
    batch: list[Sample] = []
    for index in range(360 * hours):
        now = BEGIN + 10 * index
        batch += world.samples(now)
        if len(batch) < 6 * len(DEVICES):
            continue
        began = time.process_time()
        writer.write(batch, now, LOCAL)
        writer.tend(now, LOCAL)
        took = time.process_time() - began
        used, longest, count, batch = used + took, max(longest, took), count + len(batch), []
    writer.close()
    days = hours / 24
    written = (written_bytes() - before) / days / 1e6
    with closing(sqlite3.connect(path)) as connection:
        sizes = {
            level.table: connection.execute(f"SELECT sum(length(block) + 12) FROM {level.table}").fetchone()[0]
            / 1e6
            / days
            for level in LEVELS
        }
    values = sum(len(each.points) for each in DEVICES)
    what = f"{values} values each 10 s with noise, {hours} h"
    yield Figure("raw values on disk", sizes["raw"], "MB/day", what, None, 2)
    yield Figure("minutes on disk", sizes["minute"], "MB/day", "minimum, mean and maximum of the same", None, 2)
    yield Figure("30 days raw", 30 * sizes["raw"], "MB", "of the above", 150, 0)
    yield Figure("two years of minutes", 730 * sizes["minute"], "MB", "of the above", 1000, 0)
    yield Figure("15 min and days", 3650 * (sizes["quarter"] + sizes["day"]), "MB", "ten years of them", None, 0)
    yield Figure(
        "written to disk", written, "MB/day", "write calls, with log and checkpoints, a commit a minute", None, 1
    )
    yield Figure(
        "a sample of a device", 1e6 * used / count, "µs", f"CPU, {values // len(DEVICES)} values, all in", None, 0
    )
    yield Figure("longest commit", 1000 * longest, "ms", "CPU, the one that seals an hour of all devices", None, 0)


def written_bytes() -> int:
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return int(next(line.partition(":")[2] for line in lines if line.startswith("wchar")))
