"""The start of a bundle: unpack the wheels that fit this Python, once, and run Parlour from them.

It runs inside the archive, before any library is there, so it imports the standard library alone. Native
libraries cannot be imported from an archive, which is why it unpacks.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import Any, Final, NoReturn
from zipimport import zipimporter

CONTENTS: Final = "bundle.json"
"""Member that says what is in the bundle: `version`; `wheels`, a SHA-256 each; and `fits`, by the names of
`place`, with the `wheels` that are for it and the `least` version of glibc or macOS that they run on."""

FORGOTTEN_AFTER: Final = 30 * 86_400.0
"""Seconds without a start after which what an older bundle unpacked is removed."""

UNPACKS_WITHIN: Final = 3_600.0
"""Seconds in which a start has unpacked, where no lock says so."""

_MODE: Final = 0o700
_OTHERS_WRITE: Final = 0o022
_SITES: Final = ("site-packages", "dist-packages")


class Refused(Exception):
    """Parlour cannot run here. The text is one line for the user, with what to do."""


class Damaged(Refused):
    """The file is another one than was made."""

    def __init__(self, archive: Path) -> None:
        super().__init__(f"{archive} is damaged: copy it again.")


def main() -> NoReturn:
    """Run the bundle that this module is in."""
    archive = Path(__file__).absolute().parent
    try:
        contents = read(archive)
        folder = unpacked(archive, contents, cache_folder(os.environ), note=_note)
    except Refused as refused:
        sys.exit(f"parlour: {refused}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    sys.path[:] = alone(folder, archive, sys.path)
    sys.argv[0] = str(archive)
    import_module("chat.cli.__main__").main()
    sys.exit()


def read(archive: Path) -> dict[str, Any]:
    """The contents of a bundle. Raises Refused for a file that is none."""
    try:
        found: dict[str, Any] = json.loads(zipimporter(str(archive)).get_data(str(archive / CONTENTS)))
    except (OSError, ImportError, ValueError, EOFError):
        raise Refused(f"{archive} is no complete bundle of Parlour: copy it again.") from None
    return found


def place() -> str:
    """Names the machines that a wheel is for, as `linux-x86_64 cpython-3.13`."""
    system = {"darwin": f"macos-{os.uname().machine}"} if sys.platform == "darwin" else {}
    free = "t" if "free-threading" in sys.version else ""
    bits = "" if sys.maxsize > 1 << 32 else "-32bit"
    python = f"{sys.implementation.name}-{sys.version_info[0]}.{sys.version_info[1]}{free}"
    return f"{system.get(sys.platform, sysconfig.get_platform())}{bits} {python}"


def system_version() -> list[int]:
    """The version of glibc on Linux, of macOS there; [0] where neither is known, as with musl."""
    if sys.platform == "darwin":
        import platform

        said = platform.mac_ver()[0]
    else:
        said = ""
        with suppress(AttributeError, OSError, ValueError):
            said = (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")
    return [int(part) for part in said.split(".") if part.isdecimal()] or [0]


def fitting(contents: Mapping[str, Any], here: str, version: list[int]) -> list[str]:
    """The wheels for a place with such a system. Raises Refused."""
    fit = contents["fits"].get(here)
    if fit is None:
        systems = sorted({name.split()[0] for name in contents["fits"]})
        pythons = sorted({name.split("-")[-1] for name in contents["fits"]})
        has = f"Python {', '.join(pythons)} (CPython) on {', '.join(systems)}"
        raise Refused(f"this file runs with {has}; this is {here}.")
    if version < fit["least"]:
        least = ".".join(map(str, fit["least"]))
        kind = "macOS" if here.startswith("macos") else "glibc"
        has = ".".join(map(str, version)) if version != [0] else "none"
        raise Refused(f"this file needs {kind} {least} or newer; this system has {has}.")
    names: list[str] = fit["wheels"]
    return names


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Where this system keeps what programs can make again. Raises Refused."""
    try:
        if sys.platform == "win32":
            return (
                Path(environment.get("LOCALAPPDATA") or Path.home() / "AppData/Local") / "parlour" / "bundle"
            )
        if sys.platform == "darwin":
            return Path.home() / "Library/Caches/parlour"
        named = environment.get("XDG_CACHE_HOME", "")
        return (Path(named) if named.startswith("/") else Path.home() / ".cache") / "parlour"
    except RuntimeError:
        raise Refused("you have no home folder: set XDG_CACHE_HOME to a folder of yours.") from None


def unpacked(archive: Path, contents: Mapping[str, Any], cache: Path, note: Callable[[str], None]) -> Path:
    """The folder with the wheels that fit, unpacked now if no start did it before. Raises Refused.

    The folder has its name only once it is whole and on disk, and its name has the hashes of what is in it.
    """
    cache = _real(cache)
    try:
        names = fitting(contents, place(), system_version())
        sums = "".join(f"{contents['wheels'][name]}  {name}\n" for name in names)
        folder = cache / f"{contents['version']}-{hashlib.sha256(sums.encode()).hexdigest()[:20]}"
    except (KeyError, TypeError):
        raise Damaged(archive) from None
    try:
        _own(cache)
        _runs(cache)
        _use(folder)
        if not folder.is_dir():
            with _alone(cache):
                if not folder.is_dir():
                    note(f"Unpacking Parlour to {folder}, once.")
                    _forget(cache)
                    _unpack(archive, contents, names, folder)
        _own(folder)
    except OSError as error:
        raise Refused(
            f"Parlour cannot unpack itself to {cache} ({error.strerror}): "
            "make room there, or set XDG_CACHE_HOME to another folder of yours."
        ) from None
    return folder


