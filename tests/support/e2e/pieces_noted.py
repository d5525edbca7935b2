"""`parlour`, which notes each piece of a file that comes whole, and each that is stored, across kills.

`PIECES_NOTED` names the file of the notes: a line "came ENTRY NUMBER" or "stored ENTRY NUMBER" each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from chat.storage.pieces import SealedFile
from protocol.attachments import Proven
from protocol.messages import Piece
from protocol.pieces import Demand

WHERE = "PIECES_NOTED"


def main() -> None:
    from chat.cli.__main__ import main as parlour

    notes = os.open(os.environ[WHERE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    takes, store = Demand.takes, SealedFile._store

    def noting(demand: Demand, piece: Piece) -> bool:
        wanted = takes(demand, piece)
        if wanted:
            os.write(notes, f"came {piece.entry.hex()} {piece.number}\n".encode())
        return wanted

    def noting_store(file: SealedFile, new: Sequence[Proven]) -> None:
        store(file, new)
        pieces = [one.piece for one in new]
        os.write(notes, "".join(f"stored {one.entry.hex()} {one.number}\n" for one in pieces).encode())

    Demand.takes = noting  # type: ignore[method-assign,assignment]
    SealedFile._store = noting_store  # type: ignore[method-assign,assignment]
    parlour()


def twice(notes: Path) -> tuple[int, int]:
    """How often a piece came whole that had come whole before, and how often one that had been stored."""
    came, stored = Counter[str](), set[str]()
    again = 0
    for line in notes.read_text().splitlines():
        what, _, piece = line.partition(" ")
        if what == "stored":
            stored.add(piece)
        else:
            came[piece] += 1
            again += piece in stored
    return sum(came.values()) - len(came), again


if __name__ == "__main__":
    main()
