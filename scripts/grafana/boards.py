"""The dashboards, one for each question of their readers. Points come from the vocabulary."""

import re

from grafana.panels import GREEN, RED, YELLOW, Board, Panel
from grafana.questions import Form, Question
from heliobus.model import vocabulary as v
from heliobus.model.point import Point
from heliobus.model.quantity import COUNT, ENUM, NUMBER
from heliobus.model.role import Role

CHARGER = (Role.SOLAR_CHARGER,)
BATTERY = (Role.BATTERY,)
AT_BATTERY = (Role.SOLAR_CHARGER, Role.BATTERY)
AC_SOURCE = (Role.PV_INVERTER, Role.GENSET)
AC_LOAD = (Role.AC_LOAD,)
GRID = (Role.GRID_METER,)
DC = (Role.DC_LOAD, Role.DC_SYSTEM, Role.DC_SOURCE, Role.ALTERNATOR)
POLLED = tuple(role for role in Role if role is not Role.TOTAL)
SOC_STEPS = ((None, RED), (20, YELLOW), (50, GREEN))
UP = Point("device_up", ENUM, "Whether the device answers", words={0: "silent", 1: "answers"})
WAITING = Point("output_waiting_records", NUMBER, "Records that the other side has not taken yet")
ERRORS = Point("output_errors", COUNT, "Times that something went wrong")
"""Metrics that are no points of a device."""
CELL = re.compile(r"cell_voltage_[0-9]+")


def _cells() -> tuple[Question, ...]:
    """The single cells, as soon as the vocabulary has them."""
    points = [point for name, point in v.VOCABULARY.items() if CELL.fullmatch(name)]
    return tuple(Question(point, BATTERY, title=point.name.removeprefix("cell_voltage_")) for point in points)


def _one(point: Point, roles: tuple[Role, ...], form: Form = Form.EACH, title: str = "") -> tuple[Question, ...]:
    return (Question(point, roles, form, title),)


def _several(roles: tuple[Role, ...], *titled: tuple[Point, str], form: Form = Form.EACH) -> tuple[Question, ...]:
    return tuple(Question(point, roles, form, title) for point, title in titled)


def _stat(title: str, point: Point, roles: tuple[Role, ...], form: Form = Form.LATEST_SUM) -> Panel:
    return Panel(title, _one(point, roles, form, title), "stat", 4, 4)


TODAY = Board(
    "today",
    "Site today",
    "What the sun gives, what is in the battery, what is used.",
    (
        _stat("Solar power", v.PV_POWER, CHARGER),
        _stat("Won today", v.YIELD_TODAY, CHARGER),
        Panel("Battery", _one(v.BATTERY_VOLTAGE, AT_BATTERY), "stat", 4, 4),
        Panel("State of charge", _one(v.SOC, BATTERY), "gauge", 4, 4, SOC_STEPS, 0, 100),
        _stat("AC loads", v.AC_POWER, AC_LOAD),
        _stat("From the grid", v.AC_POWER, GRID),
        Panel(
            "Solar power", (*_one(v.PV_POWER, CHARGER), *_one(v.PV_POWER, CHARGER, Form.SUM, "all chargers")), width=24
        ),
        Panel("Battery voltage", _one(v.BATTERY_VOLTAGE, AT_BATTERY)),
        Panel("Battery power, + into the battery", _one(v.BATTERY_POWER, BATTERY)),
        Panel(
            "Loads",
            (*_one(v.AC_POWER, AC_LOAD), *_one(v.LOAD_POWER, CHARGER, title="load output"), *_one(v.DC_POWER, DC)),
        ),
        Panel("Grid, inverters and gensets", (*_one(v.AC_POWER, GRID), *_one(v.AC_POWER, AC_SOURCE))),
        Panel("Won each day", _one(v.YIELD_TODAY, CHARGER, Form.DAILY), "barchart", 24),
    ),
)

BATTERY_AND_CELLS = Board(
    "battery",
    "Battery and cells",
    "How full, how healthy and how even the batteries are.",
    (
        Panel("State of charge", _one(v.SOC, BATTERY), "gauge", 6, 5, SOC_STEPS, 0, 100),
        Panel("Voltage", _one(v.BATTERY_VOLTAGE, BATTERY), "stat", 6, 5),
        Panel("Current, + into the battery", _one(v.BATTERY_CURRENT, BATTERY), "stat", 6, 5),
        Panel("Temperature", _one(v.BATTERY_TEMPERATURE, BATTERY), "stat", 6, 5),
        Panel("State of charge", _one(v.SOC, BATTERY), low=0, high=100),
        Panel("Current, + into the battery", _one(v.BATTERY_CURRENT, BATTERY)),
        Panel("Voltage", (*_one(v.BATTERY_VOLTAGE, BATTERY), *_one(v.MAX_CHARGE_VOLTAGE, BATTERY, title="asked for"))),
        Panel(
            "Cells", (*_several(BATTERY, (v.CELL_VOLTAGE_MIN, "lowest"), (v.CELL_VOLTAGE_MAX, "highest")), *_cells())
        ),
        Panel("Temperature", _one(v.BATTERY_TEMPERATURE, BATTERY)),
        Panel(
            "What the battery allows", _several(BATTERY, (v.MAX_CHARGE_CURRENT, "in"), (v.MAX_DISCHARGE_CURRENT, "out"))
        ),
        Panel("Capacity", _several(BATTERY, (v.CAPACITY, "left"), (v.CAPACITY_FULL, "when full"))),
        Panel("Health", _one(v.SOH, BATTERY), low=0, high=100, width=6),
        Panel("Cycles", _one(v.CYCLES, BATTERY), width=6),
    ),
)

