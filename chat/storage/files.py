"""Private files that are either whole or not there.

Rules: folders 0700, files 0600, whatever the umask; a file is replaced by renaming a complete, fsynced one
over it, and the folder is fsynced after each change of a name; nothing follows a file's content.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class NotDurable(OSError):
    """A new name is in force, but the system could not sync its folder: a power cut may undo it."""


def make_private_folder(folder: Path) -> None:
    """Make `folder` with its parents, or close an existing one to others. Raises OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        place.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        sync_folder(place.parent)
    if not folder.is_dir():
        raise NotADirectoryError(folder)
    close_to_others(folder)


def close_to_others(path: Path) -> None:
    """Take away what the group and others may do with `path`. Raises OSError."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        path.chmod(mode & 0o700)


def create_private(path: Path) -> None:
    """Make an empty file that must not be there yet. Raises OSError (FileExistsError)."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _FILE_MODE))


def write_private(path: Path, data: bytes) -> None:
    """Write and fsync a file that must not be there yet. Raises OSError, and then leaves none of its own."""
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        path.unlink(missing_ok=True)
        raise


def replace_private(path: Path, data: bytes) -> None:
    """Replace `path` at once and durably: after a crash it holds all of the old or all of the new.

    Raises NotDurable (the new content is in place), and any other OSError (the old content is).
    """
    unfinished = path.with_name(f"{path.name}.next")
    unfinished.unlink(missing_ok=True)
    write_private(unfinished, data)
    try:
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_name(path)


def move(source: Path, target: Path) -> None:
    """Give a complete file its final name, durably; `target` must not exist.

    Raises NotDurable (the file has the new name), and any other OSError (it has the old one).
    """
    if target.exists():
        raise FileExistsError(target)
    source.rename(target)
    _sync_name(target)


def _sync_name(path: Path) -> None:
    """Make the new name of `path` durable. Raises NotDurable."""
    try:
        # After a failed fsync the next one may succeed without having written, so none is tried.
        sync_folder(path.parent)
    except OSError as error:
        raise NotDurable(error.errno, error.strerror) from error


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable. Raises OSError."""
    if os.name == "nt":  # Windows cannot open a folder; its renames are durable with the file
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
