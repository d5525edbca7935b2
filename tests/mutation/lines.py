"""Which tests run which lines, as the plugin recorded it."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Container, Iterable
from functools import lru_cache
from pathlib import Path

from coverage import CoverageData

from tests.mutation.plugin import OUTSIDE


class Lines:
    """The record of a folder. `seconds` maps each test that passed to its duration."""

    def __init__(self, folder: Path) -> None:
        self.seconds: dict[str, float] = {}
        for one in folder.glob("tests.*"):
            self.seconds |= map(json.loads, one.read_text(encoding="utf-8").splitlines())
        self._databases = [CoverageData(str(one)) for one in folder.glob("lines.*")]
        for database in self._databases:
            database.read()
        self._contexts = lru_cache(maxsize=8)(self._read)

    def tests(self, path: str, lines: Container[int] = range(sys.maxsize)) -> set[str]:
        """The tests that run any of these lines of a file."""
        contexts = self._contexts(path)
        return {test for line in contexts if line in lines for test in contexts[line] & self.seconds.keys()}

    def within(self, places: tuple[str, ...]) -> set[str]:
        """The tests of some folders and files."""
        return {test for test in self.seconds if test.startswith(places)}

    def runs_at_import(self, path: str, lines: Container[int]) -> bool:
        """Whether any of these lines runs outside of all tests."""
        return any(OUTSIDE in tests for line, tests in self._contexts(path).items() if line in lines)

    def _read(self, path: str) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for database in self._databases:
            for line, tests in database.contexts_by_lineno(path).items():
                found.setdefault(line, set()).update(tests)
        return found


def key_of(folder: Path, parts: Iterable[str]) -> str:
    """A hash of all Python files in parts of a project."""
    digest = hashlib.sha256()
    for part in parts:
        for path in sorted((folder / part).rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
