"""What a `[[device]]` table says of the control of the device."""

from dataclasses import dataclass

from heliobus.config.table import ConfigError, Table
from heliobus.devices.driver import Driver
from heliobus.model.chemistry import CHEMISTRIES, UNKNOWN_CHEMISTRY, Chemistry
from heliobus.model.control_options import (
    ControlOptions,
    EepromOptions,
    EqualizeOptions,
    ServerOptions,
    TopChargeOptions,
)

KEYS = ("control", "system_voltage", "chemistry", "limits", "equalize", "top_charge", "server", "eeprom", "clock")
"""The keys of a `[[device]]` table that are read here."""

SYSTEM_VOLTAGES, SYSTEM_VOLTAGES_AT_ONCE = (12, 24, 48), (12, 24, 36, 48)
"""Nominal voltages of chargers that multiply their settings, and of those that store actual volts."""
MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
STRONGEST = 1000.0
"""No charger gives more amperes."""


@dataclass(frozen=True, slots=True)
class _Battery:
    """Chemistry and nominal voltage, None where the owner does not say it."""

    chemistry: Chemistry
    system: int | None

    @property
    def lowest(self) -> float:
        return self.chemistry.lowest * ((self.system or SYSTEM_VOLTAGES[0]) // 12)

    @property
    def highest(self) -> float:
        return self.chemistry.highest * ((self.system or SYSTEM_VOLTAGES[-1]) // 12)

    def volts(self, table: Table, highest: float | None = None) -> float:
        """The key `voltage`: within what the battery bears, and not above `highest`."""
        kind = "battery" if self.chemistry is UNKNOWN_CHEMISTRY else f"{self.chemistry.name} battery"
        unit = f"V for a {kind}" if self.system is None else f"V for a {kind} of {self.system} V"
        high = self.highest
        if highest is not None and highest < high:
            high, unit = highest, "V, the voltage of limits"
        return table.number("voltage", None, self.lowest, high, unit)


def options(table: Table, driver: Driver) -> ControlOptions:
    """All that the `[[device]]` in `table` says of control. Raises ConfigError."""
    switch = table.choice("control", "off", ("on", "off"))
    if switch == "on" and driver.writes is None:
        raise table.error("control", switch, '"off": this driver does not take commands')
    _fitting(table, driver)
    chemistry = CHEMISTRIES[table.choice("chemistry", UNKNOWN_CHEMISTRY.name, tuple(CHEMISTRIES))]
    battery = _Battery(chemistry, table.one_of("system_voltage", _system_voltages(driver)))
    limits = table.table("limits")
    limits.only("voltage", "current")
    highest = battery.volts(limits) if limits.has("voltage") else None
    return ControlOptions(
        on=switch == "on",
        system_voltage=battery.system,
        chemistry=chemistry,
        highest_voltage=highest,
        highest_current=limits.number("current", None, 0.5, STRONGEST, "A") if limits.has("current") else None,
        equalize=_equalize(table.table("equalize"), chemistry),
        top_charge=_top_charge(table.table("top_charge"), battery, highest) if table.has("top_charge") else None,
        server=_server(table.table("server")),
        eeprom=_eeprom(table.table("eeprom")),
        auto_clock=table.choice("clock", "auto", ("auto", "manual")) == "auto",
    )


def _fitting(table: Table, driver: Driver) -> None:
    """Refuse what means nothing for a device that is commanded otherwise."""
    writes = driver.writes
    if writes is None:
        return
    idle = [] if writes.clock is not None else ["clock"]
    if writes.slave is None:
        idle += ["equalize", "top_charge", "server"]
    if not writes.depends_on_battery:
        idle += ["system_voltage", "chemistry", "limits"]
    for key in idle:
        if table.has(key):
            raise ConfigError(f"{table.where()}: {key} means nothing for driver {driver.name!r}; leave it out")


def _system_voltages(driver: Driver) -> tuple[int, ...]:
    return SYSTEM_VOLTAGES_AT_ONCE if driver.writes is not None and driver.writes.settings else SYSTEM_VOLTAGES


def _equalize(table: Table, chemistry: Chemistry) -> EqualizeOptions:
    table.only("allowed", "time_limit", "wait_limit", "interval_days", "hottest")
    usual = EqualizeOptions()
    allowed = table.flag("allowed", usual.allowed)
    if allowed and not chemistry.equalize:
        raise _never_equalized(table, chemistry)
    return EqualizeOptions(
        allowed=allowed,
        time_limit=table.seconds("time_limit", usual.time_limit, MINUTE, DAY),
        wait_limit=table.seconds("wait_limit", usual.wait_limit, MINUTE, 7 * DAY),
        interval=table.number("interval_days", usual.interval, 0, 365, "days"),
        hottest=table.number("hottest", usual.hottest, 0, 60, "°C"),
    )


def _never_equalized(table: Table, chemistry: Chemistry) -> ConfigError:
    if chemistry is UNKNOWN_CHEMISTRY:
        good = " or ".join(f'"{each.name}"' for each in CHEMISTRIES.values() if each.equalize)
        return table.error("allowed", True, f"false, unless chemistry of the device is {good}: it destroys other kinds")
    return table.error(
        "allowed", True, f"false, for an equalize charge destroys a battery of chemistry {chemistry.name}"
    )


def _top_charge(table: Table, battery: _Battery, highest: float | None) -> TopChargeOptions:
    table.only("voltage", "tail_current", "tail_time", "time_limit", "wait_limit")
    usual = TopChargeOptions(0)
    found = TopChargeOptions(
        voltage=battery.volts(table, highest),
        tail_current=table.number("tail_current", usual.tail_current, 0.1, STRONGEST, "A"),
        tail_time=table.seconds("tail_time", usual.tail_time, 10, DAY),
        time_limit=table.seconds("time_limit", usual.time_limit, MINUTE, DAY),
        wait_limit=table.seconds("wait_limit", usual.wait_limit, MINUTE, 7 * DAY),
    )
    # It would always end by a limit, and never because the battery is full.
    if found.tail_time >= found.time_limit:
        raise table.error("tail_time", f"{found.tail_time:g} s", f"less than time_limit, {found.time_limit:g} s")
    if found.time_limit > found.wait_limit:
        raise table.error("time_limit", f"{found.time_limit:g} s", f"at most wait_limit, {found.wait_limit:g} s")
    return found


def _server(table: Table) -> ServerOptions:
    table.only("nightly_reset", "reset_when_hung", "http_port")
    usual = ServerOptions()
    return ServerOptions(
        nightly_reset=table.integer("nightly_reset", usual.nightly_reset, -1, 23),
        reset_when_hung=table.flag("reset_when_hung", usual.reset_when_hung),
        http_port=table.integer("http_port", usual.http_port, 1, 65535),
    )


def _eeprom(table: Table) -> EepromOptions:
    table.only("interval", "daily")
    usual = EepromOptions()
    return EepromOptions(
        interval=table.seconds("interval", usual.interval, 0, 30 * DAY),
        daily=table.integer("daily", usual.daily, 0, 24),
    )
