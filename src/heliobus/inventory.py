"""Which devices were seen, where, and the number each one got: so that names follow serial numbers over restarts."""

import json
import re
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

from heliobus.ledger import store
from heliobus.model.device import Identity
from heliobus.wire.adapter import adapter_of
from heliobus.wire.address import LinkAddress

VERSION = 1


@dataclass(frozen=True, slots=True)
class Known:
    """A device seen at a place: the declaration that fits it, who it said it is, its key and its number."""

    driver: str
    identity: Identity
    key: str
    number: int


def device_key(short: str, serial: str | None, seat: str) -> str:
    """A stable text of letters, digits and underscores: by serial number, or by seat where there is none."""
    return f"{short}_{_plain(serial or '') or _plain(seat)}"


def seat_of(link: LinkAddress, unit: int) -> str:
    """Where a device without serial number is known to sit, now: at an adapter, whatever its tty is called today."""
    return f"{adapter_of(link.path)}#u{unit}" if link.kind == "serial" else f"{link}#{unit}"


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")


class Inventory:
    """What is known of the site's devices. `place` is link and unit as text, and names where a device answers.

    Numbers are given from `first_number` on, so that several daemons of one machine give different ones.
    """

    def __init__(self, path: Path | None, first_number: int = 0) -> None:
        self.path = path
        self._first_number = first_number
        self._places: dict[str, Known] = {}
        self._numbers: dict[str, int] = {}

    def load(self) -> str | None:
        """Read the file; what is damaged is set aside. Returns a line for the log if there is one to say."""
        if self.path is None:
            return None
        try:
            self._take(json.loads(self.path.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            self._places, self._numbers = {}, {}
            return self._set_aside(error)
        return None

    def known(self, place: str) -> Known | None:
        """The device last seen at `place`."""
        return self._places.get(place)

    def remember(
        self, place: str, driver: str, short: str, identity: Identity, seat: str | None = None
    ) -> tuple[Known, bool]:
        """The device seen at `place` now, with its key and number; True if that is news worth saving."""
        key = device_key(short, identity.serial, place if seat is None else seat)
        news = key not in self._numbers
        if news:
            taken = {number for other, number in self._numbers.items() if other.startswith(f"{short}_")}
            free = (number for number in count(self._first_number) if number not in taken)
            self._numbers[key] = next(free)
        known = Known(driver, identity, key, self._numbers[key])
        news = news or self._places.get(place) != known
        self._places[place] = known
        return known, news

    def serialize(self) -> bytes:
        """The file's content now, for `store.write` in another thread."""
        places = {place: asdict(known) for place, known in self._places.items()}
        document = {"version": VERSION, "numbers": self._numbers, "places": places}
        return json.dumps(document, indent=1, sort_keys=True).encode()

    def save(self) -> None:
        """Write the file; blocks. Raises LedgerWriteError, and the file before it stays."""
        if self.path is not None:
            store.write(self.path, self.serialize())

    def _take(self, document: dict[str, Any]) -> None:
        if document["version"] != VERSION:
            raise ValueError(f"its format {document['version']} is not known to this version of Heliobus")
        self._numbers = {str(key): int(str(number)) for key, number in document["numbers"].items()}
        self._places = {place: _known(entry) for place, entry in document["places"].items()}

    def _set_aside(self, error: Exception) -> str:
        assert self.path is not None
        aside = self.path.with_name(self.path.name + ".damaged")
        try:
            self.path.replace(aside)
        except OSError as failure:
            return f"{self.path} is damaged ({error}) and cannot be set aside: {failure.strerror}"
        return f"{self.path} is damaged ({error}); set aside as {aside.name}, devices are recognised anew"


def _known(entry: dict[str, object]) -> Known:
    identity = entry["identity"]
    if not isinstance(identity, dict):
        raise TypeError("a device without identity")
    known = Known(str(entry["driver"]), Identity(**identity), str(entry["key"]), int(str(entry["number"])))
    who = known.identity
    texts = (who.vendor, who.model, who.serial or "", who.firmware or "", who.hardware or "")
    if not all(isinstance(text, str) for text in texts) or not isinstance(who.details, dict):
        raise TypeError("an identity that is not text")
    return known
