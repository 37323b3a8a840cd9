"""A D-Bus of our own, in a folder of its own, for the demo."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@asynccontextmanager
async def private_bus() -> AsyncIterator[str | None]:
    """The address of a dbus-daemon that runs while the block does; None where no dbus-daemon is installed."""
    program = shutil.which("dbus-daemon")
    if program is None:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="heliobus-") as folder:
        socket = Path(folder) / "bus"
        config = Path(folder) / "bus.conf"
        config.write_text(CONFIG.format(socket=socket), encoding="utf-8")
        daemon = await asyncio.create_subprocess_exec(
            program,
            f"--config-file={config}",
            "--nofork",
            "--print-address",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            assert daemon.stdout is not None
            # The address is printed once the daemon listens.
            await daemon.stdout.readline()
            yield f"unix:path={socket}"
        finally:
            daemon.terminate()
            await daemon.wait()
