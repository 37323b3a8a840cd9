"""What becomes of a page that is made from the code."""

import sys
from pathlib import Path


def keep(target: Path, text: str) -> int:
    """Write `text` to `target`, or with --check only say whether it stands there; the exit code."""
    if "--check" in sys.argv:
        if target.exists() and target.read_text(encoding="utf-8") == text:
            return 0
        print(f"{target.name} is out of date: run make docs", file=sys.stderr)
        return 1
    target.write_text(text, encoding="utf-8")
    return 0
