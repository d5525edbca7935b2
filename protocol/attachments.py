"""Files of a conversation: names, sealed pieces, and the tree that proves each piece (SPEC §12)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from protocol import labels
from protocol.codec import encode
from protocol.errors import AuthenticationFailed, LocalMisuse, Malformed
from protocol.limits import FILE_BYTES_MAX, FILE_NAME_BYTES_MAX, MEDIA_TYPE_MAX, PIECE_BYTES
from protocol.messages import FILE_BODY, FileBody, Piece
from protocol.primitives import AEGIS256, CHACHA20POLY1305, Aead, aes_instructions, b2b

HASH_SIZE: Final = 32

AEADS: Final = {one.id: one for one in (AEGIS256, CHACHA20POLY1305)}
"""What may seal the pieces of a file, by its number in the body."""


def usual_aead() -> Aead:
    """The AEAD for a file of this terminal: the fast one where it runs in constant time here."""
    return AEGIS256 if aes_instructions() else CHACHA20POLY1305


# --- The body ---

_UNNAMED: Final = re.compile(r"[\x00-\x1f\x7f-\x9f/\\]")
_MEDIA: Final = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")


def file_body(body: FileBody) -> bytes:
    """The encoded body of an entry that names a file. LocalMisuse where a reader would reject it."""
    try:
        _check(body)
    except Malformed as refused:
        raise LocalMisuse(f"not the body of a file: {refused}") from None
    return encode(body)


def read_file(encoded: bytes) -> FileBody:
    """Parse the body of an entry that names a file. Errors: Malformed, LimitExceeded."""
    body = FILE_BODY.decode(encoded)
    _check(body)
    return body


def _check(body: FileBody) -> None:
    for name in (body.name, *body.folder):
        # By code points alone: readers with other tables of Unicode must not differ.
        if len(name.encode()) > FILE_NAME_BYTES_MAX or _UNNAMED.search(name) or name in (".", ".."):
            raise Malformed("not the name of a file or folder")
    if body.media and _MEDIA.fullmatch(body.media) is None:
        raise Malformed("not a media type")


_SEPARATORS: Final = re.compile(r'[/\\<>:"|?*]')
_DEVICES: Final = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])", re.IGNORECASE)
_READ_BY_SYSTEMS: Final = frozenset(("desktop.ini", "autorun.inf", "thumbs.db", "ehthumbs.db", "folder.htt"))
"""Names by which a system changes what a folder shows or does."""
_NOT_DRAWN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_SUFFIX_MAX: Final = 24
_NAMELESS: Final = "file"


def safe_name(name: str) -> str:
    """A name that is safe to show and to save on every platform, at most FILE_NAME_BYTES_MAX bytes long.

    It has no separator, no control or formatting character such as a bidirectional override, is no device of
    Windows and no file that a system obeys, begins neither with a dot nor with a hyphen, which commands take
    for an option, and ends with no dot or space. Any text gives such a name.
    """
    plain = _SEPARATORS.sub("_", unicodedata.normalize("NFC", name))
    drawn = "".join(one for one in plain if unicodedata.category(one) not in _NOT_DRAWN)
    kept = " ".join(drawn.split()).lstrip(". ")
    obeyed = kept.rstrip(". ").casefold() in _READ_BY_SYSTEMS or kept.startswith("-")
    if obeyed or _DEVICES.fullmatch(kept.partition(".")[0].rstrip(" ")):
        kept = f"_{kept}"
    stem, dot, suffix = kept.rpartition(".")
    if not stem or len(suffix.encode()) > _SUFFIX_MAX:
        stem, dot, suffix = kept, "", ""
    room = FILE_NAME_BYTES_MAX - len(f"{dot}{suffix}".encode())
    short = stem.encode()[:room].decode(errors="ignore")
    return f"{short}{dot}{suffix}".rstrip(". ") or _NAMELESS


def safe_media(media: str) -> str:
    """The media type as a body may have it, empty where it is none."""
    lower = media.lower()
    return lower if len(lower) <= MEDIA_TYPE_MAX and _MEDIA.fullmatch(lower) else ""


# --- Pieces ---


def pieces_in(size: int) -> int:
    """The number of pieces of a file of so many bytes."""
    return max(1, -(-size // PIECE_BYTES))


class Shape(Struct, frozen=True):
    """The pieces of a file of `size` bytes that are sealed with `aead`. A file of no bytes has one, too."""

    size: int
    aead: Aead

    @property
    def count(self) -> int:
        return pieces_in(self.size)

    @property
    def whole(self) -> int:
        """Bytes of a sealed piece that is not the last one."""
        return PIECE_BYTES + self.aead.tag_size

    @property
    def sealed(self) -> int:
        """Bytes of all sealed pieces."""
        return self.size + self.count * self.aead.tag_size

    def length(self, number: int) -> int:
        """Bytes of a sealed piece."""
        return min(self.whole, self.sealed - number * self.whole)


def shape_of(body: FileBody) -> Shape:
    """The pieces of the file that a body names."""
    return Shape(body.size, AEADS[body.aead])


def _nonce(aead: Aead, number: int) -> bytes:
    return number.to_bytes(aead.nonce_size)


def seal_piece(aead: Aead, key: bytes, number: int, piece: bytes) -> bytes:
    """One piece, sealed under the key of its file alone (32 bytes): its number is the nonce."""
    return aead.seal(key, _nonce(aead, number), b"", piece)


def open_piece(aead: Aead, key: bytes, number: int, sealed: bytes) -> bytes:
    """The inverse of `seal_piece`. AuthenticationFailed."""
    return aead.open(key, _nonce(aead, number), b"", sealed)


def is_authentic(aead: Aead, key: bytes, number: int, sealed: bytes) -> bool:
    """Whether `open_piece` would open it, without opening it."""
    return aead.check(key, _nonce(aead, number), b"", sealed)


# --- The tree (RFC 9162, section 2.1, with labels in place of its prefix bytes) ---


def leaf_hash(sealed: bytes) -> bytes:
    """The leaf, 32 bytes, of a sealed piece."""
    return b2b(sealed, personal=labels.PIECE)


def node_hash(left: bytes, right: bytes) -> bytes:
    """The node, 32 bytes, above two neighbours."""
    return b2b(left + right, personal=labels.PIECES)


def levels(count: int) -> Iterator[int]:
    """The number of nodes of each level of the tree of so many leaves, from the leaves to the root."""
    yield count
    while count > 1:
        count = (count + 1) // 2
        yield count


def above(nodes: Sequence[bytes]) -> list[bytes]:
    """The level above all nodes of one, or above a stretch that begins at an even place.

    The last one without a neighbour rises as it is.
    """
    pairs = [node_hash(*nodes[at : at + 2]) for at in range(0, len(nodes) - 1, 2)]
    return pairs + ([nodes[-1]] if len(nodes) % 2 else [])


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root, 32 bytes, of at least one leaf."""
    level = list(leaves)
    while len(level) > 1:
        level = above(level)
    return level[0]


