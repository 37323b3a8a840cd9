"""A week of a charger's life in virtual time: what the ledger says is what the sun gave, whatever happens between."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from heliobus.devices import catalog
from heliobus.devices.driver import Recognised
from heliobus.devices.plan import TCP_COST
from heliobus.devices.poll import Poller
from heliobus.ledger import store
from heliobus.ledger.ledger import Ledger
from heliobus.model.day import Days
from heliobus.model.localtime import local_time
from heliobus.model.reading import Reading
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.tristar import SimTriStar
from heliobus.sim.virtual_time import VirtualClock, run_virtual
from heliobus.wire.bus import Bus
from heliobus.wire.modbus.tcp import TcpFramer

MIDNIGHT = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
KEY = "tristar_10170296"
HOUR = 3600.0
POLL = 30.0
STEP = 10.0
SECONDS = 10.0


class TrueCharger(SimTriStar):
    """Knows how much it gave on which day."""

    def __init__(self) -> None:
        super().__init__(day_of_year=152, hour=0.0, latitude=47.0, soc=0.4)
        self.truth: dict[int, float] = defaultdict(float)

    def advance(self, seconds: float) -> None:
        before = self.world.seconds
        watts = self.charger.watts
        super().advance(seconds)
        self.truth[int(before // 86400)] += (watts + self.charger.watts) / 2 * seconds / HOUR


class Site:
    """One charger, its poller and its ledger, which may be killed and started again."""

    def __init__(self, path: Path) -> None:
        self.charger = TrueCharger()
        # The charger's time passes also while nobody has the link open.
        self.link = MemoryLink({1: self.charger}, speed=0.0)
        self.clock = VirtualClock(MIDNIGHT)
        self.days: Days = ()
        self.total = 0.0
        self._path = path
        self._start = int(self.charger.world.seconds // 86400)
        self._ledger: Ledger

    @asynccontextmanager
    async def daemon(self) -> AsyncIterator[None]:
        self._ledger = Ledger(self._path, local_time("UTC"), self.clock)
        assert self._ledger.load() == ()
        bus = Bus(self.link, TcpFramer(), wall_clock=self.clock)
        driver = catalog.driver("morningstar-tristar-mppt")
        poller = Poller(bus, 1, driver, TCP_COST, self, name="roof", period=POLL, clock=self.clock)
        tasks = [asyncio.create_task(work) for work in (bus.run(), poller.run(), self._save())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def live(self) -> None:
        while True:
            await asyncio.sleep(SECONDS)
            self.charger.advance(SECONDS)

    async def until(self, day: int, hour: float) -> None:
        await asyncio.sleep(day * 24 * HOUR + hour * HOUR - asyncio.get_running_loop().time())

    def truth(self, day: int) -> float:
        return self.charger.truth[self._start + day]

    async def _save(self) -> None:
        while True:
            await asyncio.sleep(300)
            store.write(self._path, self._ledger.serialize())

    def recognised(self, recognised: Recognised) -> None:
        assert recognised.identity.serial == "10170296"

    def read(self, reading: Reading) -> None:
        applied = self._ledger.apply(reading, KEY)
        self.days = applied.days
        total = applied.values["yield_total"]
        if isinstance(total, float):
            assert total >= self.total, "the lifetime shrank"
            self.total = total

    def silent(self, why: str) -> None:
        pass

    def stranger(self, why: str) -> None:
        raise AssertionError(why)


def test_a_week_of_accidents(tmp_path: Path) -> None:
    async def week() -> tuple[dict[int, float | None], dict[int, float], float]:
        site = Site(tmp_path / "ledger.json")
        life = asyncio.create_task(site.live())
        async with site.daemon():
            await site.until(1, 13)
            site.charger.reset()
            await site.until(2, 11)
            site.link.paused = True
            await site.until(2, 15)
            site.link.paused = False
            await site.until(3, 14)
        # Killed without a chance to save, and started again a while later.
        await site.until(3, 14.5)
        async with site.daemon():
            await site.until(3, 22)
        # Down over night until the next noon.
        await site.until(4, 12)
        async with site.daemon():
            await site.until(4, 23.9)
        life.cancel()
        days = {4 - ago: None if day is None else day.energy for ago, day in enumerate(site.days)}
        return days, {day: site.truth(day) for day in range(5)}, site.total

    days, truth, total = run_virtual(week())
    assert all(energy > 500 for energy in truth.values()), "a week without sun proves nothing"
    tolerances = {0: STEP, 1: 3 * STEP, 2: 2 * STEP, 3: 2 * STEP, 4: 2 * STEP}
    for day, tolerance in tolerances.items():
        assert days[day] == pytest.approx(truth[day], abs=tolerance), day
    assert total - 2410 == pytest.approx(sum(truth.values()) / 1000, abs=0.06)
