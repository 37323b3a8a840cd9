"""The loop whose time jumps, and the link that runs in it."""

import asyncio
import time

import pytest

from heliobus.sim.capture import SimCapture
from heliobus.sim.faults import Faults, Framing
from heliobus.sim.memory_link import MemoryLink
from heliobus.sim.server import serve_tcp
from heliobus.sim.tristar import Behaviour, SimTriStar
from heliobus.sim.tristar_charger import Stage
from heliobus.sim.virtual_time import VirtualClock, run_virtual
from heliobus.wire.link import Link, LinkClosed, LinkError
from sim_frames import mbap, request, rtu

WORD = request(3, 0, 1)
SAID = b"\x03\x02\x12\x34"


def capture() -> SimCapture:
    return SimCapture({0: 0x1234})


def test_time_jumps_in_order() -> None:
    async def main() -> list[tuple[str, float]]:
        seen: list[tuple[str, float]] = []
        loop = asyncio.get_running_loop()

        async def sleeper(name: str, seconds: float) -> None:
            await asyncio.sleep(seconds)
            seen.append((name, loop.time()))

        await asyncio.gather(sleeper("month", 30 * 86400.0), sleeper("hour", 3600.0), sleeper("second", 1.0))
        return seen

    seen = run_virtual(main())
    assert [name for name, _ in seen] == ["second", "hour", "month"]
    assert [when for _, when in seen] == pytest.approx([1.0, 3600.0, 30 * 86400.0])


def test_the_virtual_clock_runs_with_the_loop() -> None:
    async def main() -> float:
        clock = VirtualClock(1_700_000_000.0)
        await asyncio.sleep(86400.0)
        return clock.time()

    assert run_virtual(main()) == pytest.approx(1_700_086_400.0)


def test_time_stands_while_a_thread_works() -> None:
    async def main() -> tuple[float, str]:
        loop = asyncio.get_running_loop()
        timer = asyncio.ensure_future(asyncio.sleep(10.0))
        result = await asyncio.to_thread(lambda: (time.sleep(0.05), "done")[1])
        at = loop.time()
        await timer
        return at, result

    assert run_virtual(main()) == (0.0, "done")


def test_timeouts_work_and_sockets_too() -> None:
    async def main() -> bytes:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5.0):
                await asyncio.Event().wait()
        async with serve_tcp({1: capture()}) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(mbap(1, WORD))
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
            return answer

    assert run_virtual(main()) == mbap(1, SAID)


def test_a_polled_day_of_a_tristar_in_seconds() -> None:
    device = SimTriStar(hour=0.0)

    async def main() -> int:
        link = MemoryLink({1: device}, latency=0.01)
        await link.open(1.0)
        answers = 0
        while asyncio.get_running_loop().time() < 86400.0:
            link.write(mbap(1, request(4, 0, 92)))
            assert len(await link.read(1.0)) == 9 + 184
            answers += 1
            await asyncio.sleep(60.0)
        link.close()
        return answers

    assert run_virtual(main()) == 1440
    assert device.logger.counters.kwh_total > 2412
    assert device.stage is Stage.NIGHT


def test_the_memory_link_is_a_link() -> None:
    async def main() -> None:
        link: Link = MemoryLink({1: capture()}, name="roof")
        assert link.name == "roof"
        assert link.hangs_up
        assert not link.is_open
        link.write(mbap(1, WORD))
        await link.open(1.0)
        assert link.is_open
        link.write(mbap(1, WORD))
        assert await link.read(1.0) == mbap(1, SAID)
        with pytest.raises(TimeoutError):
            await link.read(1.0)
        link.write(mbap(1, WORD))
        await asyncio.sleep(0.1)
        assert link.discard() == mbap(1, SAID)
        link.close()
        assert not link.is_open

    run_virtual(main())


def test_the_memory_link_closes_after_each_answer_as_a_tristar() -> None:
    async def main() -> None:
        link = MemoryLink({1: capture()}, close_after_answer=True)
        await link.open(1.0)
        link.write(mbap(1, WORD))
        assert await link.read(1.0) == mbap(1, SAID)
        assert not link.is_open
        with pytest.raises(LinkClosed):
            await link.read(1.0)
        await link.open(1.0)
        link.hang_up()
        with pytest.raises(LinkClosed):
            await link.read(1.0)
        assert link.opened == 2

    run_virtual(main())


def test_the_memory_link_paces_rtu_and_delays_late_answers() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        link = MemoryLink({1: capture()}, Framing.RTU, bits_per_second=9600, latency=0.1)
        assert not link.hangs_up
        await link.open(1.0)
        link.write(rtu(1, WORD))
        assert await link.read(1.0) == rtu(1, SAID)
        assert loop.time() == pytest.approx(0.105 + 15 * 11 / 9600)
        late = MemoryLink({1: capture()}, Framing.RTU, faults=Faults(late=1.0, late_seconds=3.0))
        await late.open(1.0)
        late.write(rtu(1, WORD))
        with pytest.raises(TimeoutError):
            await late.read(1.0)
        assert await late.read(3.0) == rtu(1, SAID)

    run_virtual(main())


def test_a_pulled_cable_and_a_refusing_peer() -> None:
    async def main() -> None:
        link = MemoryLink({1: capture()})
        await link.open(1.0)
        link.paused = True
        link.write(mbap(1, WORD))
        with pytest.raises(TimeoutError):
            await link.read(1.0)
        link.paused = False
        link.write(mbap(1, WORD))
        assert await link.read(1.0) == mbap(1, SAID)
        link.refusing = True
        with pytest.raises(LinkError):
            await link.open(1.0)

    run_virtual(main())


def test_a_restarting_server_breaks_the_memory_link() -> None:
    async def main() -> None:
        link = MemoryLink({1: SimTriStar(behaviour=Behaviour(server_restart_seconds=5.0))})
        await link.open(1.0)
        link.write(mbap(1, request(5, 0x10FF, 0xFF00)))
        with pytest.raises(LinkClosed):
            await link.read(1.0)
        with pytest.raises(LinkError):
            await link.open(1.0)
        await asyncio.sleep(6.0)
        await link.open(1.0)
        link.close()

    run_virtual(main())


def test_the_memory_link_runs_devices_at_speed() -> None:
    device = SimTriStar(hour=10.0)

    async def main() -> None:
        link = MemoryLink({1: device}, speed=60.0)
        await link.open(1.0)
        await asyncio.sleep(60.0)
        link.write(mbap(1, WORD))
        await link.read(1.0)
        link.close()

    run_virtual(main())
    assert device.world.seconds == pytest.approx(11 * 3600.0)
