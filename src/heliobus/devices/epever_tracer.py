"""EPever solar chargers with a load output: Tracer AN/BN/BP, XTRA-N, TriRon-N, iTracer, eTracer, LS-B, VS-B.

By B-Series Modbus Specification V2.3 and communication instruction v2.5, corrected by captured frames. Modbus RTU at
115200 baud, one stop bit, never isolated from the battery. What the families differ in is in epever/families.py.
"""

from heliobus.devices.driver import Driver, Recognition
from heliobus.devices.epever import table
from heliobus.devices.epever.aliases import CHECKS
from heliobus.devices.epever.derive import DERIVED, derive
from heliobus.devices.epever.doubt import doubt
from heliobus.devices.epever.fit import fit
from heliobus.devices.epever.recognise import recogniser
from heliobus.devices.epever.writes import tracer_writes
from heliobus.devices.epever_duoracer import DRIVER as DUORACER
from heliobus.model.role import Role
from heliobus.wire.bus import Timing

REGISTERS = (
    table.RATED
    + table.RATED_LOAD
    + table.REAL_TIME
    + table.REAL_TIME_LOAD
    + table.STATUS
    + table.STATUS_LOAD
    + table.COILS_LOAD
    + table.STATISTICS
    + table.STATISTICS_LOAD
    + table.SETTINGS
    + table.SETTINGS_LOAD
)


def _recognise() -> Recognition:
    return recogniser(
        fits_tracer=lambda family: fit(DRIVER, family), fits_duoracer=lambda family: fit(DUORACER, family)
    )


DRIVER = Driver(
    name="epever-tracer",
    short="tracer",
    vendor="EPever",
    family="Tracer AN/BN/BP, XTRA-N, TriRon-N, iTracer, eTracer, LandStar LS-B, ViewStar VS-B",
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
    notes="Modbus RTU on RS-485. Its state of charge is a guess from the voltage and is only a diagnostic.",
    doubt=doubt,
    writes=tracer_writes(REGISTERS),
    turnaround=0.01,
    aliases=CHECKS,
)
