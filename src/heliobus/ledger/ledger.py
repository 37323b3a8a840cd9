"""The ledger of all devices: takes readings, gives them back with yields and history, and remembers."""

from dataclasses import dataclass, replace
from pathlib import Path

from heliobus.ledger import store
from heliobus.ledger.account import Account, points, step, today_of
from heliobus.ledger.coding import encoded, encoded_day, encoded_meter
from heliobus.ledger.history import Past, window
from heliobus.ledger.meter import MeterAccount, look_of, metered
from heliobus.ledger.sample import sample_of
from heliobus.model.clock import Clock
from heliobus.model.day import Day, Days
from heliobus.model.localtime import LocalTime
from heliobus.model.point import Value
from heliobus.model.reading import Health, Reading, Reason
from heliobus.model.vocabulary import (
    ENERGY_DAY_COUNTER,
    ENERGY_FORWARD,
    ENERGY_FORWARD_COUNTER,
    YIELD_TODAY,
    YIELD_TOTAL,
)

# What the ledger adds to a device that has a day counter of energy.
POINTS = (YIELD_TODAY, YIELD_TOTAL)


@dataclass(frozen=True, slots=True)
class _View:
    """The history as last given out, so that what did not change is the same object again."""

    day: Day
    past: Past
    today: str
    before: Days
    days: Days


class Ledger:
    """Accounts by device key. `path` None keeps them in memory only."""

    def __init__(self, path: Path | None, local: LocalTime, clock: Clock) -> None:
        self.path = path
        self._local = local
        self._clock = clock
        self._books = store.Books()
        self._views: dict[str, _View] = {}
        self._encoded: dict[str, tuple[Past, str]] = {}
        self._changes = self._serialized = self._saved = 0

    def load(self) -> tuple[str, ...]:
        """Read the file; the notes say in words what was wrong with it. No content of the file makes it raise."""
        if self.path is None:
            return ()
        self._books, notes = store.load(self.path, self._clock)
        return notes

    @property
    def local(self) -> LocalTime:
        """How the site's local days are told."""
        return self._local

    def set_local(self, local: LocalTime) -> None:
        """Use another time zone from now on."""
        self._local = local
        self._views.clear()

    def account(self, key: str) -> Account | None:
        """What is kept for the device `key`."""
        return self._books.accounts.get(key)

    def meter(self, key: str) -> MeterAccount | None:
        """What is kept for the meter `key`."""
        return self._books.meters.get(key)

    def apply(self, reading: Reading, key: str) -> Reading:
        """`reading` of the device `key` with what its counters give: yields and history, or a meter's energy.

        It is unchanged where there is no such counter. Where the counter is None what it gives is None too, for the
        same reason; the history stays.
        """
        if ENERGY_FORWARD_COUNTER.name in reading.values:
            reading = self._metered(reading, key)
        return self._charged(reading, key) if ENERGY_DAY_COUNTER.name in reading.values else reading

    def _metered(self, reading: Reading, key: str) -> Reading:
        counter = reading.values[ENERGY_FORWARD_COUNTER.name]
        value, reason = None, reading.reasons.get(ENERGY_FORWARD_COUNTER.name, Reason.STALE)
        if counter is not None:
            before = self._books.meters.get(key) or MeterAccount()
            account = metered(before, look_of(reading))
            if account is not before:
                self._books.meters[key] = account
                self._changes += 1
            # Where nothing is kept nothing can be spoilt for good, and one look is all there is.
            total = counter if account.total is None and self.path is None else account.total
            value, reason = _kilowatt_hours(total), Reason.INVALID
        values = {**reading.values, ENERGY_FORWARD.name: value}
        reasons = reading.reasons if value is not None else {**reading.reasons, ENERGY_FORWARD.name: reason}
        return replace(reading, values=values, reasons=reasons)

    def _charged(self, reading: Reading, key: str) -> Reading:
        account = self._books.accounts.get(key)
        if reading.health is not Health.OFFLINE:
            stepped = step(account, sample_of(reading), self._local)
            if stepped is not None and stepped is not account:
                self._books.accounts[key] = account = stepped
                self._changes += 1
        live = account is not None and reading.values[ENERGY_DAY_COUNTER.name] is not None
        now = reading.time if live else self._clock.time()
        days = () if account is None else self._days(key, account, now)
        values = dict(reading.values)
        if account is not None and live:
            values |= points(account, now, self._local)
            return Reading(reading.device, reading.time, values, reading.reasons, reading.health, days)
        reason = reading.reasons.get(ENERGY_DAY_COUNTER.name, Reason.STALE)
        reasons = dict(reading.reasons)
        for point in POINTS:
            values[point.name] = None
            reasons[point.name] = reason
        return Reading(reading.device, reading.time, values, reasons, reading.health, days)

    @property
    def dirty(self) -> bool:
        """Whether there is anything that the file does not have."""
        return self._changes != self._saved

    def serialize(self) -> bytes:
        """The file's content now, for `store.write` in another thread; call `saved` when that is done."""
        self._serialized = self._changes
        return store.file_bytes(
            {key: self._text(key, account) for key, account in self._books.accounts.items()},
            {key: encoded_meter(meter) for key, meter in self._books.meters.items() if meter.total is not None},
        )

    def saved(self) -> None:
        """What `serialize` last gave is safe on the disk."""
        self._saved = self._serialized

    def save(self) -> None:
        """Write the file now, blocking. Raises store.LedgerWriteError, and then stays dirty."""
        if self.path is None:
            return
        store.write(self.path, self.serialize())
        self.saved()

    def _days(self, key: str, account: Account, now: float) -> Days:
        today = today_of(account, now, self._local)
        view = self._views.get(key)
        if view is not None and view.past is account.past and view.today == today:
            if view.day is account.day:
                return view.days
            before = view.before
        else:
            before = window(account.past, today)
        in_order = account.day.date == today
        days = (account.day, *before[1:]) if in_order else window((account.day, *account.past), today)
        self._views[key] = _View(account.day, account.past, today, before, days)
        return days

    def _text(self, key: str, account: Account) -> str:
        """An account as JSON; the past days are encoded once a day."""
        known = self._encoded.get(key)
        if known is None or known[0] is not account.past:
            known = (account.past, "[" + ",".join(encoded_day(day) for day in account.past) + "]")
            self._encoded[key] = known
        return encoded(account, known[1])


def _kilowatt_hours(energy: Value) -> float | None:
    return round(energy / 1000, ENERGY_FORWARD.decimals) if isinstance(energy, int | float) else None
