"""record: a voice message from a real process, sent at a line, after some seconds, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat.interface import FileState, FileView
from tests.support.cli.line import Line
from tests.support.recorder import A_SECOND, put_recorder


@pytest.mark.parametrize(("typed", "options"), [("\n", []), ("", []), ("", ["--seconds", "2"])])
def test_a_voice_message_is_recorded_and_sent(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, options: list[str]
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    friend = line.messenger.add_contact("Ben", present=True)
    outcome = line.run("record", "Ben", "--json", "--id", "mine", *options, typed=typed)
    (sent,) = outcome.objects
    assert (outcome.status, sent["state"], sent["taken"]) == (0, "delivered", True)
    ((contact, _feed, name, original, voice),) = line.messenger.called("send_file")
    assert (contact, original, voice) == (friend.person, False, sent["voice"])
    assert str(name).startswith("voice 20")
    assert line.messenger.send_ids == ["mine"]
    content = line.messenger.contents[sent["id"]]
    assert content.startswith(b"RIFF")
    assert len(content) <= 2 * A_SECOND + 44


def test_what_is_recorded_for_nobody_online_waits(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 12)
    line.messenger.add_contact("Ben", present=False)
    outcome = line.run("record", "Ben", "--wait", "0", "--seconds", "12")
    assert (outcome.status, outcome.out) == (75, "To Ben: voice message, 0:12: queued\n")
    assert "leave it open" in outcome.err


def test_a_missing_recorder_and_an_unknown_contact_are_named(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line.messenger.add_contact("Ben", present=True)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install arecord" in line.run("record", "Ben").failed(64)
    assert "Carla" in line.run("record", "Carla").failed(64)
    assert line.messenger.called("open_feed") == []


def test_a_voice_message_is_named_in_the_history(line: Line) -> None:
    friend = line.messenger.add_contact("Ben", present=True)
    file = FileView("voice 2026-12-01 12.30.wav", "audio/x-wav", 44, FileState.WHOLE, 44, seconds=12)
    line.messenger.receive_file(friend.person, file, b"")
    (held,) = line.run("history", "Ben", "--json").objects
    assert held["file"]["voice"] == 12
    assert "[voice message, 0:12] voice 2026-12-01 12.30.wav (44 B, here)" in line.run("history", "Ben").out
