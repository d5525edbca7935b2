"""Voice messages line by line, recorded by a real process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from chat.interface import Recording
from tests.support.recorder import A_SECOND, put_recorder
from tests.support.tui.linear.played import OPTIONS, locked_door, play


async def test_a_voice_message_is_recorded_and_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    door = locked_door()
    assert door.messenger is not None
    steps = [
        ">> correct horse",
        "> /open Ben",
        "> /voice off",
        "> /voice loud",
        "> /voice",
        "> /voice",
        "> /quit",
    ]
    said, _status = await play(iter(steps), door)
    assert "Nothing is being recorded." in said
    assert "Type /voice, or /voice off." in said
    assert "Recording for Ben, at most 10:00. /voice sends it, /voice off discards it." in said
    assert any(line.startswith("Sent to Ben: voice message, 0:0") for line in said)
    (content,) = door.messenger.contents.values()
    assert content[:4] == b"RIFF"
    assert len(content) <= 2 * A_SECOND + 44


@pytest.mark.parametrize("last", ["> /voice off", "> /lock", "> /quit"])
async def test_what_is_not_sent_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    door = locked_door()
    assert door.messenger is not None
    steps = [">> correct horse", "> /open Ben", "> /voice", last]
    said, _status = await play(iter(steps), door)
    assert ("Discarded." in said) == (last == "> /voice off")
    assert door.messenger.contents == {}


@pytest.mark.parametrize("speaks", [True, False])
async def test_who_speaks_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, speaks: bool) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    door, now, begun, begin = locked_door(), 0.0, list[Recording](), Recording.begin

    async def beginning() -> Recording:
        begun.append(await begin())
        return begun[0]

    def steps() -> Iterator[str]:
        nonlocal now
        yield from (">> correct horse", "> /open Ben", "> /voice")
        now = 45.0
        yield "> /me"
        now = 110.0
        if speaks:
            begun[0]._sound += bytes(A_SECOND)
        yield "> /voice"

    assert door.messenger is not None
    door.messenger._preferences["autolock"] = "1"
    monkeypatch.setattr(Recording, "begin", beginning)
    said, _status = await play(steps(), door, replace(OPTIONS, monotonic=lambda: now))
    assert ("Locked after inactivity." in said) is not speaks
    assert any(line.startswith("Sent to Ben: voice message, 0:0") for line in said) is speaks


async def test_a_missing_recorder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    steps = [">> correct horse", "> /open Ben", "> /voice", "> /quit"]
    said, _status = await play(iter(steps), locked_door())
    assert any("install arecord" in line for line in said)
