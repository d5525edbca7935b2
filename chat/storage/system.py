"""What the system reports of a profile's files, as errors of this project.

Rules: results are told by number, not by text; nothing of the database's library is loaded for it.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from chat.storage.errors import (
    StorageBroken,
    StorageFailure,
    StorageFull,
    StorageReadOnly,
    StorageUnsettled,
)
from chat.storage.files import NotDurable

_SYSTEM: Final[dict[int, type[StorageFailure]]] = {
    errno.ENOSPC: StorageFull,
    errno.EDQUOT: StorageFull,
    errno.EFBIG: StorageFull,
    errno.EROFS: StorageReadOnly,
    errno.EACCES: StorageReadOnly,
    errno.EPERM: StorageReadOnly,
}


@contextmanager
def system_failures() -> Iterator[None]:
    """Turn every OSError inside into the failure behind it."""
    try:
        yield
    except OSError as error:
        raise from_system(error) from None


def from_system(error: OSError) -> StorageFailure:
    """The failure behind an OSError of a file of the profile."""
    if isinstance(error, NotDurable):
        return StorageUnsettled()
    return _SYSTEM.get(error.errno or 0, StorageBroken)()
