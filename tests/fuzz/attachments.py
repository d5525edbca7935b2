"""Targets of files: what a body names, a piece that must prove itself, and what two ends owe each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from protocol import messages as m
from protocol.attachments import (
    AEADS,
    Shape,
    check_piece,
    file_body,
    leaf_hash,
    neighbours,
    read_file,
    root_of,
    safe_name,
)
from protocol.codec import encode
from protocol.errors import Malformed, ProtocolError
from protocol.limits import ASKS_MAX, FILE_NAME_BYTES_MAX, PIECE_BYTES
from protocol.pieces import Supply, Turn
from tests.fuzz.target import Target, cut, drawn, joined, published, text_of

SHAPE: Final = Shape(4 * PIECE_BYTES + 9, AEADS[1])
ENTRY, *LEAVES = (drawn("file")(32 * n)[-32:] for n in range(1, 6))
DATA: Final = b"x" * SHAPE.length(4)
HELD: Final = 100
"""Pieces of each file that is asked for."""
ROOT: Final = root_of([*LEAVES, leaf_hash(DATA)])


def _piece(data: bytes) -> m.Piece:
    message = m.MESSAGE.decode(data)
    if not isinstance(message, m.Piece):
        raise Malformed("not a piece")
    check_piece(message, SHAPE, ROOT)
    assert message.data == DATA
    return message


def _pieces() -> dict[str, bytes]:
    path = [root_of(LEAVES)]
    assert len(path) == len(neighbours(SHAPE.count, 4))
    return {
        "last": encode(m.Piece(ENTRY, 4, path, DATA)),
        "of-another": encode(m.Piece(ENTRY, 4, LEAVES[:1], DATA)),
        "in-the-middle": encode(m.Piece(ENTRY, 1, path * 3, DATA)),
    }


def _served(data: bytes) -> int:
    """Asks arrive one after the other; then everything is served. Returns how many pieces were due."""
    supply, due, ends, asked = Supply(), 0, 0, 0
    for part in cut(data):
        message = m.MESSAGE.decode(part)
        if isinstance(message, m.AskPieces):
            supply.take(message, HELD)
            asked += 1
        elif isinstance(message, m.StopPieces):
            supply.drop(message.entry)
    assert len(supply) == asked <= ASKS_MAX
    while (turn := supply.next(64)) is not None:
        if isinstance(turn, Turn):
            assert 0 < turn.count <= 64
            assert turn.first + turn.count <= HELD
            due += turn.count
        else:
            ends += 1
    assert ends == asked
    return due


def _asked() -> dict[str, bytes]:
    ask = encode(m.AskPieces(ENTRY, [m.PieceRange(0, 64), m.PieceRange(64, 1)]))
    other = encode(m.AskPieces(LEAVES[0], [m.PieceRange(2**32 - 1, 256)]))
    stop = encode(m.StopPieces(ENTRY))
    return {"two-files": joined(ask, other, ask), "stopped": joined(ask, stop), "many": joined(*[ask] * 17)}


def _name(data: bytes) -> str:
    """A name as a peer may send it, made safe."""
    name = safe_name(text_of(data))
    assert safe_name(name) == name
    assert 0 < len(name.encode()) <= FILE_NAME_BYTES_MAX
    assert not set(name) & set('/\\<>:"|?*\0\n\u202e')
    assert name.isprintable()
    assert name.strip(". ") == name or name[0] not in ". "
    return name


def _names() -> dict[str, bytes]:
    named = {
        "plain": "report.pdf",
        "above": "../../.ssh/authorized_keys",
        "device": "COM1.txt",
        "reversed": "photo\u202egpj.exe",
        "long": "é" * 150 + ".tar.gz",
        "windows": "C:\\Windows\\system32\\con .",
    }
    return {name: text.encode() for name, text in named.items()}


TARGETS: Final[Mapping[str, Target]] = {
    "file-body": Target(
        read_file, (ProtocolError,), published("attachments", "Body", "body", "body"), file_body
    ),
    "file-name": Target(_name, (), _names),
    "piece": Target(_piece, (ProtocolError,), _pieces, encode),
    "asks": Target(_served, (ProtocolError,), _asked),
}
