"""A clock that stands still is ever more wrong, though it is read with the same time again and again."""

from heliobus.app.clock_drift import ClockDrift
from heliobus.devices import catalog
from heliobus.model.device import Device, Identity
from heliobus.model.localtime import local_time
from heliobus.model.reading import Health, Reading

START = 1_777_636_800.0
HOUR = 3600.0
DRIVER = catalog.driver("epever-tracer")


def device() -> Device:
    return Device(
        name="cabin",
        label="cabin",
        driver=DRIVER.name,
        short=DRIVER.short,
        role=DRIVER.role,
        address="serial:/dev/null",
        identity=Identity("EPever", "Tracer"),
        points=DRIVER.points(),
        key="tracer_1",
        number=0,
    )


def drift(clock: ClockDrift, shown: str, seconds: float) -> object:
    reading = Reading("cabin", START + seconds, {"device_clock": shown}, {}, Health.OK)
    return clock.annotate(device(), reading).values["clock_drift"]


def test_a_clock_that_stands_still() -> None:
    clock = ClockDrift(lambda: local_time("UTC"))
    shown = "2026-05-01 12:00:00"
    assert drift(clock, shown, 0) == 0
    # It is read once an hour; until then it is the same answer that is shown.
    assert drift(clock, shown, HOUR) == 0
    for hours in (3, 6, 24):
        found = drift(clock, shown, hours * HOUR)
        assert isinstance(found, int)
        assert -hours * HOUR <= found <= -(hours - 2.1) * HOUR


def test_a_clock_that_goes() -> None:
    clock = ClockDrift(lambda: local_time("UTC"))
    assert drift(clock, "2026-05-01 12:00:30", 0) == 30
    assert drift(clock, "2026-05-01 12:00:30", 3590) == 30
    assert drift(clock, "2026-05-01 13:00:31", HOUR) == 31
