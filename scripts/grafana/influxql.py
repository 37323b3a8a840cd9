"""Questions in InfluxQL, over the native layout of the Influx output. For InfluxDB 1."""

from dataclasses import dataclass

from grafana.names import ENTRIES, SAID, measurement
from grafana.questions import Form, Question

WHERE = 'WHERE $timeFilter AND "site" =~ /^$site$/'
STEP = "time($__interval)"
PLACE = '"site", "device", "name"'


@dataclass(frozen=True, slots=True)
class InfluxQL:
    """The language of InfluxDB 1, and how its native layout is asked."""

    name: str = "influx"
    title: str = "InfluxDB"
    source: str = "influxdb"
    scraped: bool = False
    sites: str = 'SHOW TAG VALUES WITH KEY = "site"'

    def target(self, question: Question, *, now: bool) -> dict[str, object]:
        """The query of a panel's target. `now`: only the newest is wanted."""
        return {
            "query": _query(question, now=now),
            "rawQuery": True,
            "resultFormat": "table" if question.form in ENTRIES else "time_series",
            "alias": _alias(question),
        }


def _query(question: Question, *, now: bool) -> str:
    measurements = ", ".join(f'"{measurement(role)}"' for role in question.roles)
    field = f'"{question.point.name}"'
    source = f"FROM {measurements} {WHERE}"
    match question.form:
        case Form.EACH if now:
            return f"SELECT last({field}) {source} GROUP BY {PLACE}"
        case Form.EACH:
            return f"SELECT mean({field}) {source} GROUP BY {STEP}, {PLACE} fill(null)"
        case Form.SUM:
            inner = f'SELECT mean({field}) AS "value" {source} GROUP BY {STEP}, "site", "device" fill(none)'
            return f'SELECT sum("value") FROM ({inner}) WHERE $timeFilter GROUP BY {STEP} fill(null)'
        case Form.LATEST_SUM:
            return f'SELECT sum("value") FROM ({_latest(field, source)})'
        case Form.PER_MINUTE:
            return f"SELECT non_negative_derivative(last({field}), 1m) {source} GROUP BY {STEP}, {PLACE} fill(none)"
        case Form.DAILY:
            return f"SELECT max({field}) {source} GROUP BY time(1d), {PLACE} fill(none) tz('${{timezone}}')"
        case Form.STATES:
            return f"SELECT last({field}) {source} GROUP BY {STEP}, {PLACE} fill(null)"
        case Form.SITES:
            return f'SELECT count("value") FROM (SELECT last({field}) AS "value" {source} GROUP BY "site")'
        case Form.BY_SITE_SUM:
            return f'SELECT sum("value") AS "{question.title}" FROM ({_latest(field, source)}) GROUP BY "site"'
        case Form.BY_SITE_LEAST:
            return f'SELECT min("value") AS "{question.title}" FROM ({_latest(field, source)}) GROUP BY "site"'
        case Form.LAST_HEARD:
            return f'SELECT last({field}) AS "{SAID}" {source} GROUP BY "site"'
        case Form.BY_SITE_PER_MINUTE:
            grown = f'SELECT non_negative_derivative(last({field}), 1m) AS "value" {source} GROUP BY {STEP}, {PLACE}'
            return f'SELECT sum("value") FROM ({grown} fill(none)) WHERE $timeFilter GROUP BY {STEP}, "site" fill(none)'


def _latest(field: str, source: str) -> str:
    return f'SELECT last({field}) AS "value" {source} GROUP BY "site", "device"'


def _alias(question: Question) -> str:
    if question.form in (Form.SUM, Form.LATEST_SUM, Form.SITES):
        return question.title
    if question.form is Form.BY_SITE_PER_MINUTE:
        return "$tag_site"
    return f"$tag_name {question.title}".rstrip()


INFLUX = InfluxQL()
