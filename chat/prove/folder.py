"""Where a proof takes place: a private folder that is gone when the proof is, and what killed ones left.

Rules: what a proof left that was killed goes with the next one, but never the folder of one that runs, nor
anybody else's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from chat.interface import ParlourError
from chat.storage.lock import ProfileLock

PREFIX: Final = "parlour-prove-"
LOCK: Final = "lock"


@contextmanager
def throw_away() -> Iterator[Path]:
    """A folder of mode 0700 for the block, where all that is temporary is. Raises OSError."""
    for left in sorted(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        _sweep(left)
    with tempfile.TemporaryDirectory(prefix=PREFIX) as made:
        lock = ProfileLock(Path(made))
        try:
            yield Path(made).resolve()
        finally:
            lock.release()


def _sweep(folder: Path) -> None:
    """Remove it, if a proof of this user's had it and none has."""
    with suppress(OSError, ParlourError):
        own = not hasattr(os, "geteuid") or folder.lstat().st_uid == os.geteuid()
        if not own or folder.is_symlink() or not (folder / LOCK).is_file():
            return  # somebody else's, or one that begins this moment
        lock = ProfileLock(folder)
        shutil.rmtree(folder, ignore_errors=True)
        lock.release()
