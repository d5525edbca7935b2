"""Every attack case that this release has to meet is met by a test that bears its number."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.imports import ROOT, sources

# 42 to 57, and 98, are about groups, which are yet to come.
CASES = {*range(1, 42)} | {*range(58, 98)} | {99, 100}

_NUMBERS = re.compile(r"test_(?:attack|case)_(\d{2,3}(?:_and_\d{2,3})*)_\w+")


def cases(root: Path) -> Iterator[int]:
    """The numbers in the names of test functions: `test_attack_26_and_40_…` is about both."""
    for path in sources(root, "tests"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                match = _NUMBERS.fullmatch(node.name)
                yield from map(int, match[1].split("_and_") if match else ())


def test_every_case_has_a_test() -> None:
    assert sorted(CASES - set(cases(ROOT))) == []


def test_only_the_names_of_functions_count(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    lines = [
        "def test_attack_07_is_met(): ...",
        "class TestLinks:\n    async def test_attack_08_and_09_are_met(self): ...",
        "# def test_attack_10_is_not(): ...",
        "test_attack_11_is_not = 'test_attack_12_is_not'",
        "def test_attack_13(): ...",
        "def helper_test_attack_14_is_not(): ...",
        "def test_case_81_is_met(): ...",
        "def test_case_82(): ...",
    ]
    (tmp_path / "tests" / "test_planted.py").write_text("\n".join(lines), encoding="utf-8")
    assert sorted(cases(tmp_path)) == [7, 8, 9, 81]
