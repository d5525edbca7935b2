"""A voice message: sound that a program of the system records, in memory until it is sealed (SPEC §12.1)."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from typing import Final, Protocol, Self

from chat.errors import ParlourError, UsageError, phrase
from chat.views import EntryView, Redacted, Redacting

RATE: Final = 16_000
"""Samples a second, of two bytes each and one channel: enough for speech, and every system plays them."""

VOICE_MAX: Final = 600
"""Seconds of one voice message. This person fills it, and it is in memory as a whole: 19 MB."""

PART: Final = 1 << 17
"""Bytes of one part of a feed. It is at most interface.FEED_PART_MAX."""

_WIDTH: Final = 2
_A_SECOND: Final = RATE * _WIDTH
_BYTES_MAX: Final = VOICE_MAX * _A_SECOND
_KILL: Final = getattr(signal, "SIGKILL", signal.SIGTERM)
_SAID_MAX: Final = 2_000
"""Bytes that are kept of what a recorder says. The recorder fills it."""

_SHOWN: Final = 120  # characters of its last line
_BEGINS_WITHIN: Final = 10.0
"""Seconds for a recorder to give its first sound: a server of sound may never answer it."""

_ENDS_WITHIN: Final = 3.0
"""Seconds for a recorder to end after it was asked to."""

RECORDERS: Final = (
    ("arecord", "-q", "-t", "raw", "-f", "S16_LE", "-r", str(RATE), "-c", "1"),
    ("parec", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1"),
)
"""The programs that record, the first one first: each writes bare samples to its standard output."""

NO_RECORDER = phrase(
    "No program that records is installed: install arecord (of alsa-utils) or parec (of pulseaudio-utils)."
)
NOT_RECORDED = phrase("Nothing was recorded: is a microphone connected, and may this program use it?")


class Voice(Redacting, frozen=True):
    """What was recorded: a whole WAV file. `seconds`: its length, at least one."""

    name: str
    content: Redacted[bytes]
    seconds: int


class Recording:
    """Sound that a program records from now on. `stop` or `discard` ends it; nothing of it is on a disk."""

    def __init__(self, process: Process, heard: asyncio.Task[str], first: bytes) -> None:
        self._process, self._heard, self._sound = process, heard, bytearray(first)
        self.ended = asyncio.Event()
        """The recorder has ended: VOICE_MAX are recorded, or it stopped by itself."""
        self._keeps = True
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def begin(cls) -> Self:
        """Record with the first program that does. Raises ParlourError where none does, or is installed."""
        found = [(shutil.which(name), rest) for name, *rest in RECORDERS]
        said = ""
        for path, rest in found:
            if path is None:
                continue
            # Ctrl+C in a terminal goes to its whole group, and would end the recorder before it is asked to.
            process = await asyncio.create_subprocess_exec(
                path, *rest, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, start_new_session=True
            )
            heard = asyncio.create_task(_last_line(process))
            first = b""
            try:
                async with asyncio.timeout(_BEGINS_WITHIN):
                    first = await _output(process).read(_A_SECOND)
            except TimeoutError:
                pass
            finally:
                if not first:
                    _signal(process, _KILL)
                    await asyncio.gather(_output(process).read(), heard, process.wait())
            if first:
                return cls(process, heard, first)
            said = said or heard.result()
        if not any(path for path, _rest in found):
            raise UsageError(NO_RECORDER)
        raise ParlourError(phrase("Nothing is recorded: {reason}", reason=said) if said else NOT_RECORDED)

    @property
    def seconds(self) -> int:
        """How much is recorded."""
        return len(self._sound) // _A_SECOND

    async def stop(self, now: datetime) -> Voice:
        """End it. `now` is the local time, for the name. Raises ParlourError where nothing was recorded."""
        self._end(signal.SIGTERM)
        try:
            async with asyncio.timeout(_ENDS_WITHIN):
                await asyncio.shield(self._reading)  # what it has heard until now comes before its end
        except TimeoutError:
            self._end(_KILL)
            await self._reading
        self._keeps = False
        sound = bytes(self._sound[: len(self._sound) // _WIDTH * _WIDTH])
        self._sound.clear()
        if not sound:
            raise ParlourError(NOT_RECORDED)
        return Voice(voice_name(now), _wav(sound), max(1, round(len(sound) / _A_SECOND)))

    async def discard(self) -> None:
        """End it, and keep nothing. Harmless after it ended."""
        self._keeps = False
        self._sound.clear()
        self._end(_KILL)
        await self._reading

    def _end(self, how: int) -> None:
        if not self._reading.done():  # its number may be that of another program by then
            _signal(self._process, how)

    async def _read(self) -> None:
        output = _output(self._process)
        while part := await output.read(PART):  # to its end, or its pipe would never be closed
            if self._keeps:
                self._sound += part[: _BYTES_MAX - len(self._sound)]
            if len(self._sound) >= _BYTES_MAX:
                _signal(self._process, _KILL)
        await asyncio.gather(self._heard, self._process.wait())
        self.ended.set()


class Taker(Protocol):
    """What of a messenger takes a voice message."""

    async def open_feed(self) -> str: ...

    async def feed(self, name: str, part: bytes, end: bool = False) -> None: ...

    async def send_file(
        self,
        contact: str,
        path: str,
        named: str = "",
        send_id: str = "",
        original: bool = False,
        voice: int = 0,
    ) -> EntryView: ...


async def send_voice(messenger: Taker, contact: str, voice: Voice, send_id: str) -> EntryView:
    """Send a voice message through a feed: it is sealed as it goes. Raises as `Messenger.send_file`."""
    feed = await messenger.open_feed()
    sending = asyncio.create_task(
        messenger.send_file(contact, feed, voice.name, send_id, voice=voice.seconds)
    )
    feeding = asyncio.create_task(_feed(messenger, feed, voice.content))
    try:
        await asyncio.wait({sending, feeding}, return_when=asyncio.FIRST_COMPLETED)
        return await sending  # a repeat is not read, and a feed that fails breaks this
    finally:
        sending.cancel()
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)


async def _feed(messenger: Taker, feed: str, content: bytes) -> None:
    for part in _parts(content):
        await messenger.feed(feed, part)
    await messenger.feed(feed, b"", end=True)


def _parts(content: bytes) -> Iterator[bytes]:
    for at in range(0, len(content), PART):
        yield content[at : at + PART]


def voice_name(now: datetime) -> str:
    """The name of a voice message that was recorded at a local time."""
    return f"voice {now:%Y-%m-%d %H.%M}.wav"


def length_text(seconds: int) -> str:
    """The length of a voice message as it is shown: 0:12."""
    return f"{seconds // 60}:{seconds % 60:02}"


def _wav(sound: bytes) -> bytes:
    """The samples as a file whose header says how long it is, which no recorder knows when it begins."""
    import wave  # most sessions record nothing

    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(_WIDTH)
        file.setframerate(RATE)
        file.writeframes(sound)
    return held.getvalue()


def _output(process: Process) -> asyncio.StreamReader:
    assert process.stdout is not None
    return process.stdout


async def _last_line(process: Process) -> str:
    """The last line that a recorder says, shortened. All is read, or the recorder would wait for that."""
    assert process.stderr is not None
    kept = b""
    while part := await process.stderr.read(_SAID_MAX):
        kept = (kept + part)[-_SAID_MAX:]
    lines = kept.decode(errors="replace").split("\n")
    return next((line.strip()[:_SHOWN] for line in reversed(lines) if line.strip()), "")


def _signal(process: Process, how: int) -> None:
    """To the whole session of a recorder, which may be a script: what it runs holds the pipe, too."""
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, how)
        else:
            process.kill()
