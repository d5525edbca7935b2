"""The fixture of all tests of the command."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.cli.line import Line


@pytest.fixture
def line(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(tmp_path, capfd, monkeypatch)
