"""Names as the outside takes them: in topics, file names, series."""

import re
import unicodedata
import zlib

LONGEST = 100
"""Characters: file names have bounds, and get a date and more behind the name."""


def slug(text: str) -> str:
    """`text` in at most LONGEST lower-case letters, digits, - and _; all else becomes one _. Never empty.

    A name of which less than half is left that way, as in another script, gets a number that tells it from others.
    """
    signs = unicodedata.normalize("NFKD", text).casefold()
    plain = re.sub(r"[^a-z0-9_-]+", "_", signs.encode("ascii", "ignore").decode()).strip("_")
    letters = [sign for sign in signs if sign.isalnum()]
    if text and 2 * sum(sign.isascii() for sign in letters) <= len(letters):
        number = f"{zlib.crc32(text.encode('utf-8', 'replace')):08x}"
        plain = f"{plain[: LONGEST - 9]}-{number}" if plain else f"unnamed-{number}"
    return plain[:LONGEST] or "unnamed"
