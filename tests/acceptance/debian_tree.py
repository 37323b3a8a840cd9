"""A Debian 13 tree with Home Assistant in it, for machines whose own Python is too old for it."""

import os
import shutil
import subprocess
from pathlib import Path

PACKAGES = "ca-certificates,python3,python3-venv,python3-dev,build-essential,mosquitto"
PYTHON = "/opt/homeassistant/bin"
ENVIRONMENT = {
    "PATH": f"{PYTHON}:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    "PIP_DEFAULT_TIMEOUT": "180",
    # Home Assistant installs more by itself, with the authorities of the machine.
    "UV_NATIVE_TLS": "1",
    "SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt",
}
HOST_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt", "/etc/pip.conf")
"""What programs in the tree need to reach the same mirrors as the machine itself."""


class DebianTree:
    """The tree under `root`; it is made once and used again."""

    def __init__(self, root: Path, mirror: str, version: str) -> None:
        self.root = root
        self._mirror = mirror
        self._version = version

    def prepare(self) -> None:
        """Make what is not there yet. Raises CalledProcessError."""
        if not (self.root / "usr/bin/python3").exists():
            command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "trixie", self.root, self._mirror]
            subprocess.run(command, check=True)
        for each in HOST_FILES:
            source, target = Path(each), self.root / each[1:]
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
        user = Path("~/.config/pip/pip.conf").expanduser()
        if user.exists():
            target = self.root / "root/.config/pip/pip.conf"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(user, target)
        if not (self.root / PYTHON[1:] / "hass").exists():
            self.run("python3", "-m", "venv", str(Path(PYTHON).parent))
            self.run("pip", "install", "-q", f"homeassistant=={self._version}")

    def run(self, *command: str) -> None:
        """Run a program of the tree to its end. Raises CalledProcessError."""
        subprocess.run(["chroot", self.root, *command], check=True, env=self._environment())

    def output(self, *command: str) -> str:
        """What a program of the tree prints, however it ends."""
        done = subprocess.run(
            ["chroot", self.root, *command],
            check=False,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        return done.stdout.decode(errors="replace")

    def start(self, log: Path, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program of the tree; what it says goes into `log`."""
        with log.open("wb") as file:
            return subprocess.Popen(
                ["chroot", self.root, *command], env=self._environment(), stdout=file, stderr=subprocess.STDOUT
            )

    def _environment(self) -> dict[str, str]:
        proxies = {name: value for name, value in os.environ.items() if name.lower().endswith(("_proxy", "pip_cert"))}
        return ENVIRONMENT | proxies
