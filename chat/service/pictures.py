"""Lets a confined process work on pictures: plain bytes go through pipes, never to the disk (SPEC §12.5)."""

from __future__ import annotations

import asyncio
import io
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, BinaryIO, Final, cast

from chat.errors import Phrase, phrase
from chat.interface import OnlyAsOriginal, ParlourError, PictureView, Unconfined, UsageError
from chat.pictures import program
from chat.pictures.bounds import (
    BEGINNING,
    HEADER,
    INPUT_MAX,
    SIDE_MAX,
    WAITED_MAX,
    Status,
    Work,
    keeps_metadata,
    media_of,
)
from chat.service.feeds import Feed

NOT_A_PICTURE: Final = phrase("This file is not a picture that can be shown: PNG, JPEG, GIF and WebP can.")
TOO_LARGE: Final = phrase("This picture is too large to be shown here: save it, and open it elsewhere.")
DAMAGED: Final = phrase("This picture is damaged, or not what it says it is: it cannot be shown.")
STOPPED: Final = phrase("This picture needs too much memory or time to be shown, so that was stopped.")
NOT_CONFINED: Final = phrase(
    "This system cannot confine what decodes a picture: a picture that is made to attack could read your"
    " files and reach the network."
)
NO_LIBRARY: Final = phrase(
    "Pictures need the library Pillow: install Parlour with its extra (pipx install '.[pictures]')."
)
METADATA_STAYS: Final = phrase(
    "The metadata of this picture cannot be removed, as it is damaged or too large: send it as the original"
    " if its place, its time and its camera may be seen."
)

KIND_STAYS: Final = phrase(
    "Parlour cannot remove the metadata of this kind of picture (HEIC, AVIF, TIFF, JPEG XL, JPEG 2000, PSD"
    " and the raw files of cameras): send a JPEG of it, or send it as the original if its place, its time and"
    " its camera may be seen."
)

_REASONS: Final[dict[int, Phrase]] = {
    Status.NOT_UNDERSTOOD: DAMAGED,
    Status.TOO_LARGE: TOO_LARGE,
    Status.NO_LIBRARY: NO_LIBRARY,
}


class Pictures:
    """Works on one picture at a time, so that many cannot take the machine."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def show(self, data: bytes, width: int, height: int, *, unconfined: bool = False) -> PictureView:
        """A picture in at most so many pixels. `unconfined`: also where the system has no confinement.

        Raises UsageError, Unconfined, any other ParlourError.
        """
        if not media_of(data[:BEGINNING]):
            raise UsageError(NOT_A_PICTURE)
        width, height = (max(1, min(side, SIDE_MAX)) for side in (width, height))
        async with self._turn:
            work = Work.SHOW_UNCONFINED if unconfined else Work.SHOW
            status, shown = await asyncio.to_thread(_run, work, data, width, height)
        if status == Status.NOT_CONFINED:
            raise Unconfined(NOT_CONFINED)
        if status != Status.DONE:
            raise ParlourError(_REASONS.get(status, STOPPED))
        head = struct.calcsize(HEADER)
        size = struct.unpack(HEADER, shown[:head]) if len(shown) >= head else (0, 0)
        # The process is as hostile as its picture may have made it.
        fits = 0 < size[0] <= width and 0 < size[1] <= height
        if not fits or len(shown) != head + 3 * size[0] * size[1]:
            raise ParlourError(DAMAGED)
        return PictureView(width=size[0], height=size[1], pixels=shown[head:])

    async def cleaned(self, source: BinaryIO) -> BinaryIO:
        """A source with the same picture without its metadata; the same source where it has no picture.

        Raises OnlyAsOriginal.
        """
        beginning = await asyncio.to_thread(source.read, BEGINNING)
        source.seek(0)
        if keeps_metadata(beginning):
            raise OnlyAsOriginal(KIND_STAYS)
        if not media_of(beginning):
            return source
        data = await asyncio.to_thread(source.read, INPUT_MAX + 1)
        if len(data) > INPUT_MAX:
            raise OnlyAsOriginal(METADATA_STAYS)
        async with self._turn:
            status, clean = await asyncio.to_thread(_run, Work.CLEAN, data)
        if status != Status.DONE:
            raise OnlyAsOriginal(METADATA_STAYS)
        return io.BytesIO(clean)

    async def cleaned_feed(self, feed: Feed) -> BinaryIO:
        """The same for what a program gives part by part: a picture is held whole. Raises UsageError too."""
        beginning = await feed.beginning(BEGINNING)
        if not (media_of(beginning) or keeps_metadata(beginning)):
            return cast(BinaryIO, feed)
        return await self.cleaned(io.BytesIO(await feed.whole(INPUT_MAX + 1)))


def _run(work: Work, data: bytes, width: int = 0, height: int = 0) -> tuple[int, bytes]:
    """Give a new process a picture: its status, and what it wrote. It has no environment and no files."""
    most = INPUT_MAX if work is Work.CLEAN else struct.calcsize(HEADER) + 3 * width * height
    modules = [one for one in sys.path if one]
    command = [sys.executable, "-I", "-S", program.__file__, work.value, str(width), str(height), *modules]
    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=null, env={}, cwd="/") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        feeder = threading.Thread(target=_feed, args=(process.stdin, data), daemon=True)
        limit = threading.Timer(WAITED_MAX, process.kill)
        feeder.start()
        limit.start()
        try:
            written = process.stdout.read(most + 1)
            if len(written) > most:
                process.kill()
            process.wait()
            feeder.join()
        finally:
            limit.cancel()
    return process.returncode, written


def _feed(pipe: IO[bytes], data: bytes) -> None:
    with suppress(BrokenPipeError), pipe:  # it ends before it has read all of what it refuses
        pipe.write(data)
