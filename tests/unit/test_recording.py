"""Voice messages: a real process in place of the recorder, a real pipe, and nothing of it on a disk."""

from __future__ import annotations

import asyncio
import io
import os
import wave
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from chat import recording
from chat.interface import FEED_PART_MAX, ParlourError, Recording, UsageError, Voice, length_text, send_voice
from tests.support.fakes.messenger import FakeMessenger
from tests.support.recorder import A_SECOND, put_recorder

NOW = datetime(2026, 12, 1, 12, 30, 7, tzinfo=UTC)


async def heard(recorded: Recording, size: int) -> None:
    while len(recorded._sound) < size:  # noqa: ASYNC110 - the reader has no event for each part
        await asyncio.sleep(0)


async def test_a_recording_is_a_wav_file_that_says_how_long_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = put_recorder(tmp_path / "bin", monkeypatch, 2.56)
    recorded = await Recording.begin()
    await heard(recorded, int(2.56 * A_SECOND))
    assert recorded.seconds == 2
    voice = await recorded.stop(NOW)
    with wave.open(io.BytesIO(voice.content)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.getnframes() == int(2.56 * A_SECOND) // 2
        assert file.readframes(128) == bytes(range(256))
    assert (voice.name, voice.seconds) == ("voice 2026-12-01 12.30.wav", 3)
    assert told.read_text().split("\n") == list(recording.RECORDERS[0][1:])
    assert b"".join(map(str.encode, repr(voice))).find(b"\\x") < 0


async def test_what_is_discarded_leaves_nothing_and_ends_its_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch)
    recorded = await Recording.begin()
    await recorded.discard()
    assert recorded._process.returncode is not None
    assert recorded.seconds == 0
    with pytest.raises(ParlourError):
        await recorded.stop(NOW)
    await recorded.discard()


async def test_a_recording_that_is_too_long_ends_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 8)
    monkeypatch.setattr(recording, "_BYTES_MAX", 5 * A_SECOND)
    recorded = await Recording.begin()
    await recorded.ended.wait()
    voice = await recorded.stop(NOW)
    assert voice.seconds == 5
    assert len(voice.content) == 5 * A_SECOND + 44


async def test_the_next_program_records_where_the_first_one_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 0, lasts=False)
    with pytest.raises(ParlourError, match=r"Nothing is recorded: arecord: no soundcards found\.\.\."):
        await Recording.begin()
    told = put_recorder(tmp_path / "bin", monkeypatch, 1, "parec")
    recorded = await Recording.begin()
    await recorded.discard()
    assert told.read_text().split("\n") == list(recording.RECORDERS[1][1:])


@pytest.mark.parametrize("way", ["stop", "discard"])
async def test_a_recorder_that_is_a_script_ends_with_what_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Else what it runs would hold the pipe, and who ends the recording would wait for it."""
    put_recorder(tmp_path / "bin", monkeypatch, 1)
    program = tmp_path / "bin" / "arecord"
    runs = "import os\nif os.fork():\n    os.wait()\nimport pathlib,"
    program.write_text(program.read_text().replace("import pathlib,", runs))
    recorded = await Recording.begin()
    async with asyncio.timeout(20):
        if way == "stop":
            assert (await recorded.stop(NOW)).seconds == 1
        else:
            await recorded.discard()
    assert recorded._process.returncode is not None


async def test_a_missing_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"install arecord \(of alsa-utils\) or parec"):
        await Recording.begin()


def files_open() -> set[Path]:
    """Files of disks that this process has open, where the system says it."""
    named = Path("/proc/self/fd")
    found = {one.resolve() for one in named.iterdir()} if named.is_dir() else set()
    return {one for one in found if one.is_file()}


async def test_nothing_plain_is_on_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_recorder(tmp_path / "bin", monkeypatch, 2)
    home = tmp_path / "home"
    home.mkdir()
    for name in ("HOME", "TMPDIR", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(home))
    opened = files_open()
    recorded = await Recording.begin()
    during = files_open()
    await recorded.stop(NOW)
    assert list(home.iterdir()) == []
    assert during == opened


async def test_a_voice_message_is_sent_in_parts_and_once() -> None:
    messenger = FakeMessenger()
    friend = messenger.add_contact("Ben", present=True)
    content = os.urandom(2 * recording.PART + 5)
    voice = Voice("voice 2026-12-01 12.30.wav", content, 8)
    entry = await send_voice(messenger, friend.person, voice, "an id")
    again = await send_voice(messenger, friend.person, voice, "an id")
    assert entry.file is not None
    assert (entry.file.name, entry.file.seconds, again.id) == (voice.name, 8, entry.id)
    assert messenger.contents[entry.id] == content
    assert {len(cast(bytes, part)) for _feed, part, *_end in messenger.called("feed")} <= {
        recording.PART,
        5,
        0,
    }
    assert recording.PART <= FEED_PART_MAX


@pytest.mark.parametrize(("seconds", "shown"), [(1, "0:01"), (12, "0:12"), (61, "1:01"), (3_600, "60:00")])
def test_a_length_is_shown_in_minutes_and_seconds(seconds: int, shown: str) -> None:
    assert length_text(seconds) == shown
