"""Finds devices: on ttys, at TCP addresses and in the own network, with reads alone."""

from heliobus.scan.candidates import LIKELY, UNLIKELY, Speed, speeds, units_of
from heliobus.scan.found import Found, Passed, Report, Stranger
from heliobus.scan.network import NetworkRangeError, hosts
from heliobus.scan.survey import Options, Progress, Quiet, Target, survey
from heliobus.scan.ttys import other_program, same_tty, stable_path, ttys

__all__ = [
    "LIKELY",
    "UNLIKELY",
    "Found",
    "NetworkRangeError",
    "Options",
    "Passed",
    "Progress",
    "Quiet",
    "Report",
    "Speed",
    "Stranger",
    "Target",
    "hosts",
    "other_program",
    "same_tty",
    "speeds",
    "stable_path",
    "survey",
    "ttys",
    "units_of",
]
