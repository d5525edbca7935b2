"""Hashes of a tree that a disk has damaged, computed again from those below them (SPEC §12.2)."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Final

from protocol.attachments import levels, node_hash, root_of
from protocol.primitives import equal

Node = tuple[int, int]
"""Level and place of a hash, from the leaves upwards."""

_LEAVES: Final = 4_096
"""Leaves that are in memory at the same time."""

_HASHED_MAX: Final = 128
"""Pieces that are read again for one hash, 7.6 MB: a sector of a disk has so many leaves."""


class Mending:
    """Mends the path of a piece from the root downwards: each hash is proven by the one above it.

    `read` gives the hashes that the disk has from a node on, fewer where it ends, and `hashed` the leaf of
    the piece that it has. What was found is given to `write` at once, and what could not be mended is not
    tried again: a try may cost a look at all leaves below.
    """

    def __init__(
        self,
        count: int,
        read: Callable[[Node, int], list[bytes]],
        write: Callable[[Node, bytes], None],
        hashed: Callable[[int], bytes],
    ) -> None:
        self._levels, self._read, self._write, self._hashed = tuple(levels(count)), read, write, hashed
        self._lost = set[Node]()

    def path(self, number: int, leaf: bytes, root: bytes) -> bool:
        """Mend the hashes that prove a leaf; whether it is one of the tree."""
        proven = root
        for level in range(len(self._levels) - 1, 0, -1):
            node, on_path = (level, number >> level), (level - 1, number >> level - 1)
            found = None if node in self._lost else self._children(node, proven)
            if found is None:
                self._lost.add(node)
                return False
            for one, right in found.items():  # also where one below it is lost: the next piece needs it
                self._write(one, right)
            proven = found.get(on_path) or self._one(on_path)
        if proven != leaf:
            return False  # another piece is sealed under this key and number
        if self._one((0, number)) != leaf:
            self._write((0, number), leaf)
        return True

    def _one(self, node: Node) -> bytes:
        return b"".join(self._read(node, 1))

    def _children(self, node: Node, proven: bytes) -> dict[Node, bytes] | None:
        """What to write of the one or two nodes below a proven one so that they are proven, too."""
        level, left = node[0] - 1, node[1] * 2
        nodes = [(level, place) for place in (left, left + 1) if place < self._levels[level]]
        stored = [self._one(one) for one in nodes]
        if len(nodes) == 1:  # it rises as it is
            return {} if stored[0] == proven else {nodes[0]: proven}
        if equal(node_hash(*stored), proven):
            return {}
        for make in (self._made, self._hashed_again):
            made = [make(one) for one in nodes]
            for some in product(*zip(stored, made, strict=True)):
                if equal(node_hash(*some), proven):
                    pairs = zip(nodes, stored, some, strict=True)
                    return {one: right for one, before, right in pairs if right != before}
        return None

    def _leaves(self, node: Node) -> range:
        """The numbers of the leaves below a node."""
        level, place = node
        return range(place << level, min((place + 1) << level, self._levels[0]))

    def _made(self, node: Node) -> bytes:
        """A hash out of the leaves below it, a stretch of them at a time; nothing where one is not there."""
        some, tops = self._leaves(node), list[bytes]()
        for at in some[::_LEAVES]:
            most = min(_LEAVES, some.stop - at)
            leaves = self._read((0, at), most)
            if len(leaves) < most:
                return b""
            tops.append(root_of(leaves))
        return root_of(tops)

    def _hashed_again(self, node: Node) -> bytes:
        """A hash out of the pieces below it; nothing where they are too many."""
        some = self._leaves(node)
        return root_of([self._hashed(number) for number in some]) if len(some) <= _HASHED_MAX else b""
