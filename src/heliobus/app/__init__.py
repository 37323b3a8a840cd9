"""The daemon: buses, devices, ledger, control and outputs of one site, put together and kept running."""

from heliobus.app.installation import Installation, bus_cost
from heliobus.app.lock import StartError
from heliobus.app.single import open_control

__all__ = ["Installation", "StartError", "bus_cost", "open_control"]
