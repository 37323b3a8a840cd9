"""What to do about a change of stored settings that somebody began and did not finish. Pure."""

from collections.abc import Mapping
from enum import Enum

from heliobus.control.journal import Record, Step


class Way(Enum):
    """How it ends: never begun, finished with the new words, back to the old ones, or left as it is found."""

    DROP = "drop"
    FINISH = "finish"
    RESTORE = "restore"
    LEAVE = "leave"


def way(record: Record, held: Mapping[str, int], edited: bool) -> Way:
    """By the words that the registers hold, and whether the charger still waits for the restart after the edit."""
    strange = [
        index
        for index, entry in enumerate(record.entries)
        if held[entry.point] not in (entry.old, entry.new, entry.found)
    ]
    if strange:
        return Way.RESTORE if edited and all(_may_be_ours(record, index) for index in strange) else Way.LEAVE
    if record.restored or any(held[entry.point] not in (entry.old, entry.new) for entry in record.entries):
        return Way.RESTORE
    if record.step is Step.PREPARING and all(held[entry.point] == entry.old for entry in record.entries):
        return Way.DROP
    return Way.FINISH


def _may_be_ours(record: Record, index: int) -> bool:
    """Whether a word that nobody meant can be what the charger made of a write of this change, not verified yet."""
    if record.step is Step.WRITING:
        return index <= record.index
    return record.step in (Step.VERIFYING, Step.RESTORING)
