"""What a killed proof left goes with the next one; what another has, or nobody of ours made, stays."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from chat.tools.prove.stage import LOCK, PREFIX, throw_away


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_it_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with throw_away() as folder:
        assert folder.stat().st_mode & 0o077 == 0
        (folder / "Ada").mkdir()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_one_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    left, begun, other = (tmp_path / f"{PREFIX}{name}" for name in ("left", "begun", "linked"))
    for folder in (left, begun):
        folder.mkdir()
    (left / LOCK).touch()
    (left / "Ada").mkdir()
    away = tmp_path / "away"
    away.mkdir()
    (away / LOCK).touch()
    other.symlink_to(away)
    with throw_away() as one, throw_away() as two:
        assert one.is_dir(), "another that runs is left alone"
        assert set(tmp_path.iterdir()) == {begun, other, away, one, two}
