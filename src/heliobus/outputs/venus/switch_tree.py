"""The switches of a device on the GX screen and in VRM: `com.victronenergy.switch.*`. Source: venus.md §7.1, §7.2.

A service of its own, beside the charger's: Venus OS 3.62 to 3.67 looks for switches nowhere else. Later versions look
everywhere, and would show a switch twice that is in both; so the load output is here alone, too.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial

from heliobus.model.command import Control, ControlKind
from heliobus.model.device import Device
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.model.vocabulary import VOCABULARY
from heliobus.outputs.venus.control_items import ControlItems, wanted
from heliobus.outputs.venus.face import connected
from heliobus.outputs.venus.item import Item
from heliobus.outputs.venus.items import Items
from heliobus.outputs.venus.leaf import Constant
from heliobus.outputs.venus.output_status import (
    DISABLED,
    EXTERNAL_CONTROL,
    LOAD_MEASURED,
    STATUSES,
    load_status,
    on_or_off,
)
from heliobus.outputs.venus.paths_identity import IDENTITY, product_name
from heliobus.outputs.venus.setting import Keeping, Setting
from heliobus.outputs.venus.stored_item import StoredItem, acceptable_name

SERVICE_CLASS = "switch"
FIRST_INSTANCE = 50
# A number of our own, apart from those of the drivers.
PRODUCT_ID = 0xBE00
MODULE_CONNECTED = 0x100
MODULE_STATES = {MODULE_CONNECTED: "connected"}


@dataclass(frozen=True, slots=True)
class Output:
    """Element of the path and name of a switch. `status` says what becomes of it, where that is more than on and off.

    `measured` are leaves with the points that feed them: only a real output has them.
    """

    element: str
    name: str
    status: Callable[[Reading], Value] | None = None
    measured: Mapping[str, str] = field(default_factory=dict)


# By the point it commands.
OUTPUTS = {
    "charger_enabled": Output("charger", "Charger on"),
    "equalize_requested": Output("equalize", "Equalize"),
    "top_charge": Output("top_charge", "Top charge"),
    "load_enabled": Output("output_1", "Load output", load_status, LOAD_MEASURED),
}
NO_OUTPUTS = frozenset({"bms_required"})
"""Switches that nobody shall touch by accident."""

EQUALIZING = 7
"""The charger's state while it equalizes, as VE.Direct numbers it."""
MANUAL = 2
FUNCTIONS = {MANUAL: "manual"}
TOGGLE = 1
TYPES = {TOGGLE: "toggle"}
EVERYWHERE = 1
VISIBILITIES = {0: "hidden", EVERYWHERE: "everywhere", 2: "on the GX only", 4: "in VRM only"}
LONGEST_LABEL = 32


def switches(device: Device) -> tuple[Control, ...]:
    """The controls that become switches, in the order of the table."""
    found = [
        control
        for control in device.controls.values()
        if control.kind is ControlKind.SWITCH
        and not control.dynamic
        and not control.locked
        and control.point.name not in NO_OUTPUTS
    ]
    order = [*OUTPUTS, *(control.point.name for control in found)]
    return tuple(sorted(found, key=lambda control: order.index(control.point.name)))


def companion_name(device: Device) -> str:
    """`TriStar MPPT 60 controls`."""
    return f"{device.identity.model or product_name(device)} controls"


def _identity() -> tuple[Constant, ...]:
    own = {
        "/ProductId": Constant("/ProductId", "i", lambda device: PRODUCT_ID, lambda value: f"0x{value:X}"),
        "/ProductName": Constant("/ProductName", "s", companion_name),
    }
    return tuple(own.get(constant.path, constant) for constant in IDENTITY)


