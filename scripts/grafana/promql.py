"""Questions in PromQL: over our /metrics, or over what VictoriaMetrics makes of the Influx output's native lines."""

from collections.abc import Callable
from dataclasses import dataclass

from grafana.names import ENTRIES, measurement
from grafana.questions import Form, Question
from heliobus.model.point import Point
from heliobus.outputs.prometheus.names import metric

MINUTE = 60
MOST = 10
"""Lines that one can still tell apart."""

UNITLESS = (Form.SITES, Form.LAST_HEARD)
"""Forms whose answer is not in the unit of the point."""


@dataclass(frozen=True, slots=True)
class PromQL:
    """One way of naming series: `series` is a question's selector, `factor` what values are multiplied by."""

    name: str
    title: str
    series: Callable[[Question], str]
    sites: str
    factor: Callable[[Point], float]
    scraped: bool = False
    source: str = "prometheus"

    def target(self, question: Question, *, now: bool) -> dict[str, object]:
        """The query of a panel's target. `now`: only the newest is wanted."""
        entry = question.form in ENTRIES
        return {
            "expr": self._scaled(question),
            "instant": now or entry,
            "range": not (now or entry),
            "format": "table" if entry else "time_series",
            "legendFormat": _legend(question),
        }

    def _scaled(self, question: Question) -> str:
        """The expression in the unit of the point."""
        expression, factor = self._expression(question), self.factor(question.point)
        if factor == 1 or question.form in UNITLESS:
            return expression
        return f"{expression} / {factor:.12g}" if factor > 1 else f"{expression} * {1 / factor:.12g}"

    def _expression(self, question: Question) -> str:
        series = self.series(question)
        match question.form:
            case Form.EACH | Form.STATES:
                return series
            case Form.SUM | Form.LATEST_SUM:
                return f"sum({series})"
            case Form.PER_MINUTE:
                return f"{MINUTE} * rate({series}[$__rate_interval])"
            case Form.DAILY:
                return f"max by (site, device, name) (max_over_time({series}[1d] offset -1d))"
            case Form.SITES:
                return f"count(count by (site) ({series}))"
            case Form.BY_SITE_SUM:
                return f"sum by (site) ({series})"
            case Form.BY_SITE_LEAST:
                return f"min by (site) ({series})"
            case Form.LAST_HEARD:
                return f"1000 * max by (site) (max_over_time(timestamp({series})[1d:1m]))"
            case Form.BY_SITE_PER_MINUTE:
                return f"topk({MOST}, {MINUTE} * sum by (site) (rate({series}[$__rate_interval])))"


def _scraped(question: Question) -> str:
    # What is said of the daemon itself has no role.
    roles = f',role=~"{"|".join(question.roles)}"' if question.roles else ""
    return f'{metric(question.point).name}{{site=~"$site"{roles}}}'


def _written(question: Question) -> str:
    names = [f"{measurement(role)}_{question.point.name}" for role in question.roles]
    if len(names) == 1:
        return f'{names[0]}{{site=~"$site"}}'
    return f'{{__name__=~"{"|".join(names)}",site=~"$site"}}'


def _legend(question: Question) -> str:
    if question.form in (Form.SUM, Form.LATEST_SUM, Form.SITES):
        return question.title
    if question.form is Form.BY_SITE_PER_MINUTE or question.form in ENTRIES:
        return "{{site}}"
    return f"{{{{name}}}} {question.title}".rstrip()


def _stated(_point: Point) -> float:
    return 1.0


PROMETHEUS = PromQL(
    "prometheus",
    "Prometheus",
    _scraped,
    'label_values({__name__=~"heliobus_.+"}, site)',
    lambda point: metric(point).factor,
    scraped=True,
)
VICTORIA_METRICS = PromQL("victoriametrics", "VictoriaMetrics", _written, "label_values(site)", _stated)
