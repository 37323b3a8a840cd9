"""What may be written to a TriStar MPPT 150 V, by MODBUS Specification MS-002582 V11 and tristar.md §3.1, §4.5, §6.

Never declared: 0x005A/0x005B and 0xE020/0xE021 (a wrong word there ends tracking), 0xE019/0xE01A and 0x15xx (the
charger could no longer be reached), the coils that clear lifetime totals, and the test mode.
"""

import re
from collections.abc import Iterable, Mapping

from heliobus.devices.driver import Register
from heliobus.devices.morningstar import points as ts
from heliobus.devices.writes import Coil, Eeprom, Slave, Writes
from heliobus.model import vocabulary as v
from heliobus.model.device import Identity
from heliobus.model.point import Point, Value

ETHERNET_MODELS = frozenset({1})
"""Model numbers with a network port: the TS-MPPT-60. Others are reached through the bridge of such a one."""
WITHOUT_ETHERNET = re.compile(r"MPPT (30|45)\b")
CUSTOM_PROGRAM = 7
NOT_FOR_AUTOMATION = frozenset(
    point.name
    for point in (
        ts.SET_MODBUS_UNIT,
        ts.SET_METERBUS_UNIT,
        ts.SET_FIXED_ARRAY_VOLTAGE,
        ts.SET_FIXED_ARRAY_PERCENT,
    )
)
DISCONNECTED, FAULTED, SLAVED = 2, 4, 9
EDIT_FAULT, SLAVE_TIMEOUT_FAULT = 6, 11
RELEASE = 0xFFF0
"""-16: a negative word leaves slave control; this one is reported to work (tristar.md §3.1)."""

EQUALIZE = Coil(0x0000, v.EQUALIZE_REQUESTED)
ENABLED = Coil(0x0002, v.CHARGER_ENABLED, inverted=True)
CLEAR_FAULTS = Coil(0x0014, v.CLEAR_FAULTS, momentary=True)
SAVE = Coil(0x0016, v.SAVE_COUNTERS, momentary=True)
RESET = Coil(0x00FF, v.RESET_CONTROLLER, momentary=True, restarts=True, evidence=(ts.DAY_FLAG_BITS, 0))
SERVER_RESET = Coil(0x10FF, v.RESET_COMM_SERVER, momentary=True, restarts=True)

COILS = (
    EQUALIZE,
    ENABLED,
    Coil(0x0010, v.CLEAR_CHARGE_COUNTER, momentary=True),
    Coil(0x0012, v.CLEAR_ENERGY_COUNTER, momentary=True),
    Coil(0x0013, v.CLEAR_SERVICE_REMINDER, momentary=True),
    CLEAR_FAULTS,
    Coil(0x0015, v.CLEAR_ALARMS, momentary=True),
    SAVE,
    Coil(0x0019, v.CLEAR_VOLTAGE_EXTREMES, momentary=True),
    RESET,
    SERVER_RESET,
)


def tristar_writes(registers: Iterable[Register]) -> Writes:
    """The declaration, for the tables of the driver."""
    by_point = {register.point: register for register in registers}

    def at(point: Point) -> Register:
        return by_point[point]

    settings = tuple(
        register
        for point, register in by_point.items()
        if point.name.startswith("set_") and point.name not in NOT_FOR_AUTOMATION
    )
    state, faults = at(ts.CHARGE_STATE), at(ts.FAULT_BITS)
    slave = Slave(
        volts=at(ts.SLAVE_VOLTAGE),
        amps=at(ts.SLAVE_CURRENT),
        highest_amps=60.0,
        release=RELEASE,
        renewal=15.0,
        timeout=60.0,
        state=state,
        active=SLAVED,
        faults=faults,
        timeout_fault=SLAVE_TIMEOUT_FAULT,
        clear=CLEAR_FAULTS,
    )
    eeprom = Eeprom(
        registers=settings,
        multiplier=ts.SYSTEM_MULTIPLIER,
        guard=_settings_guard,
        save=SAVE,
        disconnect=ENABLED,
        reset=RESET,
        faults=faults,
        edit_fault=EDIT_FAULT,
        state=state,
        disconnected=DISCONNECTED,
        idle=frozenset({DISCONNECTED, FAULTED}),
    )
    return Writes(COILS, _network_guard, slave, eeprom, SERVER_RESET, EQUALIZE, _has_ethernet)


def _has_ethernet(identity: Identity) -> bool:
    return WITHOUT_ETHERNET.search(identity.model) is None


def _network_guard(values: Mapping[str, Value]) -> str | None:
    """Switch 8 blocks writes over the charger's own Ethernet port, not those through a bridge (tristar.md §1.5)."""
    allowed, model = values.get(ts.NETWORK_WRITES.name), values.get(ts.MODEL_NUMBER.name)
    if allowed == 1 or (isinstance(model, int) and model not in ETHERNET_MODELS):
        return None
    if allowed is None:
        return "it is not known yet whether settings switch 8 allows writes over the network"
    return "settings switch 8 is off, so the charger takes no writes over the network: switch it on and restart it"


def _settings_guard(values: Mapping[str, Value]) -> str | None:
    program = values.get(ts.BATTERY_PROGRAM.name)
    if program == CUSTOM_PROGRAM:
        return None
    if program is None:
        return "it is not known yet which battery program the settings switches choose"
    return (
        "settings switches 4, 5 and 6 choose a fixed battery program, so stored settings have no effect: "
        "set all three to on and restart the charger"
    )
