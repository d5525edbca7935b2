"""Voice messages in the interface: recorded in a dialog by a real process, sent, kept or discarded."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.pilot import Pilot

from chat.errors import phrase
from chat.interface import FileState, FileView, UsageError
from tests.support.fakes.messenger import FakeMessenger
from tests.support.recorder import A_SECOND, put_recorder
from tests.support.tui.driving import chatting, until, until_shown, with_bob, with_bob_open
from tests.support.tui.opened import opened
from tui.app import ParlourApp
from tui.preferences import Options
from tui.screens.recording import RecordingDialog
from tui.text.formatting import file_line


async def recording(pilot: Pilot[None]) -> RecordingDialog:
    dialog = await opened(pilot, "alt+v", RecordingDialog)
    await until_shown(pilot, "● Recording 0:02 of 10:00")
    return dialog


@pytest.mark.parametrize("key", ["enter", "alt+v"])
async def test_a_voice_message_is_recorded_and_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    async with with_bob_open() as (pilot, messenger, bob):
        await recording(pilot)
        await pilot.press(key)
        shown = await until_shown(pilot, "Voice message, 0:02. File voice")
        assert "Recording" not in shown
        ((contact, _feed, _name, _original, voice),) = messenger.called("send_file")
        assert (contact, voice) == (bob.person, 2)
        (content,) = messenger.contents.values()
        assert (content[:4], len(content)) == (b"RIFF", 2 * A_SECOND + 44)


async def test_a_voice_message_is_discarded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await recording(pilot)
        recorded = dialog._recording
        assert recorded is not None
        await pilot.press("escape")
        await until(pilot, lambda: recorded._process.returncode is not None)
        assert messenger.called("open_feed") == []
        assert not recorded._sound


async def test_a_lock_ends_the_recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    async with with_bob_open() as (pilot, messenger, _bob):
        dialog = await recording(pilot)
        recorded = dialog._recording
        assert recorded is not None
        await pilot.press("alt+l")
        await until(pilot, lambda: recorded._process.returncode is not None)
        assert not recorded._sound
        assert messenger.called("open_feed") == []


async def test_who_speaks_is_there_until_nothing_is_heard_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    messenger, _bob = with_bob()
    messenger._preferences.update(autolock="1")
    clock = [1000.0]
    async with chatting(messenger, monotonic=lambda: clock[0]) as pilot:
        recorded = (await recording(pilot))._recording
        assert recorded is not None
        assert isinstance(pilot.app, ParlourApp)
        app = pilot.app
        for _ in range(3):
            clock[0] += 45
            recorded._sound += bytes(A_SECOND)
            await until(pilot, lambda: app._touched == clock[0])
        assert messenger.called("lock") == []
        clock[0] += 60
        await until(pilot, lambda: recorded._process.returncode is not None)
        await until(pilot, lambda: messenger.called("lock") == [()])


async def test_what_cannot_be_sent_is_kept_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    async with with_bob_open() as (pilot, messenger, _bob):
        await recording(pilot)
        messenger.failures["send_file"] = UsageError(phrase("The disk has too little room."))
        await pilot.press("enter")
        shown = await until_shown(pilot, "The disk has too little room.")
        assert "Recorded: 0:02" in shown
        messenger.failures.clear()
        await pilot.press("enter")
        await until_shown(pilot, "Voice message, 0:02. File voice")
        first, second = messenger.send_ids
        assert first == second


async def test_a_recorder_that_begins_after_its_dialog_closed_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    dialog = RecordingDialog(FakeMessenger("Ada"), Options(), "", "Bob")
    await dialog._begin()
    assert dialog._recording is not None
    assert dialog._recording._process.returncode is not None


async def test_a_missing_recorder_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    async with with_bob_open() as (pilot, messenger, _bob):
        await opened(pilot, "alt+v", RecordingDialog)
        await until_shown(pilot, "install arecord")
        await pilot.press("enter", "escape", "H", "i", "enter")
        await until(pilot, lambda: bool(messenger.called("send")))
        assert messenger.called("open_feed") == []


def test_the_line_of_a_voice_message_says_its_length_and_what_it_is() -> None:
    file = FileView("voice.wav", "audio/x-wav", 44, FileState.WHOLE, 44, seconds=3_600)
    assert file_line(file) == "Voice message, 60:00. File voice.wav, 44 B"
