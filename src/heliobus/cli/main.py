"""The `heliobus` command. Each subcommand is a module of its own, imported only when it is used."""

import importlib

import click

from heliobus import __version__
from heliobus.cli.lean import leave_out_openssl

COMMANDS = {
    "demo": "A simulated cabin on this machine, no hardware needed.",
    "run": "The daemon.",
    "scan": "What is there, on ttys and in the network, ready for the config.",
    "read": "One reading of a device.",
    "set": "A command to a device.",
    "profile": "A charger's stored settings: show, compare, back up, apply, restore.",
    "history": "What was measured: as a table, CSV, JSON, Parquet.",
    "log": "What was commanded, by whom, and how it ended.",
    "doctor": "What is wrong with this machine, cable, port, config, in plain words.",
    "pzem": "Set up a PZEM meter: its address, shunt, alarm, counter.",
    "record": "Write the frames on a device's wire to a file.",
    "decode": "What a captured frame says.",
    "sim": "Simulated devices that speak the real wire.",
    "devices": "What is supported.",
    "config": "Look at the config file.",
}


class _LazyGroup(click.Group):
    """Imports a subcommand when it is called, so that the daemon carries no weight of the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        if cmd_name == "run":
            leave_out_openssl()
        command = importlib.import_module(f"heliobus.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="heliobus")
def main() -> None:
    """The one master of a solar site's buses.

    Exit codes: 0 done, 1 failed, 2 wrong use or wrong config, 3 refused by a guard.
    """
