"""What a panel asks, before it is known in which language."""

from dataclasses import dataclass
from enum import Enum

from heliobus.model.point import Point
from heliobus.model.role import Role


class Form(Enum):
    """The form of an answer: what is done with the values of several devices and of several moments."""

    EACH = "each device over time"
    SUM = "all devices added up"
    LATEST_SUM = "the newest values of all devices added up"
    PER_MINUTE = "how fast a counter grows"
    DAILY = "the largest value of each day"
    STATES = "the states of an enum over time"
    SITES = "how many sites say it"
    BY_SITE_SUM = "added up for each site"
    BY_SITE_LEAST = "the smallest of each site"
    LAST_HEARD = "when each site last said it"
    BY_SITE_PER_MINUTE = "how fast the counters of each site grow"


@dataclass(frozen=True, slots=True)
class Question:
    """`form` of `point` over the devices of `roles`; `title` names it where a panel has several."""

    point: Point
    roles: tuple[Role, ...]
    form: Form = Form.EACH
    title: str = ""
