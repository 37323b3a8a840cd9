"""What a meter's service has beside its leaves: the owner's choices, and how often its values are renewed."""

from collections.abc import Callable, Iterable
from functools import partial

from heliobus.model.device import Device
from heliobus.model.placement import POSITIONED
from heliobus.model.point import Value
from heliobus.model.reading import Reading
from heliobus.outputs.venus.choice import Choice
from heliobus.outputs.venus.face import Tree, connected
from heliobus.outputs.venus.item import Item
from heliobus.outputs.venus.items import Items
from heliobus.outputs.venus.paths import ROLE_PATHS
from heliobus.outputs.venus.role_choice import RoleChoice
from heliobus.outputs.venus.setting import Keeping

SMOOTHING = 0.2
NOTABLE = 0.2
"""Part by which the time between readings changes until the path does, so that it does not at every poll."""


class MeterTree:
    """`tree` in `service`, with what only a meter has. `roles` is None where there is only one role."""

    def __init__(
        self,
        tree: Tree,
        service: Items,
        device: Device,
        settings: Keeping,
        wake: Callable[[], None],
        roles: RoleChoice | None = None,
    ) -> None:
        self._tree = tree
        self._service = service
        self._wake = wake
        if roles is not None:
            role = service.add(Item("/Role", "s", write=roles.write))
            service.set(role, device.role.value)
            service.set(service.add(Item("/AllowedRoles", "as")), ",".join(roles.allowed))
        paths = ROLE_PATHS[device.role]
        self._position: Choice | None = None
        if paths.positions:
            self._add_position(device, settings)
        self._renewal = _Renewal(service) if paths.refresh_time else None

    def show(self, reading: Reading, changed: Iterable[str]) -> None:
        """Carry `reading`, of which the points `changed` are news."""
        self._tree.show(reading, changed)
        if self._renewal is not None:
            self._renewal.show(reading)

    def close(self) -> None:
        """Follow no setting any more."""
        self._tree.close()
        if self._position is not None:
            self._position.close()

    def _add_position(self, device: Device, settings: Keeping) -> None:
        positions = ROLE_PATHS[device.role].positions
        words = {number: position.value for position, number in positions.items()}
        item = self._service.add(Item("/Position", "i", partial(_word, words)))
        configured = positions[device.placement.position or POSITIONED[device.role][0]]
        # The numbers mean something else for another role of the same meter.
        path = f"/Settings/Devices/{device.key}/{device.role.value}/Position"

        def told() -> None:
            # A choice that is known at once is told before there is a position.
            if self._position is not None:
                self._service.set(item, self._position.value)
                self._wake()

        self._position = Choice(settings, path, configured, tuple(words), told)
        item.write = self._position.write
        self._service.set(item, self._position.value)
        self._service.set(self._service.add(Item("/PositionIsAdjustable", "i")), 1)


class _Renewal:
    """`/RefreshTime`: milliseconds from one reading to the next, smoothed."""

    def __init__(self, service: Items) -> None:
        self._service = service
        self._item = service.add(Item("/RefreshTime", "i", lambda value: f"{value} ms"))
        self._last: float | None = None
        self._period: float | None = None

    def show(self, reading: Reading) -> None:
        if not connected(reading):
            self._last = self._period = None
            self._service.set(self._item, None)
            return
        last, self._last = self._last, reading.time
        if last is None or reading.time <= last:
            return
        period = reading.time - last
        self._period = period if self._period is None else self._period + SMOOTHING * (period - self._period)
        shown, milliseconds = self._item.value, max(1, round(10 * self._period)) * 100
        if not isinstance(shown, int | float) or abs(milliseconds - shown) > NOTABLE * shown:
            self._service.set(self._item, milliseconds)


def _word(words: dict[int, str], value: Value) -> str:
    return words.get(value, str(value)) if isinstance(value, int) else str(value)
