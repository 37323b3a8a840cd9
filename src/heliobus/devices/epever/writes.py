"""What may be written to an EPever charger (B-Series Modbus Specification V2.3, instruction v2.5; epever.md §8 to §11).

Never declared: coil 0x0013 (factory settings), coil 0x0000 (acknowledged without effect), 0x0014 (clears the energy),
0x9017 to 0x901D (temperatures that protect the charger), 0x9100 to 0x9105 (passwords), 0x9107 (nobody knows which bit
is which), and the unit id.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from heliobus.devices.driver import Register
from heliobus.devices.epever import points as ep
from heliobus.devices.epever import settings as st
from heliobus.devices.epever.coding import CENTURY
from heliobus.devices.writes import (
    WRITE_SEVERAL,
    Battery,
    ClockSetting,
    Coil,
    Effect,
    Group,
    Order,
    Settings,
    Span,
    Writes,
)
from heliobus.model import vocabulary as v
from heliobus.model.point import Point, Value

LOW_VOLTAGE_DISCONNECT = 3
MANUAL = 0
LOAD_RUNNING = 0
MINUTE = 60.0

HVD, LIMIT, HVR = st.SET_HVD_VOLTAGE.name, st.SET_VOLTAGE_LIMIT.name, st.SET_HVD_RECONNECT_VOLTAGE.name
EQUALIZE, ABSORPTION = st.SET_EQUALIZE_VOLTAGE.name, st.SET_ABSORPTION_VOLTAGE.name
FLOAT, RECONNECT = st.SET_FLOAT_VOLTAGE.name, st.SET_ABSORPTION_RECONNECT_VOLTAGE.name
LVR, LVD = st.SET_LVD_RECONNECT_VOLTAGE.name, st.SET_LVD_VOLTAGE.name
RECOVER, WARNING = st.SET_LOW_WARNING_RECOVER_VOLTAGE.name, st.SET_LOW_WARNING_VOLTAGE.name
DISCHARGE = st.SET_DISCHARGE_LIMIT_VOLTAGE.name

ORDERS = (
    Order(HVD, LIMIT),
    Order(HVD, HVR),
    Order(LIMIT, EQUALIZE, same=True),
    Order(EQUALIZE, ABSORPTION, same=True),
    Order(ABSORPTION, FLOAT, same=True),
    Order(FLOAT, RECONNECT),
    Order(RECONNECT, LVR),
    Order(LVR, LVD),
    Order(LVD, DISCHARGE, same=True),
    Order(RECOVER, WARNING),
    Order(WARNING, DISCHARGE, same=True),
    Order(LIMIT, LVR),
    Order(LIMIT, RECOVER),
    Order(WARNING, LVD, advised=True),
)
"""What every source agrees on (epever.md §10); the vendor also asks for the last, which devices do not demand."""
RULES = (
    ": by its vendor's rules over-voltage disconnect > charging limit > equalize > absorption > float > absorption "
    "reconnect, warning recover > warning > low-voltage disconnect > discharging limit"
)

VOLTAGES = (
    st.SET_HVD_VOLTAGE,
    st.SET_VOLTAGE_LIMIT,
    st.SET_HVD_RECONNECT_VOLTAGE,
    st.SET_EQUALIZE_VOLTAGE,
    st.SET_ABSORPTION_VOLTAGE,
    st.SET_FLOAT_VOLTAGE,
    st.SET_ABSORPTION_RECONNECT_VOLTAGE,
    st.SET_LVD_RECONNECT_VOLTAGE,
    st.SET_LOW_WARNING_RECOVER_VOLTAGE,
    st.SET_LOW_WARNING_VOLTAGE,
    st.SET_LVD_VOLTAGE,
    st.SET_DISCHARGE_LIMIT_VOLTAGE,
)
"""0x9003 to 0x900E: a single one of them is refused with exception 04."""
BLOCK = (st.SET_BATTERY_TYPE, st.SET_BATTERY_CAPACITY, st.SET_TEMPERATURE_COMPENSATION, *VOLTAGES)
CHARGING = (LIMIT, EQUALIZE, ABSORPTION, FLOAT)
ALONE = (
    st.SET_EQUALIZE_DAYS,
    st.SET_EQUALIZE_TIME,
    st.SET_ABSORPTION_TIME,
    st.SET_CURRENT_LIMIT,
    st.SET_LOAD_MODE,
    st.SET_LOAD_DEFAULT,
)
RANGES: Mapping[Point, tuple[float, float]] = {
    st.SET_SYSTEM_VOLTAGE: (0, 4),
    st.SET_BATTERY_TYPE: (st.USER, max(st.BATTERY_TYPES)),
    st.SET_BATTERY_CAPACITY: (1, 9999),
    st.SET_TEMPERATURE_COMPENSATION: (-0.3, 0.0),
    **dict.fromkeys(VOLTAGES, (8.0, 68.0)),
    st.SET_EQUALIZE_DAYS: (0, 255),
    st.SET_EQUALIZE_TIME: (0, 180 * MINUTE),
    st.SET_ABSORPTION_TIME: (10 * MINUTE, 180 * MINUTE),
    st.SET_CURRENT_LIMIT: (1, 100),
    st.SET_LOAD_MODE: (MANUAL, max(st.LOAD_MODES)),
    st.SET_LOAD_DEFAULT: (0, 1),
}
FREE = frozenset(
    point.name
    for point in (
        st.SET_BATTERY_CAPACITY,
        st.SET_TEMPERATURE_COMPENSATION,
        st.SET_EQUALIZE_TIME,
        st.SET_ABSORPTION_TIME,
    )
)
PRESETS = {st.SEALED: FREE, st.GEL: FREE - {st.SET_EQUALIZE_TIME.name}, st.FLOODED: FREE}
"""What of a preset type is not fixed."""


def tracer_writes(registers: Iterable[Register]) -> Writes:
    """The declaration, for the registers of a model."""
    by_point: dict[Point, Register] = {register.point: register for register in registers}
    return Writes(
        coils=_load_switch(by_point),
        settings=_settings(by_point),
        clock=ClockSetting(v.SET_CLOCK, by_point[v.DEVICE_CLOCK], clock_words),
    )


def clock_words(moment: datetime) -> tuple[int, int, int]:
    """0x9013 to 0x9015 for local time: minute and second, day and hour, year and month."""
    return (
        moment.minute << 8 | moment.second,
        moment.day << 8 | moment.hour,
        moment.year - CENTURY << 8 | moment.month,
    )


def _load_switch(by_point: Mapping[Point, Register]) -> tuple[Coil, ...]:
    coil = by_point.get(v.LOAD_ENABLED)
    if coil is None:
        return ()
    status = by_point.get(ep.LOAD_STATUS)
    return (
        Coil(
            coil.address,
            v.LOAD_ENABLED,
            guard=_load_guard,
            guarded_by=(by_point[st.SET_LOAD_MODE], by_point[ep.BATTERY_VOLTAGE_STATUS]),
            effect=None if status is None else Effect(status, LOAD_RUNNING),
        ),
    )


def _load_guard(values: Mapping[str, Value], on: bool) -> str | None:
    """The coil counts in manual mode only, and low-voltage disconnect holds the load off whatever it says (§11)."""
    mode = values.get(st.SET_LOAD_MODE.name)
    if mode is None:
        return "it is not known yet what switches the load output (register 0x903D)"
    if mode != MANUAL:
        words = st.SET_LOAD_MODE.text(mode)
        return (
            f"the load output is switched by {words!r}, not by hand: "
            f"set {st.SET_LOAD_MODE.name} to {MANUAL} ({st.LOAD_MODES[MANUAL]}) first"
        )
    if on and values.get(ep.BATTERY_VOLTAGE_STATUS.name) == LOW_VOLTAGE_DISCONNECT:
        return (
            "the battery is empty: low-voltage disconnect holds the load output off until the battery has "
            f"{st.SET_LVD_RECONNECT_VOLTAGE.text(values.get(st.SET_LVD_RECONNECT_VOLTAGE.name))} again"
        )
    return None


def _settings(by_point: Mapping[Point, Register]) -> Settings:
    def span(*points: Point) -> Span:
        return Span(tuple(by_point[point] for point in points))

    block = (span(st.SET_TEMPERATURE_COMPENSATION), span(*VOLTAGES), span(*BLOCK))
    # The system voltage goes first: the type "user" is not taken while it is automatic.
    groups: tuple[Group, ...] = (
        (span(st.SET_SYSTEM_VOLTAGE),),
        block,
        *((span(point),) for point in ALONE if point in by_point),
    )
    return Settings(
        groups=groups,
        function=WRITE_SEVERAL,
        ranges={point.name: limits for point, limits in RANGES.items() if point in by_point},
        rules=RULES,
        battery=_battery(by_point),
    )


def _battery(by_point: Mapping[Point, Register]) -> Battery:
    volts = frozenset(point.name for point in VOLTAGES)
    times = (st.SET_EQUALIZE_DAYS, st.SET_EQUALIZE_TIME, st.SET_ABSORPTION_TIME, st.SET_SYSTEM_VOLTAGE)
    return Battery(
        kind=by_point[st.SET_BATTERY_TYPE],
        user=st.USER,
        presets=PRESETS,
        governed=frozenset(point.name for point in (*BLOCK, *times)),
        code=by_point[st.SET_SYSTEM_VOLTAGE],
        automatic=0,
        codes=st.SYSTEM_VOLTAGES,
        sign=by_point[st.SET_FLOAT_VOLTAGE],
        ratio=(1.0, 1.3),
        volts=(9.0, 17.0),
        voltages=volts,
        charging=CHARGING,
        disconnect=HVD,
        equalize=EQUALIZE,
        absorption=ABSORPTION,
        compensation=st.SET_TEMPERATURE_COMPENSATION.name,
        # 9 mV/°C for each of six cells.
        steepest=-0.054,
        orders=ORDERS,
    )
