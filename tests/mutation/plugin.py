"""A pytest plugin: records which test runs which line, or runs chosen tests in a given order.

PARLOUR_LINES names the folder for the record and PARLOUR_SOURCES the recorded folders. PARLOUR_CHOSEN names a
file with one test per line.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

import coverage
import pytest

LINES: Final = "PARLOUR_LINES"
SOURCES: Final = "PARLOUR_SOURCES"
CHOSEN: Final = "PARLOUR_CHOSEN"
OUTSIDE: Final = ""
"""The context of lines that run outside of all tests, as at an import."""


class Recorder:
    """Writes `lines.W`, a coverage database with one context per test, and `tests.W` for each worker W.

    The second file has a line `[test, seconds]` of JSON for each test that passed. Both grow with each test,
    so a worker that ends early loses one test.
    """

    def __init__(self, folder: Path, sources: list[str]) -> None:
        self._folder = folder
        self._worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
        self._coverage = coverage.Coverage(
            folder / f"lines.{self._worker}", source=sources, config_file=False, messages=False
        )
        self._coverage.set_option("run:relative_files", True)
        self._coverage.start()
        self._failed: set[str] = set()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self._coverage.switch_context(item.nodeid)
        began = time.perf_counter()
        try:
            return (yield)
        finally:
            seconds = time.perf_counter() - began
            self._coverage.switch_context(OUTSIDE)
            if item.nodeid not in self._failed:
                with (self._folder / f"tests.{self._worker}").open("a", encoding="utf-8") as file:
                    file.write(json.dumps([item.nodeid, seconds]) + "\n")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not report.passed:
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        self._coverage.stop()
        self._coverage.save()


class Selection:
    """Runs the chosen tests only, in their order."""

    def __init__(self, chosen: list[str]) -> None:
        self._places = {test: place for place, test in enumerate(chosen)}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._places),
            key=lambda item: self._places[item.nodeid],
        )


def pytest_configure(config: pytest.Config) -> None:
    if folder := os.environ.get(LINES):
        # With xdist the controller runs no test.
        if not getattr(config.option, "numprocesses", 0):
            config.pluginmanager.register(Recorder(Path(folder), os.environ[SOURCES].split(",")))
    elif chosen := os.environ.get(CHOSEN):
        config.pluginmanager.register(Selection(Path(chosen).read_text(encoding="utf-8").splitlines()))
