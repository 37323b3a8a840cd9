"""Heliobus: the one master of a solar site's buses."""

__version__ = "0.1.0"
