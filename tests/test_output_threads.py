"""A disk that hangs for ever does not keep the process from its end."""

import subprocess
import sys
from pathlib import Path

import pytest

END = """
import asyncio, sys, threading
from pathlib import Path
from heliobus.config.outputs import FilesConfig, HistoryConfig
from heliobus.model.clock import SystemClock
from heliobus.model.localtime import local_time
from heliobus.outputs.files import daily, output as files
from heliobus.outputs.history import recording, writer
from heliobus.outputs.history.output import HistoryOutput
from heliobus.outputs.status import Statuses
from heliobus.sim.fleet import FleetSite
from heliobus.model.reading import Reading
from heliobus.site import Site

begun = threading.Event()

def hang(*_):
    begun.set()
    threading.Event().wait()

daily.append = writer.Writer.write = hang
files.FAREWELL = recording.FAREWELL = 0.2
folder, clock, zone = Path(sys.argv[2]), SystemClock(), local_time("UTC")

async def main():
    site = Site()
    for device, values in FleetSite(1, 1).sample(clock.time()):
        site.introduce(device)
        site.put(Reading(device.name, clock.time(), values))
    output = {
        "files": lambda: files.FilesOutput(FilesConfig(folder), clock, lambda: zone, Statuses()),
        "history": lambda: HistoryOutput(HistoryConfig(folder / "h.db"), folder, clock, lambda: zone, Statuses()),
    }[sys.argv[1]]()
    task = asyncio.create_task(output.run(site))
    while not begun.is_set():
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

asyncio.run(main())
print("ended")
"""


@pytest.mark.parametrize("output", ["files", "history"])
def test_the_process_ends(tmp_path: Path, output: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", END, output, str(tmp_path)], capture_output=True, text=True, timeout=15, check=True
    )
    assert (ended.stdout, "Traceback" in ended.stderr) == ("ended\n", False), ended.stderr
