"""Files and functions stay small enough to be read: one reason to change, one thought."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import pytest

from tests.architecture.imports import PACKAGES, ROOT, sources

FILE_LINES = 600
FUNCTION_LINES = 60
MEDIAN_LINES = 8

# What may be longer, each with its reason. An exception that is not needed any more fails the test.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[tuple[str, str], str] = {}


@dataclass(frozen=True)
class Function:
    file: str
    name: str
    lines: int


def functions(root: Path, folder: str) -> Iterator[Function]:
    """Every function and method below a folder, with its lines from `def` to its end."""
    for path in sources(root, folder):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno
                yield Function(
                    path.relative_to(root).as_posix(), node.name, node.end_lineno - node.lineno + 1
                )


def long_files(root: Path) -> set[str]:
    return {
        path.relative_to(root).as_posix()
        for folder in (*PACKAGES, "tests")
        for path in sources(root, folder)
        if len(path.read_text(encoding="utf-8").splitlines()) > FILE_LINES
    }


def long_functions(root: Path) -> set[tuple[str, str]]:
    return {
        (function.file, function.name)
        for folder in (*PACKAGES, "tests")
        for function in functions(root, folder)
        if function.lines > FUNCTION_LINES
    }


def test_files_are_short() -> None:
    assert long_files(ROOT) == set(LONG_FILES)


def test_functions_are_short() -> None:
    assert long_functions(ROOT) == set(LONG_FUNCTIONS)


@pytest.mark.parametrize("package", PACKAGES)
def test_most_functions_are_very_short(package: str) -> None:
    assert median([function.lines for function in functions(ROOT, package)] or [0]) <= MEDIAN_LINES


def test_planted_violations_are_seen(tmp_path: Path) -> None:
    (tmp_path / "chat").mkdir()
    body = "    pass\n"
    (tmp_path / "chat" / "long.py").write_text("def fits():\n" + body * 59 + "def grows():\n" + body * 60)
    (tmp_path / "chat" / "full.py").write_text("x = 1\n" * 600)
    (tmp_path / "chat" / "over.py").write_text("x = 1\n" * 601)
    assert long_functions(tmp_path) == {("chat/long.py", "grows")}
    assert long_files(tmp_path) == {"chat/over.py"}
