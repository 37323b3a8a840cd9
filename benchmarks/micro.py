"""The parts of a poll cycle one by one, in microseconds of CPU: where the time goes."""

from figure import Figure, Plan
from heliobus.cli.private_bus import private_bus
from side_process import running, script

PARTS = {
    "read": ("Modbus read of 92 registers", "Bus.ask on 127.0.0.1, connection kept, server in another process"),
    "decode": ("decode", "Decoder.decode of the block of 92 registers"),
    "image": ("decode, derived points and snapshot", "Image.answer and Image.snapshot"),
    "ledger": ("ledger", "Ledger.apply"),
    "site": ("site", "Site.put without steps: what changed?"),
    "tree": ("D-Bus tree", "DeviceTree.show of what changed, texts included"),
    "signal": ("D-Bus signal", "BusItemService.flush of about 30 items to a dbus-daemon"),
}


async def measure(plan: Plan) -> list[Figure]:
    compiled, pure = await _parts(plan, False), await _parts(plan, True)
    figures = [Figure(PARTS[name][0], value, "µs", PARTS[name][1], None, 1) for name, value in compiled.items()]
    return [*figures, Figure("D-Bus signal, pure dbus-fast", pure["signal"], "µs", PARTS["signal"][1], None, 1)]


async def _parts(plan: Plan, pure: bool) -> dict[str, float]:
    async with private_bus() as address, running(*script("charger_server.py", 1, "keep-open")) as chargers:
        (port,) = await chargers.next_line()
        environment = {"PYTHONPATH": str(plan.pure)} if pure else {}
        async with running(*script("parts.py", address, port, plan.micro), environment=environment) as parts:
            found: dict[str, float] = await parts.next_line()
            return found
