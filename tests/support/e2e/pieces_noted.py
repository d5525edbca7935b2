"""`parlour`, which notes each piece that it sends, that comes whole and that is stored, across kills.

`PIECES_NOTED` names the file of the notes: a line "sent", "came" or "stored", ENTRY and NUMBER each.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from chat.service.transfers import Transfers, _Serving
from chat.storage.pieces import SealedFile
from protocol.attachments import Proven
from protocol.messages import Piece
from protocol.pieces import Demand

WHERE = "PIECES_NOTED"


def main() -> None:
    from chat.cli.__main__ import main as parlour

    notes = os.open(os.environ[WHERE], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    takes, store, tell = Demand.takes, SealedFile._store, Transfers._tell_supplied

    def noting_sent(transfers: Transfers, serving: _Serving | None, piece: Piece) -> None:
        os.write(notes, f"sent {piece.entry.hex()} {piece.number}\n".encode())
        tell(transfers, serving, piece)

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
    Transfers._tell_supplied = noting_sent  # type: ignore[method-assign,assignment]
    SealedFile._store = noting_store  # type: ignore[method-assign,assignment]
    parlour()


if __name__ == "__main__":
    main()