def neighbours(count: int, number: int) -> list[tuple[int, int]]:
    """Level and place of each hash that proves a piece of a file with so many, from the leaves upwards."""
    found, place = list[tuple[int, int]](), number
    for level, nodes in enumerate(levels(count)):
        other = place ^ 1
        if other < nodes:
            found.append((level, other))
        place >>= 1
    return found


class Proven(Struct, frozen=True):
    """A piece that is one of its file, and its leaf, 32 bytes. `Proofs.check` alone makes it."""

    piece: Piece
    leaf: bytes


class Proofs:
    """Checks pieces of one file against its root, and remembers the hashes that proved the last of them.

    A piece that is near the one before it needs one hash or two, whatever the size of the file. Nothing
    grows: two hashes per level of the tree are remembered.
    """

    def __init__(self, shape: Shape, root: bytes) -> None:
        """`root`: 32 bytes."""
        self._root, self._count = root, shape.count
        self._whole, self._rest = shape.whole, shape.length(shape.count - 1)
        self._levels = tuple(levels(shape.count))
        # From this piece on there are some that have no neighbour on some level.
        lone = [nodes - 1 << level for level, nodes in enumerate(self._levels[:-1]) if nodes % 2]
        self._regular = min(lone, default=self._count)
        self._last, self._line, self._path = -1, list[bytes](), list[bytes]()

    def check(self, piece: Piece) -> Proven:
        """Whether a piece is one of the file; nothing of it may be kept before.

        Errors: Malformed (no piece of a file of this shape), AuthenticationFailed (of another file).
        """
        number, size = piece.number, len(piece.data)
        if number >= self._count or size != (self._whole if number < self._count - 1 else self._rest):
            raise Malformed("no piece of this file has this number and size")
        if len(piece.path) != self._hashes(number):
            raise Malformed("another number of hashes than prove this piece")
        leaf = leaf_hash(piece.data)
        if not self.lead(leaf, number, piece.path):
            raise AuthenticationFailed("not a piece of this file")
        return Proven(piece, leaf)

    def _hashes(self, number: int) -> int:
        """How many hashes prove a piece."""
        if number < self._regular:
            return len(self._levels) - 1
        return sum((number >> level) ^ 1 < nodes for level, nodes in enumerate(self._levels))

    def lead(self, leaf: bytes, number: int, path: list[bytes]) -> bool:
        """Whether a leaf and the hashes that prove it, as many as its piece needs, lead to the root."""
        if number >= self._regular:
            return above_leaf(leaf, number, self._count, path) == self._root
        # The level on which this piece and the last one meet; from there upwards they have the same proof.
        meet = (number ^ self._last).bit_length() if self._last >= 0 else len(self._levels)
        node, place, line = leaf, number, [leaf]
        for other in path[: max(0, meet - 1)]:
            node = node_hash(other, node) if place & 1 else node_hash(node, other)
            line.append(node)
            place >>= 1
        if self._last < 0:
            proven = node == self._root
        elif meet:  # one below it they are neighbours, and each is the hash that proves the other
            proven = node == self._path[meet - 1] and path[meet - 1] == self._line[meet - 1]
        else:
            proven = leaf == self._line[0]
        if not proven or path[meet:] != self._path[meet:]:
            return False
        self._last, self._path = number, path.copy()
        self._line[: len(line)] = line
        return True


def check_piece(piece: Piece, shape: Shape, root: bytes) -> bytes:
    """Check one piece of the file with this root by itself. Returns its leaf; errors as `Proofs.check`."""
    return Proofs(shape, root).check(piece).leaf


def above_leaf(leaf: bytes, number: int, count: int, path: Sequence[bytes]) -> bytes:
    """The root above the leaf of a piece of a file with so many, by its whole path."""
    node, place, rest = leaf, number, iter(path)
    for nodes in levels(count):
        if place ^ 1 < nodes:
            other = next(rest)
            node = node_hash(other, node) if place & 1 else node_hash(node, other)
        place >>= 1
    return node


def check_size(size: int) -> None:
    """LocalMisuse for a file that is larger than an entry can name."""
    if size > FILE_BYTES_MAX:
        raise LocalMisuse(f"a file of {size} bytes")
