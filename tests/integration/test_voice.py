"""Voice messages between engines: they arrive with their length, and nothing plain of them is on a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from chat import recording
from chat.interface import EntryAdded, FileState, UsageError, Voice, send_voice
from protocol.limits import VOICE_SECONDS_MAX
from tests.integration.test_files import at, saved
from tests.support.engines.engines import in_virtual_time, two_contacts

SPOKEN = b"what was spoken into the microphone "


def spoken_below(folder: Path) -> list[Path]:
    """The files in which something of it stands."""
    return [one for one in folder.rglob("*") if one.is_file() and SPOKEN in one.read_bytes()]


@in_virtual_time
async def test_a_voice_message_arrives_with_its_length(tmp_path: Path) -> None:
    voice = Voice("voice 2026-12-01 12.30.wav", SPOKEN * 9_000, 10)
    assert len(voice.content) > 2 * recording.PART
    async with two_contacts(tmp_path) as (_, ada, ben):
        added, whole = ben.wait(EntryAdded), at(ben, FileState.WHOLE)
        sent = await send_voice(ada.engine, await ada.contact(ben), voice, "an id")
        again = await send_voice(ada.engine, await ada.contact(ben), voice, "an id")
        file = (await added).entry.file
        await whole
        assert sent.file is not None
        assert file is not None
        assert again.id == sent.id
        assert (sent.file.seconds, file.seconds) == (10, 10)
        assert (file.name, file.media) == (voice.name, "audio/x-wav")
        assert not spoken_below(tmp_path)
        assert await saved(ben, ada, sent.id, tmp_path) == voice.content


@in_virtual_time
async def test_a_length_that_no_reader_takes_is_refused(tmp_path: Path) -> None:
    async with two_contacts(tmp_path) as (_, ada, ben):
        for length in (VOICE_SECONDS_MAX + 1, -1):
            with pytest.raises(UsageError, match="at most an hour"):
                await ada.engine.send_file(await ada.contact(ben), __file__, "a.wav", voice=length)
        plain = await ada.engine.send_file(await ada.contact(ben), __file__, "a.wav")
        assert plain.file is not None
        assert plain.file.seconds == 0
