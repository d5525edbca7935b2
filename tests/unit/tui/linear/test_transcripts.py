"""The linear mode by transcript: each file holds what is typed, what others do, and all that is said."""

from __future__ import annotations

import os

import pytest

from tests.support.tui.linear.played import FOLDER, locked_door, new_door, play, steps_of

NAMES = sorted(path.name.removesuffix(".txt") for path in FOLDER.glob("*.txt"))


@pytest.mark.parametrize("name", NAMES)
async def test_transcript(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PARLOUR_WRITE_TRANSCRIPTS=1 in the environment writes what is said now: read what has changed."""
    scene, _dot, language = name.partition(".")
    for variable in ("LANGUAGE", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("LANG", language or "C")
    path = FOLDER / f"{name}.txt"
    wanted = path.read_text(encoding="utf-8").splitlines()
    said, _status = await play(steps_of(wanted), new_door() if scene == "first-run" else locked_door())
    if os.environ.get("PARLOUR_WRITE_TRANSCRIPTS"):
        path.write_text("\n".join(said) + "\n", encoding="utf-8")
    assert said == wanted


def test_there_are_transcripts_in_both_languages() -> None:
    assert {name.partition(".")[2] for name in NAMES} == {"", "zh_CN"}
