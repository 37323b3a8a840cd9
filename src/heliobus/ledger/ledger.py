"""The ledger of all devices: takes readings, gives them back with yields and history, and remembers."""

from dataclasses import dataclass
from pathlib import Path

from heliobus.ledger import store
from heliobus.ledger.account import Account, points, step, today_of
from heliobus.ledger.coding import encoded, encoded_day
from heliobus.ledger.history import Past, window
from heliobus.ledger.sample import sample_of
from heliobus.model.clock import Clock
from heliobus.model.day import Day, Days
from heliobus.model.localtime import LocalTime
from heliobus.model.reading import Health, Reading, Reason
from heliobus.model.vocabulary import ENERGY_DAY_COUNTER, YIELD_TODAY, YIELD_TOTAL

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
        self._accounts: dict[str, Account] = {}
        self._views: dict[str, _View] = {}
        self._encoded: dict[str, tuple[Past, str]] = {}
        self._changes = self._serialized = self._saved = 0

    def load(self) -> tuple[str, ...]:
        """Read the file; the notes say in words what was wrong with it. No content of the file makes it raise."""
        if self.path is None:
            return ()
        self._accounts, notes = store.load(self.path, self._clock)
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
        return self._accounts.get(key)

    def apply(self, reading: Reading, key: str) -> Reading:
        """`reading` of the device `key` with yields and history; unchanged where there is no day counter of energy.

        Where the day counter is None the yields are None too, for the same reason; the history stays.
        """
        if ENERGY_DAY_COUNTER.name not in reading.values:
            return reading
        account = self._accounts.get(key)
        if reading.health is not Health.OFFLINE:
            stepped = step(account, sample_of(reading), self._local)
            if stepped is not None and stepped is not account:
                self._accounts[key] = account = stepped
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
        return store.file_bytes({key: self._text(key, account) for key, account in self._accounts.items()})

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