def _real(cache: Path) -> Path:
    """The cache behind all symbolic links: somebody else could turn one elsewhere once it has been checked.

    Raises Refused for a name that Python loads no library from.
    """
    real = Path(os.path.realpath(cache)) if os.name == "posix" else cache
    try:
        str(real).encode()
    except UnicodeEncodeError:
        raise Refused(
            f"the name of the folder {str(real)!a} is not UTF-8: set XDG_CACHE_HOME to another one of yours."
        ) from None
    return real


def _own(folder: Path) -> None:
    """Make a folder, and see that nobody else can write to it: its code is run. Raises Refused, OSError."""
    for missing in (one for one in (*reversed(folder.parents), folder) if not one.exists()):
        missing.mkdir(mode=_MODE, exist_ok=True)  # all of them, or others could exchange it with a umask of 0
    status = folder.stat()
    if hasattr(os, "geteuid") and (status.st_uid != os.geteuid() or status.st_mode & _OTHERS_WRITE):
        raise Refused(f"{folder} is not yours alone: remove it, or set XDG_CACHE_HOME to a folder of yours.")


def _runs(folder: Path) -> None:
    """See that libraries run from a folder. Raises Refused, OSError."""
    if hasattr(os, "statvfs") and os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0):
        raise Refused(
            f"nothing runs from {folder}, which is on a file system with noexec: "
            "set XDG_CACHE_HOME to a folder of yours on another one."
        )


def _use(folder: Path) -> None:
    """Mark a folder as used, for as long as this process lives and for its next start."""
    descriptor = os.open(_mark(folder), os.O_RDWR | os.O_CREAT, 0o600)
    os.utime(_mark(folder))
    with suppress(ImportError, OSError):
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_SH)  # the descriptor stays open until the process ends


def _mark(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.used")


@contextmanager
def _alone(cache: Path) -> Iterator[None]:
    """No other start unpacks meanwhile. Where the system cannot say so, the last one to finish gives way."""
    with (cache / "lock").open("a") as file:
        with suppress(ImportError):
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _forget(cache: Path) -> None:
    """Remove what a killed start left, and what no program uses and nobody started for a month."""
    import shutil
    import time

    try:
        import fcntl
    except ImportError:
        # Nothing shows here whether another start is unpacking into a folder, but for its age.
        for left in cache.glob(".new-*"):
            if time.time() - left.stat().st_mtime > UNPACKS_WITHIN:
                shutil.rmtree(left, ignore_errors=True)
        return
    for left in cache.glob(".new-*"):
        shutil.rmtree(left, ignore_errors=True)
    for mark in cache.glob("*.used"):
        if time.time() - mark.stat().st_mtime < FORGOTTEN_AFTER:
            continue
        with mark.open("r+") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(mark.with_suffix(""), ignore_errors=True)
            mark.unlink()


def _unpack(archive: Path, contents: Mapping[str, Any], names: list[str], folder: Path) -> None:
    """Raises Damaged, OSError."""
    import shutil
    import tempfile
    from zipfile import ZipFile

    new = Path(tempfile.mkdtemp(prefix=".new-", dir=folder.parent))  # with mode 0700
    try:
        for wheel in _wheels(archive, contents, names):
            with ZipFile(BytesIO(wheel)) as packed:
                packed.extractall(new)
        if hasattr(os, "sync"):
            os.sync()  # else a power cut soon after could leave a folder with empty files under its name
        new.rename(folder)
    except OSError:
        if not folder.is_dir():  # another start was faster
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)


def check(archive: Path, contents: Mapping[str, Any]) -> None:
    """See that a bundle has all its wheels, for every system. Raises Damaged, OSError."""
    for _ in _wheels(archive, contents, contents["wheels"]):
        pass


def _wheels(archive: Path, contents: Mapping[str, Any], names: Iterable[str]) -> Iterator[bytes]:
    """The content of wheels, each as its hash says. Raises Damaged, OSError."""
    from zipfile import BadZipFile, ZipFile

    try:
        with ZipFile(archive) as bundle:
            for name in names:
                wheel = bundle.read(f"wheels/{name}")
                if hashlib.sha256(wheel).hexdigest() != contents["wheels"][name]:
                    raise Damaged(archive)
                yield wheel
    except (BadZipFile, KeyError, NotImplementedError, RuntimeError, EOFError):
        raise Damaged(archive) from None  # zipfile raises each of these for some byte


def alone(folder: Path, archive: Path, path: list[str]) -> list[str]:
    """The path for imports: the unpacked folder and the standard library, nothing else that is installed."""
    named = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    standard = [
        one
        for one in path
        if one not in named
        and one.startswith((sys.base_prefix, sys.base_exec_prefix))
        and not one.rstrip("/\\").endswith(_SITES)
        and Path(one) != archive
    ]
    return [str(folder), *standard]


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201
