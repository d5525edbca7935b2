"""The root hash of a conversation and of a whole history (SPEC §21.1)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from protocol import labels
from protocol.primitives import b2b

NOT_HELD: Final = bytes(32)
"""Takes the place of the hash of a body that is missing or deleted."""


class RootHash:
    """The root hash of one conversation (its id, 32 bytes) over its entries in the order of SPEC §11.3."""

    def __init__(self, conversation: bytes) -> None:
        self.count = 0
        self.root = b2b(conversation, personal=labels.HISTORY_ROOT)

    def add(self, entry: bytes, content: bytes) -> None:
        """The next entry: its id, and the hash of salt and body, NOT_HELD where the body is not held."""
        self.root = b2b(self.root + entry + content, personal=labels.HISTORY_ROOT)
        self.count += 1


def history_root(roots: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The root hash, 32 bytes, of pairs of an id and a root, in any order. What has no entry is left out."""
    held = sorted((one, root) for one, root in roots if root != RootHash(one).root)
    return b2b(b"".join(one + root for one, root in held), personal=labels.HISTORY_ROOT)
