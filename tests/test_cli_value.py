"""`heliobus read … --value`: the bare value, also by the names of an older program."""

from pathlib import Path

import pytest

from daemon import heliobus, heliobus_run
from heliobus.devices import catalog
from heliobus.sim.pty_server import serve_pty
from heliobus.sim.server import serve_rtu_tcp, serve_tcp
from heliobus.sim.tracer import SimTracer
from heliobus.sim.tristar import SimTriStar

DRIVER = "morningstar-tristar-mppt"
CHECKS = (
    *("pvvolt", "pvamps", "pvwatt", "bavolt", "baamps", "bawatt", "batemp", "baperc", "bastat"),
    *("eptemp1", "eptemp2", "epstat", "dcvolt", "dcamps", "dcwatt"),
    *("pvkwhtotal", "dckwhtotal", "pvkwhtoday", "dckwhtoday"),
)


async def test_numbers_enums_and_texts() -> None:
    async with serve_tcp({1: SimTriStar()}) as server:
        device = f"{DRIVER}@tcp://127.0.0.1:{server.port}"
        result = await heliobus("read", device, "--value", "battery_voltage", "charge_state", "ip_address")
    assert result.code == 0, result.err
    volts, state, address = result.out.splitlines()
    assert 20 < float(volts) < 30 and len(volts.partition(".")[2]) == 2
    assert state.isdigit()
    assert address == "192.168.1.253"
    assert not result.err


async def test_all_names_of_the_old_console_on_a_tty() -> None:
    tracer = catalog.driver("epever-tracer")
    assert set(CHECKS) <= tracer.aliases.keys()
    async with serve_pty({1: SimTracer(hour=12.0)}, speeds={1: 115200}) as server:
        result = await heliobus("read", f"epever-tracer@serial:{server.path}", *CHECKS, "--value")
    assert result.code == 0, result.err
    values = dict(zip(CHECKS, map(float, result.out.splitlines()), strict=True))
    assert 0 < values["baperc"] <= 1
    assert values["pvvolt"] > values["bavolt"] > 10
    assert values["pvwatt"] > 0


async def test_aliases_in_a_table_stand_for_their_points() -> None:
    async with serve_rtu_tcp({1: SimTracer(hour=12.0)}) as server:
        device = f"epever-tracer@rtu+tcp://127.0.0.1:{server.port}"
        result = await heliobus("read", device, "bavolt", "battery_voltage")
    assert result.code == 0, result.err
    assert len(result.out.splitlines()) == 2 and result.out.splitlines()[1].startswith("battery_voltage  ")


async def test_no_value_is_exit_code_1_and_one_line() -> None:
    async with serve_tcp({1: SimTriStar(rts=False)}) as server:
        device = f"{DRIVER}@tcp://127.0.0.1:{server.port}"
        result = await heliobus("read", device, "--value", "battery_voltage", "rts_temperature")
    assert result.code == 1 and not result.out
    assert len(result.err.splitlines()) == 1 and "rts_temperature" in result.err


async def test_a_silent_device_is_exit_code_1() -> None:
    async with serve_pty({}) as server:
        result = await heliobus("read", f"epever-tracer@serial:{server.path}", "pvvolt", "--value")
    assert result.code == 1 and not result.out and len(result.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("epever-tracer@tcp://127.0.0.1:1", "pvvlt", "--value"), "did you mean 'pvvolt'"),
        (("epever-tracer@tcp://127.0.0.1:1", "--value"), "names of points"),
        (("epever-tracer@tcp://127.0.0.1:1", "pvvolt", "--value", "--json"), "without --json"),
        ((f"{DRIVER}@tcp://127.0.0.1:1", "pvvolt", "--value"), "no point 'pvvolt'"),
    ],
)
async def test_wrong_use(arguments: tuple[str, ...], words: str) -> None:
    result = await heliobus("read", *arguments)
    assert result.code == 2 and words in result.err


async def test_through_the_daemon(tmp_path: Path) -> None:
    path = tmp_path / "heliobus.toml"
    async with serve_rtu_tcp({1: SimTracer(hour=12.0)}) as server:
        path.write_text(
            f"[site]\nstate = '{tmp_path / 'state'}'\n[[device]]\nname = 'tracer'\ndriver = 'epever-tracer'\n"
            f"link = 'rtu+tcp://127.0.0.1:{server.port}'\npoll = '1s'\n"
            "[output.venus]\nbus = 'unix:path=/nonexistent'\non_bus_loss = 'reconnect'\n"
        )
        async with heliobus_run(path, None) as daemon:
            await daemon.logged("found EP")
            result = await heliobus("read", "tracer", "bavolt", "--value", "-c", str(path))
            while result.code == 1 and "(stale)" in result.err:
                # The daemon has not read all of it yet.
                result = await heliobus("read", "tracer", "bavolt", "--value", "-c", str(path))
    assert result.code == 0, result.err
    assert 10 < float(result.out) < 16
