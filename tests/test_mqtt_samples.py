"""Samples at QoS 1 through the outbox: all of them, in order, though the broker was away."""

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest

from heliobus.outputs.mqtt.samples import SamplesPart
from heliobus.outputs.mqtt.session import PublishRefusedError
from heliobus.outputs.outbox import Record, SinkAwayError
from heliobus.outputs.status import OutputStatus
from mqtt_site import BASE, POINTS, Recorded, config, reading, stage, until
from servers import Probe, free_port, mosquitto, probe

SAMPLE = f"{BASE}/tristar_south/sample"
START = 1_777_629_600.0


class Noon:
    """A clock that stands, soon after the readings."""

    def time(self) -> float:
        return START + 200


def times(looking: Probe) -> dict[str, float]:
    """The PV power at each moment, in the order in which it came first: some may come twice."""
    found: dict[str, float] = {}
    for each in map(json.loads, looking.on(SAMPLE)):
        found.setdefault(each["time"], each["pv_power"])
    return found


def more(status: OutputStatus, than: int) -> bool:
    return status.waiting > than


async def test_samples_are_whole_and_confirmed(tmp_path: Path) -> None:
    async with (
        mosquitto() as broker,
        probe(broker.port, SAMPLE) as looking,
        stage(config(broker.port, record_every=0.2), tmp_path, clock=Noon()) as on,
    ):
        seen = await looking.topic(SAMPLE)
        assert (seen.qos, seen.retain) == (1, False)
        sample = json.loads(seen.payload)
        assert list(sample) == ["time", *(point.name for point in POINTS)]
        assert sample["time"] == "2026-05-01T10:00:00.000Z"
        assert sample["charger_state"] == "bulk"
        await looking.settle()
        # A device that says nothing new gives no sample.
        assert len(looking.on(SAMPLE)) == 1
        assert on.statuses.open("mqtt-samples").refused == 0


async def test_none_is_lost_while_the_broker_is_away(tmp_path: Path) -> None:
    async with (
        mosquitto(persistence=True) as broker,
        stage(config(broker.port, record_every=0.2), tmp_path, clock=Noon()) as on,
    ):
        status = on.statuses.open("mqtt-samples")
        async with probe(broker.port, SAMPLE, kept="database") as looking:
            await looking.topic(SAMPLE)
        await broker.stop()
        for number in range(5):
            on.site.put(reading(on.charger, {"pv_power": float(number)}, time=START + 10 + number))
            await until(partial(more, status, number))
        await broker.start()
        on.site.put(reading(on.charger, {"pv_power": 99.0}, time=START + 100))
        async with probe(broker.port, SAMPLE, kept="database") as looking:
            await until(lambda: status.waiting == 0 and status.sent == 7)
            await looking.until(lambda _: len(times(looking)) == 6)
            assert sorted(times(looking).values()) == [0.0, 1.0, 2.0, 3.0, 4.0, 99.0]
            backlog = [value for value in times(looking).values() if value != 99.0]
            assert backlog == sorted(backlog)
        assert status.dropped == 0


async def test_samples_wait_over_a_restart_of_heliobus(tmp_path: Path) -> None:
    port = free_port()
    async with stage(config(port, record_every=0.2), tmp_path, clock=Noon()) as on:
        await until(lambda: on.statuses.open("mqtt-samples").waiting == 1)
    async with (
        mosquitto(port=port) as broker,
        probe(broker.port, SAMPLE) as looking,
        stage(config(port, record_every=0.2), tmp_path, clock=Noon(), answers=False),
    ):
        assert json.loads((await looking.topic(SAMPLE)).payload)["pv_power"] == 290.2


async def test_what_the_broker_refuses_is_counted(tmp_path: Path) -> None:
    rules = f"topic readwrite {BASE}/availability\ntopic readwrite {BASE}/+/availability\n"
    async with (
        mosquitto(acl=rules) as broker,
        stage(config(broker.port, record_every=0.2), tmp_path, clock=Noon()) as on,
    ):
        status = on.statuses.open("mqtt-samples")
        await until(lambda: status.refused == 1)
        assert (status.waiting, status.sent) == (0, 0)


async def test_what_a_clock_that_was_never_set_would_date_is_dropped_and_counted(tmp_path: Path) -> None:
    async with (
        mosquitto() as broker,
        probe(broker.port, SAMPLE) as looking,
        stage(config(broker.port, record_every=0.02), tmp_path, clock=Noon(), answers=False) as on,
    ):
        status = on.statuses.open("mqtt-samples")
        on.site.put(reading(on.charger, time=120.0))
        await until(lambda: status.dropped == 1)
        on.site.put(reading(on.charger))
        assert json.loads((await looking.topic(SAMPLE)).payload)["time"] == "2026-05-01T10:00:00.000Z"


async def test_what_a_broker_has_no_room_for_now_is_kept() -> None:
    class Full(Recorded):
        async def publish(self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False) -> None:
            raise PublishRefusedError("Quota exceeded")

    part = SamplesPart()
    lent = asyncio.create_task(part.run(Full()))
    await asyncio.sleep(0)
    with pytest.raises(SinkAwayError, match="Quota exceeded"):
        await part.send([Record(1, b"t\n{}")])
    lent.cancel()
    await asyncio.gather(lent, return_exceptions=True)
