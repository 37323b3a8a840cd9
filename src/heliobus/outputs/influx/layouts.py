"""The layouts by their names in the config."""

from collections.abc import Callable, Sequence
from pathlib import Path

from heliobus.config.outputs import InfluxConfig
from heliobus.outputs.influx.lines import Row
from heliobus.outputs.influx.native import NativeLayout
from heliobus.outputs.influx.seed import SeedLayout
from heliobus.outputs.sampler import Sample
from heliobus.site import Site

Rows = Callable[[Sequence[Sample]], list[Row]]
"""What is written of the samples of one look at the site."""


def layout(config: InfluxConfig, site_name: str, site: Site, state: Path) -> Rows:
    """The layout that `config` wants."""
    rows = _named(config, site_name, site, state)
    return rows if config.texts else lambda samples: [_without_texts(row) for row in rows(samples)]


def _without_texts(row: Row) -> Row:
    return row._replace(fields={name: value for name, value in row.fields.items() if not isinstance(value, str)})


def _named(config: InfluxConfig, site_name: str, site: Site, state: Path) -> Rows:
    if config.layout == "seed":
        return SeedLayout(config.measurement, site).rows
    if config.layout == "venus":
        return _venus(config, site_name, state)
    return NativeLayout(site_name, config.tags).rows


def _venus(config: InfluxConfig, site_name: str, state: Path) -> Rows:
    from heliobus.outputs.influx.venus_layout import VenusLayout  # noqa: PLC0415  brings the trees of a GX
    from heliobus.outputs.venus.kept import kept  # noqa: PLC0415  only for this layout

    instances = kept(state)
    venus = VenusLayout(instances.portal(), instances, site_name)

    def rows(samples: Sequence[Sample]) -> list[Row]:
        return [
            Row(measurement, {**config.tags, **tags}, fields, sample.time)
            for sample in samples
            for measurement, tags, fields in venus.points(sample)
        ]

    return rows
