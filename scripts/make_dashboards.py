"""Writes dashboards/grafana/*/*.json from their declarations; with --check only says whether they are up to date."""

import json
import sys
from pathlib import Path
from typing import Any

from grafana import influxql, seed
from grafana.boards import BOARDS
from grafana.panels import Dialect, dashboard, frame
from grafana.promql import PROMETHEUS, VICTORIA_METRICS

TARGET = Path(__file__).resolve().parent.parent / "dashboards" / "grafana"
DIALECTS: tuple[Dialect, ...] = (influxql.INFLUX, PROMETHEUS, VICTORIA_METRICS)


def main() -> int:
    """0 when the files are as they should be, after writing them or without need."""
    wanted = {TARGET / name: _text(content) for name, content in dashboards().items()}
    # What is declared no more must go, or Grafana would go on showing it.
    extra = {each for each in TARGET.glob("*/*.json") if each not in wanted}
    if "--check" in sys.argv:
        wrong = [path for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
        for path in (*wrong, *extra):
            print(f"{path.relative_to(TARGET.parent.parent)} is out of date: run make docs", file=sys.stderr)
        return int(bool(wrong or extra))
    for path in extra:
        path.unlink()
    for path, text in wanted.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return 0


def dashboards() -> dict[str, dict[str, Any]]:
    """All dashboards by their path below dashboards/grafana."""
    made = {f"{dialect.name}/{board.name}.json": dashboard(board, dialect) for dialect in DIALECTS for board in BOARDS}
    own = frame(seed.UID, f"{seed.TITLE} (layout of the EPever monitor)", seed.BOARD)
    return {**made, "seed/solar.json": seed.seed_dashboard(own)}


def _text(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.exit(main())
