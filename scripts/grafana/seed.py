"""The dashboard "Solar" for databases with the layout `seed`: no tags, one measurement (epever-pzem-peers.md §1.5).

Units are those of the fields, and no axis supposes a battery of 24 V.
"""

from typing import Any

from grafana.panels import GREEN, RED, YELLOW, Board, Panel, drawn, placed, variables

UID = "heliobus-solar-seed"
MEASUREMENT = "solar"
TITLE = "Solar"
SOURCE = {"type": "influxdb", "uid": "${datasource}"}
SHARE_STEPS = ((None, RED), (40, YELLOW), (60, GREEN))

PANELS: tuple[tuple[Panel, tuple[tuple[str, str, str], ...]], ...] = (
    (
        Panel("Battery charge", (), "gauge", 6, 6, SHARE_STEPS, 0, 100, "percent"),
        (("last", "BAperc", " * 100"),),
    ),
    (Panel("Battery voltage", (), "gauge", 6, 6, unit="volt"), (("last", "BAvolt", ""),)),
    (Panel("Solar power", (), "gauge", 6, 6, unit="watt", low=0), (("last", "PVwatt", ""),)),
    (Panel("DC load", (), "gauge", 6, 6, unit="watt", low=0), (("last", "DCwatt", ""),)),
    (Panel("Total won", (), "stat", 6, 4, unit="kwatth"), (("last", "PVkwh", ""),)),
    (Panel("Total DC", (), "stat", 6, 4, unit="kwatth"), (("last", "DCkwh", ""),)),
    (Panel("Won today", (), "stat", 6, 4, unit="kwatth"), (("last", "PVkwh2d", ""),)),
    (Panel("DC today", (), "stat", 6, 4, unit="kwatth"), (("last", "DCkwh2d", ""),)),
    (
        Panel("Won and used", (), width=24, unit="watt"),
        (("mean", "PVwatt", ""), ("mean", "DCwatt", "")),
    ),
    (Panel("Array voltage", (), unit="volt"), (("mean", "PVvolt", ""),)),
    (Panel("Array and charge current", (), unit="amp"), (("mean", "PVamps", ""), ("mean", "BAamps", ""))),
    (Panel("Battery voltage", (), unit="volt"), (("mean", "BAvolt", ""),)),
    (Panel("DC load", (), unit="amp"), (("mean", "DCamps", ""),)),
    (Panel("DC voltage", (), unit="volt"), (("mean", "DCvolt", ""),)),
)
"""Each panel with what it asks: aggregate, field, and what it is multiplied by."""
WORDS = {
    "PVwatt": "won",
    "DCwatt": "used",
    "PVamps": "array",
    "BAamps": "battery",
}
BOARD = Board("solar", TITLE, "Continues a database of the EPever monitor.", (), "now-3h")


def seed_dashboard(frame: dict[str, Any]) -> dict[str, Any]:
    """The JSON, in the frame of all dashboards."""
    panels = [_panel(panel, asked) for panel, asked in PANELS]
    named = {
        "name": "measurement",
        "label": "Measurement",
        "type": "textbox",
        "query": MEASUREMENT,
        "current": {"text": MEASUREMENT, "value": MEASUREMENT},
    }
    return {**frame, "templating": {"list": [variables("influxdb", "")[0], named]}, "panels": placed(panels)}


def _panel(panel: Panel, asked: tuple[tuple[str, str, str], ...]) -> dict[str, Any]:
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "query": _query(*each, now=panel.now),
            "rawQuery": True,
            "resultFormat": "time_series",
            "alias": WORDS.get(each[1], panel.title),
        }
        for index, each in enumerate(asked)
    ]
    return {**drawn(panel, None), "datasource": SOURCE, "targets": targets}


def _query(aggregate: str, field: str, factor: str, *, now: bool) -> str:
    asked = f'SELECT {aggregate}("{field}"){factor} FROM "${{measurement}}" WHERE $timeFilter'
    return asked if now else f"{asked} GROUP BY time($__interval) fill(null)"
