"""How we call ourselves at a broker."""

import hashlib
import platform
from pathlib import Path

from heliobus.model.naming import slug

MACHINE_ID = Path("/etc/machine-id")
LONGEST_SITE = 40


def client_id(site_name: str, state: Path, machine_id: Path = MACHINE_ID) -> str:
    """The same at every start, another for each machine and state directory, so that no two drive each other out."""
    try:
        machine = machine_id.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        machine = platform.node()
    digest = hashlib.sha256(f"{machine}\n{state.absolute()}".encode()).hexdigest()[:8]
    return f"heliobus-{slug(site_name)[:LONGEST_SITE]}-{digest}"
