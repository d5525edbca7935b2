"""Confines this process irrevocably: no writing of files, no core files, no new privileges.

Called once, with one thread and with everything imported and bound. It reports what the system lacks.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
import threading
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # the same numbers on every architecture
_ASK_VERSION: Final = 1
_SET_DUMPABLE, _SET_NO_NEW_PRIVS = 4, 38

_EXECUTE: Final = 1
_WRITE_FILE: Final = 1 << 1
_REMOVE_AND_MAKE: Final = sum(1 << bit for bit in range(4, 13))
_REFER_FROM_ABI_2: Final = 1 << 13
_TRUNCATE_FROM_ABI_3: Final = 1 << 14
_BIND_TCP, _CONNECT_TCP = 1, 2
_NETWORK_FROM_ABI: Final = 4
_SCOPES_FROM_ABI_6: Final = 0b11  # no signals to other processes and no abstract sockets of them


class Means(Struct, frozen=True):
    """A means of confinement: whether it holds here, and a text without a full stop."""

    name: str
    holds: bool
    said: str


class Unconfined(Exception):
    """The process cannot be confined. The text says what to do."""


def confine(*, examinable: bool, connecting: bool) -> tuple[Means, ...]:
    """Apply everything but the limit on file sizes.

    `examinable` leaves the memory readable for the user. `connecting` allows outgoing connections, which NATS
    needs. Raises Unconfined if other threads are running, since they would not be confined.
    """
    try:
        threads = len(list(Path("/proc/self/task").iterdir()))
    except OSError:
        threads = threading.active_count()
    if threads > 1:
        raise Unconfined(
            "Threads already run and would not be confined. This is an internal error: please report it."
        )
    holds = _prctl(_SET_NO_NEW_PRIVS, 1)
    said = "no new privileges can be gained" if holds else _lacking("no_new_privs")
    return (
        Means("privileges", holds, said),
        *_landlock(landlock_abi(), connecting),
        _limit("RLIMIT_CORE", "no core file can be written"),
        _not_dumpable(examinable),
        _no_swap(),
    )


def forbid_writing() -> Means:
    """Forbid writing to any file, including standard output if it is one (RLIMIT_FSIZE 0)."""
    return _limit("RLIMIT_FSIZE", _NO_BYTE)


_NO_BYTE: Final = "no byte can be written to any file"


def writing_will_be_forbidden() -> Means:
    """The result of `forbid_writing` in advance, while it can still be printed."""
    holds = sys.platform != "win32"
    return Means("files", holds, _NO_BYTE if holds else _lacking("RLIMIT_FSIZE"))


def landlock_abi() -> int:
    """The version of the kernel's Landlock, or 0."""
    if sys.platform != "linux":
        return 0
    return max(0, _syscall(_CREATE_RULESET, None, 0, _ASK_VERSION))


def _landlock(abi: int, connecting: bool) -> tuple[Means, Means]:
    if not abi or not _restrict(abi, connecting):
        return (
            Means("landlock", False, _lacking("Landlock: a fault could still write files")),
            Means("connections", False, _lacking("Landlock: a fault could still open connections")),
        )
    files = Means("landlock", True, f"no file can be written, made, renamed or removed (Landlock ABI {abi})")
    if connecting:
        return files, Means("connections", False, "connections stay possible, for NATS")
    if abi < _NETWORK_FROM_ABI:
        return files, Means("connections", False, _lacking("Landlock's rules for connections"))
    return files, Means("connections", True, "no TCP connection can be opened from here")


def _restrict(abi: int, connecting: bool) -> bool:
    """Apply a ruleset that handles all writing and has no rule, so that all of it is denied."""
    files = _EXECUTE | _WRITE_FILE | _REMOVE_AND_MAKE
    files |= _REFER_FROM_ABI_2 if abi >= 2 else 0
    files |= _TRUNCATE_FROM_ABI_3 if abi >= 3 else 0
    fields = [files]
    if abi >= _NETWORK_FROM_ABI:
        fields.append(_BIND_TCP if connecting else _BIND_TCP | _CONNECT_TCP)
    if abi >= 6:
        fields.append(_SCOPES_FROM_ABI_6)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = _syscall(_CREATE_RULESET, attributes, len(attributes), 0)
    if ruleset < 0:
        return False
    try:
        return _syscall(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _not_dumpable(examinable: bool) -> Means:
    if examinable:
        return Means(
            "memory", False, "its memory can be read by its own user: it was started with --examinable"
        )
    holds = _prctl(_SET_DUMPABLE, 0)
    lacking = _lacking("a way to keep its memory from its user")
    return Means("memory", holds, "its memory can be read by root alone" if holds else lacking)


def _no_swap() -> Means:
    """Report whether memory may be swapped to a disk. Nothing is changed."""
    try:
        lines = Path("/proc/swaps").read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError):
        return Means("swap", False, _lacking("a list of swap: whether memory may reach a disk is not known"))
    if len(lines) > 1:
        return Means("swap", False, "this machine has swap: turn it off, or memory may reach the disk")
    return Means("swap", True, "this machine has no swap")


def _limit(name: str, said: str) -> Means:
    label = "core" if name == "RLIMIT_CORE" else "files"
    if sys.platform == "win32":
        return Means(label, False, _lacking(name))
    import resource

    resource.setrlimit(getattr(resource, name), (0, 0))
    return Means(label, True, said)


def _prctl(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    return int(_library().prctl(option, *map(ctypes.c_ulong, (value, 0, 0, 0)))) == 0


def _lacking(what: str) -> str:
    return f"this system lacks {what}"


def _syscall(number: int, *arguments: int | bytes | None) -> int:
    """Make a system call that has no wrapper. Returns -1 if it fails."""
    wide = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    call = _library().syscall
    call.restype = ctypes.c_long
    return int(call(ctypes.c_long(number), *wide))


def _library() -> Any:
    return ctypes.CDLL(None)
