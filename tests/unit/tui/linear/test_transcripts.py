"""The linear mode by transcript: each file holds what is typed, what others do, and all that is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.tui.linear.played import FOLDER, locked_door, new_door, play, steps_of
from tui.text import translation

DOORS = {"first-run": new_door}
"""Transcripts that do not begin at the locked profile with Ben and Carla."""

NAMES = sorted(path.name.removesuffix(".txt") for path in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
async def test_transcript(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To write one anew: PARLOUR_WRITE_TRANSCRIPTS=1 in the environment, then read what has changed."""
    scene, _dot, language = name.partition(".")
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", language or "C")
    path = FOLDER / f"{name}.txt"
    wanted = path.read_text(encoding="utf-8").splitlines()
    said, _status = await play(steps_of(wanted), DOORS.get(scene, locked_door)())
    translation.use(translation.ENGLISH)
    _write_anew(path, said)
    assert said == wanted


def _write_anew(path: Path, said: list[str]) -> None:
    if os.environ.get("PARLOUR_WRITE_TRANSCRIPTS"):
        path.write_text("\n".join(said) + "\n", encoding="utf-8")
