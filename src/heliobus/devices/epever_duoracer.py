"""EPever DuoRacer DR-N: a solar charger for two batteries, without a load output.

The Tracer's registers but for 0x310D to 0x310F, which are current and power of the second battery; its voltage is not
known to be anywhere. All that is told by owners, so what rests on a load output is left out (epever.md §1, §8.2).
"""

from heliobus.devices.driver import Driver, Recognition
from heliobus.devices.epever import table
from heliobus.devices.epever.aliases import CHECKS
from heliobus.devices.epever.derive import DERIVED, derive
from heliobus.devices.epever.doubt import doubt
from heliobus.devices.epever.fit import fit
from heliobus.devices.epever.recognise import recogniser
from heliobus.devices.epever.writes import tracer_writes
from heliobus.model.role import Role
from heliobus.wire.bus import Timing

REGISTERS = table.RATED + table.REAL_TIME + table.REAL_TIME_BATTERY_2 + table.STATUS + table.STATISTICS + table.SETTINGS
NAMES = frozenset(register.point.name for register in REGISTERS)


def _recognise() -> Recognition:
    return recogniser(fits_tracer=None, fits_duoracer=lambda family: fit(DRIVER, family))


DRIVER = Driver(
    name="epever-duoracer",
    short="duoracer",
    vendor="EPever",
    family="DuoRacer DR-N",
    role=Role.SOLAR_CHARGER,
    registers=REGISTERS,
    recognise=_recognise,
    derived=DERIVED,
    derive=derive,
    limits=table.LIMITS,
    timing=Timing(floor=0.2, ceiling=0.5, gap=0.05, connect=3.0),
    poll_period=5.0,
    baud=115200,
    stop_bits=1,
    notes="Modbus RTU on RS-485. The second battery has current and power, no voltage. Known from owners only.",
    doubt=doubt,
    writes=tracer_writes(REGISTERS),
    turnaround=0.01,
    aliases={name: alias for name, alias in CHECKS.items() if alias.point in NAMES},
)
