"""Battery chemistries, and what a charger may do to a battery of each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Chemistry:
    """A kind of battery. Voltages are for 12 V nominal at 25 °C; no setting and no limit goes beyond them.

    `equalize` says whether an equalize charge does it good: it destroys lithium and sealed batteries.
    """

    name: str
    lowest: float
    highest: float
    equalize: bool


# Highest: the equalize of flooded cells, the absorption of sealed ones, the full cell of lithium (4S LFP 3.65 V, and
# 7S or 14S lithium-ion, 4.2 V a cell, on 24 V or 48 V).
CHEMISTRIES = {
    each.name: each
    for each in (
        Chemistry("unknown", 10.0, 15.0, False),
        Chemistry("flooded", 10.0, 16.5, True),
        Chemistry("agm", 10.0, 15.0, False),
        Chemistry("gel", 10.0, 14.4, False),
        Chemistry("lifepo4", 10.0, 14.6, False),
        Chemistry("lithium-ion", 10.0, 14.7, False),
    )
}
UNKNOWN_CHEMISTRY = CHEMISTRIES["unknown"]
