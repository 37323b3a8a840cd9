"""An output whose package is not installed ends the daemon with one line that says what to install."""

import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
[site]
state = "{state}"
[[device]]
driver = "morningstar-tristar-mppt"
link = "tcp://127.0.0.1:1"
[output.{output}]
"""
RUN = """
import sys
sys.modules[sys.argv[1]] = None
from heliobus.cli.main import main
sys.argv[1:] = ["run", "-c", sys.argv[2]]
main()
"""


@pytest.mark.parametrize(
    ("output", "package"), [("mqtt", "paho"), ("influx", "aiohttp"), ("web", "aiohttp"), ("web", "multidict")]
)
def test_the_daemon_says_what_to_install(tmp_path: Path, output: str, package: str) -> None:
    path = tmp_path / "heliobus.toml"
    path.write_text(CONFIG.format(state=tmp_path / "state", output=output))
    ended = subprocess.run(
        [sys.executable, "-c", RUN, package, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert (
        f"[output.{output}] needs {package}, which is not installed: pip install 'heliobus[{output}]'" in ended.stderr
    )
    assert "Traceback" not in ended.stderr
