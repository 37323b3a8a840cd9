"""Names in topics and files: plain where they can be, and never those of another in any script."""

import re

from hypothesis import given
from hypothesis import strategies as st

from heliobus.model.naming import LONGEST, slug


def test_names_stay_readable() -> None:
    names = {"TriStar South": "tristar_south", "Südseite": "sudseite", "Straße 1": "strasse_1", "": "unnamed"}
    assert {name: slug(name) for name in names} == names


def test_names_in_other_scripts_are_told_apart() -> None:
    names = ("屋根", "納屋", "Крыша 1", "Сарай 1", "☀️", "🔋", "+/#", "../")
    assert len({slug(name) for name in names}) == len(names)
    assert slug("屋根") == "unnamed-516120df", "it has to be the same for ever"


@given(st.text(max_size=300))
def test_it_is_a_level_of_a_topic_and_a_file(text: str) -> None:
    assert re.fullmatch(r"[a-z0-9_-]+", slug(text)) and len(slug(text)) <= LONGEST
