"""What every driver has to be, whoever wrote it: nothing here names one."""

import re

import pytest

from heliobus.devices import catalog
from heliobus.devices.driver import Driver
from heliobus.model.role import ROLES
from heliobus.model.vocabulary import VOCABULARY

DRIVERS = pytest.mark.parametrize("driver", catalog.drivers(), ids=lambda driver: driver.name)


@DRIVERS
def test_it_has_the_points_that_its_role_requires(driver: Driver) -> None:
    assert ROLES[driver.role].required <= set(driver.points())


@DRIVERS
def test_it_speaks_the_vocabulary(driver: Driver) -> None:
    for name, point in driver.points().items():
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert point.doc
        if name in VOCABULARY:
            assert point is VOCABULARY[name], "a word of the vocabulary with another meaning"


@DRIVERS
def test_a_point_is_read_from_one_place(driver: Driver) -> None:
    names = [register.point.name for register in driver.registers] + [point.name for point in driver.derived]
    assert len(names) == len(set(names))


@DRIVERS
def test_what_scales_is_a_point_of_its_own(driver: Driver) -> None:
    assert set(driver.factors) <= set(driver.points())


@DRIVERS
def test_its_name_finds_it(driver: Driver) -> None:
    assert catalog.driver(driver.name) is driver


def test_the_vocabulary_knows_every_word_of_every_role() -> None:
    for points in ROLES.values():
        assert points.required | points.optional <= set(VOCABULARY)


def test_a_name_nobody_has() -> None:
    with pytest.raises(catalog.UnknownDriverError, match=r"no driver 'acme'; there are .*tristar"):
        catalog.driver("acme")