SOLAR_CHARGER = Board(
    "charger",
    "Charger",
    "What a charger does, how warm it gets, and whether it is steered.",
    (
        Panel("Stage", _one(v.CHARGER_STATE, CHARGER, Form.STATES), "state-timeline", 24, 5),
        Panel("Power", _one(v.PV_POWER, CHARGER)),
        Panel("Array voltage", _one(v.PV_VOLTAGE, CHARGER)),
        Panel("Array current", _one(v.PV_CURRENT, CHARGER)),
        Panel("Charge current", _one(v.BATTERY_CURRENT, CHARGER)),
        Panel(
            "Battery against target", _several(CHARGER, (v.BATTERY_VOLTAGE, "battery"), (v.TARGET_VOLTAGE, "target"))
        ),
        Panel("Battery temperature", _one(v.BATTERY_TEMPERATURE, CHARGER)),
        Panel("Imposed by control: voltage", _one(v.CONTROL_VOLTAGE, CHARGER)),
        Panel("Imposed by control: current", _one(v.CONTROL_CURRENT, CHARGER)),
        Panel("Load output", _one(v.LOAD_POWER, CHARGER)),
        Panel("Won today", _one(v.YIELD_TODAY, CHARGER)),
        Panel("Won in the device's life", _one(v.YIELD_TOTAL, CHARGER), "stat"),
        Panel("Clock, + if it is fast", _one(v.CLOCK_DRIFT, CHARGER)),
    ),
    range="now-2d",
)

BUS_HEALTH = Board(
    "bus",
    "Bus health",
    "Whether the devices answer, how fast, and who else is on the line.",
    (
        Panel("Requests a minute", _one(v.BUS_REQUESTS, POLLED, Form.PER_MINUTE), unit="none"),
        Panel("No answer, a minute", _one(v.BUS_TIMEOUTS, POLLED, Form.PER_MINUTE), unit="none"),
        Panel("Bad frames a minute", _one(v.BUS_BAD_FRAMES, POLLED, Form.PER_MINUTE), unit="none"),
        Panel("Refusals a minute", _one(v.BUS_REFUSALS, POLLED, Form.PER_MINUTE), unit="none"),
        Panel("Time to answer", _one(v.BUS_LATENCY, POLLED)),
        Panel("Load of the bus", _one(v.BUS_LOAD, POLLED), low=0, high=100),
        Panel(
            "Frames of another master, a minute",
            _one(v.BUS_FOREIGN_FRAMES, POLLED, Form.PER_MINUTE),
            unit="none",
            about="Anything above 0: a second program or display polls the same line.",
        ),
        Panel("Link opened again, a minute", _one(v.BUS_RECONNECTS, POLLED, Form.PER_MINUTE), unit="none"),
    ),
    range="now-6h",
    scraped=(
        Panel("Answers", _one(UP, POLLED, Form.STATES), "state-timeline", 24),
        Panel("Waiting for the other side", _one(WAITING, (), title="{{output}}")),
        Panel("Errors of outputs a minute", _one(ERRORS, (), Form.PER_MINUTE, "{{output}}"), unit="none"),
    ),
)

FLEET = Board(
    "fleet",
    "Fleet",
    "All sites at once: who reports, who has gone silent, which batteries are low.",
    (
        Panel(
            "Sites with a charger that reports",
            _one(v.BATTERY_VOLTAGE, CHARGER, Form.SITES, "sites"),
            "stat",
            6,
            5,
            unit="none",
        ),
        Panel("Solar power of all", _one(v.PV_POWER, CHARGER, Form.LATEST_SUM, "power"), "stat", 6, 5),
        Panel("Won today by all", _one(v.YIELD_TODAY, CHARGER, Form.LATEST_SUM, "energy"), "stat", 6, 5),
        Panel(
            "Sites with a battery that reports", _one(v.SOC, BATTERY, Form.SITES, "sites"), "stat", 6, 5, unit="none"
        ),
        Panel("Solar power of all", _one(v.PV_POWER, CHARGER, Form.SUM, "power"), width=24),
        Panel("Solar power by site", _one(v.PV_POWER, CHARGER, Form.BY_SITE_SUM, "Solar power"), "table"),
        Panel("Won today by site", _one(v.YIELD_TODAY, CHARGER, Form.BY_SITE_SUM, "Won today"), "table"),
        Panel("Lowest state of charge by site", _one(v.SOC, BATTERY, Form.BY_SITE_LEAST, "State of charge"), "table"),
        Panel(
            "Last heard of",
            _one(v.BUS_REQUESTS, POLLED, Form.LAST_HEARD, "Last heard of"),
            "table",
            unit="dateTimeFromNow",
            recent="1d",
        ),
        Panel(
            "No answer on the buses, a minute",
            _one(v.BUS_TIMEOUTS, POLLED, Form.BY_SITE_PER_MINUTE),
            width=24,
            unit="none",
        ),
    ),
    range="now-6h",
    refresh="1m",
)

BOARDS = (TODAY, BATTERY_AND_CELLS, SOLAR_CHARGER, BUS_HEALTH, FLEET)
