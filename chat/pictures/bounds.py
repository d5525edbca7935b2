"""What a process that works on a picture may use, how it is called, and how it ends (SPEC §12.5)."""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import Final

INPUT_MAX: Final = 64 << 20
"""Bytes of a picture. A contact can let this process read so many, for a picture that its person asks for."""

PIXELS_MAX: Final = 40_000_000
"""Pixels of a picture, which its header says before any is decoded: 160 MB with four bytes each."""

SIDE_MAX: Final = 400
"""Pixels of each side of what is shown: no terminal has more half blocks."""

MEMORY_MAX: Final = 1 << 30
"""Bytes of address space: the interpreter, a picture and its pixels."""

SECONDS_MAX: Final = 10
"""Seconds of the processor."""

WAITED_MAX: Final = 20.0
"""Seconds on the clock, after which the process is killed."""

HEADER: Final = ">HH"
"""Width and height, before three bytes for each pixel."""


class Work(Enum):
    """SHOW: the pixels of the first frame. CLEAN: the same picture without its metadata.

    SHOW_UNCONFINED: as SHOW, where the system cannot confine the process either.
    """

    SHOW = "show"
    SHOW_UNCONFINED = "show-unconfined"
    CLEAN = "clean"


class Status(IntEnum):
    """How the process ends. What kills it, a limit or a fault of a decoder, gives another number."""

    DONE = 0
    NOT_UNDERSTOOD = 40
    TOO_LARGE = 41
    NO_LIBRARY = 42
    NOT_CONFINED = 43


_BEGINNINGS: Final = {
    "image/png": b"\x89PNG\r\n\x1a\n",
    "image/jpeg": b"\xff\xd8\xff",
    "image/gif": b"GIF8",
}
BEGINNING: Final = 12
"""Bytes of the content that tell what it is."""


def media_of(beginning: bytes) -> str:
    """The media type of a picture by its first bytes; empty for anything else. No name counts."""
    if beginning[:4] == b"RIFF" and beginning[8:12] == b"WEBP":
        return "image/webp"
    return next((media for media, first in _BEGINNINGS.items() if beginning.startswith(first)), "")


OTHER_KINDS: Final[dict[str, tuple[tuple[int, bytes], ...]]] = {
    "TIFF": ((0, b"II*\0"), (0, b"MM\0*")),  # TIFF 6.0; and DNG, CR2, NEF, ARW, PEF and other raw files
    "BigTIFF": ((0, b"II+\0"), (0, b"MM\0+")),
    "Canon CR3": ((4, b"ftypcrx "),),
    "Canon CRW": ((6, b"HEAPCC"),),
    "Fujifilm RAF": ((0, b"FUJIFILMCCD-"),),
    "Olympus ORF": ((0, b"IIRO"), (0, b"IIRS"), (0, b"MMOR")),
    "Panasonic RW2": ((0, b"IIU\0"),),
    "Minolta MRW": ((0, b"\0MRM"),),
    "Sigma X3F": ((0, b"FOVb"),),
    "JPEG XL": ((0, b"\xff\x0a"), (0, b"\0\0\0\x0cJXL ")),  # ISO 18181-2
    "JPEG 2000": ((0, b"\xff\x4f\xff\x51"), (0, b"\0\0\0\x0cjP  ")),  # ISO 15444-1
    "PSD": ((0, b"8BPS"),),
    "HEIF": tuple(
        (4, b"ftyp" + brand)
        for brand in (
            *(b"mif1", b"mif2", b"mif3", b"msf1", b"miaf", b"heic", b"heix", b"heim", b"heis", b"hevc"),
            *(b"hevx", b"hevm", b"hevs", b"heoi", b"avci", b"avcs", b"jpeg", b"jpgs", b"j2ki", b"j2is"),
            *(b"vvic", b"vvis", b"evbi", b"evbs", b"unif"),
        )
    ),  # the brands of ISO 23008-12
    "AVIF": ((4, b"ftypavif"), (4, b"ftypavis"), (4, b"ftypavio")),
}
"""Kinds of pictures that can say place, time and camera, and are not understood here: what is where."""


def keeps_metadata(beginning: bytes) -> bool:
    """Whether a file begins as one of OTHER_KINDS."""
    marks = (mark for kind in OTHER_KINDS.values() for mark in kind)
    return any(beginning.startswith(said, at) for at, said in marks)


class NotUnderstood(Exception):
    """These bytes are no whole picture of a known kind."""


class NotConfined(Exception):
    """The kernel does not filter the calls of this process."""


class TooLarge(Exception):
    """The header says more pixels than are decoded."""
