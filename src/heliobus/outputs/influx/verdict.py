"""What a database's answer to a write means, and what its owner can do about it."""

import json
import re
from enum import Enum

from heliobus.config.outputs import InfluxConfig

LONGEST = 200
"""Characters of a server's own words that are passed on."""
# InfluxDB 1 and 2 say "partial write: …", InfluxDB 3 "partial write of line protocol occurred".
_PARTLY = re.compile(r"partial write", re.IGNORECASE)
_LINES = re.compile(r"\b(pars|conflict|field|tag|timestamp|retention|line|point|column)", re.IGNORECASE)
_NO_DATABASE = re.compile(r"not found|does not exist|unknown", re.IGNORECASE)


class Verdict(Enum):
    """What became of the lines that were sent."""

    TAKEN = "taken"
    PARTLY = "all but some are taken, and those never will be"
    REFUSED = "none is taken, and some never will be"
    TOO_LARGE = "fewer at a time"
    UNCOMPRESSED = "without compression"
    AWAY = "again later"


def verdict(status: int, words: str) -> Verdict:
    """The meaning of an HTTP status and the server's words for it."""
    if 200 <= status < 300:
        return Verdict.TAKEN
    if status == 413:
        return Verdict.TOO_LARGE
    if status == 415:
        return Verdict.UNCOMPRESSED
    if status in (400, 422):
        if _PARTLY.search(words):
            return Verdict.PARTLY
        # What is said of no line is said of the request, and with another config the lines will be taken.
        return Verdict.REFUSED if _LINES.search(words) else Verdict.AWAY
    return Verdict.AWAY


def words_of(body: bytes) -> str:
    """The server's own words, shortened to one line: the `error` or `message` of its JSON, else the text."""
    text = body.decode("utf-8", "replace")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        text = next((str(found[key]) for key in ("error", "message") if found.get(key)), text)
        if isinstance(found.get("data"), list | dict):
            text += f": {json.dumps(found['data'])}"
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def advice(config: InfluxConfig, status: int, words: str) -> str:
    """One line for the owner: what is wrong and what he can do."""
    said = f" ({status}: {words})" if words else f" ({status})"
    if status == 401:
        wrong = "the token" if config.token else "user and password" if config.user else "a write without user or token"
        return f"{config.url} does not accept {wrong}{said}"
    if status == 403:
        return f"{config.url} does not let us write to {config.database!r}{_permission(config)}{said}"
    if status == 404:
        if config.database in words or _NO_DATABASE.search(words.replace("page not found", "")):
            return f"{config.url} has no {config.database!r}; make it with: {_creation(config)}{said}"
        return f'{config.url} does not know the API "{config.api}": set api, or port, in [[output.influx]]{said}'
    if 300 <= status < 400:
        return f"{config.url} is elsewhere: set url in [[output.influx]]{said}"
    if status in (429, 503):
        return f"{config.url} is busy{said}"
    return f"{config.url} does not take what we write{said}"


def _permission(config: InfluxConfig) -> str:
    if config.api == "v1" and config.user:
        return f'; allow it with: GRANT WRITE ON "{config.database}" TO "{config.user}"'
    return "; the token needs the right to write there" if config.token else ""


def _creation(config: InfluxConfig) -> str:
    if config.api == "v1":
        return f'CREATE DATABASE "{config.database}"'
    if config.api == "v2":
        return f"influx bucket create --name {config.database} --org {config.org or 'ORG'}"
    return f"influxdb3 create database {config.database}"
