"""Takes from Python what it lacks on macOS or Windows, and makes calls fail that fail there.

Only what the project meets is in it, and only as far as its code can tell. The rest of the library of Python
is loaded first and stays as it is: it chose its own way when it was loaded.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import io
import os
import select
import shutil
import socket
import stat
import struct
import sys
import time
import types
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pytest

SYSTEMS: Final = ("linux", "macos", "windows")
_OURS: Final = ("chat.", "protocol.", "tui.")
_O_BINARY: Final = 1 << 40
"""No flag of this system: the calls below take it away before they reach the system."""


def take_away(system: str, patch: pytest.MonkeyPatch) -> None:
    """Make this process look like one on `system`, one of SYSTEMS."""
    if system == "macos":
        _macos(patch)
    elif system == "windows":
        _windows(patch)


def _macos(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "platform", "darwin")
    patch.delattr(time, "CLOCK_BOOTTIME", raising=False)
    for name in ("SO_PEERCRED", "AF_NETLINK"):
        patch.delattr(socket, name, raising=False)
    patch.delattr(os, "pidfd_open", raising=False)
    _refuse_modes_of_sockets(patch)
    _tell_peers_as_macos(patch)
    _poll_no_controlling_terminal(patch)
    _hide(patch, "/proc")


def _refuse_modes_of_sockets(patch: pytest.MonkeyPatch) -> None:
    real = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        if stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        real(descriptor, mode)

    patch.setattr(os, "fchmod", fchmod)


_LINUX_PEERCRED: Final = 17


def _tell_peers_as_macos(patch: pytest.MonkeyPatch) -> None:
    """getsockopt(SOL_LOCAL, LOCAL_PEERCRED), which gives a struct xucred."""
    real = socket.socket.getsockopt

    def getsockopt(self: socket.socket, level: int, option: int, *size: int) -> Any:
        if (level, option) != (0, 1):
            return real(self, level, option, *size)
        _, user, group = struct.unpack("3i", real(self, socket.SOL_SOCKET, _LINUX_PEERCRED, 12))
        return struct.pack("=IIh2x16I", 0, user, 1, group, *[0] * 15)[: size[0]]

    patch.setattr(socket.socket, "getsockopt", getsockopt)


def _poll_no_controlling_terminal(patch: pytest.MonkeyPatch) -> None:
    """A terminal of any name answers POLLNVAL while it is there, as /dev/tty does there."""
    real = select.poll

    class Poll:
        def __init__(self) -> None:
            self._poll, self._terminals = real(), set[int]()

        def register(self, descriptor: int, events: int) -> None:
            self._poll.register(descriptor, events)
            if os.isatty(descriptor):
                self._terminals.add(descriptor)

        def poll(self, timeout: float | None = None) -> list[tuple[int, int]]:
            return self._poll.poll(timeout) or [(one, select.POLLNVAL) for one in self._terminals]

    patch.setattr(select, "poll", Poll)


def _windows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sys, "platform", "win32")
    _lock_as_windows(patch)
    _keep_socketpair(patch)
    for name in ("AF_UNIX", "AF_NETLINK", "SO_PEERCRED", "SO_REUSEPORT"):
        patch.delattr(socket, name, raising=False)
    for name in ("CLOCK_BOOTTIME", "CLOCK_MONOTONIC", "clock_gettime", "clock_gettime_ns"):
        patch.delattr(time, name, raising=False)
    for name in ("poll", "epoll"):
        patch.delattr(select, name, raising=False)
    statvfs = os.statvfs
    patch.setattr(shutil, "disk_usage", lambda path: _usage(statvfs(path)))  # it has another way there
    patch.setattr(shutil, "_use_fd_functions", False)
    lacks = (
        *("pread", "pwrite", "preadv", "pwritev", "posix_fallocate", "fdatasync", "fchmod", "fchown"),
        *("getuid", "geteuid", "getgid", "getegid", "statvfs", "fstatvfs", "pidfd_open"),
        *("O_CLOEXEC", "O_NONBLOCK", "O_NOFOLLOW", "O_DIRECTORY", "O_SYNC", "O_DSYNC", "killpg", "openpty"),
    )
    for name in lacks:
        patch.delattr(os, name, raising=False)
    _open_as_text(patch)
    _hold_what_is_open(patch)
    _wait_for_operations_only(patch)
    _hide(patch, "/proc")


def _usage(found: os.statvfs_result) -> types.SimpleNamespace:
    total, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    return types.SimpleNamespace(total=total, used=total - free, free=free)


def _keep_socketpair(patch: pytest.MonkeyPatch) -> None:
    """Windows makes pairs over loopback; event loops need one."""
    real, unix = socket.socketpair, socket.AF_UNIX
    patch.setattr(socket, "socketpair", lambda *given: real(*(given or (unix,))))


def _lock_as_windows(patch: pytest.MonkeyPatch) -> None:
    locks = types.ModuleType("msvcrt")
    flock, exclusive = fcntl.flock, fcntl.LOCK_EX | fcntl.LOCK_NB

    def locking(descriptor: int, mode: int, count: int) -> None:
        try:
            flock(descriptor, exclusive)
        except OSError as error:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error

    vars(locks).update(locking=locking, LK_NBLCK=2)
    patch.setitem(sys.modules, "msvcrt", locks)
    for name in ("fcntl", "resource", "termios", "tty", "pty", "pwd", "grp"):
        patch.setitem(sys.modules, name, None)


def _open_as_text(patch: pytest.MonkeyPatch) -> None:
    """os.open without O_BINARY gives a descriptor that changes line ends: the project may not do it."""
    real = os.open

    def opened(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        if Path(os.fspath(path)).is_dir():
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        caller = sys._getframe(1).f_globals.get("__name__", "")
        assert flags & _O_BINARY or not caller.startswith(_OURS), f"{caller} opens {path} as text"
        return real(path, flags & ~_O_BINARY, mode, **more)

    patch.setattr(os, "O_BINARY", _O_BINARY, raising=False)
    patch.setattr(os, "open", opened)


def _hold_what_is_open(patch: pytest.MonkeyPatch) -> None:
    """Nothing that is open can be removed, renamed or replaced."""
    descriptors, listdir, readlink, is_dir = "/proc/self/fd", os.listdir, os.readlink, Path.is_dir

    def require_closed(*paths: Any) -> None:
        named = {os.path.realpath(os.fspath(path)) for path in paths}
        for descriptor in listdir(descriptors):
            with suppress(FileNotFoundError):
                if (path := readlink(f"{descriptors}/{descriptor}")) in named and not is_dir(Path(path)):
                    raise PermissionError(errno.EACCES, "it is open", path)

    def guarded(real: Callable[..., None]) -> Callable[..., None]:
        def call(*paths: Any, **more: Any) -> None:
            if sys._getframe(1).f_globals.get("__name__") != "tempfile":  # it has another way there
                require_closed(*paths)
            real(*paths, **more)

        return call

    for name in ("unlink", "remove", "rename", "replace"):
        patch.setattr(os, name, guarded(getattr(os, name)))
    for name in ("unlink", "rename", "replace"):
        real = getattr(Path, name)

        def method(self: Path, *given: Any, _real: Callable[..., Any] = real, **more: Any) -> Any:
            require_closed(self, *(one for one in given if not isinstance(one, bool)))
            return _real(self, *given, **more)

        patch.setattr(Path, name, method)
    _rename_onto_nothing(patch)


def _rename_onto_nothing(patch: pytest.MonkeyPatch) -> None:
    """os.rename refuses a name that is taken."""
    real = Path.rename

    def rename(self: Path, target: Any) -> Path:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
        return real(self, target)

    patch.setattr(Path, "rename", rename)


def _for_asyncio_alone(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
    """A call of the loop for its own operations, as sock_accept, which end with it here and not there."""

    def call(*given: Any, **more: Any) -> Any:
        own = sys._getframe(1).f_globals.get("__name__", "").startswith("asyncio.")
        return (real if own else getattr(asyncio.AbstractEventLoop, name))(*given, **more)

    return call


def _wait_for_operations_only(patch: pytest.MonkeyPatch) -> None:
    """The event loop calls back for no socket and no signal, and has no unix sockets."""
    loops = (type(loop := asyncio.new_event_loop()), *type(loop).__mro__)
    loop.close()
    calls = ("add_reader", "remove_reader", "add_writer", "remove_writer", "add_signal_handler")
    for kind in loops:
        for name in (*calls, "create_unix_server", "create_unix_connection"):
            if name in vars(kind) and kind is not asyncio.AbstractEventLoop:
                patch.setattr(kind, name, _for_asyncio_alone(name, vars(kind)[name]))
    for name in ("start_unix_server", "open_unix_connection"):
        patch.delattr(asyncio, name, raising=False)


def _hide(patch: pytest.MonkeyPatch, folder: str) -> None:
    """A folder that only Linux has, for what looks through pathlib."""
    is_dir, exists, opened = Path.is_dir, Path.exists, io.open

    def hidden(path: Any) -> bool:
        return f"{path}/".startswith(f"{folder}/")

    def open_(file: Any, *given: Any, **more: Any) -> Any:
        if isinstance(file, str | os.PathLike) and hidden(file):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(file))
        return opened(file, *given, **more)

    patch.setattr(Path, "is_dir", lambda self, **more: not hidden(self) and is_dir(self, **more))
    patch.setattr(Path, "exists", lambda self, **more: not hidden(self) and exists(self, **more))
    patch.setattr(io, "open", open_)
