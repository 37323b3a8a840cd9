"""The house rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src" / "heliobus"
FILES = sorted(SOURCE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 400, 60
SUPERVISORS = {"supervise.py"}
BROAD = {"Exception", "BaseException"}
BANNED_NAMES = {
    "manager",
    "helper",
    "helpers",
    "handler",
    "handlers",
    "utils",
    "util",
    "misc",
    "common",
    "data",
    "info",
}


def name_of(path: Path) -> str:
    return str(path.relative_to(SOURCE))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_and_functions_are_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            assert node.end_lineno - node.lineno < LONGEST_FUNCTION, node.name


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_supervisors_catch_everything(path: Path) -> None:
    if path.name in SUPERVISORS:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            caught = (
                [] if node.type is None else [each.id for each in ast.walk(node.type) if isinstance(each, ast.Name)]
            )
            assert caught, f"a bare except in line {node.lineno}"
            assert not BROAD.intersection(caught), f"a broad except in line {node.lineno}"


def test_names_are_the_fields_words() -> None:
    for path in FILES:
        assert path.stem not in BANNED_NAMES, path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                assert not node.name.lower().endswith(tuple(BANNED_NAMES - {"data", "info"})), node.name


def test_imports_run_one_way() -> None:
    lint = subprocess.run(
        [
            sys.executable,
            "-c",
            "from importlinter.cli import lint_imports_command; lint_imports_command()",
            "--no-cache",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout + lint.stderr
