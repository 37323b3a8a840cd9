"""Panels and dashboards as Grafana's JSON model has them (schemaVersion 39, Grafana 11)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from grafana.names import SAID
from grafana.questions import Form, Question
from heliobus.model.point import Point

SCHEMA = 39
GAP = 120_000
"""ms; where nothing was measured for longer the line is broken."""
RECENT = "5m"
"""How old the newest value may be that a panel of figures shows."""
WIDTH = 24
UNITS = {
    "V": "volt",
    "A": "amp",
    "W": "watt",
    "VA": "voltamp",
    "kWh": "kwatth",
    "Wh": "watth",
    "Ah": "amphour",
    "°C": "celsius",
    "%": "percent",
    "Hz": "hertz",
    "s": "s",
    "ms": "ms",
    "h": "h",
    "d": "d",
}
"""Grafana's names of our units."""
GREEN, YELLOW, RED = "green", "yellow", "red"


class Dialect(Protocol):
    """A store and its language: its name in paths and for people, Grafana's type of data source, how to list sites."""

    @property
    def name(self) -> str:
        """In paths and uids."""

    @property
    def title(self) -> str:
        """For people."""

    @property
    def source(self) -> str:
        """Grafana's type of data source."""

    @property
    def sites(self) -> str:
        """The query that lists the sites."""

    @property
    def scraped(self) -> bool:
        """Whether it has what only /metrics says."""

    def target(self, question: Question, *, now: bool) -> dict[str, object]:
        """The query for `question`. `now`: only the newest is wanted."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel. `kind` is Grafana's; `steps` colours values from each bound on; `unit` empty means the point's own."""

    title: str
    questions: tuple[Question, ...]
    kind: str = "timeseries"
    width: int = 12
    height: int = 8
    steps: tuple[tuple[float | None, str], ...] = ()
    low: float | None = None
    high: float | None = None
    unit: str = ""
    about: str = ""
    recent: str = RECENT

    @property
    def now(self) -> bool:
        """Whether it shows one figure, the newest."""
        return self.kind in ("stat", "gauge", "table")


@dataclass(frozen=True, slots=True)
class Board:
    """One dashboard, which answers one question of its reader. `scraped` are panels that only /metrics can fill."""

    name: str
    title: str
    about: str
    panels: tuple[Panel, ...]
    range: str = "now-24h"
    refresh: str = "30s"
    scraped: tuple[Panel, ...] = ()


def dashboard(board: Board, dialect: Dialect) -> dict[str, Any]:
    """The whole JSON of `board` for the store of `dialect`."""
    panels = board.panels + (board.scraped if dialect.scraped else ())
    return {
        **frame(f"heliobus-{board.name}-{dialect.name}", f"Heliobus · {board.title} ({dialect.title})", board),
        "templating": {"list": variables(dialect.source, dialect.sites)},
        "panels": placed([_panel(panel, dialect) for panel in panels]),
    }


def frame(uid: str, title: str, board: Board) -> dict[str, Any]:
    """What every dashboard has around its panels."""
    return {
        "uid": uid,
        "title": title,
        "description": board.about,
        "tags": ["heliobus"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": board.refresh,
        "time": {"from": board.range, "to": "now"},
        "timezone": "browser",
        "annotations": {"list": []},
        "links": [
            {"type": "dashboards", "tags": ["heliobus"], "asDropdown": True, "title": "Heliobus", "keepTime": True}
        ],
    }


def variables(source: str, sites: str) -> list[dict[str, Any]]:
    """The choices at the top: data source, sites, and for InfluxDB the time zone of a day."""
    by = {"type": source, "uid": "${datasource}"}
    found: list[dict[str, Any]] = [
        {"name": "datasource", "label": "Store", "type": "datasource", "query": source, "current": {}, "hide": 0},
        {
            "name": "site",
            "label": "Site",
            "type": "query",
            "datasource": by,
            "query": sites,
            "definition": sites,
            "refresh": 2,
            "sort": 1,
            "multi": True,
            "includeAll": True,
            "current": {"text": ["All"], "value": ["$__all"]},
        },
    ]
    if source == "influxdb":
        zone = {"text": "UTC", "value": "UTC"}
        found.append({"name": "timezone", "label": "Days of", "type": "textbox", "query": "UTC", "current": zone})
    return found


def placed(panels: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The panels with numbers, from left to right in lines as high as their highest."""
    found: list[dict[str, Any]] = []
    x = y = line = 0
    for number, panel in enumerate(panels, 1):
        width, height = panel["gridPos"]["w"], panel["gridPos"]["h"]
        if x + width > WIDTH:
            x, y, line = 0, y + line, 0
        found.append({**panel, "id": number, "gridPos": {"x": x, "y": y, "w": width, "h": height}})
        x, line = x + width, max(line, height)
    return found


def _panel(panel: Panel, dialect: Dialect) -> dict[str, Any]:
    by = {"type": dialect.source, "uid": "${datasource}"}
    targets = [
        {"refId": chr(ord("A") + index), "datasource": by, **dialect.target(question, now=panel.now)}
        for index, question in enumerate(panel.questions)
    ]
    found = drawn(panel, panel.questions[0].point)
    if panel.kind == "table":
        found["transformations"] = _columns(panel.questions[0], dialect)
    return {**found, "datasource": by, "targets": targets}


def drawn(panel: Panel, point: Point | None) -> dict[str, Any]:
    """A panel without its queries."""
    defaults: dict[str, Any] = {"unit": panel.unit or _unit(point), "custom": _strokes(panel)}
    if point is not None:
        defaults["decimals"] = point.decimals
        if point.words:
            words = {str(value): {"text": word} for value, word in point.words.items()}
            defaults["mappings"] = [{"type": "value", "options": words}]
    if panel.steps:
        defaults["thresholds"] = {"mode": "absolute", "steps": [{"value": at, "color": c} for at, c in panel.steps]}
        defaults["color"] = {"mode": "thresholds"}
    defaults |= {key: value for key, value in (("min", panel.low), ("max", panel.high)) if value is not None}
    found: dict[str, Any] = {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.about,
        "gridPos": {"w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "interval": "1d" if panel.kind == "barchart" else "10s",
    }
    if panel.now:
        # What is older is not the present, whatever span the rest of the dashboard shows.
        found |= {"timeFrom": panel.recent, "hideTimeOverride": True}
    return found


def _unit(point: Point | None) -> str:
    return "short" if point is None else UNITS.get(point.unit, "short")


def _strokes(panel: Panel) -> dict[str, Any]:
    if panel.kind != "timeseries":
        return {}
    return {"lineWidth": 1, "fillOpacity": 10, "showPoints": "auto", "spanNulls": GAP}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.kind in ("stat", "gauge"):
        return {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "textMode": "auto"}
    if panel.kind == "table":
        return {"showHeader": True}
    if panel.kind == "barchart":
        return {"xField": "Time", "legend": {"displayMode": "list", "placement": "bottom"}}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}


def _columns(question: Question, dialect: Dialect) -> list[dict[str, Any]]:
    """One row for each site. PromQL names its column `Value`; InfluxQL says when as the time of the row."""
    said, hidden = {"Value": question.title, "Value #A": question.title}, {"Time": True}
    if question.form is Form.LAST_HEARD and dialect.source == "influxdb":
        said, hidden = {"Time": question.title}, {SAID: True}
    return [
        {"id": "merge", "options": {}},
        {"id": "organize", "options": {"excludeByName": hidden, "renameByName": {"site": "Site", **said}}},
    ]
