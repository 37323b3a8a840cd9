"""Whether settings that are written without a restart fit each other, the battery and the owner's limits. Pure.

The rules are the driver's declaration (epever.md §10); here they are only followed.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from heliobus.control.checks import BROWN_OUT, HIGHEST, HVD_MARGIN, LOWEST, title
from heliobus.control.plant import Plant
from heliobus.control.settings import by_name
from heliobus.devices.writes import Battery, Order, Settings
from heliobus.model import vocabulary as v
from heliobus.model.control_options import ControlOptions
from heliobus.model.point import Value

LITHIUM = frozenset({"lifepo4", "lithium-ion"})
HALF_COUNT = 0.005001
"""Volts by which a stored voltage may miss the one that was typed."""


def problems(
    settings: Settings,
    after: Mapping[str, Value],
    touched: Mapping[str, float],
    options: ControlOptions,
    named: Collection[str] = (),
) -> tuple[str, ...]:
    """Why the device should not get the settings `after`, of which those `touched` are new; empty if nothing does.

    `named` are those that were asked for, also where they are so already. What was odd before and is not touched is no
    reason.
    """
    case = _Case(settings, after, touched, options, frozenset(named))
    found = [*case.ranges(), *case.current()]
    if settings.battery is not None and concerns_battery(settings, touched):
        found += [*case.kind(settings.battery), *case.voltages(settings.battery), *case.orders(settings.battery)]
    return tuple(found)


def advice(settings: Settings, after: Mapping[str, Value], touched: Mapping[str, float]) -> tuple[str, ...]:
    """What the vendor asks for beyond what every device demands, and is not so after the change."""
    battery = settings.battery
    if battery is None:
        return ()
    case = _Case(settings, after, touched, ControlOptions())
    return tuple(case.breach(order) for order in battery.orders if order.advised and case.is_broken(order))


def concerns_battery(settings: Settings, names: Mapping[str, object]) -> bool:
    """Whether any of `names` is a setting that depends on the battery."""
    battery = settings.battery
    return battery is not None and not battery.governed.isdisjoint(names)


def battery_refusal(plant: Plant, settings: Settings, held: Mapping[str, Value]) -> str | None:
    """Why settings of the battery cannot be written as long as the device is as `held` and the readings say.

    They must be confirmed to be for the actual voltage: both conventions look alike until the ratio is known.
    """
    battery, confirmed = settings.battery, plant.options.system_voltage
    if battery is None:
        return None
    found, where = plant.number(v.NOMINAL_VOLTAGE), f"for {plant.name} in the config"
    code = held.get(battery.code.point.name)
    chosen = battery.codes.get(int(code)) if isinstance(code, int | float) else None
    if confirmed is None:
        known = chosen or found
        looks = f"; it looks like a {known:g} V system" if known else ""
        return (
            "charge settings depend on the nominal voltage of the battery, which you have to confirm once"
            f"{looks}: set system_voltage = {known or 24:g} {where}"
        )
    for volts, words in ((chosen, "is set to"), (found, "works as on")):
        if volts is not None and volts != confirmed:
            return (
                f"system_voltage = {confirmed}, but the charger {words} {volts:g} V: "
                f"correct system_voltage {where}, or the charger"
            )
    measured = plant.number(v.BATTERY_VOLTAGE)
    if measured is not None and measured > BROWN_OUT and not LOWEST <= 12 * measured / confirmed <= HIGHEST:
        return f"system_voltage = {confirmed}, but the battery reads {measured:.1f} V: correct system_voltage {where}"
    return _convention_refusal(battery, held, confirmed)


def _convention_refusal(battery: Battery, held: Mapping[str, Value], confirmed: int) -> str | None:
    sign = held.get(battery.sign.point.name)
    if not isinstance(sign, int | float):
        return f"it is not known yet how it stores voltages: {title(battery.sign.point.name)} has not been read"
    low, high = battery.ratio
    if low <= sign / confirmed <= high:
        return None
    if low <= sign / 12 <= high:
        return (
            f"its {title(battery.sign.point.name)} of {sign:g} V looks as if voltages were stored for 12 V, "
            f"which nobody has seen yet on {confirmed} V: settings are not written"
        )
    return (
        f"its {title(battery.sign.point.name)} of {sign:g} V is not that of a {confirmed} V battery, so it is not sure "
        "for which battery voltages are stored: settings are not written"
    )


@dataclass(frozen=True, slots=True)
class _Case:
    settings: Settings
    after: Mapping[str, Value]
    touched: Mapping[str, float]
    options: ControlOptions
    named: frozenset[str] = frozenset()

    @property
    def times(self) -> float:
        return (self.options.system_voltage or 12) / 12

    def number(self, name: str) -> float | None:
        value = self.after.get(name)
        return value if isinstance(value, int | float) else None

    def new(self, name: str) -> float | None:
        """The value of a setting that is touched."""
        return self.number(name) if name in self.touched else None

    def words(self, name: str) -> str:
        """`float voltage 28.90 V`."""
        return f"{title(name)} {by_name(self.settings)[name].point.text(self.touched.get(name, self.number(name)))}"

    def ranges(self) -> Iterator[str]:
        for name, (low, high) in self.settings.ranges.items():
            value = self.new(name)
            if value is not None and not low - HALF_COUNT <= value <= high + HALF_COUNT:
                yield f"{self.words(name)} is not within {low:g} to {high:g}"

    def current(self) -> Iterator[str]:
        value, owner = self.new("set_current_limit"), self.options.highest_current
        if value is not None and owner is not None and value > owner:
            yield f"{self.words('set_current_limit')} is above the {owner:g} A of [device.limits]"

    def kind(self, battery: Battery) -> Iterator[str]:
        """What the battery type, and the way the system voltage is chosen, allow."""
        names = battery.kind.point.name, battery.code.point.name
        kind, code = self.number(names[0]), self.number(names[1])
        user = battery.kind.point.words[battery.user]
        chosen = None if code is None else battery.codes.get(int(code))
        if self.new(names[1]) not in (None, battery.automatic) and chosen != self.options.system_voltage:
            yield f"{self.words(names[1])} is not the system_voltage that you have confirmed"
        if self.new(names[0]) not in (None, battery.user):
            # A backup names all that the type loads, so that it can be read back.
            if not battery.voltages <= self.named:
                yield (
                    f"{self.words(names[0])}: only {user!r} can be chosen by itself, "
                    "since what the charger loads with another type is not known before"
                )
            return
        if kind == battery.user:
            if code == battery.automatic:
                right = next((each for each, volts in battery.codes.items() if volts == self.options.system_voltage), 0)
                yield (
                    f"battery type {user!r} does not go with an automatic system voltage: "
                    f"set {names[1]} to {right} first, or with it"
                )
            return
        free = battery.presets.get(int(kind), frozenset()) if kind is not None else frozenset()
        fixed = [name for name in self.touched if name in battery.governed - free - {names[1]}]
        if fixed:
            word = "not known" if kind is None else repr(battery.kind.point.words.get(int(kind), str(kind)))
            yield (
                f"battery type is {word}, which has a fixed {', '.join(title(name) for name in fixed)}: "
                f"set {names[0]} to {battery.user} ({battery.kind.point.words[battery.user]}) first, or with it"
            )

    def voltages(self, battery: Battery) -> Iterator[str]:
        """What the battery, the device and the owner allow."""
        chemistry, owner, times = self.options.chemistry, self.options.highest_voltage, self.times
        for name in self.touched.keys() & battery.voltages:
            value, (low, high) = self.number(name), battery.volts
            if value is not None and not times * low - HALF_COUNT <= value <= times * high + HALF_COUNT:
                yield f"{self.words(name)} is not within {times * low:g} V to {times * high:g} V"
        for name in battery.charging:
            value, low, high = self.new(name), times * chemistry.lowest, times * chemistry.highest
            if value is None:
                continue
            if not low - HALF_COUNT <= value <= high + HALF_COUNT:
                yield (
                    f"{self.words(name)} is not within {low:g} V to {high:g} V, "
                    f"the limits of chemistry {chemistry.name} at {12 * times:g} V"
                )
            if owner is not None and value > owner + HALF_COUNT:
                yield f"{self.words(name)} is above the {owner:g} V of [device.limits]"
        yield from self._disconnect(battery)
        yield from self._equalize(battery)
        yield from self._compensation(battery)

    def orders(self, battery: Battery) -> Iterator[str]:
        """What must be above what."""
        for order in battery.orders:
            if not order.advised and self.is_broken(order):
                yield self.breach(order)

    def is_broken(self, order: Order) -> bool:
        upper, lower = self.number(order.upper), self.number(order.lower)
        if upper is None or lower is None or self.touched.keys().isdisjoint((order.upper, order.lower)):
            return False
        return upper < lower or (upper == lower and not order.same)

    def breach(self, order: Order) -> str:
        must = "must not be below" if order.same else "must be above"
        return f"{self.words(order.upper)} {'should be above' if order.advised else must} {self.words(order.lower)}"

    def _disconnect(self, battery: Battery) -> Iterator[str]:
        value, chemistry = self.new(battery.disconnect), self.options.chemistry
        high = HVD_MARGIN * chemistry.highest * self.times
        if value is not None and value > high + HALF_COUNT:
            yield (
                f"{self.words(battery.disconnect)} is above {high:.2f} V, "
                f"{HVD_MARGIN:g} times the highest voltage of {chemistry.name}"
            )

    def _equalize(self, battery: Battery) -> Iterator[str]:
        chemistry, absorption = self.options.chemistry, self.number(battery.absorption)
        value = self.new(battery.equalize)
        if value is not None and absorption is not None and value > absorption and not chemistry.equalize:
            yield (
                f"{self.words(battery.equalize)} must be the same as {self.words(battery.absorption)}: "
                f"chemistry {chemistry.name} must not be equalized"
            )

    def _compensation(self, battery: Battery) -> Iterator[str]:
        name, value = battery.compensation, self.new(battery.compensation)
        if value is None:
            return
        steepest = battery.steepest * self.times
        if value < steepest - 1e-9:
            yield f"{self.words(name)} is not within {steepest:g} to 0"
        if value and self.options.chemistry.name in LITHIUM:
            yield f"{self.words(name)} must be 0 for chemistry {self.options.chemistry.name}"
