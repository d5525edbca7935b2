"""The process that works on one picture: bytes come by a pipe, pixels or bytes go by another, then it ends.

It is started with no environment, and with the work, its arguments and the module path as its arguments.
"""

from __future__ import annotations

import io
import os
import struct
import sys
from collections.abc import Sequence
from typing import Final

MODULES_FROM: Final = 4
"""The arguments from this one on are the path of the modules: the interpreter starts with none of its own."""


def run(arguments: Sequence[str]) -> int:
    """Do the work; returns the status with which the process ends."""
    from chat.pictures.bounds import HEADER, INPUT_MAX, NotConfined, NotUnderstood, Status, TooLarge, Work
    from chat.pictures.confinement import confine
    from chat.pictures.metadata import without_metadata

    work, width, height = Work(arguments[1]), int(arguments[2]), int(arguments[3])
    do = without_metadata
    if work is not Work.CLEAN:
        try:
            from chat.pictures.decoding import decode
        except ImportError:
            return Status.NO_LIBRARY

        def do(data: bytes) -> bytes:
            size, pixels = decode(data, width, height)
            return struct.pack(HEADER, *size) + pixels

    try:
        confine(required=work is Work.SHOW)  # what cleans is no library, and the picture is an own one
        _write(do(_read(INPUT_MAX)))
    except NotConfined:
        return Status.NOT_CONFINED
    except NotUnderstood:
        return Status.NOT_UNDERSTOOD
    except (TooLarge, MemoryError):
        return Status.TOO_LARGE
    return Status.DONE


def _read(most: int) -> bytes:
    with io.FileIO(0, closefd=False) as pipe:
        held = io.BytesIO()
        while held.tell() <= most and (part := pipe.read(1 << 20)):
            held.write(part)
    return held.getvalue()


def _write(data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(1, left) :]


if __name__ == "__main__":
    sys.path[:] = sys.argv[MODULES_FROM:]
    # No handler and no destructor of a decoder runs any more.
    os._exit(run(sys.argv))
