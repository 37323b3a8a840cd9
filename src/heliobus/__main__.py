"""Run the command line with `python -m heliobus`."""

from heliobus.cli.main import main

main()
