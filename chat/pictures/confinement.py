"""Confines the process that works on a picture: no file, no network, no program, bounded memory and time."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from typing import Final

from chat.pictures.bounds import MEMORY_MAX, SECONDS_MAX, NotConfined

_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_ALLOW, _REFUSE, _ABSENT = 0x7FFF0000, 0x00050001, 0x00050026
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16
_THREAD: Final = 0x10000
_SET_SECCOMP, _FILTER = 22, 2
_SET_NO_NEW_PRIVS, _SET_DUMPABLE = 38, 4

# What computing and two pipes need: read, write, close, fstat, lseek, memory, signals of one's own, futex,
# clocks, randomness and the end; then clone, of which only threads, and clone3, whose flags no filter sees.
_CALLS: Final = {
    "x86_64": (
        0xC000003E,
        (0, 1, 3, 5, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 28, 60, 131, 202, 219, 228, 231, 273, 318, 334),
        56,
        435,
    ),
    "aarch64": (
        0xC00000B7,
        (
            *(57, 62, 63, 64, 80, 93, 94, 98, 99, 113, 124, 128, 132, 134, 135, 139, 214, 215, 216, 222),
            *(226, 233, 278, 293),
        ),
        220,
        435,
    ),
}


def confine(*, required: bool = True) -> bool:
    """Confine this process irrevocably, with everything imported; whether the kernel filters its calls.

    Raises NotConfined where it does not, unless that is not `required`: then the bounds of resources remain.
    """
    os.chdir("/")
    filtered = can_filter()
    if sys.platform != "win32":
        _limit(filtered)
    filtered = filtered and _filter_calls()
    if required and not filtered:
        raise NotConfined
    return filtered


def can_filter() -> bool:
    """Whether this system has a filter of calls that is known here."""
    return sys.platform == "linux" and _filter_possible()


def _limit(threads: bool) -> None:
    import resource

    os.closerange(3, 4_096)
    bounds = {
        "RLIMIT_AS": MEMORY_MAX,
        "RLIMIT_CPU": SECONDS_MAX,
        **dict.fromkeys(("RLIMIT_FSIZE", "RLIMIT_CORE", "RLIMIT_NOFILE"), 0),
    }
    if not threads:
        bounds["RLIMIT_NPROC"] = 0
    for name, most in bounds.items():
        try:
            resource.setrlimit(getattr(resource, name), (most, most))
        except (OSError, ValueError):  # macOS bounds no address space
            if name != "RLIMIT_AS":
                raise


def _filter_possible() -> bool:
    return platform.machine() in _CALLS and ctypes.sizeof(ctypes.c_void_p) == 8


def _filter_calls() -> bool:
    """Refuse every call to the kernel but those of computing (seccomp). A decoder's fault gains little."""
    library = ctypes.CDLL(None)
    for option, value in ((_SET_NO_NEW_PRIVS, 1), (_SET_DUMPABLE, 0)):
        library.prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0)))
    code = _program(*_CALLS[platform.machine()])
    held = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxQ", len(code) // 8, ctypes.addressof(held))
    set_filter = ctypes.c_ulong(_FILTER)
    return int(library.prctl(_SET_SECCOMP, set_filter, program, ctypes.c_ulong(0), ctypes.c_ulong(0))) == 0


def _program(architecture: int, calls: tuple[int, ...], clone: int, clone3: int) -> bytes:
    """The filter, as the kernel reads it: 8 bytes an instruction (seccomp(2), Linux's filter.h)."""
    steps = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _REFUSE),
        (_LOAD, 0, 0, _NUMBER),
    ]
    for call in calls:
        steps += [(_EQUAL, 0, 1, call), (_RETURN, 0, 0, _ALLOW)]
    steps += [
        (_EQUAL, 0, 1, clone3),
        (_RETURN, 0, 0, _ABSENT),
        (_EQUAL, 0, 3, clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 0, 1, _THREAD),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)