class SwitchTree:
    """The switches of `device` in `service`."""

    def __init__(
        self,
        service: Items,
        device: Device,
        controls: ControlItems,
        key: str,
        settings: Keeping,
        wake: Callable[[], None],
    ) -> None:
        self._service = service
        for constant in _identity():
            item = service.add(Item(constant.path, constant.kind, constant.shown))
            service.set(item, constant.value(device))
        self._connected = service.add(Item("/Connected", "i"))
        service.set(self._connected, 0)
        self._state = service.add(Item("/State", "i", _words(MODULE_STATES)))
        self._outputs = [
            _SwitchableOutput(service, control, controls, f"/Settings/Devices/{key}", settings, wake)
            for control in switches(device)
        ]

    def show(self, reading: Reading, changed: Iterable[str]) -> None:
        """Carry `reading`."""
        answers = connected(reading)
        self._service.set(self._connected, answers)
        self._service.set(self._state, MODULE_CONNECTED if answers else None)
        for output in self._outputs:
            output.show(reading)

    def close(self) -> None:
        """Follow no setting any more."""
        for output in self._outputs:
            output.close()


class _SwitchableOutput:
    """One switch: `/SwitchableOutput/<id>/*`."""

    def __init__(
        self,
        service: Items,
        control: Control,
        controls: ControlItems,
        group: str,
        settings: Keeping,
        wake: Callable[[], None],
    ) -> None:
        self._service = service
        self._point = control.point.name
        output = OUTPUTS.get(self._point) or Output(self._point, self._point.replace("_", " ").capitalize())
        root = f"/SwitchableOutput/{output.element}"
        self._state = service.add(Item(f"{root}/State", "i", control.point.text, control.point.doc))
        controls.open(self._state, control, partial(wanted, control, "i"))
        self._status = service.add(Item(f"{root}/Status", "i", _words(STATUSES)))
        service.set(self._status, DISABLED)
        service.set(service.add(Item(f"{root}/Name", "s")), output.name)
        service.set(service.add(Item(f"{root}/Settings/Type", "i", _words(TYPES))), TOGGLE)
        service.set(service.add(Item(f"{root}/Settings/ValidTypes", "i")), 1 << TOGGLE)
        self._output_status = output.status
        self._measured = [
            (service.add(Item(f"{root}/{leaf}", "d", VOCABULARY[point].text)), point)
            for leaf, point in output.measured.items()
        ]
        if output.measured:
            service.set(service.add(Item(f"{root}/Settings/Function", "i", _words(FUNCTIONS))), MANUAL)
            service.set(service.add(Item(f"{root}/Settings/ValidFunctions", "i")), 1 << MANUAL)
        label = partial(acceptable_name, longest=LONGEST_LABEL)

        def stored(leaf: str, item: Item, default: int | str, acceptable: Callable[[object], bool]) -> StoredItem:
            highest = max(VISIBILITIES) if isinstance(default, int) else 0
            setting = Setting(f"{group}{root}/{leaf}", default, 0, highest)
            return StoredItem(service, service.add(item), setting, settings, acceptable, wake, must_last=False)

        visible = Item(f"{root}/Settings/ShowUIControl", "i", _words(VISIBILITIES))
        self._stored = (
            stored("ShowUIControl", visible, EVERYWHERE, lambda value: type(value) is int and value in VISIBILITIES),
            stored("Group", Item(f"{root}/Settings/Group", "s"), "", label),
            stored("CustomName", Item(f"{root}/Settings/CustomName", "s"), "", label),
        )

    def show(self, reading: Reading) -> None:
        """Carry `reading`."""
        asked = reading.values.get(self._point) if connected(reading) else None
        by_itself = (
            self._point == "equalize_requested" and asked == 0 and reading.values.get("charger_state") == EQUALIZING
        )
        self._service.set(self._state, 1 if by_itself else asked)
        self._service.set(self._status, EXTERNAL_CONTROL if by_itself else self._status_of(asked, reading))
        for item, point in self._measured:
            self._service.set(item, reading.values.get(point) if connected(reading) else None)

    def close(self) -> None:
        """Follow no setting any more."""
        for item in self._stored:
            item.close()

    def _status_of(self, asked: Value, reading: Reading) -> Value:
        if not connected(reading):
            return DISABLED
        if self._output_status is not None:
            return self._output_status(reading)
        return on_or_off(asked)


def _words(words: dict[int, str]) -> Callable[[Value], str]:
    return lambda value: words.get(value, str(value)) if isinstance(value, int) else str(value)
