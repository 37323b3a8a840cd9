"""The tables of the history's file."""

VERSION = 1
APPLICATION = 0x48454C48
"""SQLite's application id of our files: HELH."""

TABLES = """
CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE device(
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, name TEXT NOT NULL, label TEXT NOT NULL,
    role TEXT NOT NULL, model TEXT NOT NULL, period INTEGER NOT NULL);
CREATE TABLE series(
    id INTEGER PRIMARY KEY, device INTEGER NOT NULL, point TEXT NOT NULL, kind TEXT NOT NULL, unit TEXT NOT NULL,
    decimals INTEGER NOT NULL, summed INTEGER NOT NULL, words TEXT NOT NULL, first INTEGER, last INTEGER,
    UNIQUE(device, point));
CREATE TABLE days(day INTEGER PRIMARY KEY, start INTEGER NOT NULL);
CREATE TABLE events(id INTEGER PRIMARY KEY, series INTEGER NOT NULL, time INTEGER NOT NULL, text TEXT);
CREATE INDEX events_of ON events(series, time);
CREATE TABLE journal(id INTEGER PRIMARY KEY, device INTEGER NOT NULL, hour INTEGER NOT NULL, block BLOB NOT NULL);
CREATE TABLE raw(id INTEGER PRIMARY KEY, block BLOB NOT NULL);
CREATE TABLE minute(id INTEGER PRIMARY KEY, block BLOB NOT NULL);
CREATE TABLE quarter(id INTEGER PRIMARY KEY, block BLOB NOT NULL);
CREATE TABLE day(id INTEGER PRIMARY KEY, block BLOB NOT NULL);
"""
"""Times are UTC ms since 1970; `days` has the first moment of each local day by its ordinal (0001-01-01 is 1).

`device.period` is the usual ms between two samples. A series with the point `TIMES` holds the moments of a device's
samples. `series.summed` says whether slots keep a sum (for the mean) or the last value (counters, states).
`meta` has for each level, as `<table>_from`, the time before which its blocks have been deleted.
"""
TIMES = ""
"""No point has this name."""
NAMES = ("meta", "device", "series", "days", "events", "journal", "raw", "minute", "quarter", "day")


def place(table: str, number: int) -> int:
    """What the checksum of a block in this table knows of where it belongs."""
    return NAMES.index(table) << 59 | number
