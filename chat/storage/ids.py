"""Several ids in one column: 32 bytes each, in a row.

Rules: nothing else is kept in such a column.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from chat.storage.errors import StorageMisuse

SIZE: Final = 32


def joined(ids: Iterable[bytes]) -> bytes:
    """The column's value. Raises StorageMisuse for an id of another size."""
    whole = tuple(ids)
    if any(len(one) != SIZE for one in whole):
        raise StorageMisuse("an id has not 32 bytes")
    return b"".join(whole)


def parted(value: bytes) -> list[bytes]:
    """The ids of a column, in the order in which they were given."""
    return [value[start : start + SIZE] for start in range(0, len(value), SIZE)]
