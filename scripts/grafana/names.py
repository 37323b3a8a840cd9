"""What series are called outside, taken from the outputs themselves."""

from grafana.questions import Form
from heliobus.model.role import Role
from heliobus.outputs.influx.native import MEASUREMENTS

ENTRIES = (Form.BY_SITE_SUM, Form.BY_SITE_LEAST, Form.LAST_HEARD)
"""Forms whose answers are entries of a table."""

SAID = "said"
"""The column of a table that only shows that there was something."""


def measurement(role: Role) -> str:
    """The measurement of the native lines of a device."""
    return MEASUREMENTS[role]
